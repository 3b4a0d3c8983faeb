"""Effective samples a second on the equicorrelated Gaussian: what a user of samplers off the shelf asks for.

Not the same work: nsamp makes Euler steps without a test of acceptance, whose stationary law is off by O(h) (its variance is
printed beside), MALA, HMC and NUTS are exact and need gradients of the log density. Same is the target, the start (exact
draws) and the count: ESS of the mean of a coordinate, averaged over coordinates. nsamp's chain is linear, so its
autocorrelation time is known exactly; the peers' is estimated from their draws (initial positive sequence, all chains together).
"""

from __future__ import annotations

import functools

import numpy as np

from . import laws
from .rows import Problem, Row, Scores

DIM, RHO, CHAINS, H = 100, 0.75, 256, 0.02
WITHIN, ALONG = 1 - RHO, 1 + (DIM - 1) * RHO


def problem() -> Problem:
    rng = np.random.default_rng(29)
    z = rng.standard_normal((CHAINS, DIM))
    mean = z.mean(1, keepdims=True)
    return {"chains": CHAINS, "dim": DIM, "rho": RHO, "start": np.sqrt(WITHIN) * (z - mean) + np.sqrt(ALONG) * mean}


def scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    """Every draw of every chain has the target's law, since the start has: averages over draws, one number a chain."""
    x = np.asarray(result["draws"], dtype=np.float64)
    off = (x.sum(2) ** 2 - (x**2).sum(2)) / (DIM * (DIM - 1))
    within = (x - x.mean(2, keepdims=True)).var(2, ddof=0) * DIM / (DIM - 1)
    exact = {"mean": (x.mean((1, 2)), 0), "variance": ((x**2).mean((1, 2)), 1), "off-diagonal": (off.mean(1), RHO)}
    exact["within"] = (within.mean(1), WITHIN)
    return {name: laws.score(*pair) for name, pair in exact.items()}


def autocorrelation_time(x: np.ndarray) -> float:
    """Of series x [C, T] with mean 0: 1 + 2 sum of rho_k, to where pairs of neighbours stop being positive (Geyer 1992)."""
    length = x.shape[1]
    spectrum = np.fft.rfft(x, 2 * length, axis=1)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :length].mean(0) / (length - np.arange(length))
    pairs = covariance[: length // 2 * 2].reshape(-1, 2).sum(1) / covariance[0]
    stop = np.argmax(pairs <= 0) if np.any(pairs <= 0) else pairs.size
    return max(2 * np.minimum.accumulate(pairs[:stop]).sum() - 1, 1e-3)


def efficiency(result: dict[str, np.ndarray]) -> float:
    """Effective samples of one draw of every chain, averaged over a fifth of the coordinates."""
    x = np.asarray(result["draws"], dtype=np.float64)
    return len(x) / np.mean([autocorrelation_time(x[:, :, i]) for i in range(0, DIM, 5)])


def euler_efficiency(natural: bool) -> tuple[float, float]:
    """nsamp's recursion -> effective samples a step, variance of a coordinate (the target's is 1)."""
    target = np.array([WITHIN, ALONG])
    keep = np.full(2, 1 - H) if natural else 1 - H / target
    variance = 2 * H * (target if natural else 1) / (1 - keep**2)
    share = variance * np.array([DIM - 1, 1]) / DIM
    return share.sum() / (share * (1 + keep) / (1 - keep)).sum(), share.sum()


def row(natural: bool) -> Row:
    metric = "covariance" if natural else "identity"
    per_step, variance = euler_efficiency(natural)
    geometry = "natural" if natural else "naive"
    job = f"system.geometry={geometry} system.dt={H} target.dim={DIM} target.rho={RHO} run.chains=4096"
    return Row(
        name=f"effective samples, d {DIM}, metric {metric}",
        work=f"effective, {metric}",
        unit="effective samples",
        scale=per_step,
        chains=4096,
        nsamp=("run", "system.name=langevin", *job.split()),
        problem=problem,
        scores=scores,
        check_steps=400,
        granule=100,
        libraries=("blackjax", "numpyro"),
        note=f"nsamp: unadjusted, {geometry}, h {H}, variance {variance:.3f} for 1",
        efficiency=efficiency,
    )


def rows() -> list[Row]:
    return [row(False), row(True)]
