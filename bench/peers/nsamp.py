"""nsamp as its users run it: a job, and its own time from what it prints.

The first step is taken out of that time, since buffers and threads come with it, and counted as start-up.
"""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from .rows import Row

IMAGES = 10000  # built into nsamp
RATE = re.compile(r" in [0-9.]+ s: ([0-9.e+-]+) (?:chain-steps|samples)/s")


@dataclass(frozen=True)
class Turn:
    """What one timed run does."""

    steps: int
    first: float  # seconds of a run of one step


class Nsamp:
    def __init__(self, binary: str, normals: str, threads: int, folder: Path):
        self.binary, self.normals, self.threads, self.folder = binary, normals, threads, folder
        self.backend = "cpu"

    def call(self, *words: str, program: str = "") -> str:
        done = subprocess.run([program or self.binary, *words], capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode:
            raise RuntimeError(f"{words}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def settings(self, row: Row) -> list[str]:
        return [word.replace("{folder}", str(self.folder)) for word in row.nsamp]

    def output(self, row: Row, steps: int) -> str:
        """What nsamp prints when it does so many steps of the row; a step of training is a batch."""
        verb = row.nsamp[0]
        if verb == "normals":
            return self.call(str(steps), str(self.threads), program=self.normals)
        settings = self.settings(row)
        settings += [f"run.threads={self.threads}", f"run.backend={self.backend}"]
        if verb == "train":
            epochs = steps * row.chains / IMAGES
            return self.call(*settings, f"train.epochs={epochs:.9g}")
        return self.call(*settings, f"run.steps={steps}")

    def seconds(self, row: Row, steps: int) -> float:
        """Seconds that nsamp says it ran."""
        text = self.output(row, steps)
        found = RATE.search(text)
        if not found:
            raise RuntimeError(f"no rate in what nsamp printed: {text[-200:]!r}")
        return steps * row.chains / float(found.group(1))

    def begin(self, row: Row, seconds: float) -> Turn:
        """Warms up; finds the seconds of the first step and the steps that take about so many seconds."""
        first = min(self.seconds(row, 1) for _ in range(3))
        steps, took = 8, 0.0
        while took < seconds / 2:
            steps = max(steps + 1, int(steps * min(16.0, 1.1 * seconds / max(took, 1e-9))))
            took = min(self.seconds(row, steps) for _ in range(2)) - first  # the quicker of two: a neighbour must not shorten the runs
        return Turn(1 + max(1, int(steps * seconds / took)), first)

    def sample(self, row: Row, turn: Turn) -> tuple[float, float]:
        """-> rate in the row's units after the first step, seconds of everything else."""
        began = time.perf_counter()
        took = self.seconds(row, turn.steps) - turn.first
        wall = time.perf_counter() - began
        return (turn.steps - 1) * row.chains * row.scale / took, wall - took
