"""CuPy on an NVIDIA GPU: the steps of with_arrays.py."""

from __future__ import annotations

import cupy

from . import with_arrays
from .with_arrays import CANDIDATES, set_threads

if not cupy.cuda.runtime.getDeviceCount():
    raise RuntimeError("CuPy sees no GPU")
with_arrays.xp = cupy
NAME = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
VERSION = f"CuPy {cupy.__version__} on {NAME}"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]
