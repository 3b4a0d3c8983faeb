"""PyTorch on the CPU: operations in place on preallocated tensors; normal_ with a generator a thread, since it is serial.

Where a step is elementwise, chains are in tiles that fit the cache and each Python thread takes its tiles through all steps
(PyTorch lets go of the interpreter lock in its operations). Where a step is a matrix product, PyTorch's own threads do it.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

VERSION = f"PyTorch {torch.__version__}"
DEVICE = "cpu"
TILE_FLOATS = 64 * 1024


def set_threads(threads: int) -> None:
    global THREADS
    THREADS = threads
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)


def tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(values, dtype=np.float32), device=DEVICE)


class Tiled:
    """Tiles of chains, each with its own generator; a Python thread for each core, one PyTorch thread inside."""

    def __init__(self, chains, dim, start=None):
        self.x = torch.zeros(chains, dim) if start is None else tensor(start).clone()
        size = max(1, min(-(-chains // THREADS), TILE_FLOATS // dim))
        self.tiles = self.x.split(size)
        self.generators = [torch.Generator().manual_seed(1000 + k) for k in range(len(self.tiles))]
        self.threads = ThreadPoolExecutor(THREADS, initializer=lambda: torch.set_grad_enabled(False))

    def advance(self, steps):
        def work(first):
            for k in range(first, len(self.tiles), THREADS):
                self.tile(k, steps)

        torch.set_num_threads(1)
        list(self.threads.map(work, range(THREADS)))
        torch.set_num_threads(THREADS)

    def result(self):
        return {"x": self.x.cpu()}


class Normals(Tiled):
    def __init__(self, problem):
        super().__init__(problem["chains"], problem["dim"])

    def tile(self, k, steps):
        for _ in range(steps):
            self.tiles[k].normal_(generator=self.generators[k])


class Linear(Tiled):
    """x <- keep x + noise z + couple sum(x)."""

    def __init__(self, problem):
        super().__init__(problem["chains"], problem["dim"])
        keep = np.asarray(problem["keep"])
        self.keep = float(keep) if keep.ndim == 0 else tensor(keep)
        self.noise, self.couple = float(problem["noise"]), float(problem["couple"])

    def tile(self, k, steps):
        x, generator = self.tiles[k], self.generators[k]
        z = torch.empty_like(x)
        for _ in range(steps):
            z.normal_(generator=generator)
            total = x.sum(1, keepdim=True) if self.couple else None
            x.mul_(self.keep).add_(z, alpha=self.noise)
            if total is not None:
                x.add_(total, alpha=self.couple)


class Whole:
    """All chains at once, on PyTorch's own threads or on a GPU."""

    def __init__(self, chains, dim, start=None):
        self.x = torch.zeros(chains, dim, device=DEVICE) if start is None else tensor(start).clone()
        self.z = torch.empty_like(self.x)

    def advance(self, steps):
        for _ in range(steps):
            self.step()
        if DEVICE != "cpu":
            torch.cuda.synchronize()

    def result(self):
        return {"x": self.x.cpu()}


class WholeNormals(Whole):
    def __init__(self, problem):
        super().__init__(problem["chains"], problem["dim"])

    def step(self):
        self.x.normal_()


class WholeLinear(Whole):
    def __init__(self, problem):
        super().__init__(problem["chains"], problem["dim"])
        self.keep = tensor(problem["keep"])
        self.noise, self.couple = float(problem["noise"]), float(problem["couple"])

    def step(self):
        total = self.x.sum(1, keepdim=True) if self.couple else None
        self.x.mul_(self.keep).add_(self.z.normal_(), alpha=self.noise)
        if total is not None:
            self.x.add_(total, alpha=self.couple)


class Dense(Whole):
    """x <- x A + noise z."""

    def __init__(self, problem):
        super().__init__(problem["chains"], problem["dim"])
        self.matrix, self.noise = tensor(problem["dense"]), float(problem["noise"])

    def step(self):
        self.z.normal_()
        self.x, self.z = torch.addmm(self.z, self.x, self.matrix, beta=self.noise), self.x

    def result(self):
        return super().result() | {"form": "dense"}


