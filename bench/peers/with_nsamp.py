"""nsamp by its C library, for the comparison on a GPU: one run of each row, which waits in its progress callback for its turns.

A program started anew for each sample would spend its time on the device's set-up and on weights. PEERS_NSAMP names the library. A turn is from the
return of the callback to a later call of it: whole steps of all chains, accumulators included, by a clock of our own.
"""

from __future__ import annotations

import ctypes
import os
import queue
import tempfile
import threading
import time

from . import machine

LIBRARY = ctypes.CDLL(os.environ["PEERS_NSAMP"])
SPARE_STEPS = 1 << 44  # more than any run will take
STARTED_SECONDS = 120.0


def set_threads(threads: int) -> None:
    """Each job says how many."""
    global THREADS
    THREADS = threads


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int), ("text", ctypes.c_char * 1024)]


class Progress(ctypes.Structure):
    """nsamp_progress of nsamp.h."""

    _fields_ = [
        ("phase", ctypes.c_char_p), ("done", ctypes.c_uint64), ("total", ctypes.c_uint64), ("seconds", ctypes.c_double),
        ("rate", ctypes.c_double), ("seconds_left", ctypes.c_double), ("loss", ctypes.c_double), ("level", ctypes.c_int),
        ("levels", ctypes.c_int), ("diverged", ctypes.c_uint64), ("epoch", ctypes.c_double), ("epochs", ctypes.c_double),
        ("held_out", ctypes.c_double), ("score_error", ctypes.c_double), ("where", ctypes.c_char_p),
    ]  # fmt: skip


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Progress), ctypes.c_void_p)
LIBRARY.nsamp_job_create.restype = ctypes.c_void_p
LIBRARY.nsamp_plan_text.restype = ctypes.c_char_p


def call(name: str, *arguments) -> None:
    error = Error()
    if getattr(LIBRARY, name)(*arguments, ctypes.byref(error)):
        raise RuntimeError(error.text.decode())


class Run:
    """problem: job, its words as on a command line; rows: whether progress counts rows of a training, chains at a time."""

    def __init__(self, problem):
        self.verb, *words = problem["job"]
        self.rows_a_step = problem["chains"] if problem["rows"] else 1
        self.folder = tempfile.TemporaryDirectory(prefix="bench-peers-nsamp-")
        self.job, self.plan = ctypes.c_void_p(LIBRARY.nsamp_job_create()), ctypes.c_void_p()
        endless = "train.epochs=1e9" if problem["rows"] else f"run.steps={SPARE_STEPS}"
        for word in (*words, endless, f"run.backend={'cpu' if machine.tried_on_cpu() else 'cuda'}", f"run.threads={THREADS}"):
            key, value = word.replace("{folder}", self.folder.name).split("=", 1)
            call("nsamp_job_set", self.job, key.encode(), value.encode())
        if self.verb == "run":
            call("nsamp_plan_create", self.job, ctypes.byref(self.plan))
        self.turns, self.answers = queue.SimpleQueue(), queue.SimpleQueue()
        self.wanted, self.left, self.stopped = 0.0, None, False
        self.callback = Callback(self.report)
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self) -> None:
        try:
            if self.verb == "run":
                call("nsamp_plan_run", self.plan, self.callback, None)
            else:
                call("nsamp_train", self.job, self.callback, None)
            self.answers.put("it came to its end")
        except RuntimeError as error:
            self.answers.put(str(error))

    def report(self, progress, _) -> int:
        now, done = time.perf_counter(), progress.contents.done
        if self.stopped:
            return 1
        if self.left:
            if now - self.left[0] < self.wanted:
                return 0
            self.answers.put(((done - self.left[1]) / self.rows_a_step, now - self.left[0]))
        else:  # the first steps are warm-up
            self.answers.put((0.0, 0.0))
        self.wanted = self.turns.get()
        if self.wanted is None:
            self.stopped = True
            return 1
        self.left = (time.perf_counter(), done)
        return 0

    def measure(self, seconds):
        """-> steps and what they took; the first call only starts the run."""
        if self.thread.ident is None:
            self.thread.start()
        else:
            self.turns.put(seconds)
        answer = self.answers.get(timeout=STARTED_SECONDS)
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def close(self) -> None:
        if self.thread.ident is not None:
            self.turns.put(None)
            self.thread.join()
        if self.plan:
            LIBRARY.nsamp_plan_destroy(self.plan)
        LIBRARY.nsamp_job_destroy(self.job)


VERSION = "nsamp, libnsamp.so"
CANDIDATES = {"own": {"nsamp": Run}}
