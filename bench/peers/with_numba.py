"""Numba: one xoroshiro128+ generator a thread, chains one after the other, prange over the threads, fastmath.

Normals by Box-Muller, or by a ziggurat of 128 layers (Marsaglia and Tsang 2000, layer and height from separate bits). The
variant written for vector registers is with_numba_lanes.py.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import njit, prange, uint64

VERSION = f"Numba {numba.__version__}"
TWO_PI = np.float32(2 * math.pi)
UNIT = np.float32(2.0**-24)


def set_threads(threads: int) -> None:
    numba.set_num_threads(threads)


def seeds(threads: int) -> np.ndarray:
    """A state [2] of xoroshiro128+ for each thread."""
    return np.random.SeedSequence(11).generate_state(2 * threads, np.uint64).reshape(threads, 2)


def ziggurat() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables of the ziggurat -> bound of the 31-bit height, width of a layer, density at its edge."""
    edge, area, scale = 3.442619855899, 9.91256303526217e-3, 2.0**31
    density = lambda x: math.exp(-0.5 * x * x)
    bound, width, height = np.zeros(128, np.int64), np.zeros(128, np.float32), np.zeros(128, np.float32)
    x, last = edge, edge
    base = area / density(edge)
    bound[0], bound[1] = int(edge / base * scale), 0
    width[0], width[127] = base / scale, edge / scale
    height[0], height[127] = 1.0, density(edge)
    for layer in range(126, 0, -1):
        x = math.sqrt(-2 * math.log(area / x + density(x)))
        bound[layer + 1] = int(x / last * scale)
        last = x
        height[layer], width[layer] = density(x), x / scale
    return bound, width, height


BOUND, WIDTH, HEIGHT = ziggurat()
EDGE = np.float32(3.442619855899)


@njit
def following(state):
    """The next 64-bit word of xoroshiro128+ and its state."""
    a, b = state
    word = a + b
    b ^= a
    a = ((a << uint64(24)) | (a >> uint64(40))) ^ b ^ (b << uint64(16))
    return word, (a, (b << uint64(37)) | (b >> uint64(27)))


@njit(fastmath=True)
def above_zero(word):
    """A uniform of (0, 1] from the high bits."""
    return np.float32((word >> uint64(40)) + uint64(1)) * UNIT


@njit(fastmath=True)
def box_muller(state):
    word, state = following(state)
    radius = math.sqrt(np.float32(-2) * math.log(above_zero(word)))
    angle = np.float32((word >> uint64(8)) & uint64(0xFFFFFF)) * UNIT * TWO_PI
    return radius * math.cos(angle), radius * math.sin(angle), state


@njit(fastmath=True)
def outside(layer, height, state):
    """The rare cases of the ziggurat: the tail, and the wedge of a layer."""
    while True:
        if layer == 0:
            while True:
                word, state = following(state)
                x = -math.log(above_zero(word)) / EDGE
                word, state = following(state)
                y = -math.log(above_zero(word))
                if y + y > x * x:
                    return (EDGE + x if height > 0 else -EDGE - x), state
        x = np.float32(height) * WIDTH[layer]
        word, state = following(state)
        if HEIGHT[layer] + above_zero(word) * (HEIGHT[layer - 1] - HEIGHT[layer]) < math.exp(np.float32(-0.5) * x * x):
            return x, state
        word, state = following(state)
        layer = np.int64(word >> uint64(57))
        height = np.int64(np.int32(word >> uint64(8)))
        if abs(height) < BOUND[layer]:
            return np.float32(height) * WIDTH[layer], state


@njit(fastmath=True)
def one(state):
    """One normal by the ziggurat."""
    word, state = following(state)
    layer = np.int64(word >> uint64(57))
    height = np.int64(np.int32(word >> uint64(8)))
    if abs(height) < BOUND[layer]:
        return np.float32(height) * WIDTH[layer], state
    x, state = outside(layer, height, state)
    return np.float32(x), state


@njit(fastmath=True)
def pair(state, by_ziggurat):
    if by_ziggurat:
        a, state = one(state)
        b, state = one(state)
        return a, b, state
    return box_muller(state)


