"""Sweeps survive what happens to long computations, and give the same bits everywhere."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from minigrad import sweep
from minigrad.sweep import store
from minigrad.sweep.runs import _key

ROOT = Path(__file__).parents[1]


def walk(seed, length=200):
    steps = np.random.default_rng(seed).normal(size=(length, length)).astype(np.float32)
    product = steps @ steps.T
    return {"trace": np.trace(product), "path": product[0, :5], "seen": [np.int64(seed), None]}


def double(x):
    return 2 * x


def counted(x, log):
    with open(log, "a") as file:
        file.write(f"{x}\n")
    return {"y": x * x}


def without_seconds(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def same_bits(a, b):
    return store.dumps(store.encode(without_seconds(a))) == store.dumps(
        store.encode(without_seconds(b))
    )


def serial(function, configurations, **options):
    return sweep.run(function, configurations, n_jobs=1, progress=False, **options)


def parallel(function, configurations, **options):
    return sweep.run(function, configurations, n_jobs=2, progress=False, **options)


def test_grid_is_the_product_with_the_last_axis_fastest():
    rows = sweep.grid(width=[8, 64], rule="adam", seed=range(2))
    assert [(r["width"], r["seed"]) for r in rows] == [(8, 0), (8, 1), (64, 0), (64, 1)]
    assert {r["rule"] for r in rows} == {"adam"}


def test_rows_come_in_the_order_of_the_configurations():
    rows = serial(double, [{"x": 3}, {"x": 1}, {"x": 3}])
    assert [(r["x"], r["value"]) for r in rows] == [(3, 6), (1, 2), (3, 6)]
    assert all(r["seconds"] >= 0 for r in rows)


def test_serial_parallel_and_read_back_are_bit_identical(tmp_path):
    configurations = sweep.grid(length=[50, 200], seed=range(3))
    here = serial(walk, configurations)
    there = parallel(walk, configurations, store=tmp_path / "walk.jsonl")
    again = serial(walk, configurations, store=tmp_path / "walk.jsonl")
    assert same_bits(here, there) and same_bits(there, again)
    assert here[0]["path"].dtype == np.float32 and isinstance(here[0]["trace"], float)


def test_finished_sweep_is_read_back_without_running_or_writing(tmp_path):
    path, log = tmp_path / "s.jsonl", str(tmp_path / "log")
    configurations = sweep.grid(x=range(200), log=log)
    serial(counted, configurations, store=path)
    size, started = path.stat().st_size, time.perf_counter()
    rows = serial(counted, configurations, store=path)
    assert time.perf_counter() - started < 0.5
    assert len(rows) == 200 and path.stat().st_size == size
    assert len(Path(log).read_text().split()) == 200


def test_only_what_is_missing_runs(tmp_path):
    path, log = tmp_path / "s.jsonl", str(tmp_path / "log")
    serial(counted, sweep.grid(x=[1, 2], log=log), store=path)
    rows = serial(counted, sweep.grid(x=[1, 2, 3], log=log), store=path)
    assert [r["y"] for r in rows] == [1, 4, 9]
    assert Path(log).read_text().split() == ["1", "2", "3"]
    assert [r["x"] for r in sweep.load(path)] == [1, 2, 3]


def test_a_new_version_runs_again(tmp_path):
    path, log = tmp_path / "s.jsonl", str(tmp_path / "log")
    for version in (1, 1, "2"):
        serial(counted, sweep.grid(x=[1], log=log), store=path, version=version)
    assert Path(log).read_text().split() == ["1", "1"]
    with pytest.raises(ValueError, match="say which function= and version="):
        sweep.load(path)
    assert len(sweep.load(path, version="2")) == 1


def test_two_functions_share_a_store(tmp_path):
    path = tmp_path / "s.jsonl"
    first = serial(double, [{"x": 1}], store=path)
    second = serial(walk, [{"seed": 1, "length": 3}], store=path)
    assert serial(double, [{"x": 1}], store=path) == first
    assert same_bits(sweep.load(path, function="walk"), second)
    with pytest.raises(ValueError, match=r"'double'.*'walk'"):
        sweep.load(path)


def test_a_changed_function_is_noticed(tmp_path):
    path = tmp_path / "s.jsonl"
    serial(double, [{"x": 1}], store=path, name="f")
    with pytest.warns(UserWarning, match="f has changed"):
        rows = serial(walk, [{"x": 1}], store=path, name="f")
    assert rows[0]["value"] == 2


def test_a_store_begins_with_its_record(tmp_path):
    path = tmp_path / "deep" / "s.jsonl"
    serial(double, [{"x": 1}, {"x": 2}], store=path, device="H200")
    first = json.loads(path.read_text().splitlines()[0])["record"]
    assert {"command", "versions", "device", "cpu", "started"} <= set(first)
    assert first["device"] == "H200" and "numpy" in first["versions"]
    assert str(ROOT) not in path.read_text() and os.sep not in first["command"]
    (session,) = sweep.records(path)
    assert session["runs"] == 2 and session["function"] == "double"


@pytest.mark.parametrize("tail", [b'{"key": "abc", "resu', b'{"key": "\xc3', b"{]"])
def test_a_torn_last_line_is_tolerated_and_removed(tmp_path, tail):
    path = tmp_path / "s.jsonl"
    serial(double, [{"x": 1}], store=path)
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert len(sweep.load(path)) == 1
    rows = serial(double, [{"x": 1}, {"x": 2}], store=path)
    assert [r["value"] for r in rows] == [2, 4]
    assert path.read_bytes().startswith(whole) and tail not in path.read_bytes()
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_line_without_its_newline_is_kept(tmp_path):
    path = tmp_path / "s.jsonl"
    serial(double, [{"x": 1}], store=path)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    serial(double, [{"x": 2}], store=path)
    assert [r["x"] for r in sweep.load(path)] == [1, 2]


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    path = tmp_path / "s.jsonl"
    path.write_text('{"record": {}}\n{"key"\n{"key": 1}\n')
    with pytest.raises(ValueError, match=r"s.jsonl, line 2 is no JSON object"):
        sweep.load(path)


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_two_sweeps_cannot_write_to_one_store(tmp_path):
    with store.appending(tmp_path / "s.jsonl"), pytest.raises(RuntimeError, match="another sweep"):
        serial(double, [{"x": 1}], store=tmp_path / "s.jsonl")


@pytest.mark.parametrize(
    "value",
    [
        1, True, None, "ä\n", 0.1, -0.0, 1e-320, [[1, 2.5], [3, None]], {"a": {"b": []}},
        float("inf"), float("-inf"), [float("inf"), 1.0],
        np.arange(6, dtype=np.int8).reshape(2, 3), np.array([True, False]), np.zeros((0, 3)),
        np.array([np.pi, np.inf, -0.0]), np.float32([[0.1, 1e-45]]), np.array(3.5),
        np.random.default_rng(0).normal(size=7).astype(np.float16),
    ],
)  # fmt: skip
def test_json_round_trip_is_exact(value):
    line = store.dumps(store.encode(value))
    assert "Infinity" not in line
    back = store.decode(json.loads(line))
    np.testing.assert_array_equal(back, value)
    assert type(back) is type(value) and getattr(back, "dtype", 0) == getattr(value, "dtype", 0)
    if isinstance(value, (float, np.ndarray)):
        np.testing.assert_array_equal(np.signbit(back), np.signbit(value))


def test_json_of_nan_and_numpy_scalars():
    assert np.isnan(store.decode(json.loads(store.dumps(store.encode(float("nan"))))))
    assert store.encode({"a": np.float32(0.5), "b": (np.int64(2), np.bool_(True))}) == {
        "a": 0.5, "b": [2, True],
    }  # fmt: skip
    with pytest.raises(TypeError, match=r"result\['net'\]\[1\] is a object"):
        store.encode({"net": [1, object()]}, "result")
    with pytest.raises(TypeError, match="key 3"):
        store.encode({3: 1})
    with pytest.raises(TypeError, match="complex"):
        store.encode(np.ones(2, complex))


def test_key_does_not_depend_on_order_or_number_type():
    assert _key("f", 1, {"a": 1, "b": 2.5}, 0) == _key(
        "f", 1, {"b": np.float64(2.5), "a": np.int32(1)}, 0
    )
    keys = {_key(n, v, c, 0) for n in "fg" for v in (1, 2) for c in ({"a": 1}, {"a": 2})}
    assert len(keys) == 8


def test_functions_and_configurations_that_cannot_be_stored_are_named():
    with pytest.raises(ValueError, match="pass name="):
        serial(lambda x: x, [{"x": 1}])
    assert serial(lambda x: -x, [{"x": 1}], name="minus")[0]["value"] == -1
    with pytest.raises(TypeError, match=r"configurations\[1\]\['x'\] is a object"):
        serial(double, [{"x": 1}, {"x": object()}])


def fails_on_three(x):
    if x == 3:
        raise ZeroDivisionError("three is too much")
    return x


@pytest.mark.parametrize("way", [serial, parallel])
def test_an_error_names_its_configuration_and_the_rest_is_kept(tmp_path, way):
    path = tmp_path / "s.jsonl"
    with pytest.raises(sweep.SweepError, match=r"1 of 5 runs failed, 4 finished") as caught:
        way(fails_on_three, sweep.grid(x=range(1, 6)), store=path)
    assert "{'x': 3}" in str(caught.value) and "three is too much" in str(caught.value)
    assert caught.value.failures[0][0] == {"x": 3}
    assert sorted(r["x"] for r in sweep.load(path)) == [1, 2, 4, 5]


def always_fails(x, log):
    counted(x, log)
    return {"x": x}  # repeats the name of the argument


def test_a_function_that_always_fails_stops_the_sweep_early(tmp_path):
    log = str(tmp_path / "log")
    with pytest.raises(sweep.SweepError, match=r"repeats the names \['x'\]"):
        serial(always_fails, sweep.grid(x=range(50), log=log))
    assert len(Path(log).read_text().split()) == 3


def threads():
    from threadpoolctl import threadpool_info

    numpy_blas = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
    return {"threads": numpy_blas, "variable": os.environ["OMP_NUM_THREADS"]}


@pytest.mark.parametrize("way", [serial, parallel])
def test_every_run_has_one_blas_thread(way):
    before = os.environ.get("OMP_NUM_THREADS")
    (row,) = way(threads, [{}])
    assert set(row["threads"]) == {1} and row["variable"] == "1"
    assert os.environ.get("OMP_NUM_THREADS") == before


def dies_once(x, mark):
    if x == 2 and not os.path.exists(mark):
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return x


def always_dies(x):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_worker_is_replaced_and_every_run_finishes(tmp_path):
    rows = parallel(
        dies_once, sweep.grid(x=range(8), mark=str(tmp_path / "mark")), store=tmp_path / "s.jsonl"
    )
    assert [r["value"] for r in rows] == list(range(8))
    assert (tmp_path / "mark").exists()
    assert len(sweep.load(tmp_path / "s.jsonl")) == 8


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_run_that_kills_every_worker_ends_with_an_explanation():
    with pytest.raises(sweep.SweepError, match=r"killed 2 times.*fewer n_jobs"):
        parallel(always_dies, sweep.grid(x=range(3)), retries=1)


SCRIPT = """
import sys, time
from minigrad import sweep
from test_sweep import counted

