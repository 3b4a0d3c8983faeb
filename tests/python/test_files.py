"""test_files.py FOLDER: reads the files of write_files.c with ArviZ and xarray and prints TAP lines."""
import datetime
import sys
import traceback
import warnings

import arviz
import numpy as np
import xarray

FOLDER = sys.argv[1]
ENGINES = ("netcdf4", "h5netcdf")


def group(name, file="sample.nc", engine="netcdf4"):
    return xarray.open_dataset(f"{FOLDER}/{file}", group=name, engine=engine)


def expected_x():
    chain, draw, dim = np.meshgrid(range(3), range(5), range(2), indexing="ij")
    return 100 * chain + 10 * draw + dim + 0.25


def arviz_opens_the_output():
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing about the layout may look strange to it
        warnings.filterwarnings("ignore", message=".*not defined in the InferenceData scheme.*")
        data = arviz.from_netcdf(f"{FOLDER}/sample.nc")
    assert {"posterior", "sample_stats", "moments", "statistics"} <= set(data.groups()), data.groups()
    x = data.posterior["x"]
    assert x.dims == ("chain", "draw", "dim") and x.dtype == np.float32
    assert np.array_equal(x.values, expected_x())
    assert list(x.chain.values) == [0, 1, 2] and list(x.draw.values) == [10, 20, 30, 40, 50]
    assert data.posterior.attrs["inference_library"] == "nsamp"


def arviz_computes_from_it():
    data = arviz.from_netcdf(f"{FOLDER}/run.nc")
    table = arviz.summary(data, var_names=["x"])
    assert len(table) == 3 and np.isfinite(table.values.astype(float)).all()


def xarray_opens_each_group():
    for engine in ENGINES:
        for name in ("posterior", "sample_stats", "moments", "statistics"):
            with group(name, engine=engine) as data:
                assert data.sizes, name
        with group("posterior", engine=engine) as data:
            assert np.array_equal(data["x"].values, expected_x())
            assert data.sel(chain=1, draw=30)["x"].values.tolist() == [120.25, 121.25]


def sample_stats_tell_who_diverged():
    data = group("sample_stats")
    assert data["diverged"].dtype == bool and data["diverged"].dims == ("chain", "draw")
    assert data["diverged"].values.tolist() == [[False] * 5, [False] * 2 + [True] * 3, [False] * 5]
    assert data["first_bad_step"].values.tolist() == [-1, 25, -1]


def moments_have_names_and_errors():
    data = group("moments")
    assert data["mean"].dims == ("dim",) and data["mean"].values.tolist() == [1, 2]
    assert data["mean_se"].values.tolist() == [0.5, 0.25]
    assert data["mean_exact"].values.tolist() == [0, 0]
    assert data["cov"].dims == ("dim", "dim_other") and data["cov"].values.tolist() == [[3, 0.5], [0.5, 4]]
    assert float(data["offdiag"]) == 0.5 and "offdiag_exact" not in data and "tau_exact" not in data
    assert data.attrs["diverged"] == 1 and data.attrs["exact_source"] == "made up for a test"


def statistics_have_units():
    data = group("statistics")
    assert data["rate"].values.tolist() == [0.1, 0.2, 0.3] and data["rate"].attrs["units"] == "Hz"
    assert data["rate_exact"].values.tolist() == [0.11, 0.21, 0.31]
    assert data["acceptance"].shape == (1,)


def every_option_is_told():
    for engine in ENGINES:
        with xarray.open_dataset(f"{FOLDER}/sample.nc", engine=engine) as data:
            a = data.attrs
        assert a["run.seed"] == 77 and a["seed"] == 77 and a["target.rho"] == 0.5
        assert list(a["target.weights"]) == [0.25, 0.75]
        assert a["system.name"] == "langevin" and a["target.rho.origin"] == "default"
        assert a["output.status"] == "" and a["run.resume"] == "no"
        keys = {k[: -len(".origin")] for k in a if k.endswith(".origin")}
        assert len(keys) > 50 and keys <= set(a)
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(a["created_at"])
        assert datetime.timedelta(0) <= age + datetime.timedelta(seconds=2) < datetime.timedelta(days=1)
        assert a["noise_version"] >= 1 and a["nsamp_version"] and a["host"]


def moments_agree_with_the_draws():
    """A run in which every accumulated sample is stored: NumPy's figures against those of the run."""
    x = group("posterior", "run.nc")["x"].values.astype(np.float64)
    m = group("moments", "run.nc")
    chains, draws, dim = x.shape
    assert (chains, draws, dim) == (64, 200, 3)
    assert m.attrs["samples_per_chain"] == draws
    flat = x.reshape(-1, dim)
    batches = x.reshape(chains * (2 if m.attrs["half_batches"] else 1), -1, dim)
    count, length = batches.shape[:2]
    between = batches.mean(1).var(0, ddof=1)  # whole chains, or halves of them, as batches
    var = batches.var(1).mean(0) + between
    assert np.allclose(m["mean"], flat.mean(0), rtol=0, atol=1e-12)
    assert np.allclose(m["var"], var, rtol=1e-10)
    assert np.allclose(m["mean_se"], np.sqrt(between / count), rtol=1e-9)
    assert np.allclose(m["ess"], count * var / between, rtol=1e-9)
    assert np.allclose(m["tau"], length * 5 * between / var, rtol=1e-9)
    centred = flat - flat.mean(0)
    assert np.allclose(m["cov"], centred.T @ centred / len(flat), rtol=0.01)  # its divisor allows for correlated draws
    assert np.allclose(m["min"], flat.min(0), atol=0) and np.allclose(m["max"], flat.max(0), atol=0)
    rhat = arviz.rhat(arviz.from_netcdf(f"{FOLDER}/run.nc"), method="split")["x"]
    assert np.allclose(m["rhat"], rhat, rtol=1e-6), (m["rhat"].values, rhat.values)
    assert np.array_equal(group("posterior", "run.nc")["draw"].values, np.arange(105, 1101, 5))


def model_file_opens():
    with xarray.open_dataset(f"{FOLDER}/model.nc", engine="netcdf4") as data:
        assert data["w1"].dims == ("m", "n") and data["w2"].dims == ("n", "m") and data["b"].dims == ("n",)
        i = np.arange(15, dtype=np.float32)
        assert np.array_equal(data["w1"].values.ravel(), np.float32(0.1) * i - np.float32(0.7))
        assert data["pca_components"].shape == (3, 8) and data["loss_level"].values.tolist() == [1, 2]
        assert data.attrs["activation"] == "tanh" and data.attrs["form"] == "denoiser"
        assert data.attrs["sigma"] == 0.4 and "train.hidden = 5" in data.attrs["job"]


TESTS = [
    arviz_opens_the_output,
    arviz_computes_from_it,
    xarray_opens_each_group,
    sample_stats_tell_who_diverged,
    moments_have_names_and_errors,
    statistics_have_units,
    every_option_is_told,
    moments_agree_with_the_draws,
    model_file_opens,
]

failed = 0
print(f"1..{len(TESTS)}")
for number, test in enumerate(TESTS, 1):
    try:
        test()
        print(f"ok {number} - {test.__name__}")
    except Exception:
        failed += 1
        print(f"not ok {number} - {test.__name__}")
        print("".join("# " + line for line in traceback.format_exc().splitlines(keepends=True)))
sys.exit(failed > 0)
