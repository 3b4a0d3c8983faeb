"""One process for each library: it holds samplers, advances them when told to, and returns what they hold.

A library's module (with_LIBRARY.py) has VERSION, set_threads(threads) and CANDIDATES: work -> {label: factory}. A factory takes
the problem of a row and returns a sampler that starts at the row's start, with
  advance(steps)   moves every chain by so many steps and returns when that is done
  result()         {"x": chains [C, D] as NumPy, and what else the row's scores want}
A module for a GPU may have BUILDERS, the threads that may build samplers at a time.
"""

from __future__ import annotations

import importlib
import os
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def candidates(module, work: str, problem: dict) -> dict:
    """The candidates of a row: those of its work; a Gaussian of full covariance may be done with the dense matrix too."""
    found = dict(module.CANDIDATES.get(work, {}))
    if "dense" in problem:
        found |= module.CANDIDATES.get("dense", {})
    return found


def one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


RUN = 256  # neighbours that are looked at together


def some(array: np.ndarray, most: int) -> np.ndarray:
    """Most of the rows of an array with one row a chain, in runs of RUN that are spread over all of them; most 0: all."""
    runs = most // RUN
    if not runs or len(array) <= most:
        return array
    first = np.arange(runs) * (len(array) - RUN) // (runs - 1)
    return array[(first[:, None] + np.arange(RUN)).ravel()]


def build_ahead(module, ahead: dict, rows: list, until: float) -> None:
    """Builds the candidates of all rows, (name, work, problem), the first rows first; until: time.time() when to leave the rest."""

    def build(task):
        name, label, factory, problem = task
        began = time.perf_counter()
        try:
            if time.time() > until:
                raise TimeoutError("not built in time")
            ahead[name][label] = (factory(problem), time.perf_counter() - began)
        except Exception as error:
            if os.environ.get("PEERS_TRACEBACK"):
                traceback.print_exc()
            ahead[name][label] = (error, 0.0)

    tasks = []
    for name, work, problem in rows:
        ahead[name] = {}
        tasks += [(name, label, factory, problem) for label, factory in candidates(module, work, problem).items()]
    with ThreadPoolExecutor(getattr(module, "BUILDERS", 1)) as builders:
        list(builders.map(build, tasks))


def take(samplers: dict, ahead: dict, name: str, label: str) -> float:
    """The sampler that was built ahead -> the seconds that took."""
    sampler, seconds = ahead[name].pop(label)
    if isinstance(sampler, Exception):
        raise sampler
    samplers[label] = sampler
    return seconds


def serve(connection, library: str, threads: int, began: float) -> None:
    """Answers commands until told to stop. Every answer is ("ok", value) or ("failed", one line). began: time.time() of the start."""
    try:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        module = importlib.import_module(f"{__package__}.with_{library}")
        module.set_threads(threads)
        connection.send(("ok", (module.VERSION, time.time() - began)))
    except Exception as error:  # an absent library, or one without the device it is for
        connection.send(("failed", one_line(error)))
        return
    samplers: dict[str, object] = {}
    ahead: dict[str, dict] = {}
    while (command := connection.recv()) is not None:
        try:
            connection.send(("ok", obey(module, samplers, ahead, *command)))
        except Exception as error:
            if os.environ.get("PEERS_TRACEBACK"):
                traceback.print_exc()
            connection.send(("failed", one_line(error)))


def obey(module, samplers: dict, ahead: dict, verb: str, *args):
    if verb == "list":
        return list(candidates(module, *args))
    if verb == "build":
        label, work, problem = args
        samplers[label] = candidates(module, work, problem)[label](problem)
        return None
    if verb == "build ahead":
        return build_ahead(module, ahead, *args)
    if verb == "built ahead":
        return list(ahead.get(args[0], {}))
    if verb == "take":
        return take(samplers, ahead, *args)
    if verb == "advance":
        label, steps = args
        began = time.perf_counter()
        samplers[label].advance(steps)
        return time.perf_counter() - began
    if verb == "result":
        label, most = args
        found = {key: value if isinstance(value, str) else np.asarray(value) for key, value in samplers[label].result().items()}
        return {key: some(value, most) if key in ("x", "accepted") else value for key, value in found.items()}
    if verb == "measure":
        label, seconds = args
        return samplers[label].measure(seconds)
    if verb == "drop":
        for label in args or list(samplers):
            sampler = samplers.pop(label, None)
            if hasattr(sampler, "close"):
                sampler.close()
        return None
    raise ValueError(f"unknown command {verb}")
