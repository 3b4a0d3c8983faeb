"""The table for people and the numbers for machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import median

from .compare import Outcome, Result
from .peer import Entry


def title(outcome: Outcome) -> str:
    return outcome.row.name + (" on the GPU" if outcome.backend == "cuda" else "")


def fastest(outcome: Outcome) -> Entry | None:
    timed = [entry for entry in outcome.peers if entry.rates]
    return max(timed, key=lambda entry: median(entry.rates), default=None)


def head(result: Result) -> list[str]:
    lines = [f"{key:14} {value}" for key, value in result.about.items()]
    lines += [f"{name:14} {version}" for name, version in result.versions.items()]
    lines += [f"{name:14} absent: {why}" for name, why in result.absent.items()]
    return lines + [f"{name:14} left out: {why}" for name, why in result.left_out.items()]


def checks(outcome: Outcome) -> list[str]:
    lines = [title(outcome)]
    for entry in outcome.peers:
        if entry.failed:
            lines.append(f"  {entry.library:13} FAILED  {entry.failed}")
        else:
            worst = max(entry.scores, key=lambda name: abs(entry.scores[name]))
            lines.append(f"  {entry.library:13} holds   {len(entry.scores)} scores, largest {entry.scores[worst]:+.2f} ({worst})")
        lines += [f"  {entry.library:13} FAILED  {text}" for text in entry.dropped]
    return lines


def rate(entry: Entry, reference: float) -> str:
    if not entry.rates:
        return f"  {entry.library:13} {'failed' if entry.failed else '-':>10}  {entry.failed}"
    middle = median(entry.rates)
    spread = 100 * (max(entry.rates) - min(entry.rates)) / middle
    times = "" if entry.library == "nsamp" else f"{reference / middle:8.2f} x" if reference else " " * 10
    return f"  {entry.library:13} {middle:10.3g} {spread:8.0f} % {entry.startup:10.2f} {times:>11}   {entry.label}"


def section(outcome: Outcome) -> list[str]:
    own = median(outcome.nsamp.rates) if outcome.nsamp.rates else 0.0
    lines = [f"{title(outcome)}   ({outcome.row.unit}/s{'; ' + outcome.row.note if outcome.row.note else ''})"]
    lines += [rate(entry, own) for entry in (outcome.nsamp, *outcome.peers)]
    best = fastest(outcome)
    if best and own:
        lines.append(f"  nsamp / fastest peer ({best.library}: {best.label}): {own / median(best.rates):.2f}")
    return lines


def summary(result: Result) -> list[str]:
    lines = ["", f"{'work':52} {'nsamp':>10} {'fastest peer':>13} {'ratio':>7}  which"]
    for outcome in result.outcomes:
        best = fastest(outcome)
        if best and outcome.nsamp.rates:
            own, other = median(outcome.nsamp.rates), median(best.rates)
            lines.append(f"{title(outcome):52} {own:10.3g} {other:13.3g} {own / other:7.2f}  {best.library}: {best.label}")
    return lines


def table(result: Result) -> str:
    lines = head(result) + [""]
    if result.checked_only:
        for outcome in result.outcomes:
            lines += checks(outcome)
        failed = len(result.failures)
        held = sum(not entry.failed for outcome in result.outcomes for entry in outcome.peers)
        return "\n".join([*lines, f"{held} held to their laws, {failed} failed, {len(result.absent)} absent"])
    lines.append(f"  {'':13} {'median':>10} {'spread':>10} {'start-up s':>10} {'nsamp is':>11}   how")
    for outcome in result.outcomes:
        lines += section(outcome)
    return "\n".join([*lines, *summary(result), "", f"{result.seconds:.0f} s in all"])


def to_json(result: Result) -> str:
    outcomes = [
        {"work": title(o), "backend": o.backend, "chains": o.row.chains, "unit": o.row.unit + "/s", "nsamp": asdict(o.nsamp), "peers": [asdict(entry) for entry in o.peers]}
        for o in result.outcomes
    ]
    return json.dumps(
        {"about": result.about, "versions": result.versions, "absent": result.absent, "left_out": result.left_out, "seconds": result.seconds, "rows": outcomes},
        indent=1,
    )
