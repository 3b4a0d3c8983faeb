"""What is compared: one Row a line of the table. The areas (normals.py, langevin.py, ...) make them.

A row names the work, how nsamp does it (settings of a job) and what a peer needs to do the same (problem); its area says
which law the result must have. How a library does it is in with_LIBRARY.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Problem = dict[str, object]
Scores = dict[str, float]


@dataclass(frozen=True)
class Row:
    name: str  # as printed
    work: str  # key of a library's table of candidates
    unit: str  # of the rate: unit a second
    scale: float  # units of work in one chain-step
    chains: int
    nsamp: tuple[str, ...]  # settings of the job; the first word is the verb
    problem: Callable[[], Problem]  # arrays and numbers for the peers
    scores: Callable[[Problem, dict[str, np.ndarray]], Scores]  # z-scores of what a peer returned
    check_steps: int  # steps before the check
    granule: int = 1  # steps of a peer come in multiples of this
    looked_at: int = 0  # chains that the check looks at, in runs of neighbours over all of them; 0: all
    libraries: tuple[str, ...] | None = None  # those that can do it; None: all that have candidates
    note: str = ""
    efficiency: Callable[[dict[str, np.ndarray]], float] | None = None  # a peer's units of work in a step of all its chains, from what it drew
    exact: Callable[[], object] | None = None  # what scores takes from a cache and is long to compute, to be called ahead
    reference: Callable[..., None] | None = None  # (nsamp, row, problem): adds what nsamp itself must tell first
