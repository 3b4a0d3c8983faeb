"""NumPy: tiles of chains that fit the second-level cache, operations in place, a thread of Python for each core.

NumPy lets go of the interpreter lock inside these operations and inside its generators, so threads work. BLAS is kept to one
thread here, since each thread calls it for its own tile.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

VERSION = f"NumPy {np.__version__}"
TILE_FLOATS = 64 * 1024  # of one array of a tile: 256 KiB


def set_threads(threads: int) -> None:
    import threadpoolctl

    global THREADS, _blas
    THREADS = threads
    _blas = threadpoolctl.threadpool_limits(1)


class Tiled:
    """Chains in tiles; advance() takes each tile through all steps, the tiles of a thread one after the other."""

    def __init__(self, chains: int, floats_a_chain: int, generator=np.random.SFC64):
        size = max(1, min(-(-chains // THREADS), TILE_FLOATS // floats_a_chain))
        self.spans = [slice(at, min(at + size, chains)) for at in range(0, chains, size)]
        seeds = np.random.SeedSequence(7).spawn(len(self.spans))
        self.generators = [np.random.Generator(generator(seed)) for seed in seeds]
        self.threads = ThreadPoolExecutor(THREADS)

    def advance(self, steps: int) -> None:
        def work(first: int) -> None:
            for tile in range(first, len(self.spans), THREADS):
                self.tile(self.spans[tile], self.generators[tile], steps)

        list(self.threads.map(work, range(THREADS)))


class Normals(Tiled):
    def __init__(self, problem, generator):
        self.x = np.zeros((problem["chains"], problem["dim"]), np.float32)
        super().__init__(problem["chains"], problem["dim"], generator)

    def tile(self, span, rng, steps):
        for _ in range(steps):
            rng.standard_normal(dtype=np.float32, out=self.x[span])

    def result(self):
        return {"x": self.x}


class Linear(Tiled):
    """x <- keep x + noise z + couple sum(x)."""

    def __init__(self, problem):
        chains, dim = problem["chains"], problem["dim"]
        self.keep = np.asarray(problem["keep"], np.float32)
        self.noise, self.couple = np.float32(problem["noise"]), np.float32(problem["couple"])
        self.ones = np.full((dim, 1), self.couple, np.float32)
        self.x = np.zeros((chains, dim), np.float32)
        super().__init__(chains, dim)

    def tile(self, span, rng, steps):
        x = self.x[span]
        z = np.empty_like(x)
        for _ in range(steps):
            rng.standard_normal(dtype=np.float32, out=z)
            z *= self.noise
            if self.couple:
                z += x @ self.ones
            x *= self.keep
            x += z

    def result(self):
        return {"x": self.x}


class Dense(Tiled):
    """x <- x A + noise z."""

    def __init__(self, problem):
        self.matrix = np.asarray(problem["dense"], np.float32)
        self.noise = np.float32(problem["noise"])
        self.x = np.zeros((problem["chains"], problem["dim"]), np.float32)
        super().__init__(problem["chains"], problem["dim"])

    def tile(self, span, rng, steps):
        x = self.x[span]
        z, product = np.empty_like(x), np.empty_like(x)
        for _ in range(steps):
            rng.standard_normal(dtype=np.float32, out=z)
            z *= self.noise
            np.matmul(x, self.matrix, out=product)
            np.add(product, z, out=x)

    def result(self):
        return {"x": self.x, "form": "dense"}


class Network(Tiled):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z."""

    def __init__(self, problem):
        m, n = problem["m"], problem["n"]
        self.inward = np.ascontiguousarray(problem["w2"].T, np.float32)
        self.outward = np.ascontiguousarray(problem["w1"].T * problem["h"], np.float32)
        self.bias = np.asarray(problem["b"], np.float32)
        self.keep, self.noise = np.float32(1 - problem["h"]), np.float32(problem["noise"])
        self.phi = problem["phi"]
        self.x = np.zeros((problem["chains"], m), np.float32)
        # products of many units want more chains a tile than the cache holds
        super().__init__(problem["chains"], n if m < 64 else 64)

    def tile(self, span, rng, steps):
        x = self.x[span]
        z, y = np.empty_like(x), np.empty_like(x)
        hidden = np.empty((x.shape[0], self.bias.size), np.float32)
        for _ in range(steps):
            np.matmul(x, self.inward, out=hidden)
            hidden += self.bias
            np.maximum(hidden, 0, out=hidden) if self.phi == "relu" else np.tanh(hidden, out=hidden)
            np.matmul(hidden, self.outward, out=y)
            rng.standard_normal(dtype=np.float32, out=z)
            z *= self.noise
            x *= self.keep
            x += y
            x += z

    def result(self):
        return {"x": self.x}


class Spiking(Tiled):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + |w_j|^2 / 2))), j uniform."""

    def __init__(self, problem):
        half = np.asarray(problem["w"], np.float32)
        self.w = np.ascontiguousarray(np.vstack([half, -half]))
        self.energy = (self.w**2).sum(1) / 2
        self.x = np.array(problem["start"], np.float32)
        self.accepted = np.zeros(problem["chains"], np.int64)
        super().__init__(problem["chains"], 4 * self.x.shape[1])

    def tile(self, span, rng, steps):
        v, accepted = self.x[span], self.accepted[span]
        rows, energy = np.empty_like(v), np.empty(v.shape[0], np.float32)
        u = np.empty_like(energy)
        for _ in range(steps):
            j = rng.integers(self.w.shape[0], size=v.shape[0], dtype=np.int32)
            np.take(self.w, j, axis=0, out=rows, mode="clip")
            np.einsum("cp,cp->c", rows, v, out=energy)
            energy += self.energy[j]
            rng.standard_exponential(dtype=np.float32, out=u)  # -log U
            spike = energy < u
            rows *= spike[:, None]
            v += rows
            accepted += spike

    def result(self):
        return {"x": self.x, "accepted": self.accepted}


GENERATORS = {"SFC64": np.random.SFC64, "PCG64DXSM": np.random.PCG64DXSM, "Philox": np.random.Philox}
CANDIDATES = {
    "normals": {name: (lambda problem, g=generator: Normals(problem, g)) for name, generator in GENERATORS.items()},
    "linear": {"SFC64, tiles in the cache": Linear},
    "dense": {"SFC64, dense matrix": Dense},
    "planar": {"BLAS on tiles": Network},
    "network": {"BLAS on tiles": Network},
    "spiking": {"tiles in the cache": Spiking},
}
