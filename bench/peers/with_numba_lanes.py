"""Numba, written for vector registers: 64 chains side by side in every inner loop, which LLVM turns into vector code.

Library functions are not vectorised (Numba's wheels come without SVML), so logarithm, sine, cosine and tanh are polynomials and
fractions of this file. The generator is xoshiro128+, one state a lane. This is as far as we could push Numba; it is
listed apart from the ordinary way (with_numba.py).
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import float32, int32, njit, prange, uint32

VERSION = f"Numba {numba.__version__}, hand-vectorised"
LANES = 64
F = np.float32


def fit(f, low, high, degree):
    """Coefficients, highest first, of a polynomial close to f between low and high (through Chebyshev nodes)."""
    nodes = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(64) + 0.5) / 64)
    return tuple(F(c) for c in np.polynomial.Polynomial.fit(nodes, f(nodes), degree).convert().coef[::-1])


def tanh_fraction(depth):
    """Numerator (of tanh x / x) and denominator, in x^2, of Lambert's continued fraction cut at this depth."""
    square = np.poly1d([1.0, 0.0])
    top, bottom = np.poly1d([1.0]), np.poly1d([2.0 * depth - 1])
    for k in range(2 * depth - 3, 0, -2):
        top, bottom = bottom, k * bottom + square * top
    return tuple(F(c / bottom.coef[-1]) for c in top.coef), tuple(F(c / bottom.coef[-1]) for c in bottom.coef)


def polynomial(coefficients):
    """A compiled function: the polynomial of these coefficients, highest first, by Horner's rule."""
    first, *others = coefficients
    inner = njit(inline="always")(lambda x: first)
    for c in others:
        inner = horner_step(inner, c)
    return inner


def horner_step(inner, c):
    return njit(inline="always", fastmath=True)(lambda x: inner(x) * x + c)


log_part = polynomial(fit(lambda m: (np.log1p(m) - m) / m**2, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 9))
sin_part = polynomial(fit(lambda y: np.sin(np.sqrt(y)) / np.sqrt(y), 1e-9, (math.pi / 4) ** 2, 3))
cos_part = polynomial(fit(lambda y: np.cos(np.sqrt(y)), 0, (math.pi / 4) ** 2, 4))
tanh_top, tanh_bottom = (polynomial(c) for c in tanh_fraction(9))
TANH_END = F(6.0)  # 1 - tanh is below 2e-5 beyond it


def set_threads(threads: int) -> None:
    numba.set_num_threads(threads)


def states(threads: int) -> np.ndarray:
    """A state of xoshiro128+ for each lane of each thread [threads, 4, LANES]."""
    return np.random.SeedSequence(13).generate_state(threads * 4 * LANES, np.uint32).reshape(threads, 4, LANES)


@njit(inline="always")
def words(state, out):
    """The next word of each lane -> out [LANES]."""
    for l in range(LANES):
        a, b, c, d = state[0, l], state[1, l], state[2, l], state[3, l]
        out[l] = a + d
        t = uint32(b << uint32(9))
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= t
        state[0, l], state[1, l], state[2, l] = a, b, c
        state[3, l] = uint32((d << uint32(11)) | (d >> uint32(21)))


@njit(inline="always", fastmath=True)
def logarithm(x_bits, x, out):
    """out = log x for x in (0, 1]; x_bits is the same memory as x, seen as integers, and is overwritten."""
    for l in range(LANES):
        exponent = (x_bits[l] - int32(0x3F3504F3)) >> int32(23)
        x_bits[l] -= exponent << int32(23)
        out[l] = float32(exponent)
    for l in range(LANES):
        m = x[l] - F(1)
        out[l] = out[l] * F(math.log(2)) + (m + m * m * log_part(m))


@njit(inline="always", fastmath=True)
def normal_pairs(state, word, bits, real, z):
    """Two normals a lane by Box-Muller -> z [2, LANES]. bits and real [2, LANES] are one memory."""
    words(state, word)
    for l in range(LANES):
        real[0, l] = (float32(int32(word[l] >> uint32(8))) + F(0.5)) * F(2.0**-24)
    logarithm(bits[0], real[0], real[1])
    words(state, word)
    for l in range(LANES):
        radius = math.sqrt(max(F(-2) * real[1, l], F(0)))
        turn = float32(int32(word[l] >> uint32(8))) * F(2.0**-24)
        quarter = math.floor(turn * F(4) + F(0.5))
        x = (turn - quarter * F(0.25)) * F(2 * math.pi)
        sine, cosine = x * sin_part(x * x), cos_part(x * x)
        q = int32(quarter)
        odd = (q & int32(1)) != 0
        first, second = (sine if odd else cosine), (cosine if odd else sine)
        z[0, l] = radius * (-first if ((q + int32(1)) & int32(2)) != 0 else first)
        z[1, l] = radius * (-second if (q & int32(2)) != 0 else second)


