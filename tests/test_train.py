"""The training loop: it equals a loop written by hand, and stopping it changes nothing."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import data, nn, optim, train
from minigrad.train import checkpoint


class Net(nn.Module):
    """Two layers without library parts: ``(n, 3) -> (n, 2)``."""

    def __init__(self, seed=0, hidden=5):
        rng = np.random.default_rng(seed)
        self.w = mg.tensor(rng.standard_normal((3, hidden)), requires_grad=True)
        self.v = mg.tensor(rng.standard_normal((hidden, 2)), requires_grad=True)

    def forward(self, x):
        return np.tanh(x @ self.w) @ self.v


def squared(output, target):
    return ((output - target) ** 2).mean()


def problem(n=10, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 3)), rng.standard_normal((n, 2))


def fit(model, optimizer=None, **options):
    """`train.fit` on the small problem: 4 batches per epoch."""
    optimizer = optimizer or optim.Adam(model.parameters(), lr=0.01)
    options = {"epochs": 3, "batch_size": 3, "generator": np.random.default_rng(5), **options}
    return train.fit(model, squared, problem(), optimizer, **options)


def same_bits(a, b):
    return all(np.array_equal(a.state_dict()[k], b.state_dict()[k]) for k in a.state_dict())


def stop_at(step):
    """A callback that presses Ctrl-C after an update."""

    def callback(run):
        if run.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return callback


# --- the loop -------------------------------------------------------------------------------------


def test_fit_equals_the_loop_written_by_hand():
    by_fit, by_hand = Net(), Net()
    history = fit(by_fit)
    optimizer = optim.Adam(by_hand.parameters(), lr=0.01)
    generator = np.random.default_rng(5)
    losses = []
    for _ in range(3):
        for x, y in data.batches(*problem(), batch_size=3, generator=generator):
            loss = squared(by_hand(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert same_bits(by_fit, by_hand)
    assert history["step"].tolist() == [4, 8, 12] and history["epoch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(history["loss"], np.reshape(losses, (3, 4)).mean(axis=1))


def test_full_batch_steps_use_all_rows_in_order():
    by_fit, by_hand = Net(), Net()
    history = fit(by_fit, epochs=None, steps=5, batch_size=None, every=2)
    optimizer = optim.Adam(by_hand.parameters(), lr=0.01)
    x, y = problem()
    for _ in range(5):
        optimizer.zero_grad()
        squared(by_hand(x), y).backward()
        optimizer.step()
    assert same_bits(by_fit, by_hand)
    assert history["step"].tolist() == [2, 4, 5]


def test_evaluation_is_in_eval_mode_and_records_nothing():
    model, seen = Net(), []

    def measure(net):
        output = net(problem()[0])
        seen.append((net.training, output.requires_grad))
        return output.mean()

    history = fit(model, evaluate={"mean": measure})
    assert seen == [(False, False)] * 3 and model.training
    assert history["mean"].shape == (3,) and history["mean"].dtype == np.float64
    assert list(history) == ["step", "epoch", "loss", "mean"]
    assert history.rows[-1] == history.last and len(history) == 3
    assert "3 rows" in repr(history)
    with pytest.raises(KeyError, match="no column 'test'; there are"):
        history["test"]


def test_a_function_makes_the_batches():
    def endless(generator):
        while True:
            x = generator.standard_normal((4, 3))
            yield x, x[:, :2]

    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    history = train.fit(
        model, squared, endless, optimizer, steps=200, every=100, generator=np.random.default_rng(0)
    )
    assert history["loss"][1] < history["loss"][0] and history["epoch"].tolist() == [1, 1]


def test_callbacks_see_every_update_and_can_stop():
    steps = []

    def callback(run):
        steps.append((run.step, len(run.history)))
        run.stop = run.step == 6

    history = fit(Net(), callbacks=[callback])
    assert [s for s, _ in steps] == [1, 2, 3, 4, 5, 6] and steps[3] == (4, 1)
    assert history["step"].tolist() == [4]


def test_a_schedule_is_a_callback():
    model, seen = Net(), []
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    schedule = optim.Schedule(optimizer, lambda step: 0.1**step)
    fit(model, optimizer, epochs=1, callbacks=[schedule, lambda run: seen.append(optimizer.lr)])
    np.testing.assert_allclose(seen, [0.1, 0.01, 0.001, 0.0001])


def test_an_ensemble_has_a_history_per_member():
    x, y = problem()
    y = (y[:, 0] > 0).astype(np.int64)

    def make():
        with nn.ensemble(3, seeds=[0, 1, 2]):
            return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    def per_member(logits, target):
        return mg.losses.cross_entropy(logits, target)

    model = make()
    history = train.fit(
        model,
        per_member,
        (x.astype(np.float32), y),
        optim.Adam(model.parameters(), lr=0.05),
        epochs=4,
        batch_size=5,
        generator=np.random.default_rng(0),
        evaluate={"accuracy": lambda net: train.accuracy(net(x.astype(np.float32)), y)},
    )
    assert history["loss"].shape == history["accuracy"].shape == (3, 4)
    assert (history["loss"][:, -1] < history["loss"][:, 0]).all()
    assert history.rows[0]["loss"].shape == (3,)


# --- saving and going on --------------------------------------------------------------------------


@pytest.mark.parametrize("step", [1, 4, 6, 11])
def test_an_interrupted_run_resumes_with_the_same_bits(tmp_path, step):
    path = tmp_path / "run.ckpt"
    evaluate = {"noise": lambda net: mg.backend.generator().random()}  # draws from the global one
    mg.manual_seed(3)
    whole = Net()
    expected = fit(whole, evaluate=evaluate, every=2)
    mg.manual_seed(3)
    with pytest.warns(UserWarning, match=f"interrupted after step {step} of 12"):
        fit(Net(), evaluate=evaluate, every=2, checkpoint=path, callbacks=[stop_at(step)])
    mg.manual_seed(3)
    model = Net()
    history = fit(model, evaluate=evaluate, every=2, checkpoint=path)
    assert same_bits(whole, model)
    assert history.rows == expected.rows


def test_an_interrupted_run_resumes_in_the_same_session(tmp_path):
    path, whole, model = tmp_path / "run.ckpt", Net(), Net()
    fit(whole)
    with pytest.warns(UserWarning, match="interrupted"):
        fit(model, checkpoint=path, callbacks=[stop_at(5)])
    fit(model, checkpoint=path)  # neither model nor optimizer state were built anew
    assert same_bits(whole, model)


def test_a_run_can_be_made_longer(tmp_path):
    path, whole, model = tmp_path / "run.ckpt", Net(), Net()
    fit(whole, epochs=5)
    fit(Net(), epochs=2, checkpoint=path)
    fit(model, epochs=5, checkpoint=path)
    assert same_bits(whole, model)


def test_dropout_and_schedules_resume_with_the_same_bits(tmp_path):
    class Noisy(Net):
        def __init__(self, own):
            super().__init__()
            self.drop = nn.Dropout(0.5, generator=np.random.default_rng(9) if own else None)

        def forward(self, x):
            return self.drop(np.tanh(x @ self.w)) @ self.v

    for own in (False, True):  # a generator of its own, or the global one also used for shuffling
        results = []
        for stops in ((), (3, 7)):
            path = tmp_path / f"{own}{len(stops)}"
            for stop in (*stops, None):
                mg.manual_seed(4)
                model = Noisy(own)
                optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
                schedule = optim.Schedule(optimizer, optim.schedules.cosine(12))
                callbacks = [schedule, stop_at(stop)]
                if stop is None:
                    fit(model, optimizer, generator=None, checkpoint=path, callbacks=callbacks)
                else:
                    with pytest.warns(UserWarning, match="interrupted"):
                        fit(model, optimizer, generator=None, checkpoint=path, callbacks=callbacks)
            results.append(model)
        assert same_bits(*results)


def test_a_stopped_run_stays_stopped(tmp_path):
    def stop(run):
        run.stop = run.step == 5

    path, first, second = tmp_path / "run.ckpt", Net(), Net()
    fit(first, checkpoint=path, callbacks=[stop])
    fit(second, checkpoint=path)
    assert same_bits(first, second)


SCRIPT = """
    import sys, time
    sys.path[:0] = [{tests!r}, {root!r}]
    from test_train import Net, fit
    model = Net()
    delay = float(sys.argv[2])
    fit(model, epochs=30, checkpoint=sys.argv[1], every=3,
        save_seconds=0.0 if delay else 10.0,
        callbacks=[lambda run: time.sleep(delay)])
    model.save(sys.argv[1] + ".weights")
