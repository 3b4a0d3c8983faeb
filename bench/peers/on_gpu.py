"""The comparison on a GPU: nsamp's CUDA backend against PyTorch, JAX and CuPy there, the most wanted rows first.

Every library is a process, and so is nsamp, as its C library (with_nsamp.py). All start together and build the samplers of all rows
ahead, side by side: compilation takes longer than everything else. Then a row at a time: laws, a moment of every candidate, turns.
"""

from __future__ import annotations

import os
import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import numpy as np

from . import langevin, rsn, spiking, training
from .compare import Outcome, Pace, Result, say
from .peer import COMMAND_SECONDS, Entry, Peer
from .rows import Problem, Row

AREAS = (langevin, rsn, spiking, training)
LIBRARIES = ("torch_gpu", "jax_gpu", "cupy", "torch_compile")
# Parts of names; rows that none of them is in come last.
ORDER = (
    "equicorrelated, naive, d 100", "m 64, n 512, bf16", "m 300, n 20000, fp32", "MH spiking", "equicorrelated, naive, d 10",
    "m 300, n 20000, bf16", "batch 4096", "m 64, n 512, fp32", "m 2, n 1000", "m 784, n 4096, bf16", "equicorrelated, natural, d 100",
    "m 784, n 4096, fp32", "equicorrelated, naive, d 1000", "batch 512", "equicorrelated, natural, d 10",
)  # fmt: skip
GRANULE = 20  # steps of a captured graph or a compiled loop
LOOKED_AT = 4096  # chains
AHEAD, LEAST_AHEAD = 0.4, 0.2  # share of the time by which samplers are built ahead; what is left of it after slow imports
GRACE_SECONDS = 10.0  # to finish what is being built then
AHEAD_SECONDS = 120.0  # where there is no limit
ROW_SECONDS = 3.0  # with less left no row is begun
# nsamp calls back five times a second: own is the least time of a sample.
FULL, QUICK = Pace(0.08, 0.3, 0.15, 5), Pace(0.04, 0.08, 0.05, 5)


def place(row: Row) -> int:
    return next((k for k, part in enumerate(ORDER) if row.name.endswith(part) or f"{part}," in row.name), len(ORDER))