@njit(inline="always")
def scratch():
    """Working memory of a thread: words, bits and the same memory as floats, normals."""
    bits = np.empty((2, LANES), np.int32)
    return np.empty(LANES, np.uint32), bits, bits.view(np.float32), np.empty((2, LANES), np.float32)


@njit(parallel=True, fastmath=True)
def normals(x, states, steps):
    """x [tiles, D, LANES]."""
    threads, tiles = states.shape[0], x.shape[0]
    for thread in prange(threads):
        word, bits, real, _ = scratch()
        for _ in range(steps):
            for tile in range(thread * tiles // threads, (thread + 1) * tiles // threads):
                for i in range(0, x.shape[1], 2):
                    normal_pairs(states[thread], word, bits, real, x[tile, i : i + 2])


@njit(inline="always", fastmath=True)
def advance_row(x, z, keep, noise, push, total):
    for l in range(LANES):
        new = keep * x[l] + (noise * z[l] + push[l])
        x[l] = new
        total[l] += new


@njit(parallel=True, fastmath=True)
def linear(x, keep, noise, couple, states, steps):
    """x <- keep x + noise z + couple sum(x) on tiles [tiles, D, LANES]; D is even."""
    threads, tiles = states.shape[0], x.shape[0]
    for thread in prange(threads):
        word, bits, real, z = scratch()
        push, total = np.empty(LANES, np.float32), np.zeros(LANES, np.float32)
        for tile in range(thread * tiles // threads, (thread + 1) * tiles // threads):
            for l in range(LANES):
                total[l] = x[tile, :, l].sum()
            for _ in range(steps):
                for l in range(LANES):
                    push[l] = couple * total[l]
                    total[l] = 0
                for i in range(0, x.shape[1], 2):
                    normal_pairs(states[thread], word, bits, real, z)
                    advance_row(x[tile, i], z[0], keep[i], noise, push, total)
                    advance_row(x[tile, i + 1], z[1], keep[i + 1], noise, push, total)


@njit(inline="always", fastmath=True)
def phi(a, tanh):
    if tanh:
        a = min(max(a, -TANH_END), TANH_END)
        return a * tanh_top(a * a) / tanh_bottom(a * a)
    return max(a, F(0))


@njit(inline="always", fastmath=True)
def four_drifts(x, w2, w1, b, up, tanh):
    """up [2, 4] = w1 phi(w2 x + b) of four chains x [2, 4]: the sums over units are in vector registers."""
    a0, a1, a2, a3 = x[0, 0], x[0, 1], x[0, 2], x[0, 3]
    c0, c1, c2, c3 = x[1, 0], x[1, 1], x[1, 2], x[1, 3]
    p0 = p1 = p2 = p3 = q0 = q1 = q2 = q3 = F(0)
    for k in range(b.size):
        v, w, bias, f, g = w2[0, k], w2[1, k], b[k], w1[0, k], w1[1, k]
        h0, h1 = phi(v * a0 + (w * c0 + bias), tanh), phi(v * a1 + (w * c1 + bias), tanh)
        h2, h3 = phi(v * a2 + (w * c2 + bias), tanh), phi(v * a3 + (w * c3 + bias), tanh)
        p0 += f * h0
        p1 += f * h1
        p2 += f * h2
        p3 += f * h3
        q0 += g * h0
        q1 += g * h1
        q2 += g * h2
        q3 += g * h3
    up[0, 0], up[0, 1], up[0, 2], up[0, 3] = p0, p1, p2, p3
    up[1, 0], up[1, 1], up[1, 2], up[1, 3] = q0, q1, q2, q3


@njit(parallel=True, fastmath=True)
def planar_network(x, w2, w1, b, keep, noise, states, steps, tanh):
    """x <- keep x + w1 phi(w2 x + b) + noise z for two outputs; x [tiles, 2, LANES]."""
    threads, tiles = states.shape[0], x.shape[0]
    for thread in prange(threads):
        word, bits, real, z = scratch()
        up, nothing, total = np.empty((2, LANES), np.float32), np.zeros(LANES, np.float32), np.zeros(LANES, np.float32)
        for tile in range(thread * tiles // threads, (thread + 1) * tiles // threads):
            for _ in range(steps):
                for l in range(0, LANES, 4):
                    four_drifts(x[tile, :, l : l + 4], w2, w1, b, up[:, l : l + 4], tanh)
                normal_pairs(states[thread], word, bits, real, z)
                for i in range(2):
                    advance_row(x[tile, i], z[i], keep, noise, up[i], total)


@njit(parallel=True, fastmath=True)
def spiking(v, w, energy, accepted, states, steps):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + energy_j))); v [tiles, p, LANES], w [p, n]."""
    threads, tiles = states.shape[0], v.shape[0]
    neurons = np.uint64(w.shape[1])
    for thread in prange(threads):
        word, bits, real, z = scratch()
        j, e = np.empty(LANES, np.int32), np.empty(LANES, np.float32)
        rows = np.empty((v.shape[1], LANES), np.float32)
        for tile in range(thread * tiles // threads, (thread + 1) * tiles // threads):
            for _ in range(steps):
                words(states[thread], word)
                for l in range(LANES):
                    j[l] = int32((np.uint64(word[l]) * neurons) >> np.uint64(32))
                    e[l] = energy[j[l]]
                for i in range(v.shape[1]):
                    for l in range(LANES):
                        rows[i, l] = w[i, j[l]]
                        e[l] += rows[i, l] * v[tile, i, l]
                words(states[thread], word)
                for l in range(LANES):
                    real[0, l] = (float32(int32(word[l] >> uint32(8))) + F(0.5)) * F(2.0**-24)
                logarithm(bits[0], real[0], real[1])
                for l in range(LANES):
                    e[l] = F(1) if real[1, l] < -e[l] else F(0)
                    accepted[tile, l] += int32(e[l])
                for i in range(v.shape[1]):
                    for l in range(LANES):
                        v[tile, i, l] += e[l] * rows[i, l]


def tiled(x: np.ndarray) -> np.ndarray:
    """[C, D] -> [tiles, D, LANES]; C is a multiple of LANES."""
    return np.ascontiguousarray(x.reshape(-1, LANES, x.shape[1]).transpose(0, 2, 1))


class Lanes:
    def __init__(self, start):
        self.x, self.states = tiled(np.asarray(start, np.float32)), states(numba.get_num_threads())

    def result(self):
        return {"x": self.x.transpose(0, 2, 1).reshape(-1, self.x.shape[1])}


class Normals(Lanes):
    def __init__(self, problem):
        super().__init__(np.zeros((problem["chains"], problem["dim"])))

    def advance(self, steps):
        normals(self.x, self.states, steps)


class Linear(Normals):
    def __init__(self, problem):
        super().__init__(problem)
        self.keep = np.broadcast_to(F(problem["keep"]), problem["dim"]).astype(F)
        self.noise, self.couple = F(problem["noise"]), F(problem["couple"])

    def advance(self, steps):
        linear(self.x, self.keep, self.noise, self.couple, self.states, steps)


class Network(Normals):
    def __init__(self, problem):
        super().__init__({"chains": problem["chains"], "dim": 2})
        self.w2 = np.ascontiguousarray(problem["w2"].T, F)
        self.w1 = np.ascontiguousarray(problem["w1"] * problem["h"], F)
        self.b, self.tanh = np.asarray(problem["b"], F), problem["phi"] == "tanh"
        self.keep, self.noise = F(1 - problem["h"]), F(problem["noise"])

    def advance(self, steps):
        planar_network(self.x, self.w2, self.w1, self.b, self.keep, self.noise, self.states, steps, self.tanh)


class Spiking(Lanes):
    def __init__(self, problem):
        super().__init__(problem["start"])
        half = np.asarray(problem["w"], F)
        self.w = np.ascontiguousarray(np.vstack([half, -half]).T)
        self.energy = ((self.w**2).sum(0) / 2).astype(F)
        self.accepted = np.zeros((self.x.shape[0], LANES), np.int32)

    def advance(self, steps):
        spiking(self.x, self.w, self.energy, self.accepted, self.states, steps)

    def result(self):
        return super().result() | {"accepted": self.accepted.reshape(-1)}


CANDIDATES = {
    "normals": {"64 lanes": Normals},
    "linear": {"64 lanes": Linear},
    "planar": {"four chains, sum over units vectorised": Network},
    "spiking": {"64 lanes, gathers": Spiking},
}
