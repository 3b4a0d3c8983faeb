"""The comparison: for each row every library's best candidate, held to the law, then nsamp and they in turn (ABC ABC ...)."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from . import effective, langevin, normals, rsn, spiking, training
from .nsamp import Nsamp
from .peer import Entry, Peer
from .rows import Row

AREAS = (normals, langevin, rsn, training, spiking, effective)
CPU = ("numpy", "numba", "numba_lanes", "torch", "jax", "blackjax", "numpyro")


@dataclass(frozen=True)
class Pace:
    """Seconds of a trial of a candidate, of a peer's block, of a run of nsamp (which also pays for its first steps); samples of each."""

    trial: float
    block: float
    own: float
    repeats: int


FULL, QUICK = Pace(0.08, 0.3, 0.8, 5), Pace(0.03, 0.1, 0.25, 3)
QUICK_LEAVES = ("d 10000", "m 784", "batch 64", "tanh")  # rows that a quick run leaves out


@dataclass
class Outcome:
    row: Row
    nsamp: Entry
    peers: list[Entry]
    backend: str = "cpu"


@dataclass
class Result:
    about: dict[str, str]
    versions: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)  # rows, and why
    outcomes: list[Outcome] = field(default_factory=list)
    checked_only: bool = False
    keep: Callable[[], None] = lambda: None  # writes what there is so far
    began: float = field(default_factory=time.perf_counter)
    seconds: float = 0.0

    @property
    def failures(self) -> list[str]:
        failed = [f"{o.row.name}: {e.library}: {e.failed}" for o in self.outcomes for e in (o.nsamp, *o.peers) if e.failed]
        return failed + [f"{o.row.name}: {e.library}: {text}" for o in self.outcomes for e in o.peers for text in e.dropped]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def start_peers(args: Namespace, result: Result, libraries: tuple[str, ...]) -> dict[str, Peer]:
    peers = {}
    for library in libraries:
        if args.libraries and library not in args.libraries.split(","):
            continue
        peer = Peer(library, args.threads)
        peer.meet()
        if peer.absent:
            result.absent[library] = peer.absent
        else:
            result.versions[library] = peer.version
            peers[library] = peer
    return peers


def compare_row(row: Row, nsamp: Nsamp, peers: dict[str, Peer], pace: Pace | None) -> Outcome:
    """pace None: the law only."""
    problem = row.problem() | {"check_steps": row.check_steps}
    if row.reference:
        row.reference(nsamp, row, problem)
    able = [peer for name, peer in peers.items() if not row.libraries or name in row.libraries]
    entries = [peer.best(row, problem, pace.trial if pace else 0.0) for peer in able]
    entries = [entry for entry in entries if entry.label or entry.failed]
    own = Entry("nsamp")
    if pace:
        take_turns(row, nsamp, own, [(peers[entry.library], entry) for entry in entries if not entry.failed], pace)
    for entry in entries:
        peers[entry.library].forget()
    return Outcome(row, own, entries)


def begin_own(row: Row, nsamp: Nsamp, own: Entry, pace: Pace):
    try:
        turn = nsamp.begin(row, pace.own)
        own.steps = turn.steps
        return turn
    except RuntimeError as error:
        own.failed = str(error)
        return None


def take_turns(row: Row, nsamp: Nsamp, own: Entry, timed: list, pace: Pace) -> None:
    for _, entry in timed:
        entry.steps = max(1, int(entry.steps * pace.block / pace.trial / row.granule)) * row.granule
    turn, startups = begin_own(row, nsamp, own, pace), []
    for _ in range(pace.repeats):
        if turn:
            rate, startup = nsamp.sample(row, turn)
            own.rates.append(rate)
            startups.append(startup)
        for peer, entry in timed:
            if not entry.failed:
                peer.sample(entry)
    own.startup = median(startups) if startups else 0.0


def wanted_rows(args: Namespace) -> list[Row]:
    rows = [row for area in AREAS for row in area.rows() if args.rows in row.name]
    return [row for row in rows if not (args.quick and any(row.name.endswith(word) or f"{word}," in row.name for word in QUICK_LEAVES))]


def run_on_cpu(args: Namespace, result: Result, folder: Path) -> None:
    nsamp = Nsamp(str(args.nsamp.resolve()), str(args.normals.resolve()), args.threads, folder)
    peers = start_peers(args, result, CPU + (("arrays",) if args.check else ()))
    pace = None if args.check else QUICK if args.quick else FULL
    try:
        for row in wanted_rows(args):
            say(f"{time.perf_counter() - result.began:6.1f} s  cpu  {row.name}")
            result.outcomes.append(compare_row(row, nsamp, peers, pace))
            result.keep()
    finally:
        for peer in peers.values():
            peer.stop()
