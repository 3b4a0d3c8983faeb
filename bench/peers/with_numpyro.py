"""NumPyro: HMC and NUTS on the equicorrelated Gaussian, its kernels without MCMC's driver, many chains by vmap, the loop over draws
compiled and the chains split over one CPU device a core, as BlackJAX has it (with_blackjax.Sampler).

The mass matrix is given, as nsamp's natural geometry is: the identity, or the inverse of the target's covariance. Step sizes are
tuned when the sampler is built, which counts as start-up.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpyro
from numpyro.infer.hmc import HMCState, hmc

from .with_blackjax import Sampler
from .with_jax import VERSION as JAX_VERSION
from .with_jax import jax, set_threads

VERSION = f"NumPyro {numpyro.__version__} on {JAX_VERSION}"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]
NUTS_DEPTH = 7


class State(NamedTuple):
    """A chain, as Sampler wants it."""

    own: HMCState
    position: jnp.ndarray


class Info(NamedTuple):
    acceptance_rate: jnp.ndarray


class Kernel:
    """steps: of the leapfrog integrator; None: NUTS, whose trajectories end by themselves."""

    def __init__(self, density, step_size, inverse_mass, steps):
        start, self.sample = hmc(potential_fn=lambda x: -density(x), algo="HMC" if steps else "NUTS")
        self.start = functools.partial(
            start,
            num_warmup=0,
            step_size=step_size,
            inverse_mass_matrix=inverse_mass,
            adapt_step_size=False,
            adapt_mass_matrix=False,
            dense_mass=inverse_mass.ndim == 2,
            num_steps=steps,
            trajectory_length=None,
            max_tree_depth=NUTS_DEPTH,
        )

    def init(self, x):
        own = self.start(x, rng_key=jax.random.key(0))
        return State(own, own.z)

    def step(self, key, state):
        own = self.sample(state.own._replace(rng_key=key))
        return State(own, own.z), Info(own.accept_prob)


def sampler(problem, steps, metric):
    """metric: whether the mass matrix is the inverse of the target's covariance."""
    dim, rho = problem["start"].shape[1], problem["rho"]
    inverse_mass = (1 - rho) * jnp.eye(dim) + rho if metric else jnp.ones(dim)
    return Sampler(problem, lambda density, step_size: Kernel(density, step_size, inverse_mass, steps), target=0.8)


def several(metric, counts):
    fixed = {f"HMC, {n} leapfrog steps": functools.partial(sampler, steps=n, metric=metric) for n in counts}
    return fixed | {f"NUTS, depth {NUTS_DEPTH}": functools.partial(sampler, steps=None, metric=metric)}


CANDIDATES = {
    "effective, identity": several(False, (16, 32)),
    "effective, covariance": several(True, (1, 3, 4)),
}