class Network(Whole):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z, the units of so many chains at once."""

    def __init__(self, problem, compiled=False, tile=None, epilogue=False):
        """epilogue: bias and relu in the product's own kernel."""
        super().__init__(problem["chains"], problem["m"])
        kind = torch.bfloat16 if problem.get("bf16") else torch.float32
        w2, w1 = tensor(problem["w2"].T).to(kind), tensor(problem["w1"].T * problem["h"]).to(kind)
        b = tensor(problem["b"]).to(kind)
        phi = torch.relu_ if problem["phi"] == "relu" else torch.tanh_
        self.keep, self.noise = 1 - float(problem["h"]), float(problem["noise"])

        def drift(x):
            x = x.to(kind)
            hidden = torch._addmm_activation(b, x, w2) if epilogue else phi(torch.addmm(b, x, w2))
            return torch.mm(hidden, w1).float()

        self.drift = torch.compile(drift, dynamic=False) if compiled else drift
        self.parts = self.x.split(tile or problem["chains"])
        self.noises = self.z.split(tile or problem["chains"])

    def step(self):
        for x, z in zip(self.parts, self.noises):
            y = self.drift(x)
            x.mul_(self.keep).add_(y).add_(z.normal_(), alpha=self.noise)


class Spiking(Whole):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + |w_j|^2 / 2))), j uniform."""

    def __init__(self, problem):
        super().__init__(problem["chains"], problem["w"].shape[1], problem["start"])
        half = tensor(problem["w"])
        self.w = torch.cat([half, -half])
        self.energy = (self.w**2).sum(1) / 2
        self.accepted = torch.zeros(problem["chains"], dtype=torch.int64, device=DEVICE)
        self.j = torch.empty(problem["chains"], dtype=torch.int64, device=DEVICE)
        self.u = torch.empty(problem["chains"], device=DEVICE)

    def step(self):
        self.j.random_(0, self.w.shape[0])
        self.u.exponential_()  # -log U
        rows = self.w[self.j]
        energy = (rows * self.x).sum(1).add_(self.energy[self.j])
        spike = energy < self.u
        self.x.addcmul_(rows, spike.float().unsqueeze(1))
        self.accepted += spike

    def result(self):
        return {"x": self.x.cpu(), "accepted": self.accepted.cpu()}


class Training:
    """Denoising score matching of W1 phi(W2 x + b) - x with Adam; in bf16 by autocast, so that results of products are bf16 too."""

    def __init__(self, problem, compiled=False):
        self.given, self.batch, self.bf16 = list(problem["given"]), problem["batch"], problem["bf16"]
        self.weights = [tensor(problem[name]) for name in ("w1", "w2", "b")]
        for weight in self.weights:
            weight.requires_grad_(True)
        self.adam = torch.optim.Adam(self.weights, lr=problem["lr"], fused=True)
        self.data, self.sigma = tensor(problem["data"]), float(problem["sigma"])
        self.loss = torch.compile(self.plain_loss, dynamic=False) if compiled else self.plain_loss
        self.losses = []

    def plain_loss(self, x, eps):
        w1, w2, b = self.weights
        noisy = torch.add(x, eps, alpha=self.sigma)
        score = torch.mm(torch.relu(torch.addmm(b, noisy, w2.T)), w1.T) - noisy
        return 0.5 * (score + eps / self.sigma).square().sum() / x.shape[0]

    def learn(self, x, eps):
        with torch.enable_grad():
            with torch.autocast(torch.device(DEVICE).type, torch.bfloat16, enabled=self.bf16):
                loss = self.loss(x, eps)
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
        return loss

    def advance(self, steps):
        eps = torch.empty(self.batch, self.data.shape[1], device=DEVICE)
        for _ in range(steps):
            if self.given:  # the batches of the check come first
                x, given_eps = self.given.pop(0)
                self.losses.append(float(self.learn(tensor(x), tensor(given_eps))))
            else:
                rows = torch.randint(self.data.shape[0], (self.batch,), device=DEVICE)
                self.learn(self.data[rows], eps.normal_())
        self.wait()

    def wait(self):
        if DEVICE != "cpu":
            torch.cuda.synchronize()

    def result(self):
        return {"losses": np.array(self.losses)} | {
            name: weight.detach().cpu() for name, weight in zip(("w1", "w2", "b"), self.weights)
        }


def cache_folder() -> None:
    """torch.compile keeps its compiled kernels with the virtual environment, not in /tmp."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(sys.prefix, "inductor"))


cache_folder()
NETWORK = {
    "eager": Network,
    "eager, 256 chains at once": lambda problem: Network(problem, tile=256),
    "torch.compile": lambda problem: Network(problem, compiled=True),
}
CANDIDATES = {
    "normals": {"normal_, a generator a thread": Normals},
    "linear": {"tiles, a generator a thread": Linear},
    "dense": {"dense matrix": Dense},
    "planar": NETWORK,
    "network": {label: NETWORK[label] for label in ("eager", "eager, 256 chains at once")},
    "spiking": {"eager": Spiking},
    "training": {
        "fused Adam": Training,
        "torch.compile, fused Adam": lambda problem: Training(problem, compiled=True),
    },
}
