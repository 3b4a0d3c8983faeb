"""Whole arrays by NumPy's interface, all chains at once: what CuPy runs on a GPU (with_cupy.py).

With NumPy in CuPy's place it is no peer (with_numpy.py is); check-peers runs it so, to have run what a GPU will be sent.
"""

from __future__ import annotations

import numpy

xp = numpy
VERSION = f"whole arrays by NumPy {numpy.__version__}"
SINGLE = numpy.float32


def set_threads(threads: int) -> None:
    """NumPy's elementwise operations have one thread, CuPy needs none."""


def synchronise() -> None:
    if xp is not numpy:
        xp.cuda.get_current_stream().synchronize()


def on_host(array) -> numpy.ndarray:
    return array if xp is numpy else xp.asnumpy(array)


class Sampler:
    """x <- self.following(x, z), z standard normals of x's shape."""

    form = ""

    def __init__(self, chains, dim):
        self.x = xp.zeros((chains, dim), SINGLE)
        self.rng = xp.random.default_rng(21)

    def normals(self):
        return self.rng.standard_normal(self.x.shape, dtype=SINGLE)

    def advance(self, steps):
        for _ in range(steps):
            self.x = self.following(self.x, self.normals())
        synchronise()

    def result(self):
        return {"x": on_host(self.x), "form": self.form}


class Normals(Sampler):
    def __init__(self, problem):
        super().__init__(problem["chains"], problem["dim"])

    def following(self, x, z):
        return z


class Linear(Normals):
    """x <- keep x + noise z + couple sum(x)."""

    def __init__(self, problem):
        super().__init__(problem)
        self.keep = xp.asarray(problem["keep"], dtype=SINGLE)
        self.noise, self.couple = SINGLE(problem["noise"]), SINGLE(problem["couple"])

    def following(self, x, z):
        z *= self.noise
        if self.couple:
            z += self.couple * x.sum(1, keepdims=True)
        x *= self.keep
        x += z
        return x


class Dense(Normals):
    """x <- x A + noise z."""

    form = "dense"

    def __init__(self, problem):
        super().__init__(problem)
        self.matrix, self.noise = xp.asarray(problem["dense"], dtype=SINGLE), SINGLE(problem["noise"])

    def following(self, x, z):
        z *= self.noise
        z += x @ self.matrix
        return z


class Network(Sampler):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z."""

    def __init__(self, problem):
        super().__init__(problem["chains"], problem["m"])
        self.inward = xp.asarray(numpy.ascontiguousarray(problem["w2"].T), dtype=SINGLE)
        self.outward = xp.asarray(numpy.ascontiguousarray(problem["w1"].T * problem["h"]), dtype=SINGLE)
        self.bias = xp.asarray(problem["b"], dtype=SINGLE)
        self.keep, self.noise, self.phi = SINGLE(1 - problem["h"]), SINGLE(problem["noise"]), problem["phi"]

    def following(self, x, z):
        hidden = x @ self.inward
        hidden += self.bias
        hidden = xp.maximum(hidden, 0, out=hidden) if self.phi == "relu" else xp.tanh(hidden, out=hidden)
        z *= self.noise
        z += hidden @ self.outward
        x *= self.keep
        x += z
        return x


class Spiking(Sampler):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + |w_j|^2 / 2))), j uniform."""

    def __init__(self, problem):
        super().__init__(*problem["start"].shape)
        half = xp.asarray(problem["w"], dtype=SINGLE)
        self.w = xp.concatenate([half, -half])
        self.energy = (self.w**2).sum(1) / 2
        self.x = xp.asarray(problem["start"], dtype=SINGLE)
        self.accepted = xp.zeros(len(self.x), dtype=numpy.int64)

    def advance(self, steps):
        for _ in range(steps):
            j = self.rng.integers(0, len(self.w), len(self.x))
            rows = self.w[j]
            spike = (rows * self.x).sum(1) + self.energy[j] < self.rng.standard_exponential(len(j), dtype=SINGLE)
            self.x += rows * spike[:, None]
            self.accepted += spike
        synchronise()

    def result(self):
        return {"x": on_host(self.x), "accepted": on_host(self.accepted)}


CANDIDATES = {
    "normals": {"whole arrays": Normals},
    "linear": {"whole arrays": Linear},
    "dense": {"dense matrix": Dense},
    "planar": {"products": Network},
    "network": {"products": Network},
    "spiking": {"whole arrays": Spiking},
}
