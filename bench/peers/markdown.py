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


def print_cpu(data: dict, rows: list[dict]) -> None:
    about = data["about"]
    print(f"`make bench-peers`, {about['date'][:10]}, {about['processor']}, {about['threads']} threads: {names(data['versions'])}. In one run, in turn; the ratio is nsamp's rate over the")
    print("fastest library's, and over Numba vectorised by hand where we wrote that:\n")
    print("| work | nsamp | fastest library | ratio | by hand |")
    print("|---|---|---|---|---|")
    for row in rows:
        own = median(row["nsamp"]["rates"])
        rate, name = best([p for p in row["peers"] if p["library"] != BY_HAND])
        hand, _ = best([p for p in row["peers"] if p["library"] == BY_HAND])
        library = f"{rate:.3g} {name}" if rate else ""
        print(f"| {row['work']}, {row['unit']} | {own:.3g} | {library} | {f'{own / rate:.2f}' if rate else ''} | {f'{own / hand:.2f}' if hand else ''} |")


def print_gpu(data: dict, rows: list[dict]) -> None:
    """The rates of every library, since they differ in what they can do on a GPU."""
    about = data["about"]
    libraries = list(dict.fromkeys(p["library"] for row in rows for p in row["peers"]))
    print(f"On {about['GPU']}, {about['date'][:10]}: {names(data['versions'])}. In one run, in turn; the ratio is nsamp's rate over the fastest library's:\n")
    print(f"| work | chains | nsamp | {' | '.join(libraries)} | ratio |")
    print("|---|---|---|" + "---|" * len(libraries) + "---|")
    for row in rows:
        own, (rate, _) = median(row["nsamp"]["rates"]), best(row["peers"])
        rates = {p["library"]: f"{median(p['rates']):.3g}" for p in row["peers"] if p["rates"]}
        cells = " | ".join(rates.get(library, "") for library in libraries)
        print(f"| {row['work'].removesuffix(' on the GPU')}, {row['unit']} | {row['chains']:,} | {own:.3g} | {cells} | {f'{own / rate:.2f}' if rate else ''} |")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: markdown.py PEERS.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    timed = [row for row in data["rows"] if row["nsamp"]["rates"]]
    on_gpu = [row for row in timed if row.get("backend") == "cuda"]
    on_cpu = [row for row in timed if row not in on_gpu]
    if on_cpu:
        print_cpu(data, on_cpu)
    if on_cpu and on_gpu:
        print()
    if on_gpu:
        print_gpu(data, on_gpu)


if __name__ == "__main__":
    main()
