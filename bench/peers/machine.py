"""What the comparison runs on, and the environment that every competitor gets."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from pathlib import Path

# They choose OpenBLAS's kernels by hand, sometimes those of an older processor; NumPy would pay for it, nsamp less so.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "PEERS_THREADS")


def set_environment(threads: int) -> None:
    """For this process and all that it starts: threads, their cores, and no choice of OpenBLAS's kernels."""
    for name in THREADS:
        os.environ[name] = str(threads)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def unset_before() -> str:
    """What mk/peers.sh took out of the environment."""
    return os.environ.get("PEERS_UNSET", "") or "nothing: not set"


def processor() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = {key: re.search(rf"^{key}\s*: (.*)$", text, re.M) for key in ("model name", "cpu family", "model")}
    words = {key: match.group(1) if match else "?" for key, match in found.items()}
    vector = "AVX-512" if " avx512f " in text else "AVX2" if " avx2 " in text else "no AVX2"
    return f"{words['model name']} (family {words['cpu family']}, model {words['model']}), {vector}, {os.cpu_count()} cores"


def tried_on_cpu() -> bool:
    """PEERS_TRY=cpu runs what a GPU would be sent on the CPU, to find mistakes; nothing of that is a comparison."""
    return os.environ.get("PEERS_TRY") == "cpu"


def gpu() -> str:
    if tried_on_cpu():
        return "none: tried on the CPU"
    try:
        found = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"], capture_output=True, text=True, check=True)
        return found.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def load() -> float:
    return os.getloadavg()[0]


def describe() -> dict[str, str]:
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%MZ"),
        "processor": processor(),
        "GPU": gpu() or "none",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load at start": f"{load():.2f}",
        "unset for all": unset_before(),
    }
