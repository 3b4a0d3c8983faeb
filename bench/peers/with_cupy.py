"""CuPy on an NVIDIA GPU: kernels of our own (kernels.cu) by RawKernel, many steps a launch, with cuRAND's device functions.

State is in registers for the STEPS steps of a launch and in memory between launches. Large networks are matrix products and one kernel for the
rest; the steps by whole arrays (with_arrays.py) are tried beside these.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import cupy
import numpy

from . import with_arrays
from .with_arrays import set_threads

with_arrays.xp = cupy
SINGLE = numpy.float32
STEPS = 20
THREADS = 128
BUILDERS = 4
WARP = 32
MOST_COORDINATES = 128  # that one thread keeps in registers
SOURCE = Path(__file__).with_name("kernels.cu").read_text()
SEED = numpy.uint64(1)


def gpu() -> str:
    if not cupy.cuda.runtime.getDeviceCount():
        raise RuntimeError("CuPy sees no GPU")
    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


VERSION = f"CuPy {cupy.__version__} on {gpu()}"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]


def with_curand() -> tuple[str, ...]:
    """Options for curand_kernel.h and what it includes: in CUDA's own folder, or in those of NVIDIA's wheels."""
    found = [Path(os.environ.get(name, "/usr/local/cuda")) / "include" for name in ("CUDA_PATH", "CUDA_HOME")]
    wheels = importlib.util.find_spec("nvidia")
    for folder in wheels.submodule_search_locations if wheels else ():
        found += Path(folder).glob("*/include")
    found += [Path(cupy.__file__).parent / "_core/include/cupy/_cccl/libcudacxx"]
    holding = lambda header: [folder for place in found for folder in (place, place / "cccl") if (folder / header).exists()]
    return tuple(dict.fromkeys(f"-I{folder}" for header in ("curand_kernel.h", "nv/target") for folder in holding(header)[:1]))


def kernel(name: str, **macros):
    """Compiled; where cuRAND's headers are not to be had, with the same generator as it stands in kernels.cu."""
    options = ("--std=c++17", "-use_fast_math", *(f"-D{macro}={value}" for macro, value in macros.items()))
    for more in (with_curand(), ("-DOWN_PHILOX",)):
        found = cupy.RawKernel(SOURCE, name, options + more, backend="nvrtc")
        try:
            found.compile()
            return found
        except cupy.cuda.compiler.CompileException as error:
            failed = error
    raise failed