def wanted_rows(text: str) -> list[Row]:
    found = [row for row in chain.from_iterable(area.gpu_rows() for area in AREAS) if text in row.name]
    steps = lambda row: row.check_steps if row.work == "training" else -(-row.check_steps // GRANULE) * GRANULE
    return sorted((replace(row, granule=GRANULE, check_steps=steps(row), looked_at=LOOKED_AT) for row in found), key=place)


def single(problem: Problem) -> Problem:
    """What is sent to the peers: float32, which they compute in."""
    smaller = lambda value: value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value
    return {key: [tuple(map(smaller, pair)) for pair in value] if key == "given" else smaller(value) for key, value in problem.items()}


def able(peer: Peer, row: Row) -> bool:
    return not row.libraries or peer.library.split("_")[0] in row.libraries


class Comparison:
    def __init__(self, args: Namespace, result: Result):
        self.args, self.result = args, result
        self.until = result.began + args.seconds if args.seconds else float("inf")
        self.pace = None if args.check else QUICK if args.quick or args.seconds else FULL
        self.rows = wanted_rows(args.rows)
        self.pool, self.slow = ThreadPoolExecutor(8), ThreadPoolExecutor(2)
        os.environ["PEERS_NSAMP"] = str(args.nsamp.resolve().parent / "libnsamp.so")
        wanted = [name for name in LIBRARIES if not args.libraries or name in args.libraries.split(",")]
        self.peers = [Peer(name, args.threads) for name in wanted]
        self.own = None if args.check else Peer("nsamp", args.threads)

    def left(self) -> float:
        return self.until - time.perf_counter()

    def say(self, text: str) -> None:
        say(f"{time.perf_counter() - self.result.began:6.1f} s  {text}")

    def everyone(self) -> list[Peer]:
        return self.peers + ([self.own] if self.own else [])

    def hurry(self) -> None:
        """Nobody may take longer for a command than there is time."""
        for peer in self.everyone():
            peer.patience = max(1.0, min(COMMAND_SECONDS, self.left() + 2))

    # ---- everything that can be done before the first row ----

    def meet(self) -> None:
        """Leaves those that are present."""
        for peer in self.everyone():
            peer.meet()
            if peer is not self.own:
                (self.result.absent if peer.absent else self.result.versions)[peer.library] = peer.absent or peer.version
            self.say(f"{peer.library}: {peer.absent or peer.version}")
        self.peers = [peer for peer in self.peers if not peer.absent]
        if self.own and self.own.absent:
            raise RuntimeError(f"nsamp: {self.own.absent}")

    def build_ahead(self) -> None:
        seconds = min(AHEAD_SECONDS, AHEAD * self.args.seconds if self.args.seconds else AHEAD_SECONDS)
        until = time.time() + max(LEAST_AHEAD * self.args.seconds, seconds - (time.perf_counter() - self.result.began))
        tasks = [(row.name, row.work, single(self.problems[row.name])) for row in self.rows]
        jobs = [(row.name, "own", {"job": row.nsamp, "rows": row.work == "training", "chains": row.chains}) for row in self.rows]

        def build(peer: Peer) -> None:
            mine = jobs if peer is self.own else [task for row, task in zip(self.rows, tasks) if able(peer, row)]
            last = until + (GRACE_SECONDS / 2 if peer is self.own else 0)  # without nsamp a row is nothing
            peer.patience = until - time.time() + GRACE_SECONDS
            try:
                peer.ask("build ahead", mine, last)
            except RuntimeError as error:
                self.result.absent[peer.library] = f"building ahead: {error}"
            self.say(f"{peer.library}: built")

        list(self.pool.map(build, self.everyone()))
        self.peers = [peer for peer in self.peers if peer.process.is_alive()]

    def prepare(self) -> None:
        self.hurry()
        self.problems = {row.name: row.problem() | {"check_steps": row.check_steps} for row in self.rows}
        self.exact = {row.name: self.slow.submit(row.exact) for row in self.rows if row.exact}
        self.meet()
        self.build_ahead()

    # ---- a row ----

    def check(self, row: Row, peer: Peer) -> list[Entry]:
        entries = []
        try:
            for label in peer.ask("built ahead", row.name):
                entry, _ = peer.check_candidate(row, self.problems[row.name], label, "take", row.name, label)
                entry.startup += peer.import_seconds
                entries.append(entry)
        except RuntimeError as error:
            entries.append(Entry(peer.library, failed=str(error)))
        return entries

    def try_out(self, row: Row, peer: Peer, entries: list[Entry]) -> Entry | None:
        """The fastest of a library's candidates that keep the law."""
        self.hurry()
        for entry in entries:
            try:
                if self.pace and not entry.failed:
                    peer.calibrate(row, entry, self.pace.trial)
            except RuntimeError as error:
                entry.failed = str(error)
        good = [entry for entry in entries if not entry.failed]
        failures = [f"{entry.label}: {entry.failed}" if entry.label else entry.failed for entry in entries if entry.failed]
        if not good:
            return Entry(peer.library, failed="; ".join(failures)) if entries else None
        best = max(good, key=lambda entry: entry.rates[0] if entry.rates else 0.0)
        best.tried, best.dropped = {entry.label: entry.rates[0] if entry.rates else 0.0 for entry in good}, failures
        if self.pace:
            best.steps = max(1, int(best.steps * self.pace.block / self.pace.trial / row.granule)) * row.granule
        best.rates = []
        return best

    def start_own(self, row: Row) -> Entry:
        """nsamp's plan, run until its first steps are done."""
        entry = Entry("nsamp", "nsamp")
        try:
            entry.startup = self.own.import_seconds + self.own.ask("take", row.name, "nsamp")
            self.own.ask("measure", "nsamp", 0.0)
        except RuntimeError as error:
            entry.failed = str(error)
        return entry

    def sample_own(self, row: Row, entry: Entry) -> None:
        try:
            steps, seconds = self.own.ask("measure", "nsamp", self.pace.own)
            entry.rates.append(steps * row.chains * row.scale / seconds)
            entry.steps = int(steps)
        except RuntimeError as error:
            entry.failed, entry.rates = str(error), []

    def take_turns(self, row: Row, nsamp: Entry, turns: list[tuple[Peer, Entry]]) -> bool:
        """Whether there was time for all rounds."""
        for _ in range(self.pace.repeats if self.pace else 0):
            if self.left() < 0:
                return False
            self.hurry()
            if not nsamp.failed:
                self.sample_own(row, nsamp)
            for peer, entry in turns:
                if not entry.failed:
                    peer.sample(entry)
        return True

    def compare(self, row: Row) -> Outcome | None:
        """None: time ran out in it."""
        peers = [peer for peer in self.peers if peer.process.is_alive() and able(peer, row)]
        if row.name in self.exact:
            try:
                self.exact[row.name].result(max(0.0, min(self.left(), COMMAND_SECONDS)))
            except TimeoutError:
                return None
        own = self.pool.submit(self.start_own, row) if self.own else None
        checked = list(self.pool.map(lambda peer: self.check(row, peer), peers))
        nsamp = own.result() if own else Entry("nsamp")
        turns = [(peer, self.try_out(row, peer, entries)) for peer, entries in zip(peers, checked)]
        turns = [(peer, entry) for peer, entry in turns if entry]
        done = self.take_turns(row, nsamp, turns)
        for peer in (*peers, *([self.own] if self.own else [])):
            try:
                peer.forget()
            except RuntimeError as error:
                self.say(f"{peer.library}: {error}")
        return Outcome(row, nsamp, [entry for _, entry in turns], "cuda") if done else None

    def run(self) -> None:
        try:
            self.prepare()
            for row in self.rows:
                if self.left() < ROW_SECONDS:
                    self.result.left_out[row.name] = "no time left"
                    continue
                if not any(peer.process.is_alive() and able(peer, row) for peer in self.peers):
                    self.result.left_out[row.name] = "no library has it"
                    continue
                self.hurry()
                self.say(row.name)
                outcome = self.compare(row)
                if not outcome:
                    self.result.left_out[row.name] = "time ran out in it"
                elif outcome.peers:
                    self.result.outcomes.append(outcome)
                else:
                    self.result.left_out[row.name] = "no library has it"
                self.result.keep()
        finally:
            for peer in self.everyone():
                peer.patience = 1.0
                peer.stop()
            for pool in (self.pool, self.slow):
                pool.shutdown(wait=False, cancel_futures=True)


def run(args: Namespace, result: Result) -> None:
    result.left_out["normals"] = "nsamp stores none on a GPU; nsamp bench has its rate in the kernel and cuRAND's to memory"
    Comparison(args, result).run()
