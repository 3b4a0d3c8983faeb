"""PyTorch on an NVIDIA GPU: all chains at once, operations in place, or the step captured by torch.compile where that pays."""

from __future__ import annotations

import torch

from . import with_torch
from .with_torch import Dense, Network, Spiking, Training, WholeLinear, WholeNormals, set_threads

if not torch.cuda.is_available():
    raise RuntimeError("PyTorch sees no GPU")
with_torch.DEVICE = "cuda"
torch.backends.cuda.matmul.allow_tf32 = False
VERSION = f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]


def compiled(problem):
    return Network(problem, compiled=True)


CANDIDATES = {
    "normals": {"normal_": WholeNormals},
    "linear": {"eager": WholeLinear},
    "dense": {"dense matrix": Dense},
    "planar": {"eager": Network, "torch.compile": compiled},
    "network": {"eager": Network, "torch.compile": compiled},
    "spiking": {"eager": Spiking},
    "training": {"fused Adam": Training},
}
