"""Normals: float32 standard normals into a buffer that stays in the cache, all threads."""

from __future__ import annotations

import numpy as np

from . import laws
from .rows import Problem, Row, Scores

CHAINS, DIM = 256, 512  # of the buffer that a step fills: 512 KiB


def scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    return laws.standard_scores(result["x"])


def rows() -> list[Row]:
    problem = {"chains": CHAINS, "dim": DIM}
    return [
        Row(
            name="normals",
            work="normals",
            unit="normals",
            scale=DIM,
            chains=CHAINS,
            nsamp=("normals",),
            problem=lambda: dict(problem),
            scores=scores,
            check_steps=5,
            note="float32, kept in the cache",
        )
    ]
