"""Reservoir-sampler networks: x <- x + h (W1 phi(W2 x + b) - x) + sqrt(2h) z.

With relu the network is linear, since its units come in pairs relu(a) - relu(-a) = a: drift -K x, and the law of the
recursion is exact. With tanh the weights are those of a network that nsamp trains for the purpose, and the peers are held to the
moments that nsamp itself finds, after the same number of steps from the same start.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

from . import laws
from .rows import Problem, Row, Scores

H = 0.05
SIZES = ((2, 1000, 4096, 100), (64, 512, 4096, 60), (300, 20000, 512, 8), (784, 4096, 512, 12))
ON_GPU = {2: 262144, 64: 131072, 300: 4096, 784: 8192}  # chains
TANH = "peers-tanh.nc"


def drift_matrix(m: int) -> np.ndarray:
    """K: eigenvalues 0.3 to 1.2 of its symmetric part, and a small skew part."""
    rng = np.random.default_rng(m)
    vectors, _ = np.linalg.qr(rng.standard_normal((m, m)))
    skew = rng.standard_normal((m, m)) * 0.05 / np.sqrt(m)
    return (vectors * np.linspace(0.3, 1.2, m)) @ vectors.T + skew - skew.T


@functools.lru_cache
def linear_weights(m: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the first half of the units, which come in pairs of opposite sign: W1 W2 = I - K on it."""
    w2 = np.random.default_rng(2 * half).standard_normal((half, m)) / np.sqrt(m)
    return (np.eye(m) - drift_matrix(m)) @ np.linalg.pinv(w2), w2


