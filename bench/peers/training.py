"""Denoising score matching of s(x) = -x + W1 relu(W2 x + b) with Adam: loss 1/2 |s(x + sigma eps) + eps/sigma|^2, mean of a batch.

No law here: each peer takes two fixed batches from fixed weights, and its losses and weights are held to a reference in double
precision. Entries whose gradient is as small as rounding are left out of it, since Adam's first steps are their signs.

In bf16 that is what goes into the products, and for a library what comes out of them, where that is faster; weights, the optimizer and the
loss are float32.
"""

from __future__ import annotations

import functools

import numpy as np

from .laws import LIMIT
from .rows import Problem, Row, Scores

M, N, SIGMA, LR = 300, 20000, 2.0, 1e-3
IMAGES = 10000
TOLERANCE = 2e-3  # of the mean step, for weights after two steps
SMALL = 1e-3  # gradients that are left out, of their root mean square
BF16_TOLERANCE, BF16_SMALL = 2e-2, 0.1  # the same where factors of products have 8 bits
LOSS, BF16_LOSS = 1e-4, 1e-2  # of a loss, for losses
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def problem(batch: int, bf16: bool = False) -> Problem:
    rng = np.random.default_rng(17)
    uniform = lambda bound, *shape: rng.uniform(-bound, bound, shape)
    spectrum = np.geomspace(10, 0.05, M)  # like the principal components of images
    data = rng.standard_normal((IMAGES, M)) * np.sqrt(spectrum)
    given = [(data[rng.integers(IMAGES, size=batch)], rng.standard_normal((batch, M))) for _ in range(2)]
    return {
        "batch": batch, "bf16": bf16, "chains": batch, "sigma": SIGMA, "lr": LR, "data": data.astype(np.float32), "given": given,
        "w1": uniform(N**-0.5, M, N), "w2": uniform(M**-0.5, N, M), "b": uniform(M**-0.5, N),
    }  # fmt: skip


def gradients(weights: dict, x: np.ndarray, eps: np.ndarray) -> tuple[float, dict]:
    """Loss and gradients, the latter without its factors of the batch left out."""
    noisy = x + SIGMA * eps
    before = noisy @ weights["w2"].T + weights["b"]
    hidden = np.maximum(before, 0)
    error = hidden @ weights["w1"].T - noisy + eps / SIGMA
    back = (error @ weights["w1"]) * (before > 0) / len(x)
    return 0.5 * (error**2).sum() / len(x), {"w1": error.T @ hidden / len(x), "w2": back.T @ noisy, "b": back.sum(0)}


@functools.lru_cache
def reference(batch: int, small: float) -> tuple[list[float], dict, dict]:
    """-> losses of the two batches, weights after them, and which entries to compare."""
    given = problem(batch)
    weights = {name: np.array(given[name], np.float32).astype(np.float64) for name in ("w1", "w2", "b")}
    first, second = ({name: np.zeros_like(w) for name, w in weights.items()} for _ in range(2))
    losses, clear = [], {name: np.ones(w.shape, bool) for name, w in weights.items()}
    for step, batch_of in enumerate(given["given"], 1):
        loss, gradient = gradients(weights, *(part.astype(np.float32).astype(np.float64) for part in batch_of))
        losses.append(loss)
        for name, g in gradient.items():
            clear[name] &= np.abs(g) > small * np.sqrt((g * g).mean())
            first[name] = BETA1 * first[name] + (1 - BETA1) * g
            second[name] = BETA2 * second[name] + (1 - BETA2) * g * g
            weights[name] -= LR / (1 - BETA1**step) * first[name] / (np.sqrt(second[name] / (1 - BETA2**step)) + EPSILON)
    return losses, weights, clear


def scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    """Differences over their tolerance, scaled so that LIMIT of laws.py is the tolerance."""
    bf16 = problem["bf16"]
    losses, weights, clear = reference(problem["batch"], BF16_SMALL if bf16 else SMALL)
    loss = np.abs(np.array(result["losses"]) / losses - 1).max() / (BF16_LOSS if bf16 else LOSS)
    found = {"loss": loss * LIMIT}
    for name, exact in weights.items():
        off = np.abs(result[name] - exact)[clear[name]].mean() / (2 * LR)
        found[name] = off / (BF16_TOLERANCE if bf16 else TOLERANCE) * LIMIT
    return found


def row(batch: int, precision: str = "fp32") -> Row:
    bf16 = precision == "bf16"
    job = (
        f"target.name=images data.pca={M} data.held_out=0 train.form=score train.hidden={N} train.activation=relu train.sigmas=0.09 "
        f"train.batch={batch} train.precision={precision} train.lr={LR} train.schedule=constant train.warmup=0 train.wiener=no train.init=torch "
        "train.checkpoint_every_s=0 model.overwrite=yes model.file={folder}/trained.nc"
    )
    return Row(
        name=f"score matching, m {M}, n {N}, batch {batch}{', bf16' if bf16 else ''}",
        work="training",
        unit="samples",
        scale=1,
        chains=batch,
        nsamp=("train", *job.split()),
        problem=functools.partial(problem, batch, bf16),
        scores=scores,
        exact=functools.partial(reference, batch, BF16_SMALL if bf16 else SMALL),
        check_steps=2,
        libraries=("jax", "torch"),
        note=f"Adam, {precision}",
    )


def rows() -> list[Row]:
    return [row(batch, precision) for batch in (64, 512) for precision in ("fp32", "bf16")]


def gpu_rows() -> list[Row]:
    return [row(4096), row(512)]
