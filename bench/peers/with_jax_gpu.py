"""JAX on an NVIDIA GPU: STEPS steps are one compiled loop of a length known to XLA, unrolled where steps can be fused.

A loop whose length is an argument would stop at each turn to read its condition from the device. Weights are arguments too, not
constants of the program. Everything is compiled ahead, several programs at a time.
"""

from __future__ import annotations

import functools
import os

from . import machine

os.environ["JAX_PLATFORMS"] = "cpu" if machine.tried_on_cpu() else "cuda"
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the other libraries need memory too

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import with_jax

jax.config.update("jax_default_matmul_precision", "highest")  # of float32: no TF32; bfloat16 stays bfloat16
VERSION = f"JAX {jax.__version__} on {jax.devices()[0].device_kind}"
BUILDERS = 8
STEPS = 20


def set_threads(threads: int) -> None:
    """XLA needs none here."""


class Chains:
    """step(key, constants, state) -> state; state and constants are tuples of arrays."""

    def __init__(self, step, state, constants=(), generator="threefry2x32", unroll=1):
        self.state = tuple(jnp.array(value) for value in state)
        self.constants = tuple(jnp.asarray(value) for value in constants)
        self.key, self.calls = jax.random.key(3, impl=generator), 0

        def block(key, call, constants, state):
            keys = jax.random.split(jax.random.fold_in(key, call), STEPS)
            return lax.scan(lambda state, key: (step(key, constants, state), None), state, keys, unroll=unroll)[0]

        self.block = jax.jit(block, donate_argnums=3).lower(self.key, np.uint32(0), self.constants, self.state).compile()

    def advance(self, steps):
        for _ in range(steps // STEPS):
            self.calls += 1
            self.state = self.block(self.key, np.uint32(self.calls), self.constants, self.state)
        jax.block_until_ready(self.state)


class Linear(Chains):
    """x <- keep x + noise z + couple sum(x); axis: that of the coordinates."""

    def __init__(self, problem, axis=1, **options):
        self.axis = axis
        keep = np.asarray(problem["keep"], np.float32)
        keep = keep if keep.ndim == 0 else keep[:, None] if axis == 0 else keep
        noise, couple = np.float32(problem["noise"]), np.float32(problem["couple"])

        def step(key, constants, state):
            (x,), (keep,) = state, constants
            y = keep * x + noise * jax.random.normal(key, x.shape, jnp.float32)
            return (y + couple * x.sum(axis, keepdims=True) if couple else y,)

        shape = (problem["dim"], problem["chains"]) if axis == 0 else (problem["chains"], problem["dim"])
        super().__init__(step, [np.zeros(shape, np.float32)], [keep], **options)

    def result(self):
        x = np.asarray(self.state[0])
        return {"x": x.T if self.axis == 0 else x}


class Dense(Chains):
    """x <- x A + noise z."""

    def __init__(self, problem, **options):
        noise = np.float32(problem["noise"])

        def step(key, constants, state):
            (x,), (matrix,) = state, constants
            return (x @ matrix + noise * jax.random.normal(key, x.shape, jnp.float32),)

        start = np.zeros((problem["chains"], problem["dim"]), np.float32)
        super().__init__(step, [start], [np.asarray(problem["dense"], np.float32)], **options)

    def result(self):
        return {"x": self.state[0], "form": "dense"}


class Network(Chains):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z; summed: the sum over units without matrix products, for few outputs."""

    def __init__(self, problem, summed=False, **options):
        kind = jnp.bfloat16 if problem.get("bf16") else jnp.float32
        weights = [jnp.asarray(value, kind) for value in (problem["w2"].T, problem["w1"].T * np.float32(problem["h"]), problem["b"])]
        keep, noise = np.float32(1 - problem["h"]), np.float32(problem["noise"])
        phi = jax.nn.relu if problem["phi"] == "relu" else jnp.tanh

        def drift(x, w2, w1, b):
            return jnp.matmul(phi(x.astype(kind) @ w2 + b), w1, preferred_element_type=jnp.float32)

        def drift_by_sums(x, w2, w1, b):
            hidden = phi(sum(x[:, j, None] * w2[j] for j in range(x.shape[1])) + b)
            return jnp.stack([(hidden * w1[:, j]).sum(1) for j in range(x.shape[1])], 1)

        def step(key, constants, state):
            (x,) = state
            y = (drift_by_sums if summed else drift)(x, *constants)
            return (keep * x + y + noise * jax.random.normal(key, x.shape, jnp.float32),)

        super().__init__(step, [np.zeros((problem["chains"], problem["m"]), np.float32)], weights, **options)

    def result(self):
        return {"x": self.state[0]}


class Spiking(Chains):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + |w_j|^2 / 2))), j uniform."""

    def __init__(self, problem, **options):
        half = np.asarray(problem["w"], np.float32)
        w = np.concatenate([half, -half])

        def step(key, constants, state):
            (v, accepted), (w, constant) = state, constants
            words = jax.random.bits(key, (2, v.shape[0]), jnp.uint32)
            j = (words[0] >> 16) * w.shape[0] >> 16  # neurons uniform up to one part in 2^16 / n
            u = ((words[1] >> 8).astype(jnp.float32) + 0.5) * 2.0**-24
            rows = w[j]
            spike = jnp.log(u) < -((rows * v).sum(1) + constant[j])
            return jnp.where(spike[:, None], v + rows, v), accepted + spike

        start = [np.asarray(problem["start"], np.float32), np.zeros(problem["chains"], np.int32)]
        super().__init__(step, start, [w, (w**2).sum(1) / 2], **options)

    def result(self):
        return {"x": self.state[0], "accepted": self.state[1]}


class Training:
    """The training of with_jax.py, STEPS batches in one compiled loop."""

    def __init__(self, problem, generator="threefry2x32"):
        self.given, self.losses, self.calls = list(problem["given"]), [], 0
        self.data, self.key = jnp.asarray(problem["data"]), jax.random.key(5, impl=generator)
        weights = {name: jnp.array(problem[name], jnp.float32) for name in ("w1", "w2", "b")}
        zeros = lambda: jax.tree.map(jnp.zeros_like, weights)
        self.state = (weights, zeros(), zeros(), jnp.float32(0))
        learn = functools.partial(with_jax.Training.learn, sigma=float(problem["sigma"]), lr=float(problem["lr"]))

        def block(key, call, data, state):
            def batch(state, key):
                rows, noise = jax.random.split(key)
                x = data[jax.random.randint(rows, (problem["batch"],), 0, data.shape[0])]
                return learn(state, x, jax.random.normal(noise, x.shape, jnp.float32))[0], None

            return lax.scan(batch, state, jax.random.split(jax.random.fold_in(key, call), STEPS))[0]

        batch = jnp.zeros((problem["batch"], self.data.shape[1]), jnp.float32)
        self.learn_given = jax.jit(learn).lower(self.state, batch, batch).compile()
        self.block = jax.jit(block, donate_argnums=3).lower(self.key, np.uint32(0), self.data, self.state).compile()

    def advance(self, steps):
        while self.given and steps:
            self.state, loss = self.learn_given(self.state, *(jnp.asarray(part, jnp.float32) for part in self.given.pop(0)))
            self.losses.append(float(loss))
            steps -= 1
        for _ in range(steps // STEPS):
            self.calls += 1
            self.state = self.block(self.key, np.uint32(self.calls), self.data, self.state)
        jax.block_until_ready(self.state)

    def result(self):
        return {"losses": np.array(self.losses)} | {name: np.asarray(weight) for name, weight in self.state[0].items()}


def generators(cls, **options):
    return {name: functools.partial(cls, generator=name, **options) for name in ("threefry2x32", "rbg")}


CANDIDATES = {
    "linear": {
        "threefry, [C, D]": Linear,
        "rbg, [C, D]": functools.partial(Linear, generator="rbg"),
        "threefry, [D, C], unroll 4": functools.partial(Linear, axis=0, unroll=4),
    },
    "dense": {"rbg, dense matrix": functools.partial(Dense, generator="rbg")},
    "planar": {"products": Network, "sums over units": functools.partial(Network, summed=True)},
    "network": generators(Network),
    "spiking": {
        "threefry, unroll 4": functools.partial(Spiking, unroll=4),
        "rbg": functools.partial(Spiking, generator="rbg"),
    },
    "training": generators(Training),
}
