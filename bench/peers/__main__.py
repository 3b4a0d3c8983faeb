"""python -m peers: the same work by nsamp and by its peers, on this machine, in one run. Started by mk/peers.sh."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import compare, machine, on_gpu, report


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-peers", description=__doc__)
    parser.add_argument("--nsamp", required=True, type=Path, help="the program")
    parser.add_argument("--normals", type=Path, help="the program of normals.c, for the rows on the CPU")
    parser.add_argument("--check", action="store_true", help="hold every peer to the law, time nothing")
    parser.add_argument("--gpu", action="store_true", help="only the rows on a GPU, by libraries that use it")
    parser.add_argument("--seconds", type=float, default=0.0, help="on a GPU: the most wanted rows, as many as this time allows")
    parser.add_argument("--quick", action="store_true", help="short blocks, three samples of each")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for every competitor")
    parser.add_argument("--rows", default="", help="only rows whose name has this in it")
    parser.add_argument("--libraries", default="", help="only these, by comma")
    parser.add_argument("--out", type=Path, help="write the table here, and the numbers to the same name with .json")
    args = parser.parse_args()
    if args.gpu and not machine.gpu():
        parser.error("no NVIDIA GPU here")
    if not args.gpu and not args.normals:
        parser.error("--normals is needed without --gpu")
    return args


def write(path: Path, text: str) -> None:
    """The whole file or nothing new."""
    part = path.with_name(path.name + ".part")
    part.write_text(text + "\n")
    part.replace(path)


def keep(result: compare.Result, out: Path) -> None:
    result.seconds = time.perf_counter() - result.began
    write(out, report.table(result))
    write(out.with_suffix(".json"), report.to_json(result))


def compare_all(args: argparse.Namespace, result: compare.Result) -> None:
    result.versions["nsamp"] = subprocess.run([args.nsamp, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    if not args.gpu:
        with tempfile.TemporaryDirectory(prefix="bench-peers-") as folder:
            compare.run_on_cpu(args, result, Path(folder))
    if machine.gpu():
        on_gpu.run(args, result)
    else:
        result.absent |= {library: "no NVIDIA GPU here" for library in on_gpu.LIBRARIES}
    result.seconds = time.perf_counter() - result.began


def main() -> int:
    args = arguments()
    machine.set_environment(args.threads)
    result = compare.Result(machine.describe() | {"threads": str(args.threads)}, checked_only=args.check)
    if args.out:
        result.keep = lambda: keep(result, args.out)
    if args.quick:
        result.about["quick"] = "short blocks, fewer rounds, on the CPU fewer rows: no numbers to keep"
    compare_all(args, result)
    print(report.table(result))
    result.keep()
    return 1 if args.check and result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
