"""JAX: the whole loop of steps compiled (lax.fori_loop, with or without unrolling), on the CPU.

XLA runs the loop of an elementwise step on one thread, so the chains are also tried split over one CPU device for each core
(shard_map, as NumPyro advises for many chains). Layouts [D, C] and [C, D] and the generators threefry, rbg and unsafe_rbg are tried where
they may matter.
"""

from __future__ import annotations

import functools
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=" + os.environ["PEERS_THREADS"]

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

VERSION = f"JAX {jax.__version__}"
UNROLL = 4


def set_threads(threads: int) -> None:
    """XLA takes as many threads as the process may use; the worker has set that."""


def over_cores(function, in_axes, out_axes, split=True, donate=()):
    """Compiles function(key, ...), its chains split over the devices; axes: of the chains in each argument and result, None: none.

    Every device gets a key of its own.
    """
    mesh = Mesh(np.array(jax.devices() if split else jax.devices()[:1]), ("chains",))
    spec = lambda axis: PartitionSpec() if axis is None else PartitionSpec(*(None,) * axis, "chains")

    def on_device(key, *arguments):
        return function(jax.random.fold_in(key, lax.axis_index("chains")), *arguments)

    in_specs = (PartitionSpec(), *map(spec, in_axes))
    sharded = jax.shard_map(on_device, mesh=mesh, in_specs=in_specs, out_specs=tuple(map(spec, out_axes)), check_vma=False)
    return jax.jit(sharded, donate_argnums=donate)


