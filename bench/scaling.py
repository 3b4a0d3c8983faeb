#!/usr/bin/env python3
"""How nsamp's time and memory grow: threads, instruction sets, chains, steps, memory, recording, start-up.

Runs the built program as its users run it and prints tables; not a comparison with others (bench/peers) and not the ceilings
(nsamp bench). Rates are of the stepping, from what nsamp prints; the rest is wall time and peak memory of the whole process.
Alternatives take turns, five rounds; numbers are medians, with the range as a share of the median. Only the standard library.
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
from datetime import datetime, timezone
from pathlib import Path

from peers.machine import processor

RATE = re.compile(r" in [0-9.]+ s: ([0-9.e+-]+) (?:chain-steps|samples)/s")
EQUI = ["run", "system.name=langevin", "target.name=equicorrelated", "target.rho=0.5"]
TRAIN = "target.name=images data.pca=300 data.held_out=0 train.form=score train.sigmas=0.09 train.lr=1e-4 train.warmup=0 train.checkpoint_every_s=0 model.overwrite=yes".split()
WORK = {  # title: words, chains, steps that take about a second on two cores with AVX-512
    "langevin, equicorrelated, d 100": ([*EQUI, "target.dim=100"], 4096, 7000),
    "langevin, gaussian, d 64": (["run", "system.name=langevin", "target.name=gaussian", "target.file=builtin:decay", "target.dim=64", "target.rho=0.7"], 4096, 10000),
    "rsn, m 2, n 1000, relu": (["run", "system.name=rsn", "system.model=builtin:linear", "target.dim=2", "train.hidden=1000"], 4096, 7500),
    "rsn, m 64, n 512": (["run", "system.name=rsn", "system.model=builtin:linear", "target.dim=64", "train.hidden=512"], 4096, 500),
    "rsn, m 300, n 20,000": (["run", "system.name=rsn", "system.model=builtin:linear", "target.dim=300", "train.hidden=20000", "record.cov_dim=0"], 512, 24),
    "mh-spiking, p 10, n 100": (["run", "system.name=mh-spiking", "target.dim=10", "system.neurons=100", "target.rho=0.5"], 4096, 140000),
    "training, m 300, n 4096, batch 512": (["train", *TRAIN, "train.hidden=4096", "train.batch=512"], 512, 40),
}
lines: list[str] = []  # what was said so far: the text of --out


def say(text: str) -> None:
    print(text, flush=True)
    lines.append(text + "\n")


class Program:
    def __init__(self, binary: Path, folder: Path, share: float, rounds: int, titles: list[str]):
        self.binary, self.folder, self.share, self.rounds, self.titles = binary, folder, share, rounds, titles
        self.threads = len(os.sched_getaffinity(0))

    def call(self, words: list[str]) -> tuple[str, float, int]:
        """-> what it prints, wall seconds, peak KiB. Stops the script where nsamp fails."""
        began = time.perf_counter()
        with subprocess.Popen([str(self.binary), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder) as child:
            out, err = child.stdout.read(), child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        if child.returncode:
            sys.exit(f"scaling: {' '.join(words)}: exit code {child.returncode}: {err.strip()}")
        return out, wall, usage.ru_maxrss

    def steps(self, steps: int) -> int:
        return max(1, round(steps * self.share))

    def wall_and_rate(self, words: list[str]) -> tuple[float, float]:
        text, wall, _ = self.call(words)
        found = RATE.search(text)
        if not found:
            sys.exit(f"scaling: no rate in what {' '.join(words)} prints")
        return wall, float(found.group(1))

    def rate(self, words: list[str]) -> float:
        return self.wall_and_rate(words)[1]

    def turns(self, alternatives: list[list[str]], measure) -> list[list]:
        """One warm-up each, then rounds in turn -> the numbers of each alternative."""
        for words in alternatives:
            measure(words)
        got: list[list] = [[] for _ in alternatives]
        for _ in range(self.rounds):
            for numbers, words in zip(got, alternatives):
                numbers.append(measure(words))
        return got


def job(title: str, program: Program, steps_factor: float = 1.0) -> list[str]:
    words, chains, steps = WORK[title]
    steps = program.steps(round(steps * steps_factor))
    if words[0] == "train":
        return [*words, "model.file=scaling-model.nc", f"train.epochs={steps * chains / 10000:.6g}"]
    return [*words, f"run.chains={chains}", f"run.steps={steps}", "run.burn_in=0"]


def spread(numbers: list[float]) -> str:
    middle = statistics.median(numbers)
    return f"{100 * (max(numbers) - min(numbers)) / middle:.0f} %"


def threads(program: Program) -> None:
    most = program.threads
    say(f"\nThreads: 1 against {most}; chain-steps (samples) a second")
    say(f"{'':36}{'1 thread':>12}{'spread':>8}{f'{most} threads':>12}{'spread':>8}{'ratio':>8}")
    for title in program.titles:
        words = job(title, program)
        one, all_ = program.turns([[*words, "run.threads=1"], [*words, f"run.threads={most}"]], program.rate)
        a, b = statistics.median(one), statistics.median(all_)
        say(f"{title:36}{a:12.3g}{spread(one):>8}{b:12.3g}{spread(all_):>8}{b / a:8.2f}")


def instruction_sets(program: Program) -> None:
    say("\nInstruction sets: chain-steps a second with v3 (AVX2) and v4 (AVX-512) kernels; the library's products take their own")
    tried = [subprocess.run([str(program.binary), *EQUI, "run.steps=20", "run.burn_in=0", f"run.isa={name}"], capture_output=True, check=False).returncode for name in ("v3", "v4")]
    if tried != [0, 0]:
        say("  this processor does not have both" if set(tried) <= {0, 2} else sys.exit(f"scaling: run.isa: exit codes {tried}"))
        return
    say(f"{'':36}{'v3':>12}{'spread':>8}{'v4':>12}{'spread':>8}{'v3 / v4':>9}")
    for title in [t for t in program.titles if not t.startswith("training")]:
        words = job(title, program, 0.5)
        v3, v4 = program.turns([[*words, "run.isa=v3"], [*words, "run.isa=v4"]], program.rate)
        a, b = statistics.median(v3), statistics.median(v4)
        say(f"{title:36}{a:12.3g}{spread(v3):>8}{b:12.3g}{spread(v4):>8}{100 * a / b:7.0f} %")


def growth(program: Program) -> None:
    say("\nChains and steps over three decades: ns a chain-step (stepping time; the shortest run of each row first)")
    for title in ("langevin, equicorrelated, d 100", "mh-spiking, p 10, n 100"):
        words, _, steps = WORK[title]
        longest = program.steps(steps * 4096 // 640)
        by_steps = [max(1, longest // k) for k in (1000, 100, 10, 1)]
        runs = [[*words, "run.chains=640", f"run.steps={s}", "run.burn_in=0"] for s in by_steps]
        got = [1e9 / statistics.median(r) for r in program.turns(runs, program.rate)]
        say(f"{title:36}640 chains, steps  " + "  ".join(f"{s}: {ns:.3g}" for s, ns in zip(by_steps, got)))
        most = max(64, round(640000 * min(1.0, program.share)))
        by_chains = [max(64, most // k) for k in (1000, 100, 10, 1)]
        few = max(1, round(longest * 640 / most))
        runs = [[*words, f"run.chains={c}", f"run.steps={few}", "run.burn_in=0"] for c in by_chains]
        got = [1e9 / statistics.median(r) for r in program.turns(runs, program.rate)]
        say(f"{'':36}{few} steps, chains  " + "  ".join(f"{c}: {ns:.3g}" for c, ns in zip(by_chains, got)))


def planned(program: Program, words: list[str]) -> str:
    text, _, _ = program.call([*words, "run.dry=true"])
    return re.search(r"^memory\s+(.*)$", text, re.M).group(1)


def memory(program: Program) -> None:
    say("\nMemory: what the plan prints, and the peak of the process")
    chains = max(1000, round(1e6 * min(1.0, program.share)))
    for count, steps in ((chains, 100), (4096, 100), (4096, 1000), (4096, 10000)):
        words = [*EQUI, "target.dim=100", f"run.chains={count}", f"run.steps={steps}", "run.burn_in=0"]
        text, wall, peak = program.call(words)
        rate = float(RATE.search(text).group(1))
        say(f"  d 100, {count} chains, {steps} steps: planned {planned(program, words)}, peak {peak / 2**20:.3f} GiB; {wall:.1f} s in all, {rate:.3g} chain-steps/s")


def recording(program: Program) -> None:
    say("\nRecording every 100th step of all chains, d 100: wall time of the whole run, to the finished file")
    words = [*EQUI, "target.dim=100", "run.chains=4096", f"run.steps={max(200, program.steps(20000))}", "run.burn_in=0"]
    stored = [*words, "record.every=100", "record.chains=4096", "output.file=scaling-draws.nc", "output.overwrite=yes"]
    bare = [*words, "output.file=scaling-none.nc", "output.overwrite=yes"]
    few = [*words, "record.every=100", "record.chains=64", "output.file=scaling-few.nc", "output.overwrite=yes"]

    def measure(words: list[str]) -> tuple[float, float]:
        """To a new file: to remove the old one is no part of recording."""
        file = next(word for word in words if word.startswith("output.file=")).split("=", 1)[1]
        (program.folder / file).unlink(missing_ok=True)
        return program.wall_and_rate(words)

    both = program.turns([bare, few, stored], measure)
    walls, steps = ([[pair[i] for pair in pairs] for pairs in both] for i in (0, 1))
    base, base_rate = statistics.median(walls[0]), statistics.median(steps[0])
    for title, name, wall, rate in zip(("nothing", "64 chains", "4096 chains"), ("none", "few", "draws"), walls, steps):
        size = (program.folder / f"scaling-{name}.nc").stat().st_size
        t, r = statistics.median(wall), statistics.median(rate)
        say(f"  {title:12}{t:8.2f} s ({spread(wall)}), {100 * (t / base - 1):+5.1f} %; stepping {r:.3g} chain-steps/s, {100 * (base_rate / r - 1):+5.1f} %; file {size / 1e6:.1f} MB")


def start_up(program: Program) -> None:
    say("\nStart-up: wall time of the whole process, ms, median and range of 20")
    tiny = [*EQUI, "target.dim=2", "run.chains=64", "run.steps=100", "run.burn_in=0"]
    for title, words in (("nsamp list", ["list"]), ("nsamp help", ["help"]), ("a tiny run", tiny), ("a tiny run with output", [*tiny, "output.file=tiny.nc", "output.overwrite=yes"])):
        walls = [program.call(words)[1] * 1e3 for _ in range(21)][1:]
        say(f"  {title:24}{statistics.median(walls):7.1f} ({min(walls):.1f} to {max(walls):.1f})")


TABLES = {"threads": threads, "isa": instruction_sets, "growth": growth, "memory": memory, "recording": recording, "start": start_up}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nsamp", type=Path, required=True, help="the program")
    parser.add_argument("--tables", default=",".join(TABLES), help="which of " + ",".join(TABLES))
    parser.add_argument("--share", type=float, default=1.0, help="length of the runs, as a share of the usual one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="also write the tables to this file, whole or not at all")
    parser.add_argument("--work", default="", help="only work whose title holds this text, in the tables threads and isa")
    arguments = parser.parse_args()
    unknown = set(arguments.tables.split(",")) - set(TABLES)
    if unknown or not 0 < arguments.share <= 100 or arguments.rounds < 1:
        parser.error(f"--tables takes {','.join(TABLES)}; --share is above 0; --rounds at least 1")
    titles = [title for title in WORK if arguments.work in title]
    if not titles:
        parser.error(f"--work: no title holds {arguments.work!r}")
    with tempfile.TemporaryDirectory(prefix="nsamp-scaling-") as folder:
        program = Program(arguments.nsamp.resolve(), Path(folder), arguments.share, arguments.rounds, titles)
        say(f"{program.call(['--version'])[0].splitlines()[0]}, {datetime.now(timezone.utc):%Y-%m-%dT%H:%MZ}")
        say(f"{processor()}, load {os.getloadavg()[0]:.2f}")
        for name in arguments.tables.split(","):
            TABLES[name](program)
    if arguments.out:
        part = arguments.out.with_suffix(".part")
        part.write_text("".join(lines), encoding="ascii")
        part.replace(arguments.out)


if __name__ == "__main__":
    main()
