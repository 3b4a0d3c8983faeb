"""Spikes as Metropolis-Hastings proposals: p numbers and n neurons a chain, no leak, natural geometry.

In whitened coordinates v: j uniform over n neurons, v <- v + w_j with probability min(1, exp(-(w_j . v + |w_j|^2 / 2))), w = [A, -A].
From an exact start v is N(0, I) at every step, and neuron j accepts with probability 2 Phi(-|w_j| / 2). The peers count spikes a chain;
nsamp, as its users run it, counts them for each neuron.
"""

from __future__ import annotations

import functools
from math import erfc

import numpy as np

from . import laws
from .rows import Problem, Row, Scores

P, N, CHAINS, ON_GPU = 10, 100, 4096, 131072


def problem(p: int, n: int, chains: int) -> Problem:
    rng = np.random.default_rng(5)
    return {"chains": chains, "w": rng.standard_normal((n // 2, p)), "start": rng.standard_normal((chains, p))}


def scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    w, steps = problem["w"], problem["check_steps"]
    accepts = np.array([erfc(length / np.sqrt(8)) for length in np.linalg.norm(w, axis=1)])
    found = laws.gaussian_scores(result["x"], 0.0, 1.0, 0.0, lambda x: x)
    return found | {"acceptance": laws.score(result["accepted"] / steps, accepts.mean())}


def row(chains: int) -> Row:
    target = f"system.geometry=natural system.leak=no system.neurons={N} target.dim={P} target.rho=0.75"
    return Row(
        name=f"MH spiking, p {P}, n {N}",
        work="spiking",
        unit="proposals",
        scale=1,
        chains=chains,
        nsamp=("run", "system.name=mh-spiking", *target.split(), f"run.chains={chains}"),
        problem=functools.partial(problem, P, N, chains),
        scores=scores,
        check_steps=300,
    )


def rows() -> list[Row]:
    return [row(CHAINS)]


def gpu_rows() -> list[Row]:
    return [row(ON_GPU)]
