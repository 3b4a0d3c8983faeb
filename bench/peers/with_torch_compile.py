"""PyTorch on an NVIDIA GPU with torch.compile: elementwise steps and their random numbers in one kernel, several steps at a time, in a CUDA graph.

A process of its own, since compilation takes seconds a row and is cut off where time is short; it needs a C compiler for Triton's launchers.
"""

from __future__ import annotations

import functools
import os

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # a pool of processes takes longer to start than these kernels to compile

import torch

from .with_torch import Spiking, Whole, cache_folder, tensor
from .with_torch_gpu import STEPS, VERSION as EAGER_VERSION
from .with_torch_gpu import Graphed, set_threads

VERSION = f"{EAGER_VERSION}, torch.compile"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]
TOGETHER = 4  # steps of a compiled function

cache_folder()
torch._dynamo.config.recompile_limit = 64


class Compiled(Whole):
    """x <- TOGETHER times following(x), compiled as a whole with its random numbers; one step is TOGETHER steps of the chain."""

    def compile(self, following):
        def several(x):
            for _ in range(TOGETHER):
                x = following(x)
            return x

        self.following = torch.compile(several, dynamic=False, fullgraph=True)

    def step(self):
        self.x.copy_(self.following(self.x))


class Linear(Compiled):
    """x <- keep x + noise z + couple sum(x)."""

    def __init__(self, problem):
        super().__init__(problem["chains"], problem["dim"])
        keep = problem["keep"]
        keep = float(keep) if getattr(keep, "ndim", 0) == 0 else tensor(keep)
        noise, couple = float(problem["noise"]), float(problem["couple"])

        def following(x):
            y = keep * x + noise * torch.randn_like(x)
            return y + couple * x.sum(1, keepdim=True) if couple else y

        self.compile(following)


class Planar(Compiled):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z by sums over units, which never reach memory."""

    def __init__(self, problem):
        super().__init__(problem["chains"], problem["m"])
        w2, w1, b = tensor(problem["w2"].T), tensor(problem["w1"] * problem["h"]), tensor(problem["b"])
        keep, noise = 1 - float(problem["h"]), float(problem["noise"])
        phi = torch.relu if problem["phi"] == "relu" else torch.tanh

        def following(x):
            hidden = phi(sum(x[:, j, None] * w2[j] for j in range(len(w2))) + b)
            drift = torch.stack([(hidden * row).sum(1) for row in w1], 1)
            return keep * x + drift + noise * torch.randn_like(x)

        self.compile(following)


class Spikes(Spiking):
    """As with_torch.py, the state and its counter in one compiled function."""

    def __init__(self, problem):
        super().__init__(problem)

        def several(x, accepted):
            for _ in range(TOGETHER):
                j = torch.randint(0, self.w.shape[0], (len(x),), device=x.device)
                rows = self.w[j]
                spike = (rows * x).sum(1) + self.energy[j] < -torch.log(1 - torch.rand(len(x), device=x.device))
                x, accepted = x + rows * spike.unsqueeze(1), accepted + spike
            return x, accepted

        self.following = torch.compile(several, dynamic=False, fullgraph=True)

    def step(self):
        x, accepted = self.following(self.x, self.accepted)
        self.x.copy_(x)
        self.accepted.copy_(accepted)


class GraphedSeveral(Graphed):
    """A graph of STEPS steps in compiled functions of TOGETHER."""

    steps = STEPS // TOGETHER


def several(make):
    return functools.partial(GraphedSeveral, make=make)


CANDIDATES = {
    "linear": {f"graph of {TOGETHER} steps in one": several(Linear)},
    "planar": {f"graph, sums over units, {TOGETHER} steps in one": several(Planar)},
    "spiking": {f"graph of {TOGETHER} steps in one": several(Spikes)},
}
