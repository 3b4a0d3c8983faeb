#!/usr/bin/env python3
"""nsamp beside neighbours: one thread and more, while other processes keep the cores busy.

For each load starts so many processes that do nothing but count, checks that they really run, and takes the rates of one thread and of
more in turns. At the same load more threads must reach half of what one does, and a rate is set beside the share of the cores that a fair
scheduler gives that many threads. With --against another build takes its turns too. Only the standard library; Linux, for /proc.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from peers.machine import processor

RATE = re.compile(r" in [0-9.]+ s: ([0-9.e+-]+) (?:chain-steps|samples)/s")
LEAST = 0.5  # of the rate of one thread
TICK = os.sysconf("SC_CLK_TCK")
TRAIN = "train target.name=images data.held_out=0 train.lr=1e-4 train.warmup=0 train.checkpoint_every_s=0 train.epochs=0 model.overwrite=yes model.file=neighbours-model.nc"
RSN = "run system.name=rsn system.model=builtin:linear record.cov_dim=0 run.burn_in=0"
WORK = {  # title: words, steps that one thread of an AVX-512 core makes in a second; 0: the job says seconds
    "training, digits": (f"{TRAIN} data.pca=100 train.form=denoiser train.hidden=4096 train.sigmas=0.03 train.batch=512 train.wide_share=0.3 train.wide_factor=4", 0),
    "training, m 300, n 4096": (f"{TRAIN} data.pca=300 train.form=score train.hidden=4096 train.sigmas=0.09 train.batch=512", 0),
    "training, m 2, n 1000": (f"{TRAIN} data.pca=2 train.form=score train.hidden=1000 train.sigmas=0.09 train.batch=512", 0),
    "mh-spiking, p 10, n 100": ("run system.name=mh-spiking target.dim=10 system.neurons=100 target.rho=0.5 run.chains=4096 run.burn_in=0", 70000),
    "langevin, equicorrelated, d 100": ("run system.name=langevin target.name=equicorrelated target.rho=0.5 target.dim=100 run.chains=4096 run.burn_in=0", 3500),
    "rsn, m 64, n 512": (f"{RSN} target.dim=64 train.hidden=512 run.chains=4096", 250),
    "rsn, m 300, n 20,000": (f"{RSN} target.dim=300 train.hidden=20000 run.chains=512", 12),
    "rsn, m 300, n 20,000, products": (f"{RSN} target.dim=300 train.hidden=20000 run.chains=128 run.path=product run.tile=128", 40),
}
lines: list[str] = []  # what was said so far: the text of --out


def say(text: str) -> None:
    print(text, flush=True)
    lines.append(text + "\n")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def busy_seconds() -> float:
    """Of all cores since the machine started: not idle, not waiting."""
    user, nice, system, _, _, irq, soft, steal = (int(n) for n in Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + irq + soft + steal) / TICK


@contextmanager
def neighbours(count: int):
    """So many busy processes -> their ids; gone afterwards."""
    started = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        time.sleep(0.5 if count else 0)
        yield [p.pid for p in started]
    finally:
        for p in started:
            p.kill()
            p.wait()


class Program:
    def __init__(self, binaries: list[Path], folder: Path, seconds: float, rounds: int, cores: int):
        self.binaries, self.folder, self.seconds, self.rounds, self.cores = binaries, folder, seconds, rounds, cores

    def words(self, title: str, threads: int, load: int) -> list[str]:
        text, steps = WORK[title]
        words = [*text.split(), f"run.threads={threads}"]
        if not steps:
            return [*words, f"train.seconds={self.seconds:g}"]
        share = min(1.0, self.cores / (load + 1))
        return [*words, f"run.steps={max(1, round(steps * self.seconds * share))}"]

    def rate(self, binary: Path, words: list[str]) -> float:
        done = subprocess.run([str(binary), *words], capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode:
            sys.exit(f"neighbours: {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
        found = RATE.search(done.stdout)
        if not found:
            sys.exit(f"neighbours: no rate in what {' '.join(words)} prints")
        return float(found.group(1))

    def turns(self, title: str, threads: list[int], load: int) -> dict[tuple[int, int], list[float]]:
        """(binary, threads) -> rates, one a round, all in turn; the first round is not counted."""
        got: dict[tuple[int, int], list[float]] = {(b, t): [] for b in range(len(self.binaries)) for t in threads}
        for round_ in range(self.rounds + 1):
            for b, t in got:
                rate = self.rate(self.binaries[b], self.words(title, t, load))
                if round_:
                    got[b, t].append(rate)
        return got


def ratio(above: list[float], below: list[float]) -> tuple[float, str]:
    """Median of the ratios of a round each, and with their range."""
    each = [a / b for a, b in zip(above, below)]
    return statistics.median(each), f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


def fair(threads: int, load: int, cores: int) -> float:
    """Cores that so many threads get beside so many busy processes."""
    return min(float(threads), cores * threads / (threads + load))


def check_ran(pids: list[int], before: list[float], seconds: float, cores: int, title: str) -> None:
    """Every neighbour got some of a core, or the load was none."""
    for pid, was in zip(pids, before):
        got = cpu_seconds(pid) - was
        if got < 0.1 * seconds * min(1.0, cores / (len(pids) + 2)):
            sys.exit(f"neighbours: {title}: a busy process had {got:.2f} of {seconds:.1f} s: the load is not what it should be")


def measure(program: Program, titles: list[str], loads: list[int], threads: list[int]) -> bool:
    """-> whether every bound held."""
    held = True
    first: dict[tuple[str, int], float] = {}
    for load in loads:
        say(f"\nLoad {load}: rates of {', '.join(str(t) for t in threads)} threads; more beside one, round by round; of the rate at load {loads[0]}, and the fair share; cores busy")
        for title in titles:
            with neighbours(load) as pids:
                began, busy, before = time.monotonic(), busy_seconds(), [cpu_seconds(p) for p in pids]
                got = program.turns(title, threads, load)
                seconds = time.monotonic() - began
                check_ran(pids, before, seconds, program.cores, title)
                cores_busy = (busy_seconds() - busy) / seconds
            for t in threads:
                rates = got[0, t]
                middle = statistics.median(rates)
                first.setdefault((title, t), middle)
                text = f"  {title:34}{t:2}  {middle:10.3g}"
                if t != threads[0]:
                    value, said = ratio(rates, got[0, threads[0]])
                    holds = value >= LEAST
                    held = held and holds
                    text += f"  {said:22} {'holds' if holds else 'FAILS'}"
                else:
                    text += f"{'':30}"
                text += f"  {middle / first[title, t]:.2f} of {fair(t, load, program.cores) / fair(t, loads[0], program.cores):.2f}  {cores_busy:.1f}"
                if len(program.binaries) > 1:
                    text += f"  against: {ratio(rates, got[1, t])[1]}"
                say(text)
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--nsamp", type=Path, default=Path("build/nsamp"))
    parser.add_argument("--against", type=Path, help="another build, whose rates are taken in the same turns")
    parser.add_argument("--loads", default="0,2,8", help="busy processes (default: 0,2,8)")
    parser.add_argument("--threads", default="1,2", help="the first is what the others are set beside (default: 1,2)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a run, about (default: 1)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", default="", help="only works whose title holds this")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    titles = [t for t in WORK if options.work in t]
    try:
        loads, threads = ([int(n) for n in text.split(",")] for text in (options.loads, options.threads))
    except ValueError:
        parser.error("--loads and --threads: whole numbers with commas between")
    if not titles or min(loads) < 0 or min(threads) < 1 or options.rounds < 1 or not options.seconds > 0:
        parser.error(f"nothing to measure; works: {', '.join(WORK)}")
    cores = len(os.sched_getaffinity(0))
    binaries = [b.resolve() for b in (options.nsamp, options.against) if b]
    say(f"nsamp beside busy processes, {datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC, {processor()}, {cores} cores, load average {os.getloadavg()[0]:.2f} before")
    say(f"medians of {options.rounds} rounds of about {options.seconds:g} s in turn, ratios round by round with their range; bound: {LEAST} of one thread")
    with tempfile.TemporaryDirectory() as folder:
        held = measure(Program(binaries, Path(folder), options.seconds, options.rounds, cores), titles, loads, threads)
    say(f"\nload average {os.getloadavg()[0]:.2f} after; {'every bound held' if held else 'a bound FAILED'}")
    if options.out:
        options.out.write_text("".join(lines))
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
