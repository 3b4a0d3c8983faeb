"""JAX on an NVIDIA GPU: the loops of with_jax.py on one device, with the generators that XLA has there."""

from __future__ import annotations

import functools
import os

os.environ["JAX_PLATFORMS"] = "cuda"

from .with_jax import CANDIDATES as CPU_CANDIDATES
from .with_jax import VERSION as CPU_VERSION
from .with_jax import Spiking, Dense, Linear, Network, Normals, jax, set_threads

VERSION = f"{CPU_VERSION} on {jax.devices('cuda')[0].device_kind}"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]
GENERATORS = ("threefry2x32", "rbg", "unsafe_rbg")


def each_generator(cls, **options):
    return {name: functools.partial(cls, split=False, generator=name, **options) for name in GENERATORS}


CANDIDATES = {
    "normals": each_generator(Normals),
    "linear": each_generator(Linear, unroll=4),
    "dense": each_generator(Dense),
    "planar": each_generator(Network) | {"sums over units": functools.partial(Network, split=False, summed=True)},
    "network": each_generator(Network),
    "spiking": each_generator(Spiking, unroll=4),
    "training": CPU_CANDIDATES["training"],
}