class Launched:
    """advance launches self.launch() for every STEPS steps."""

    def __init__(self):
        self.step = 0

    def advance(self, steps):
        for _ in range(steps // STEPS):
            self.launch()
            self.step += STEPS
        with_arrays.synchronise()


class Linear(Launched):
    """x <- keep x + noise z + couple sum(x): a thread a chain, or a warp where a thread has not the registers."""

    def __init__(self, problem):
        super().__init__()
        self.chains, self.dim = problem["chains"], problem["dim"]
        self.lanes = 1 if self.dim <= MOST_COORDINATES else WARP
        keep = numpy.asarray(problem["keep"], SINGLE)
        self.keep, self.keep_of_all = cupy.asarray(numpy.atleast_1d(keep)), SINGLE(keep.ravel()[0])
        self.noise, self.couple = SINGLE(problem["noise"]), SINGLE(problem["couple"])
        shape = (self.dim, self.chains) if self.lanes == 1 else (self.chains, self.dim)
        self.x = cupy.zeros(shape, SINGLE)
        self.kernel = kernel("linear", DIM=self.dim, LANES=self.lanes, STEPS=STEPS, COUPLED=int(self.couple != 0), KEEP_VECTOR=int(keep.ndim > 0))

    def launch(self):
        blocks = -(-self.chains * self.lanes // THREADS)
        arguments = (self.x, self.keep, self.keep_of_all, self.noise, self.couple, SEED, numpy.uint64(self.step), numpy.int32(self.chains))
        self.kernel((blocks,), (THREADS,), arguments)

    def result(self):
        x = cupy.asnumpy(self.x)
        return {"x": x.T if self.lanes == 1 else x}


class Planar(Launched):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z for two outputs: a thread two chains, weights in shared memory."""

    def __init__(self, problem):
        super().__init__()
        self.chains, units = problem["chains"], len(problem["b"])
        weights = numpy.zeros((units, 8), SINGLE)  # w2, b, h w1, filled up
        weights[:, :2], weights[:, 2], weights[:, 4:6] = problem["w2"], problem["b"], (problem["w1"] * problem["h"]).T
        self.weights, self.units = cupy.asarray(weights), numpy.int32(units)
        self.keep, self.noise = SINGLE(1 - problem["h"]), SINGLE(problem["noise"])
        self.x = cupy.zeros((2, self.chains), SINGLE)
        self.kernel = kernel("planar", STEPS=STEPS, TANH=int(problem["phi"] == "tanh"))
        self.kernel.max_dynamic_shared_size_bytes = weights.nbytes

    def launch(self):
        blocks = -(-self.chains // (2 * THREADS))
        arguments = (self.x, self.weights, self.units, self.keep, self.noise, SEED, numpy.uint64(self.step), numpy.int32(self.chains))
        self.kernel((blocks,), (THREADS,), arguments, shared_mem=self.weights.nbytes)

    def result(self):
        return {"x": cupy.asnumpy(self.x).T}


class Network(Launched):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z: two products in place, one kernel after each."""

    def __init__(self, problem):
        super().__init__()
        self.inward = cupy.asarray(numpy.ascontiguousarray(problem["w2"].T), dtype=SINGLE)
        self.outward = cupy.asarray(numpy.ascontiguousarray(problem["w1"].T * problem["h"]), dtype=SINGLE)
        self.bias = cupy.asarray(problem["b"], dtype=SINGLE)
        self.keep, self.noise = SINGLE(1 - problem["h"]), SINGLE(problem["noise"])
        self.x = cupy.zeros((problem["chains"], problem["m"]), SINGLE)
        self.y, self.hidden = cupy.empty_like(self.x), cupy.empty((problem["chains"], len(self.bias)), SINGLE)
        self.activate = cupy.ElementwiseKernel("float32 b", "float32 h", "h = max(h + b, 0.0f)", "activate")
        self.update = kernel("update")

    def launch(self):
        count = self.x.size // 4
        for k in range(STEPS):
            cupy.matmul(self.x, self.inward, out=self.hidden)
            self.activate(self.bias, self.hidden)
            cupy.matmul(self.hidden, self.outward, out=self.y)
            arguments = (self.x, self.y, self.keep, self.noise, SEED, numpy.uint64(self.step + k), numpy.int32(count))
            self.update((-(-count // THREADS),), (THREADS,), arguments)

    def result(self):
        return {"x": cupy.asnumpy(self.x)}


class Spiking(Launched):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + |w_j|^2 / 2))): a thread a chain, the table in shared memory."""

    def __init__(self, problem):
        super().__init__()
        half = numpy.asarray(problem["w"], SINGLE)
        w = numpy.concatenate([half, -half])
        self.chains, dim = problem["start"].shape
        width = dim + 1 | 1  # odd, so that rows lie on different banks
        table = numpy.zeros((len(w), width), SINGLE)
        table[:, :dim], table[:, dim] = w, (w**2).sum(1) / 2
        self.table, self.neurons = cupy.asarray(table), numpy.int32(len(w))
        self.x = cupy.asarray(numpy.ascontiguousarray(problem["start"].T), dtype=SINGLE)
        self.accepted = cupy.zeros(self.chains, numpy.int64)
        self.kernel = kernel("spiking", DIM=dim, WIDTH=width, STEPS=STEPS)
        self.kernel.max_dynamic_shared_size_bytes = table.nbytes

    def launch(self):
        arguments = (self.x, self.accepted, self.table, self.neurons, SEED, numpy.uint64(self.step), numpy.int32(self.chains))
        self.kernel((-(-self.chains // THREADS),), (THREADS,), arguments, shared_mem=self.table.nbytes)

    def result(self):
        return {"x": cupy.asnumpy(self.x).T, "accepted": cupy.asnumpy(self.accepted)}


KERNELS = {"linear": Linear, "planar": Planar, "network": Network, "spiking": Spiking}
CANDIDATES = {work: ({"kernel": KERNELS[work]} if work in KERNELS else {}) | others for work, others in with_arrays.CANDIDATES.items()}