"""


@pytest.mark.slow  # three interpreters start
def test_a_killed_process_resumes_with_the_same_bits(tmp_path):
    script = tmp_path / "script.py"
    tests = os.path.dirname(os.path.abspath(__file__))
    script.write_text(textwrap.dedent(SCRIPT).format(tests=tests, root=os.path.dirname(tests)))

    def start(name, delay):
        return subprocess.Popen([sys.executable, script, tmp_path / name, str(delay)])

    path = tmp_path / "killed"
    victim = start("killed", 0.02)
    try:
        deadline = time.monotonic() + 60
        while not (path.exists() and checkpoint.read(path)["step"] >= 7):
            assert victim.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        victim.kill()  # SIGKILL where there is one: no handler, no farewell
        victim.wait()
    reached = checkpoint.read(path)["step"]
    assert 7 <= reached < 120
    assert start("killed", 0).wait(60) == 0 and start("whole", 0).wait(60) == 0
    a, b = Net().load(tmp_path / "killed.weights"), Net().load(tmp_path / "whole.weights")
    assert same_bits(a, b) and not same_bits(a, Net())
    a, b = checkpoint.read(path), checkpoint.read(tmp_path / "whole")
    assert all(np.array_equal(a["history"][name], b["history"][name]) for name in b["history"])


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: Net(hidden=6), {}, r"its parameters is \['w \(3, 5\).*here it is \['w \(3, 6\)"),
        (lambda: Net(seed=1), {}, r"began with other parameters.*one file per seed"),
        (Net, {"batch_size": 4}, r"its batch_size is 3, here it is 4.*resume=False"),
        (Net, {"every": 3}, r"its every is 4, here it is 3"),
        (Net, {"evaluate": {"a": lambda net: 0.0}}, r"its evaluate is \[\], here it is \['a'\]"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, model, options, message):
    path = tmp_path / "run.ckpt"
    fit(Net(), checkpoint=path)
    with pytest.raises(ValueError, match=message):
        fit(model(), checkpoint=path, **options)
    fit(model(), checkpoint=path, resume=False, **options)  # anew, over the old file


def test_a_checkpoint_with_other_optimizer_options_is_refused(tmp_path):
    path, model = tmp_path / "run.ckpt", Net()
    fit(Net(), checkpoint=path)
    with pytest.raises(ValueError, match=r"its optimizer is Adam .*0\.01.*here it is Adam .*0\.02"):
        fit(model, optim.Adam(model.parameters(), lr=0.02), checkpoint=path)


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "run.ckpt"
    path.write_bytes(b"what is this")
    with pytest.raises(ValueError, match=r"run\.ckpt.*damaged.*Mend"):
        fit(Net(), checkpoint=path)


def test_checkpoints_hold_any_tree_exactly(tmp_path):
    tree = {
        "arrays": [np.array(0.1, np.float32), np.arange(6).reshape(2, 3).T, np.zeros((0, 2))],
        "numbers": [0.1, float("inf"), 2**127 + 1, True, None, "text"],
        "generator": np.random.default_rng(0).bit_generator.state,
    }
    checkpoint.write(tmp_path / "new folder" / "file", tree)
    back = checkpoint.read(tmp_path / "new folder" / "file")
    assert back["numbers"] == tree["numbers"] and back["generator"] == tree["generator"]
    for a, b in zip(back["arrays"], tree["arrays"], strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b) and a.shape == b.shape
    assert np.isnan(tree_of_nan(tmp_path))
    with pytest.raises(TypeError, match=r"/x is a set; expected arrays"):
        checkpoint.write(tmp_path / "file", {"x": {1}})
    with pytest.raises(TypeError, match=r"the key 1 in the top; expected text"):
        checkpoint.write(tmp_path / "file", {1: 2})


def tree_of_nan(folder):
    checkpoint.write(folder / "nan", {"x": float("nan")})
    return checkpoint.read(folder / "nan")["x"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    checkpoint.write(path, {"x": 1})

    def full(number):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(path, {"x": 2})
    assert checkpoint.read(path) == {"x": 1} and os.listdir(tmp_path) == ["file"]


# --- errors and accuracy --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": None}, r"epochs=None, steps=None; expected exactly one.*Mend"),
        ({"steps": 3}, r"epochs=3, steps=3"),
        ({"every": 0}, r"every=0; expected a whole number"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fit(Net(), **options)


def test_data_that_does_not_fit_is_refused():
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    x, y = problem()
    with pytest.raises(ValueError, match=r"\[\(10, 3\), \(9, 2\)\].*as many rows"):
        train.fit(model, squared, (x, y[:9]), optimizer, epochs=1)
    with pytest.raises(ValueError, match=r"data is a function, every=None"):
        train.fit(model, squared, lambda g: [(x, y)], optimizer, steps=1)
    with pytest.raises(ValueError, match=r"expected exactly one of them, and steps if data is"):
        train.fit(model, squared, lambda g: [(x, y)], optimizer, epochs=1, every=1)
    with pytest.raises(ValueError, match="an epoch had no batch"):
        train.fit(model, squared, lambda g: [], optimizer, steps=1, every=1)


def test_accuracy_counts_hits():
    logits = np.array([[0.1, 0.9], [2.0, 1.0], [0.0, 0.0]])
    assert train.accuracy(logits, np.array([1, 1, 0])) == pytest.approx(2 / 3)
    assert type(train.accuracy(mg.tensor(logits), np.array([1, 1, 0]))) is float


def test_accuracy_of_an_ensemble_is_per_member():
    logits = nn.members(np.stack([np.eye(3), np.eye(3)[::-1]]), 2)  # (2, 3, 3)
    np.testing.assert_allclose(train.accuracy(logits, np.arange(3)), [1.0, 1 / 3])
    np.testing.assert_allclose(train.accuracy(logits, np.array([[0, 1, 2], [2, 1, 0]])), [1.0, 1.0])


def test_accuracy_refuses_what_is_no_label():
    with pytest.raises(ValueError, match=r"logits \(3, 2\) and target \(2,\) int64"):
        train.accuracy(np.zeros((3, 2)), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"target \(3,\) float64; expected integers"):
        train.accuracy(np.zeros((3, 2)), np.zeros(3))
