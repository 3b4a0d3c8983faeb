"""BlackJAX: MALA and HMC on the equicorrelated Gaussian, many chains by vmap, the loop over draws compiled (lax.scan).

The step sizes are tuned when the sampler is built, which counts as start-up, to the acceptance that theory asks for (MALA 0.57,
HMC 0.8). The chains are split over one CPU device a core.
"""

from __future__ import annotations

import functools
from collections import deque

import blackjax
import jax.numpy as jnp
import numpy as np

from .with_jax import VERSION as JAX_VERSION
from .with_jax import jax, lax, over_cores, set_threads

VERSION = f"BlackJAX {blackjax.__version__} on {JAX_VERSION}"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]
BLOCK = 100  # draws of a compiled block; effective.py asks for multiples


def log_density(x, rho):
    """Of N(0, (1 - rho) I + rho 1 1^T), in O(d)."""
    along = 1 + (x.size - 1) * rho
    return -0.5 * ((x**2).sum() - rho / along * x.sum() ** 2) / (1 - rho)


class Sampler:
    """Draws of every chain, all kept, from x [C, D]; kernel_of(density, step size) is one of BlackJAX's samplers."""

    def __init__(self, problem, kernel_of, target):
        self.x, self.calls = jnp.asarray(problem["start"], jnp.float32), 0
        self.draws = deque(maxlen=problem["check_steps"] // BLOCK)
        self.kernel_of, self.density = kernel_of, functools.partial(log_density, rho=problem["rho"])
        self.step_size = self.tune(target)
        self.block = over_cores(lambda key, x: self.chains(key, x, BLOCK, self.step_size), (0,), (0, 0, 0))

    def chains(self, key, x, draws, step_size):
        """-> last positions [C, D], acceptance of each chain [C], draws [C, draws, D]."""
        kernel = self.kernel_of(self.density, step_size)

        def chain(key, x):
            def body(state, key):
                state, info = kernel.step(key, state)
                return state, (state.position, info.acceptance_rate)

            state, (kept, rate) = lax.scan(body, kernel.init(x), jax.random.split(key, draws))
            return state.position, rate.mean(), kept

        return jax.vmap(chain)(jax.random.split(key, x.shape[0]), x)

    def tune(self, target):
        """The step size of this acceptance, by bisection on sixty draws of each chain."""
        acceptance = jax.jit(lambda step_size: self.chains(jax.random.key(1), self.x, 60, step_size)[1].mean())
        low, high = 1e-3, 3.0
        for _ in range(8):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if acceptance(middle) > target else (low, middle)
        return low

    def advance(self, draws):
        """draws is a multiple of BLOCK."""
        for _ in range(draws // BLOCK):
            self.calls += 1
            self.x, _, kept = self.block(jax.random.key(self.calls), self.x)
            self.draws.append(kept)
        jax.block_until_ready(self.draws[-1])

    def result(self):
        return {"draws": jnp.concatenate(list(self.draws), axis=1)}


def mala(problem):
    return Sampler(problem, blackjax.mala, target=0.57)


def hmc(problem, steps, metric):
    """HMC with so many leapfrog steps; metric: whether the mass matrix is the inverse of the target's covariance."""
    dim, rho = problem["start"].shape[1], problem["rho"]
    inverse_mass = (1 - rho) * np.eye(dim) + rho if metric else np.ones(dim)

    def kernel_of(density, step_size):
        return blackjax.hmc(density, step_size, jnp.asarray(inverse_mass, jnp.float32), steps)

    return Sampler(problem, kernel_of, target=0.8)


def several(metric, counts):
    return {f"HMC, {n} leapfrog steps": functools.partial(hmc, steps=n, metric=metric) for n in counts}


CANDIDATES = {
    "effective, identity": {"MALA": mala} | several(False, (16, 32)),
    "effective, covariance": several(True, (1, 3, 4)),
}