class Chains:
    """State of all chains and a compiled loop of steps over it: step(key, state) -> state, a tuple of arrays.

    state: NumPy arrays; axes: the axis of the chains in each.
    """

    def __init__(self, step, state, axes, split=True, generator="threefry2x32", unroll=1):
        self.state, self.key, self.calls = tuple(map(jnp.asarray, state)), jax.random.key(3, impl=generator), 0

        def block(key, steps, *state):
            def some(first, state):
                for k in range(unroll):
                    state = step(jax.random.fold_in(key, first + k), state)
                return state

            state = lax.fori_loop(0, steps // unroll, lambda i, state: some(i * unroll, state), state)
            rest = lambda i, state: step(jax.random.fold_in(key, i), state)
            return lax.fori_loop(steps // unroll * unroll, steps, rest, state) if unroll > 1 else state

        self.block = over_cores(block, (None, *axes), axes, split, donate=tuple(range(2, 2 + len(axes))))

    def advance(self, steps):
        self.calls += 1
        key = jax.random.fold_in(self.key, self.calls)
        self.state = jax.block_until_ready(self.block(key, steps, *self.state))


class Normals(Chains):
    def __init__(self, problem, **options):
        def step(key, state):
            return (jax.random.normal(key, state[0].shape, jnp.float32),)

        super().__init__(step, [np.zeros((problem["chains"], problem["dim"]), np.float32)], [0], **options)

    def result(self):
        return {"x": self.state[0]}


class Linear(Chains):
    """x <- keep x + noise z + couple sum(x); axis: that of the coordinates."""

    def __init__(self, problem, axis=0, **options):
        self.axis = axis
        keep = jnp.asarray(problem["keep"], jnp.float32)
        keep = keep if keep.ndim == 0 else keep[:, None] if axis == 0 else keep
        noise, couple = np.float32(problem["noise"]), np.float32(problem["couple"])

        def step(key, state):
            (x,) = state
            y = keep * x + noise * jax.random.normal(key, x.shape, jnp.float32)
            return (y + couple * x.sum(axis, keepdims=True) if couple else y,)

        shape = (problem["dim"], problem["chains"]) if axis == 0 else (problem["chains"], problem["dim"])
        super().__init__(step, [np.zeros(shape, np.float32)], [1 - axis], **options)

    def result(self):
        x = np.asarray(self.state[0])
        return {"x": x.T if self.axis == 0 else x}


class Dense(Chains):
    """x <- x A + noise z."""

    def __init__(self, problem, **options):
        matrix, noise = jnp.asarray(problem["dense"], jnp.float32), np.float32(problem["noise"])

        def step(key, state):
            (x,) = state
            return (x @ matrix + noise * jax.random.normal(key, x.shape, jnp.float32),)

        super().__init__(step, [np.zeros((problem["chains"], problem["dim"]), np.float32)], [0], **options)

    def result(self):
        return {"x": self.state[0], "form": "dense"}


class Network(Chains):
    """x <- x + h (W1 phi(W2 x + b) - x) + a z; summed: the sum over units without matrix products, for few outputs."""

    def __init__(self, problem, summed=False, **options):
        kind = jnp.bfloat16 if problem.get("bf16") else jnp.float32
        w2, w1 = jnp.asarray(problem["w2"].T, kind), jnp.asarray(problem["w1"].T * problem["h"], kind)
        b, keep, noise = jnp.asarray(problem["b"], kind), np.float32(1 - problem["h"]), np.float32(problem["noise"])
        phi = jax.nn.relu if problem["phi"] == "relu" else jnp.tanh

        def drift(x):
            return jnp.matmul(phi(x.astype(kind) @ w2 + b), w1, preferred_element_type=jnp.float32)

        def drift_by_sums(x):
            hidden = phi(sum(x[:, j, None] * w2[j] for j in range(x.shape[1])) + b)
            return jnp.stack([(hidden * w1[:, j]).sum(1) for j in range(x.shape[1])], 1)

        def step(key, state):
            (x,) = state
            y = (drift_by_sums if summed else drift)(x)
            return (keep * x + y + noise * jax.random.normal(key, x.shape, jnp.float32),)

        super().__init__(step, [np.zeros((problem["chains"], problem["m"]), np.float32)], [0], **options)

    def result(self):
        return {"x": self.state[0]}


class Spiking(Chains):
    """v <- v + w_j with probability min(1, exp(-(w_j . v + |w_j|^2 / 2))), j uniform."""

    def __init__(self, problem, **options):
        w = jnp.concatenate([jnp.asarray(problem["w"], jnp.float32), -jnp.asarray(problem["w"], jnp.float32)])
        constant = (w**2).sum(1) / 2

        def step(key, state):
            v, accepted = state
            words = jax.random.bits(key, (2, v.shape[0]), jnp.uint32)
            j = (words[0] >> 16) * w.shape[0] >> 16  # neurons uniform up to one part in 2^16 / n
            u = ((words[1] >> 8).astype(jnp.float32) + 0.5) * 2.0**-24
            rows = w[j]
            spike = jnp.log(u) < -((rows * v).sum(1) + constant[j])
            return jnp.where(spike[:, None], v + rows, v), accepted + spike

        start = [np.asarray(problem["start"], np.float32), np.zeros(problem["chains"], np.int32)]
        super().__init__(step, start, [0, 0], **options)

    def result(self):
        return {"x": self.state[0], "accepted": self.state[1]}


class Training:
    """Denoising score matching of W1 phi(W2 x + b) - x with Adam; a block of batches is one compiled scan.

    In bf16: results of products too, or (wide) float32.
    """

    def __init__(self, problem, wide=False):
        self.given, self.losses, self.calls = list(problem["given"]), [], 0
        self.data = jnp.asarray(problem["data"], jnp.float32)
        weights = {name: jnp.asarray(problem[name], jnp.float32) for name in ("w1", "w2", "b")}
        zeros = jax.tree.map(jnp.zeros_like, weights)
        self.state = (weights, zeros, jax.tree.map(jnp.zeros_like, weights), jnp.float32(0))
        narrow = jnp.bfloat16 if problem["bf16"] else jnp.float32
        learn = functools.partial(
            self.learn, sigma=problem["sigma"], lr=problem["lr"], kinds=(narrow, jnp.float32 if wide else narrow)
        )
        self.learn_given = jax.jit(learn)

        def batches(state, data, key, count):
            def body(i, state):
                rows, noise = jax.random.split(jax.random.fold_in(key, i))
                x = data[jax.random.randint(rows, (problem["batch"],), 0, data.shape[0])]
                return learn(state, x, jax.random.normal(noise, x.shape, jnp.float32))[0]

            return lax.fori_loop(0, count, body, state)

        self.batches = jax.jit(batches, donate_argnums=0)

    @staticmethod
    def learn(state, x, eps, sigma, lr, kinds=(jnp.float32, jnp.float32), beta1=0.9, beta2=0.999, epsilon=1e-8):
        weights, first, second, count = state

        def matmul(a, b):
            return jnp.matmul(a.astype(kinds[0]), b.astype(kinds[0]), preferred_element_type=kinds[1])

        @jax.custom_vjp
        def product(a, b):
            return matmul(a, b.T)

        # without these three products would have one factor in float32
        product.defvjp(
            lambda a, b: (product(a, b), (a, b)),
            lambda ab, g: (matmul(g, ab[1]).astype(ab[0].dtype), matmul(g.T, ab[0]).astype(ab[1].dtype)),
        )

        def loss_of(weights):
            noisy = x + sigma * eps
            score = product(jax.nn.relu(product(noisy, weights["w2"]) + weights["b"].astype(kinds[1])), weights["w1"]) - noisy
            return 0.5 * ((score + eps / sigma) ** 2).sum() / x.shape[0]

        loss, gradient = jax.value_and_grad(loss_of)(weights)
        count += 1
        first = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, first, gradient)
        second = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, second, gradient)
        rate, scale = lr / (1 - beta1**count), 1 / (1 - beta2**count)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v * scale) + epsilon), weights, first, second
        )
        return (weights, first, second, count), loss

    def advance(self, steps):
        while self.given and steps:
            self.state, loss = self.learn_given(self.state, *(jnp.asarray(part, jnp.float32) for part in self.given.pop(0)))
            self.losses.append(float(loss))
            steps -= 1
        self.calls += 1
        self.state = jax.block_until_ready(self.batches(self.state, self.data, jax.random.key(self.calls), steps))

    def result(self):
        return {"losses": np.array(self.losses)} | {name: np.asarray(weight) for name, weight in self.state[0].items()}


def options(cls, **settings):
    return functools.partial(cls, **settings)


CANDIDATES = {
    "normals": {
        "threefry": Normals,
        "threefry, one device": options(Normals, split=False),
        "rbg": options(Normals, generator="rbg"),
        "unsafe_rbg": options(Normals, generator="unsafe_rbg"),
    },
    "linear": {
        "threefry, [D, C]": Linear,
        "threefry, [D, C], unroll 4": options(Linear, unroll=UNROLL),
        "threefry, [C, D]": options(Linear, axis=1),
    },
    "dense": {"threefry, dense matrix": Dense},
    "network": {
        "a device a core": Network,
        "one device": options(Network, split=False),
    },
    "planar": {
        "products, a device a core": Network,
        "sums over units": options(Network, summed=True),
    },
    "spiking": {"threefry": Spiking, "threefry, unroll 4": options(Spiking, unroll=UNROLL)},
    "training": {"jit of the whole loop": Training, "jit of the whole loop, float32 results": options(Training, wide=True)},
}
