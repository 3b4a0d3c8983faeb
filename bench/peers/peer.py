"""A library as the comparison sees it: a worker process, the best of its candidates for a row, its samples of the rate."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field

from . import laws, worker
from .rows import Row


COMMAND_SECONDS = 300.0  # a peer that takes longer for one command is given up


@dataclass
class Entry:
    """What a library did with a row."""

    library: str
    label: str = ""
    failed: str = ""  # why there is no rate
    scores: dict[str, float] = field(default_factory=dict)
    startup: float = 0.0  # seconds: import, compilation, first call
    steps: int = 0  # of a timed block
    unit: float = 1.0  # units of work in a step of all chains
    rates: list[float] = field(default_factory=list)
    tried: dict[str, float] = field(default_factory=dict)  # rate of each candidate in its trial
    dropped: list[str] = field(default_factory=list)  # candidates that failed, and why


class Peer:
    """It starts at once; meet() waits until the library is loaded. patience: seconds that a command may take."""

    def __init__(self, library: str, threads: int):
        self.library, self.version, self.absent, self.import_seconds = library, library, "", 0.0
        self.patience = COMMAND_SECONDS
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=worker.serve, args=(other, library, threads, time.time()), daemon=True)
        self.process.start()

    def meet(self) -> None:
        try:
            self.version, self.import_seconds = self.answer()
        except RuntimeError as error:
            self.absent = str(error)

    def answer(self):
        deadline = time.perf_counter() + self.patience
        while not self.connection.poll(max(0.0, min(1.0, deadline - time.perf_counter()))):
            if not self.process.is_alive():
                raise RuntimeError("the process ended")
            if time.perf_counter() > deadline:
                self.process.kill()
                raise RuntimeError(f"no answer in {self.patience:.0f} s")
        try:
            state, value = self.connection.recv()
        except (EOFError, OSError):
            raise RuntimeError("the process ended") from None
        if state == "failed":
            raise RuntimeError(value)
        return value

    def ask(self, *command):
        try:
            self.connection.send(command)
        except OSError:
            raise RuntimeError("its process ended in an earlier row") from None
        return self.answer()

    def stop(self) -> None:
        if self.process.is_alive():
            self.connection.send(None)
            self.process.join(min(5.0, self.patience))
        if self.process.is_alive():
            self.process.kill()

    def check_candidate(self, row: Row, problem: dict, label: str, *built: object) -> tuple[Entry, float]:
        """Has one candidate built and holds it to the law -> its entry, seconds to there; built: how, a command, which may answer how long it took."""
        entry, first = Entry(self.library, label, unit=row.chains * row.scale), 0.0
        try:
            began = time.perf_counter()
            entry.startup = self.ask(*built) or 0.0
            self.ask("advance", label, row.check_steps)
            first = time.perf_counter() - began
            result = self.ask("result", label, row.looked_at)
            entry.scores = row.scores(problem, result)
            if row.efficiency:
                entry.unit = row.efficiency(result)
            worst = max(entry.scores, key=lambda name: abs(entry.scores[name]))
            if not abs(entry.scores[worst]) < laws.LIMIT:
                entry.failed = f"law: z = {entry.scores[worst]:.1f} of {worst}"
        except RuntimeError as error:
            entry.failed = str(error)
        return entry, first

    def try_candidate(self, row: Row, problem: dict, label: str, seconds: float) -> Entry:
        """Builds one candidate, holds it to the law, then measures it for a moment (seconds 0: law only)."""
        entry, first = self.check_candidate(row, problem, label, "build", label, row.work, problem)
        if seconds and not entry.failed:
            try:
                self.calibrate(row, entry, seconds)
                entry.startup = self.import_seconds + max(0.0, first - row.check_steps * entry.unit / entry.rates[0])
            except RuntimeError as error:
                entry.failed = str(error)
        return entry

    def calibrate(self, row: Row, entry: Entry, seconds: float) -> None:
        """Warms up and finds how many steps take so many seconds."""
        entry.steps, took = row.granule, self.ask("advance", entry.label, row.granule)
        while took < seconds:
            grown = int(entry.steps * min(8.0, 1.2 * seconds / max(took, 1e-9)))
            entry.steps = max(entry.steps + row.granule, grown // row.granule * row.granule)
            took = self.ask("advance", entry.label, entry.steps)
        entry.rates = [entry.steps * entry.unit / took]

    def best(self, row: Row, problem: dict, seconds: float) -> Entry:
        """The fastest candidate that keeps the law; a failed entry where none does."""
        if not self.process.is_alive():
            return Entry(self.library, failed="its process ended in an earlier row")
        best, failures, tried = None, [], {}
        for label in self.ask("list", row.work, problem):
            entry = self.try_candidate(row, problem, label, seconds)
            if entry.failed:
                failures.append(f"{label}: {entry.failed}")
                loser = entry
            else:
                tried[label] = entry.rates[0] if entry.rates else 0.0
                if best is None or tried[label] > tried[best.label]:
                    best, loser = entry, best
                else:
                    loser = entry
            if loser is not None and self.process.is_alive():
                self.ask("drop", loser.label)
        if best is None:
            return Entry(self.library, failed="; ".join(failures))
        best.tried, best.rates, best.dropped = tried, [], failures
        return best

    def sample(self, entry: Entry) -> None:
        try:
            took = self.ask("advance", entry.label, entry.steps)
            entry.rates.append(entry.steps * entry.unit / took)
        except RuntimeError as error:
            entry.failed, entry.rates = str(error), []

    def forget(self) -> None:
        """Frees what the worker holds."""
        if self.process.is_alive():
            self.ask("drop")
