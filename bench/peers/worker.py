"""One process for each library: it holds samplers, advances them when told to, and returns what they hold.

A library's module (with_LIBRARY.py) has VERSION, set_threads(threads) and CANDIDATES: work -> {label: factory}. A factory takes
the problem of a row and returns a sampler that starts at the row's start, with
  advance(steps)   moves every chain by so many steps and returns when that is done
  result()         {"x": chains [C, D] as NumPy, and what else the row's scores want}
"""

from __future__ import annotations

import importlib
import os
import time
import traceback

import numpy as np


def candidates(module, work: str, problem: dict) -> dict:
    """The candidates of a row: those of its work; a Gaussian of full covariance may be done with the dense matrix too."""
    found = dict(module.CANDIDATES.get(work, {}))
    if "dense" in problem:
        found |= module.CANDIDATES.get("dense", {})
    return found


def serve(connection, library: str, threads: int) -> None:
    """Answers commands until told to stop. Every answer is ("ok", value) or ("failed", one line)."""
    try:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
        module = importlib.import_module(f"{__package__}.with_{library}")
        module.set_threads(threads)
        connection.send(("ok", module.VERSION))
    except Exception as error:  # an absent library, or one without the device it is for
        connection.send(("failed", f"{type(error).__name__}: {error}".splitlines()[0]))
        return
    samplers: dict[str, object] = {}
    while (command := connection.recv()) is not None:
        try:
            connection.send(("ok", obey(module, samplers, *command)))
        except Exception as error:
            if os.environ.get("PEERS_TRACEBACK"):
                traceback.print_exc()
            connection.send(("failed", f"{type(error).__name__}: {error}".splitlines()[0]))


def obey(module, samplers: dict, verb: str, *args):
    if verb == "list":
        return list(candidates(module, *args))
    if verb == "build":
        label, work, problem = args
        samplers[label] = candidates(module, work, problem)[label](problem)
        return None
    if verb == "advance":
        label, steps = args
        began = time.perf_counter()
        samplers[label].advance(steps)
        return time.perf_counter() - began
    if verb == "result":
        return {key: np.asarray(value) if not isinstance(value, str) else value for key, value in samplers[args[0]].result().items()}
    if verb == "drop":
        samplers.clear() if not args else samplers.pop(args[0], None)
        return None
    raise ValueError(f"unknown command {verb}")