def slow(x, log):
    time.sleep(0.15)
    return counted(x, log)

if __name__ == "__main__":
    sweep.run(slow, sweep.grid(x=range(16), log=sys.argv[2]), store=sys.argv[1], progress=False)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_sweep_resumes_without_repeating_what_is_stored(tmp_path):
    script, path, log = tmp_path / "sweep_script.py", tmp_path / "s.jsonl", tmp_path / "log"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, str(script), str(path), str(log)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": paths}
    first = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_bytes().count(b"\n") >= 5):
        assert time.monotonic() < deadline and first.poll() is None
        time.sleep(0.02)
    first.kill()
    first.wait()
    kept = {r["x"] for r in sweep.load(path)}
    assert 4 <= len(kept) < 16
    time.sleep(0.5)  # orphaned workers may finish the run in hand
    before = log.read_text().split()
    subprocess.run(command, env=environment, check=True, timeout=60)
    again = log.read_text().split()[len(before) :]
    assert not kept & {int(x) for x in again}
    assert sorted(r["x"] for r in sweep.load(path)) == list(range(16))


def test_a_function_defined_in_a_notebook_runs_in_parallel(tmp_path):
    namespace = {"__name__": "__main__", "scale": 3}
    exec("def cell(x):\n    import numpy as np\n    return float(np.sum(x) * scale)", namespace)
    assert [r["value"] for r in parallel(namespace["cell"], sweep.grid(x=[1, 2]))] == [3.0, 6.0]


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_bits(tmp_path):
    pytest.importorskip("distributed")
    configurations = sweep.grid(length=[50, 200], seed=range(3))
    here = serial(walk, configurations)
    with sweep.dask_cluster(2) as client:
        assert "MALLOC_TRIM_THRESHOLD_" not in os.environ
        trim = client.run(lambda: os.environ.get("MALLOC_TRIM_THRESHOLD_"))
        there = serial(walk, configurations, store=tmp_path / "s.jsonl")
        where = serial(worker_name, sweep.grid(x=range(4)))
    assert set(trim.values()) == {None}
    assert os.getpid() not in {r["value"] for r in where}
    assert same_bits(here, there) and len(sweep.load(tmp_path / "s.jsonl")) == 6


def worker_name(x):
    return os.getpid()


def test_the_progress_bar_obeys_tqdm_disable(tmp_path, capfd):  # conftest.py sets TQDM_DISABLE=1
    sweep.run(_echo, [{"x": 1}], store=tmp_path / "s.jsonl", n_jobs=1, progress=True)
    assert capfd.readouterr().err == ""


def _echo(x):
    return x
