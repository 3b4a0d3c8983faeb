"""Langevin dynamics on Gaussians by Euler-Maruyama: equicorrelated (naive, natural) and of full covariance.

The peers get the cheapest form that is known, the one that nsamp uses too: x <- keep x + noise z + couple sum(x). In natural
geometry and for a full covariance that is the process in coordinates in which the modes do not meet (couple = 0); what
is sampled is seen through a matrix, only when it is looked at. For a full covariance the plain form, x <- x A + noise z with
a dense A, is tried as well.
"""

from __future__ import annotations

import functools

import numpy as np

from . import laws
from .rows import Problem, Row, Scores

RHO = 0.75
DECAY = 0.5
EQUICORRELATED = ((10, 4096, 0.05, 200), (100, 4096, 0.01, 100), (1000, 1024, 0.01, 40), (10000, 256, 0.01, 20))
FULL = ((64, 4096, 0.05, 100), (512, 1024, 0.05, 40))
ON_GPU = {10: 1048576, 100: 65536, 1000: 16384}  # chains
FULL_ON_GPU = {64: 131072, 512: 16384}


def equicorrelated_problem(dim: int, chains: int, h: float, natural: bool) -> Problem:
    within, along = 1 - RHO, 1 + (dim - 1) * RHO  # eigenvalues of the target's covariance
    a = np.sqrt(2 * h)
    problem: Problem = {"chains": chains, "dim": dim, "h": h, "natural": natural}
    if natural:
        alpha = np.sqrt(within)
        kappa = (np.sqrt(along) - alpha) / (dim * alpha)
        return problem | {"keep": 1 - h, "noise": a * alpha, "couple": 0.0, "kappa": kappa}
    return problem | {"keep": 1 - h / within, "noise": a, "couple": h * RHO / (within * along), "kappa": 0.0}


def equicorrelated_scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    dim, h, steps = problem["dim"], problem["h"], problem["check_steps"]
    target = np.array([1 - RHO, 1 + (dim - 1) * RHO])
    keep, noise = (1 - h, np.sqrt(2 * h * target)) if problem["natural"] else (1 - h / target, np.sqrt(2 * h))
    within, along = laws.modes_after(keep * np.ones(2), noise * np.ones(2), steps)
    u = np.asarray(result["x"], dtype=np.float64)
    x = u + problem["kappa"] * u.sum(1, keepdims=True)

    def whiten(x):
        mean = x.mean(1, keepdims=True)
        return (x - mean) / np.sqrt(within) + mean / np.sqrt(along)

    off = (along - within) / dim
    return laws.gaussian_scores(x, 0.0, within + off, off, whiten)


def equicorrelated_row(dim: int, chains: int, h: float, steps: int, natural: bool) -> Row:
    geometry = "natural" if natural else "naive"
    h = 0.05 if natural else h
    settings = f"system.geometry={geometry} target.dim={dim} target.rho={RHO} system.dt={h} run.chains={chains}"
    return Row(
        name=f"Langevin, equicorrelated, {geometry}, d {dim}",
        work="linear",
        unit="dimension-steps",
        scale=dim,
        chains=chains,
        nsamp=("run", "system.name=langevin", *settings.split()),
        problem=functools.partial(equicorrelated_problem, dim, chains, h, natural),
        scores=equicorrelated_scores,
        check_steps=steps,
    )


@functools.lru_cache
def decaying(dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sigma_ij = DECAY^|i-j| -> eigenvalues, eigenvectors, matrix."""
    at = np.arange(dim)
    matrix = DECAY ** np.abs(at[:, None] - at[None, :]).astype(float)
    values, vectors = np.linalg.eigh(matrix)
    return values, vectors, matrix


def full_problem(dim: int, chains: int, h: float) -> Problem:
    values, vectors, matrix = decaying(dim)
    return {
        "chains": chains,
        "dim": dim,
        "h": h,
        "keep": 1 - h / values,
        "noise": np.sqrt(2 * h),
        "couple": 0.0,
        "basis": vectors,
        "dense": np.eye(dim) - h * np.linalg.inv(matrix),
    }


def full_scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    dim, h = problem["dim"], problem["h"]
    values, vectors, _ = decaying(dim)
    variances = laws.modes_after(1 - h / values, np.sqrt(2 * h), problem["check_steps"])
    exact = (vectors * variances) @ vectors.T
    x = np.asarray(result["x"], dtype=np.float64)
    x = x if result.get("form") == "dense" else x @ vectors.T
    off = (exact.sum() - np.trace(exact)) / (dim * (dim - 1))
    return laws.gaussian_scores(x, 0.0, np.trace(exact) / dim, off, lambda x: (x @ vectors) / np.sqrt(variances))


def full_row(dim: int, chains: int, h: float, steps: int) -> Row:
    target = f"target.name=gaussian target.file=builtin:decay target.dim={dim} target.rho={DECAY}"
    settings = f"system.geometry=naive {target} system.dt={h} run.chains={chains}"
    return Row(
        name=f"Langevin, full covariance, naive, d {dim}",
        work="linear",
        unit="dimension-steps",
        scale=dim,
        chains=chains,
        nsamp=("run", "system.name=langevin", *settings.split()),
        problem=functools.partial(full_problem, dim, chains, h),
        scores=full_scores,
        check_steps=steps,
        note="in the eigenvectors' coordinates, or with the dense matrix, whichever is faster",
    )


def rows() -> list[Row]:
    equicorrelated = [equicorrelated_row(*size, natural) for natural in (False, True) for size in EQUICORRELATED]
    return equicorrelated + [full_row(*size) for size in FULL]


def gpu_rows() -> list[Row]:
    sizes = [(dim, ON_GPU[dim], h, steps) for dim, _, h, steps in EQUICORRELATED if dim in ON_GPU]
    equicorrelated = [equicorrelated_row(*size, natural) for natural in (False, True) for size in sizes]
    return equicorrelated + [full_row(dim, FULL_ON_GPU[dim], h, steps) for dim, _, h, steps in FULL]
