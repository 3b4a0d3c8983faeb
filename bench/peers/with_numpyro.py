"""NumPyro: NUTS on the equicorrelated Gaussian, its step size adapted in a warm-up that counts as start-up.

The mass matrix is given, as nsamp's natural geometry is: the identity, or the inverse of the target's covariance.
"""

from __future__ import annotations

import functools
from collections import deque

import jax.numpy as jnp
import numpyro
from numpyro.infer import MCMC, NUTS

from .with_blackjax import BLOCK, log_density
from .with_jax import VERSION as JAX_VERSION
from .with_jax import jax, set_threads

VERSION = f"NumPyro {numpyro.__version__} on {JAX_VERSION}"
__all__ = ["CANDIDATES", "VERSION", "set_threads"]
WARM_UP = 100
CHAINS = 64  # side by side all wait for the longest trajectory, so more do not help


class Nuts:
    """Draws of every chain, all kept; chains side by side (vectorized)."""

    def __init__(self, problem, metric):
        potential = lambda x: -log_density(x, problem["rho"])
        self.start = jnp.asarray(problem["start"][:CHAINS], jnp.float32)
        dim, rho = self.start.shape[1], problem["rho"]
        inverse_mass = (1 - rho) * jnp.eye(dim) + rho if metric else jnp.ones(dim)
        self.kernel = NUTS(
            potential_fn=potential, inverse_mass_matrix=inverse_mass, dense_mass=metric, adapt_mass_matrix=False, max_tree_depth=7
        )
        self.draws, self.calls = deque(maxlen=problem["check_steps"] // BLOCK), 0
        self.mcmc = MCMC(
            self.kernel, num_warmup=WARM_UP, num_samples=BLOCK, num_chains=len(self.start), chain_method="vectorized", progress_bar=False
        )
        self.mcmc.warmup(jax.random.key(1), init_params=self.start)

    def advance(self, draws):
        """draws is a multiple of BLOCK."""
        for _ in range(draws // BLOCK):
            self.calls += 1
            self.mcmc.run(jax.random.key(self.calls))
            self.mcmc.post_warmup_state = self.mcmc.last_state
            self.draws.append(self.mcmc.get_samples(group_by_chain=True))
        jax.block_until_ready(self.draws[-1])

    def result(self):
        return {"draws": jnp.concatenate(list(self.draws), axis=1)}


CANDIDATES = {
    "effective, identity": {"NUTS": functools.partial(Nuts, metric=False)},
    "effective, covariance": {"NUTS": functools.partial(Nuts, metric=True)},
}
