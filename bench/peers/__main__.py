"""python -m peers: the same work by nsamp and by its peers, on this machine, in one run. Started by mk/peers.sh."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from . import compare, machine, report


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-peers", description=__doc__)
    parser.add_argument("--nsamp", required=True, type=Path, help="the program")
    parser.add_argument("--normals", required=True, type=Path, help="the program of normals.c")
    parser.add_argument("--check", action="store_true", help="hold every peer to the law, time nothing")
    parser.add_argument("--quick", action="store_true", help="short blocks, three samples of each")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for every competitor")
    parser.add_argument("--rows", default="", help="only rows whose name has this in it")
    parser.add_argument("--libraries", default="", help="only these, by comma")
    parser.add_argument("--out", type=Path, help="write the table here, and the numbers to the same name with .json")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    machine.set_environment(args.threads)
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as folder:
        result = compare.run(args, Path(folder))
    text = report.table(result)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")
        args.out.with_suffix(".json").write_text(report.to_json(result) + "\n")
    return 1 if args.check and result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