@njit(parallel=True, fastmath=True)
def normals(x, states, steps, by_ziggurat):
    threads, rows = states.shape[0], x.shape[0]
    for thread in prange(threads):
        state = (states[thread, 0], states[thread, 1])
        for _ in range(steps):
            for c in range(thread * rows // threads, (thread + 1) * rows // threads):
                for i in range(0, x.shape[1], 2):
                    x[c, i], x[c, i + 1], state = pair(state, by_ziggurat)
        states[thread, 0], states[thread, 1] = state


@njit(parallel=True, fastmath=True)
def linear(x, keep, noise, couple, states, steps, by_ziggurat):
    """x <- keep x + noise z + couple sum(x), one chain after the other; the dimension is even."""
    threads, chains = states.shape[0], x.shape[0]
    for thread in prange(threads):
        state = (states[thread, 0], states[thread, 1])
        for c in range(thread * chains // threads, (thread + 1) * chains // threads):
            row = x[c]
            total = np.float32(0)
            for i in range(row.size):
                total += row[i]
            for _ in range(steps):
                push, total = couple * total, np.float32(0)
                for i in range(0, row.size, 2):
                    a, b, state = pair(state, by_ziggurat)
                    a = keep[i] * row[i] + noise * a + push
                    b = keep[i + 1] * row[i + 1] + noise * b + push
                    row[i], row[i + 1] = a, b
                    total += a + b
        states[thread, 0], states[thread, 1] = state


@njit(fastmath=True)
def phi(a, tanh):
    return math.tanh(a) if tanh else max(a, np.float32(0))


@njit(parallel=True, fastmath=True)
def planar_network(x, w2, w1, b, keep, noise, states, steps, tanh):
    """x <- keep x + w1 phi(w2 x + b) + noise z for two outputs: the sum over units runs in vector registers."""
    threads, chains = states.shape[0], x.shape[0]
    for thread in prange(threads):
        state = (states[thread, 0], states[thread, 1])
        for c in range(thread * chains // threads, (thread + 1) * chains // threads):
            p, q = x[c, 0], x[c, 1]
            for _ in range(steps):
                up, uq = np.float32(0), np.float32(0)
                for k in range(b.size):
                    unit = phi(w2[0, k] * p + w2[1, k] * q + b[k], tanh)
                    up += w1[0, k] * unit
                    uq += w1[1, k] * unit
                z, y, state = box_muller(state)
                p, q = keep * p + up + noise * z, keep * q + uq + noise * y
            x[c, 0], x[c, 1] = p, q
        states[thread, 0], states[thread, 1] = state


@njit(parallel=True, fastmath=True)
def spiking(v, w, energy, accepted, states, steps):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + energy_j))), j uniform."""
    threads, chains = states.shape[0], v.shape[0]
    neurons = uint64(w.shape[0])
    for thread in prange(threads):
        state = (states[thread, 0], states[thread, 1])
        for c in range(thread * chains // threads, (thread + 1) * chains // threads):
            row, count = v[c], 0
            for _ in range(steps):
                word, state = following(state)
                j = ((word & uint64(0xFFFFFFFF)) * neurons) >> uint64(32)
                e = energy[j]
                for i in range(row.size):
                    e += w[j, i] * row[i]
                if math.log(above_zero(word)) < -e:
                    count += 1
                    for i in range(row.size):
                        row[i] += w[j, i]
            accepted[c] += count
        states[thread, 0], states[thread, 1] = state


class Normals:
    def __init__(self, problem, by_ziggurat):
        self.x = np.zeros((problem["chains"], problem["dim"]), np.float32)
        self.states, self.by_ziggurat = seeds(numba.get_num_threads()), by_ziggurat

    def advance(self, steps):
        normals(self.x, self.states, steps, self.by_ziggurat)

    def result(self):
        return {"x": self.x}


class Linear(Normals):
    def __init__(self, problem, by_ziggurat):
        super().__init__(problem, by_ziggurat)
        self.keep = np.broadcast_to(np.float32(problem["keep"]), problem["dim"]).astype(np.float32)
        self.noise, self.couple = np.float32(problem["noise"]), np.float32(problem["couple"])

    def advance(self, steps):
        linear(self.x, self.keep, self.noise, self.couple, self.states, steps, self.by_ziggurat)


class Network(Normals):
    def __init__(self, problem):
        super().__init__({"chains": problem["chains"], "dim": 2}, False)
        self.w2 = np.ascontiguousarray(problem["w2"].T, np.float32)
        self.w1 = np.ascontiguousarray(problem["w1"] * problem["h"], np.float32)
        self.b, self.tanh = np.asarray(problem["b"], np.float32), problem["phi"] == "tanh"
        self.keep, self.noise = np.float32(1 - problem["h"]), np.float32(problem["noise"])

    def advance(self, steps):
        planar_network(self.x, self.w2, self.w1, self.b, self.keep, self.noise, self.states, steps, self.tanh)


class Spiking(Normals):
    def __init__(self, problem):
        super().__init__({"chains": problem["chains"], "dim": 1}, False)
        half = np.asarray(problem["w"], np.float32)
        self.w = np.vstack([half, -half])
        self.energy = ((self.w**2).sum(1) / 2).astype(np.float32)
        self.x = np.array(problem["start"], np.float32)
        self.accepted = np.zeros(problem["chains"], np.int64)

    def advance(self, steps):
        spiking(self.x, self.w, self.energy, self.accepted, self.states, steps)

    def result(self):
        return {"x": self.x, "accepted": self.accepted}


CANDIDATES = {
    "normals": {"ziggurat": lambda problem: Normals(problem, True), "Box-Muller": lambda problem: Normals(problem, False)},
    "linear": {"ziggurat": lambda problem: Linear(problem, True), "Box-Muller": lambda problem: Linear(problem, False)},
    "planar": {"sum over units vectorised": Network},
    "spiking": {"one chain after the other": Spiking},
}