def linear_problem(m: int, n: int, chains: int, bf16: bool) -> Problem:
    w1, w2 = linear_weights(m, n // 2)
    return {
        "m": m, "n": n, "chains": chains, "h": H, "noise": np.sqrt(2 * H), "phi": "relu", "bf16": bf16,
        "w2": np.vstack([w2, -w2]), "w1": np.hstack([w1, -w1]), "b": np.zeros(n),
    }  # fmt: skip


@functools.lru_cache
def linear_law(m: int, h: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Covariance after so many steps from zero, and what whitens it."""
    step = np.eye(m) - h * drift_matrix(m)
    exact = np.zeros((m, m))
    for _ in range(steps):
        exact = step @ exact @ step.T + 2 * h * np.eye(m)
    return exact, np.linalg.inv(np.linalg.cholesky(exact))


def linear_scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    m = problem["m"]
    exact, root = linear_law(m, problem["h"], problem["check_steps"])
    off = (exact.sum() - np.trace(exact)) / (m * (m - 1))
    return laws.gaussian_scores(result["x"], 0.0, np.trace(exact) / m, off, lambda x: x @ root.T)


def settings(m: int, n: int, chains: int) -> list[str]:
    model = f"system.name=rsn system.model=builtin:linear target.dim={m} train.hidden={n} system.dt={H}"
    return [*model.split(), f"run.chains={chains}"]


def has_matrix_unit() -> bool:
    """Whether nsamp has a processor's matrix unit for bf16x3; without it that is slower than fp32."""
    flags = Path("/proc/cpuinfo")
    return flags.exists() and " amx_bf16" in flags.read_text()


NOTES = {
    "fp32": "",
    "bf16": "bf16 weights",
    "bf16x3": "float32; nsamp: factors in three bf16 parts, for the matrix unit, with the error of float32",
}


def row(m: int, n: int, chains: int, steps: int, precision: str) -> Row:
    bf16 = precision == "bf16"
    return Row(
        name=f"RSN, m {m}, n {n}, {'relu' if m == 2 else precision}",
        work="planar" if m == 2 else "network",
        unit="chain-steps",
        scale=1,
        chains=chains,
        nsamp=("run", *settings(m, n, chains), f"run.precision={precision}"),
        problem=functools.partial(linear_problem, m, n, chains, bf16),
        scores=linear_scores,
        check_steps=steps,
        libraries=("jax", "torch") if bf16 else None,
        note=NOTES[precision],
        exact=functools.partial(linear_law, m, H, steps),
    )


def train_tanh(nsamp) -> Path:
    """The network of the tanh row: two outputs, trained by nsamp for a moment on a mixture of two Gaussians."""
    path = nsamp.folder / TANH
    job = (
        "target.name=mixture target.dim=2 train.form=score train.hidden=1000 train.activation=tanh train.sigmas=0.3 train.epochs=1 "
        "train.draws=10000 train.control_variate=yes train.wiener=no train.batch=256 train.lr=1e-2 model.overwrite=yes"
    )
    nsamp.call("train", *job.split(), "target.means=-1 -1 1 1", "target.sds=0.7 0.7", f"model.file={path}")
    return path


def tanh_reference(nsamp, row: Row, problem: Problem) -> None:
    """Adds the weights, and nsamp's moments over chains after check_steps steps from zero."""
    import netCDF4

    with netCDF4.Dataset(train_tanh(nsamp)) as file:
        problem |= {name: np.asarray(file[name][:], dtype=np.float64) for name in ("w1", "w2", "b")}
    output, steps = nsamp.folder / "tanh-moments.nc", row.check_steps
    ends = [f"run.steps={steps}", f"run.burn_in={steps - 1}", "run.start=zero", "run.chains=16384"]
    nsamp.call(*nsamp.settings(row), *ends, f"output.file={output}", "output.overwrite=yes")
    problem["moments"] = json.loads(nsamp.call("stats", str(output), "--json"))["moments"]


def tanh_problem(chains: int) -> Problem:
    return {"chains": chains, "m": 2, "n": 1000, "h": H, "noise": np.sqrt(2 * H), "phi": "tanh"}


def tanh_scores(problem: Problem, result: dict[str, np.ndarray]) -> Scores:
    """Two-sample scores: mean, variance and covariance against nsamp's, which have standard errors of their own."""
    x, moments = np.asarray(result["x"], dtype=np.float64), problem["moments"]
    root = np.sqrt(len(x))
    mean, centred = x.mean(0), x - x.mean(0)

    def against(per_chain, value, error):
        return float((per_chain.mean() - value) / np.hypot(per_chain.std() / root, error))

    found = {f"mean {i}": against(x[:, i], moments["mean"][i], moments["mean_se"][i]) for i in range(2)}
    found |= {f"variance {i}": against(centred[:, i] ** 2, moments["var"][i], moments["var_se"][i]) for i in range(2)}
    found["covariance"] = against(centred.prod(1), moments["cov"][0][1], moments["cov_se"][0][1])
    return found


def tanh_row(chains: int, steps: int) -> Row:
    return Row(
        name="RSN, m 2, n 1000, tanh",
        work="planar",
        unit="chain-steps",
        scale=1,
        chains=chains,
        nsamp=("run", "system.name=rsn", f"system.model={{folder}}/{TANH}", f"system.dt={H}", f"run.chains={chains}"),
        problem=functools.partial(tanh_problem, chains),
        scores=tanh_scores,
        check_steps=steps,
        reference=tanh_reference,
    )


def rows() -> list[Row]:
    rows = []
    for m, n, chains, steps in SIZES:
        rows.append(row(m, n, chains, steps, "fp32"))
        rows.append(tanh_row(chains, steps) if m == 2 else row(m, n, chains, steps, "bf16"))
        if m > 2 and has_matrix_unit():
            rows.append(row(m, n, chains, steps, "bf16x3"))
    return rows


def gpu_rows() -> list[Row]:
    precisions = lambda m: ("fp32",) if m == 2 else ("fp32", "bf16")
    return [row(m, n, ON_GPU[m], steps, precision) for m, n, _, steps in SIZES for precision in precisions(m)]
