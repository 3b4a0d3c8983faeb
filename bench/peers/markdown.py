#!/usr/bin/env python3
"""The README's table of peers from the numbers that `make bench-peers` keeps: markdown.py PEERS.json. Only the standard library."""

from __future__ import annotations

import json
import sys
from statistics import median

BY_HAND = "numba_lanes"  # listed apart: vectorised by hand, as far as Numba could be pushed


def best(peers: list[dict]) -> tuple[float, str]:
    """-> median rate of the fastest, and its name."""
    timed = [(median(p["rates"]), p["library"]) for p in peers if p["rates"]]
    return max(timed, default=(0.0, ""))


def names(versions: dict[str, str]) -> str:
    return ", ".join(dict.fromkeys(text.split(",")[0].split(" on ")[0] for text in versions.values()))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: markdown.py PEERS.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    about = data["about"]
    print(f"`make bench-peers`, {about['date'][:10]}, {about['processor']}, {about['threads']} threads: {names(data['versions'])}. In one run, in turn; the ratio is nsamp's rate over the")
    print("fastest library's, and over Numba vectorised by hand where we wrote that:\n")
    print("| work | nsamp | fastest library | ratio | by hand |")
    print("|---|---|---|---|---|")
    for row in data["rows"]:
        if not row["nsamp"]["rates"]:
            continue
        own = median(row["nsamp"]["rates"])
        rate, name = best([p for p in row["peers"] if p["library"] != BY_HAND])
        hand, _ = best([p for p in row["peers"] if p["library"] == BY_HAND])
        library = f"{rate:.3g} {name}" if rate else ""
        print(f"| {row['work']}, {row['unit']} | {own:.3g} | {library} | {f'{own / rate:.2f}' if rate else ''} | {f'{own / hand:.2f}' if hand else ''} |")


if __name__ == "__main__":
    main()
