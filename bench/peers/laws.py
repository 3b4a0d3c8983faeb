"""z-scores of samples against an exact Gaussian law.

Chains are independent, so every statistic is a mean over chains of one number a chain, and its standard error comes from
the spread of those numbers. Each score is two-sided; LIMIT holds for all of them together: some five hundred scores a run
pass it by chance once in fifty thousand runs.
"""

from __future__ import annotations

import numpy as np

LIMIT = 5.5


def score(per_chain: np.ndarray, exact: float) -> float:
    """How many standard errors the mean over chains lies from the exact value."""
    per_chain = np.asarray(per_chain, dtype=np.float64)
    if not np.all(np.isfinite(per_chain)):
        return float("inf")
    error = per_chain.std(ddof=1) / np.sqrt(per_chain.size)
    return float((per_chain.mean() - exact) / error)


def off_diagonal(x: np.ndarray) -> np.ndarray:
    """Mean over pairs i != j of x_i x_j, for each chain [C, D]."""
    dim = x.shape[1]
    return (x.sum(1) ** 2 - (x * x).sum(1)) / (dim * (dim - 1))


def standard_scores(w: np.ndarray) -> dict[str, float]:
    """Scores of w [C, D], whose entries must be independent N(0, 1): a shared or repeated stream shows in `chains`."""
    w = np.asarray(w, dtype=np.float64)
    half = w.shape[0] // 2
    scores = {
        "white mean": score(w.mean(1), 0),
        "white variance": score((w * w).mean(1), 1),
        "white 4th moment": score((w**4).mean(1), 3),
        "chains": score((w[:half] * w[half : 2 * half]).mean(1), 0),
        "neighbours": score((w[0 : 2 * half : 2] * w[1 : 2 * half : 2]).mean(1), 0),
    }
    if w.shape[1] > 1:
        scores["white off-diagonal"] = score(off_diagonal(w), 0)
    return scores


def gaussian_scores(x: np.ndarray, mean: float, variance: float, off: float | None, whiten) -> dict[str, float]:
    """Scores of x [C, D] against mean, variance and off-diagonal (averages over coordinates), then of whiten(x)."""
    x = np.asarray(x, dtype=np.float64)
    centred = x - mean
    scores = {"mean": score(centred.mean(1), 0), "variance": score((centred**2).mean(1), variance)}
    if off is not None and x.shape[1] > 1:
        scores["off-diagonal"] = score(off_diagonal(centred), off)
    return scores | standard_scores(whiten(x))


def modes_after(keep: np.ndarray, noise: np.ndarray, steps: int) -> np.ndarray:
    """Variance of y after so many steps of y <- keep y + noise z from y = 0."""
    return noise**2 * (1 - keep ** (2 * steps)) / (1 - keep**2)
