"""The exercises: right answers pass, wrong ones are told why, the notebooks are in step."""

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad.exercises as exercises
from minigrad.exercises import Case, Mistake, Task, check, hint, progress, solution
from minigrad.exercises import training as set_training
from minigrad.exercises.judging import Wrong, as_number, judge

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "exercises" / "source").glob("*.ipynb"))
NAMES = [task.name for task in exercises.tasks()]
TASKS = {task.name: task for task in exercises.tasks()}
RIGHT, WRONG = {}, {}
for path in sorted((ROOT / "tests" / "exercise_answers").glob("*.py")):
    answers = importlib.import_module(f"exercise_answers.{path.stem}")
    RIGHT, WRONG = RIGHT | answers.RIGHT, WRONG | answers.WRONG


def flat(text):
    return " ".join(text.split())


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_worked_solution_is_right_for_every_seed(name):
    for seed in range(5):
        result = check(name, TASKS[name].reference, seed=seed)
        assert result, result.message


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name in RIGHT for answer in RIGHT[name]]
)
def test_other_right_answers_are_right(name, answer):
    for seed in range(5):
        result = check(name, answer, seed=seed)
        assert result, result.message


@pytest.mark.parametrize(
    ("name", "answer", "phrase"),
    [(name, *pair) for name in WRONG for pair in WRONG[name]],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_wrong_answer_is_told_the_reason(name, answer, phrase):
    for seed in range(3):
        result = check(name, answer, seed=seed)
        assert not result
        assert phrase in flat(result.message), result.message


def test_every_task_has_right_answers_and_three_wrong_ones():
    for name in NAMES:
        assert len(RIGHT[name]) >= 1
        assert len(WRONG[name]) >= 3
        assert len(TASKS[name].hints) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_the_unfilled_answer_is_told_kindly(name):
    parameters = inspect.signature(TASKS[name].reference).parameters
    namespace = {}
    exec(f"def f({', '.join(parameters)}):\n    raise NotImplementedError()", namespace)
    result = check(name, namespace["f"])
    assert not result
    assert result.kind == "empty"
    assert "not filled in yet" in result.message
    assert "Likely reason" not in result.message


def test_every_known_mistake_is_judged_wrong():
    for task in exercises.tasks():
        if task.cases is None:
            continue
        for mistake in task.mistakes:

            def answer(*args, task=task, mistake=mistake):
                value = mistake.function(*args)
                if isinstance(value, tuple) or len(task.outputs) == 1:
                    return value
                outputs = list(task.reference(*args))
                outputs[task.outputs.index(mistake.output)] = value
                return tuple(outputs)

            wrapped = with_signature(answer, task.reference)
            result = judge(task, wrapped, seed=3)
            assert not result, (task.name, mistake.what)


def with_signature(function, like):
    function.__signature__ = inspect.signature(like)
    return function


# --- whatever a student may pass ------------------------------------------------------------------


def raises_value_error(g, x, weight):
    return g @ x, 1, 2


def returns_nan(g, x, weight):
    return g @ weight * np.nan, g.T @ x, g.sum(axis=0)


def calls_itself(g, x, weight):
    return calls_itself(g, x, weight)


@pytest.mark.parametrize(
    ("answer", "kind", "phrase"),
    [
        (None, "empty", "there is no answer yet"),
        (..., "empty", "there is no answer yet"),
        (3.5, "type", "is a float, not a function"),
        (np.zeros(3), "type", "Pass the function itself"),
        ("linear_backward", "type", "is a str, not a function"),
        (lambda: 1, "signature", "takes no arguments"),
        (lambda g, x: 1, "signature", "takes 2 arguments (g, x)"),
        (lambda g, x, weight, bias: 1, "signature", "called with 3 arguments: g, x, weight"),
        (lambda g, x, weight: None, "none", "returns None"),
        (lambda g, x, weight: ..., "outputs", "return d_x, d_weight, d_bias"),
        (lambda g, x, weight: (1, 2), "outputs", "2 values"),
        (lambda g, x, weight: ("a", "b", "c"), "type", "is a str"),
        (lambda g, x, weight: (g[:1], g.T @ x, g.sum(0)), "shape", "the d_x has shape"),
        (lambda g, x, weight: (g @ weight, [[1], [1, 2]], g), "type", "d_weight is a list"),
        (lambda g, x, weight: (g @ weight, None, g), "none", "the d_weight is None"),
        (lambda g, x, weight: (y for y in "abc"), "outputs", "a generator"),
        (lambda g, x, weight: undefined + 1, "raised", "NameError"),  # noqa: F821
        (raises_value_error, "raised", "Two shapes do not fit"),
        (raises_value_error, "raised", "at `return g @ x, 1, 2`"),
        (calls_itself, "raised", "without end"),
        (lambda g, x, weight: sys.exit(), "raised", "ends Python"),
        (lambda g, x, weight: g[99], "raised", "An index lies outside"),
        (lambda g, x, weight: 1 / 0, "raised", "ZeroDivisionError"),
        (returns_nan, "nan", "NaN or infinity"),
        (lambda g, x, weight: (2 + g @ weight, g.T @ x, g.sum(0)), "value", "the same number"),
        (lambda g, x, weight: (1.001 * g @ weight, g.T @ x, g.sum(0)), "value", "is close"),
    ],
)
def test_anything_may_be_passed(answer, kind, phrase):
    result = check("training.linear_backward", answer, seed=1)
    assert not result
    assert phrase in flat(result.message), result.message
    assert result.kind == kind


@pytest.mark.parametrize(
    "returned",
    [None, 3, [], (1, 2, 3), ("a", None), (np.ones(7), np.ones((2, 2))), {"real": 1}, np.nan],
    ids=repr,
)
def test_a_task_with_its_own_judge_survives_any_result(returned):
    def control(train_and_score, x_train, y_train, x_test, y_test, seeds):
        for arm in (y_train, [None] * len(y_train), x_train, list("ab")):
            train_and_score(x_train, arm, x_test, y_test, None)
        return returned

    assert not check("training.label_control", control)
    assert not check("training.label_control", lambda f, *data: returned)
    assert not check("training.predictions", lambda classes: returned)
    assert not check("training.he_init", lambda generator, n, m: returned)
    odd = {"loss": np.ones(2), "accuracy": "high", "rate_times_100": np.ones(3)}
    for key in odd:
        answer = {**set_training.predictions(10), key: odd[key]}
        assert not check("training.predictions", lambda classes, answer=answer: answer)


def test_a_call_with_too_few_arguments_names_the_function():
    result = check("training.label_control", lambda f, x, y, *rest: f(x, y))
    assert "train_and_score() missing 3 required" in flat(result.message)


def test_an_error_from_the_keyboard_is_not_swallowed():
    def interrupted(g, x, weight):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check("training.linear_backward", interrupted)


def test_what_the_answer_prints_is_held_back_and_counted(capsys):
    def talkative(g, x, weight):
        print("shape of g:", g.shape)
        return set_training.linear_backward(g, x, weight)

    assert check("training.linear_backward", talkative)
    printed = capsys.readouterr().out
    assert printed.count("shape of g") == 1
    assert "It also printed 4 line(s)" in printed


def test_a_mistake_in_one_output_leaves_the_others_right():
    result = check("training.linear_backward", lambda g, x, w: (g @ w, g.T @ x, g.mean(0)), seed=0)
    assert "Right so far: d_x, d_weight" in result.message


def test_where_products_of_unequal_sizes_fail_the_square_case_gives_the_reason():
    result = check("training.linear_backward", lambda g, x, w: (g @ w.T, g.T @ x, g.sum(0)))
    assert "Where it does run, the d_x uses the weight transposed" in flat(result.message)


def test_the_same_seed_gives_the_same_message():
    answer = WRONG["training.momentum_step"][0][0]
    first, second = (check("training.momentum_step", answer, seed=8).message for _ in range(2))
    assert first == second
    assert "seed=8" in first


def test_tensors_may_be_returned():
    mg = importlib.import_module("minigrad")

    def with_tensors(g, x, weight):
        g, x, weight = (mg.tensor(array, requires_grad=True) for array in (g, x, weight))
        return g @ weight, g.T @ x, np.sum(g, axis=0)

    assert check("training.linear_backward", with_tensors)


@pytest.mark.parametrize("name", [task.name for task in TASKS.values() if task.tensors])
def test_the_worked_rules_run_on_tensors(name):
    message = flat(check(name, TASKS[name].reference).message)
    assert "the engine can differentiate it again" in message


def test_leaving_the_graph_is_remarked_not_punished():
    plain = RIGHT["training.linear_backward"][0]

    def with_loops(g, x, weight):
        return tuple(np.array(part.tolist(), part.dtype) for part in plain(g, x, weight))

    result = check("training.linear_backward", with_loops)
    assert result
    assert "On Tensors:" in result.message
    assert "no second derivatives" in flat(result.message)
    assert "differentiate it again" in flat(check("training.linear_backward", plain).message)


# --- hints, solutions, names ----------------------------------------------------------------------


@pytest.fixture(autouse=True)
def fresh_records(monkeypatch):
    monkeypatch.setattr(exercises, "_records", {})


def test_hints_come_one_at_a_time(capsys):
    hint("training.he_init")
    first = capsys.readouterr().out
    hint("training.he_init")
    second = capsys.readouterr().out
    assert "Hint 1 of 3" in first
    assert "Hint 2 of 3" not in first
    assert "Hint 2 of 3" in second
    for _ in range(3):
        hint("training.he_init")
    assert "That was the last hint" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_shows_the_reasoning_and_the_code(name, capsys):
    solution(name)
    printed = capsys.readouterr().out
    code = printed[printed.index("def ") :]
    namespace = {"np": np}
    exec(code, namespace)
    assert check(name, namespace[TASKS[name].reference.__name__], seed=4)
    assert len(printed) - len(code) > 200


@pytest.mark.parametrize("verb", [lambda name: check(name, None), hint, solution])
def test_an_unknown_name_is_answered_with_the_closest(verb):
    with pytest.raises(LookupError, match=r"did you mean 'training\.cross_entropy'"):
        verb("training.cross_entrpy")
    with pytest.raises(LookupError, match=r"did you mean 'training\.he_init'"):
        verb("he_init")
    with pytest.raises(LookupError, match=r"The tasks are .*training\.predictions"):
        verb("zzz")
    with pytest.raises(TypeError, match="name first"):
        verb(np.mean)


def test_progress_tells_what_is_open(capsys):
    check("training.he_init", set_training.he_init)
    check("training.repair", lambda *args: 1)
    hint("training.repair")
    capsys.readouterr()
    progress()
    lines = capsys.readouterr().out.splitlines()
    state = {line.split()[-1 if line.endswith("right.") else 0]: line for line in lines}
    assert any(line.startswith("right    training.he_init") for line in lines), state
    assert any(
        "not yet  training.repair" in line and "1 try, 1 of 3 hints" in line for line in lines
    )
    assert any(line.startswith("open     training.cross_entropy") for line in lines)
    assert lines[-1] == f"1 of {len(NAMES)} tasks are right."
    with pytest.raises(LookupError):
        progress("trainin")


def test_a_task_is_a_few_lines_of_data():
    def double(x):
        return 2 * x

    task = Task(
        name="made.double",
        title="Twice",
        reference=double,
        outputs=("product",),
        cases=lambda rng: [Case("a vector", (rng.normal(size=5),))],
        mistakes=(Mistake("is the square", "`x ** 2` is not `2 * x`.", lambda x: x**2),),
        hints=("What is x + x?",),
        explanation="Twice x is x + x.",
    )
    assert judge(task, double, 0)
    assert "the product is the square" in judge(task, lambda x: x * x, 0).message
    assert "3 times what it should be" not in judge(task, double, 0).message
    assert "1.5 times what it should be" in judge(task, lambda x: 3 * x, 0).message
    assert "the wrong sign" in judge(task, lambda x: -2 * x, 0).message


# --- the worked solutions are right mathematics ---------------------------------------------------


def slope(f, x, direction, step=1e-6):
    return (f(x + step * direction) - f(x - step * direction)) / (2 * step)


def test_the_gradient_of_cross_entropy_is_its_slope():
    rng = np.random.default_rng(0)
    z, v, y = rng.normal(size=(6, 5)), rng.normal(size=(6, 5)), rng.integers(0, 5, 6)
    loss, gradient = set_training.cross_entropy(z, y)
    naive = -np.log(np.exp(z)[np.arange(6), y] / np.exp(z).sum(axis=1)).mean()
    assert np.isclose(loss, naive)
    measured = slope(lambda z: set_training.cross_entropy(z, y)[0], z, v)
    assert np.isclose(measured, (gradient * v).sum(), rtol=1e-6)


def test_the_gradients_of_the_linear_layer_are_its_slopes():
    rng = np.random.default_rng(1)
    g, x, weight, bias = (rng.normal(size=s) for s in [(4, 3), (4, 5), (3, 5), (3,)])
    inputs = (x, weight, bias)
    for i, gradient in enumerate(set_training.linear_backward(g, x, weight)):
        v = rng.normal(size=inputs[i].shape)

        def value(moved, i=i):
            x, weight, bias = (moved if j == i else array for j, array in enumerate(inputs))
            return (g * (x @ weight.T + bias)).sum()

        assert np.isclose(slope(value, inputs[i], v), (gradient * v).sum(), rtol=1e-6)


def test_the_rule_of_division_is_its_slope_under_broadcasting():
    rng = np.random.default_rng(2)
    for case in set_training._divide_cases(rng):
        g, a, b = case.args
        d_a, d_b = set_training.divide_rule(g, a, b)
        v, w = rng.normal(size=a.shape), rng.normal(size=b.shape)
        along_a = slope(lambda a, b=b, g=g: (g * (a / b)).sum(), a, v)
        along_b = slope(lambda b, a=a, g=g: (g * (a / b)).sum(), b, w)
        assert np.isclose(along_a, (d_a * v).sum(), rtol=1e-5, atol=1e-8)
        assert np.isclose(along_b, (d_b * w).sum(), rtol=1e-5, atol=1e-8)


def test_the_engine_agrees_with_the_worked_rules():
    mg = importlib.import_module("minigrad")
    rng = np.random.default_rng(3)
    for case in set_training._divide_cases(rng):
        g, a, b = case.args
        a_tensor, b_tensor = (mg.tensor(array, requires_grad=True) for array in (a, b))
        found = mg.grad((g * (a_tensor / b_tensor)).sum(), [a_tensor, b_tensor])
        for mine, theirs in zip(set_training.divide_rule(g, a, b), found, strict=True):
            np.testing.assert_allclose(mine, theirs)


def test_he_init_keeps_the_variance_through_relu_layers():
    rng = np.random.default_rng(4)
    z = rng.normal(size=(2000, 400))
    for _ in range(5):
        z = np.maximum(z, 0) @ set_training.he_init(rng, 400, 400).T
    assert 0.7 < z.var() < 1.4


def test_the_momentum_step_is_that_of_the_library():
    optim = pytest.importorskip("minigrad.optim")
    mg = importlib.import_module("minigrad")
    rng = np.random.default_rng(5)
    w, velocity = rng.normal(size=(3, 4)), np.zeros((3, 4))
    parameter = mg.tensor(w.copy(), requires_grad=True)
    optimizer = optim.SGD([parameter], lr=0.1, momentum=0.8, weight_decay=0.3)
    for _ in range(4):
        gradient = rng.normal(size=(3, 4))
        w, velocity = set_training.momentum_step(w, gradient, velocity, 0.1, 0.8, 0.3)
        optimizer.zero_grad()
        (parameter * gradient).sum().backward()
        optimizer.step()
    np.testing.assert_allclose(parameter.numpy(), w)


# --- the notebooks --------------------------------------------------------------------------------


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def marked_cells(path):
    return [cell for cell in read(path)["cells"] if "nbgrader" in cell["metadata"]]


def code_cells(path):
    return {
        cell["id"]: "".join(cell["source"])
        for cell in read(path)["cells"]
        if cell["cell_type"] == "code"
    }


def run_in_process(cells, capsys):
    """Run the cells as a notebook with errors allowed; what each printed, and its error."""
    namespace, printed, errors = {}, {}, {}
    for name, text in cells.items():
        try:
            exec(compile(text, f"<{name}>", "exec"), namespace)
        except Exception as error:
            errors[name] = error
        printed[name] = capsys.readouterr().out
    return printed, errors


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_student_notebook_is_in_step_with_its_source(source):
    pytest.importorskip("nbgrader")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        student_notebook = importlib.import_module("build_exercises").student_notebook
    finally:
        sys.path.remove(str(ROOT / "tools"))
    student = (source.parents[1] / source.name).read_text(encoding="utf-8")
    assert student == student_notebook(source), "run python tools/build_exercises.py"
    assert "SOLUTION" not in student
    assert "HIDDEN TESTS" not in student
    assert student.count("YOUR CODE HERE") == 1 + sum(
        name.startswith(source.stem + ".") for name in NAMES
    )  # once in the introduction


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_answers_in_the_source_are_right(source, capsys):
    cells = {k: v for k, v in code_cells(source).items() if not k.startswith("run-")}
    printed, errors = run_in_process(cells, capsys)
    assert not errors
    for name in NAMES:
        if name.startswith(source.stem + "."):
            assert f"{name}: right." in "".join(printed.values())


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_in_the_empty_student_notebook_every_check_says_not_yet(source, capsys):
    cells = code_cells(source.parents[1] / source.name)
    printed, errors = run_in_process(cells, capsys)
    checks = {name: text for name, text in printed.items() if name.endswith("-check")}
    assert len(checks) == sum(name.startswith(source.stem + ".") for name in NAMES)
    for name, text in checks.items():
        assert "not yet" in text
        assert "not filled in yet" in text
        assert name not in errors  # a check talks, it does not raise
    assert all(isinstance(error, (NotImplementedError, NameError)) for error in errors.values())


def test_the_broken_loop_has_all_three_bugs():
    namespace = {"np": np}
    exec(code_cells(ROOT / "exercises/source/training.ipynb")["repair-broken"], namespace)
    result = check("training.repair", namespace["broken_fit"])
    assert "all three errors are still there" in flat(result.message)


@pytest.mark.parametrize("path", [*SOURCES, *(p.parents[1] / p.name for p in SOURCES)], ids=str)
def test_nbgrader_accepts_the_metadata(path):
    formats = pytest.importorskip("nbgrader.nbgraderformat")
    notebook = formats.read(str(path), as_version=4)  # raises if a cell's metadata are not valid
    marked = [c.metadata.nbgrader for c in notebook.cells if "nbgrader" in c.metadata]
    ids = [cell["grade_id"] for cell in marked]
    assert len(ids) == len(set(ids))
    for name in NAMES:
        stem, _, short = name.partition(".")
        if stem != path.stem:
            continue
        answer = next(cell for cell in marked if cell["grade_id"] == f"{short}_answer")
        test = next(cell for cell in marked if cell["grade_id"] == f"{short}_check")
        assert answer["solution"] and not answer["locked"] and not answer["grade"]
        assert test["grade"] and test["locked"] and test["points"] > 0
    assert all(cell["schema_version"] == 3 for cell in marked)
    assert all(not c.get("outputs") for c in notebook.cells)


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_source_runs_from_top_to_bottom(source, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(source, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()  # raises if a cell does
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    )
    assert "not yet" not in printed
    assert "False" not in printed  # the measurements of the last section
    count = sum(name.startswith(source.stem + ".") for name in NAMES)
    assert f"{count} of {count} tasks are right." in printed


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_empty_student_notebook_talks_in_jupyter_too(source, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(source.parents[1] / source.name, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": tmp_path}},
    )
    client.execute()
    checks = [cell for cell in notebook.cells if cell.id.endswith("-check")]
    assert checks
    for cell in checks:
        # The message once: no error, no second display of the result. A busy kernel may send one
        # stream in several parts.
        assert {output.output_type for output in cell.outputs} == {"stream"}
        assert "".join(output.text for output in cell.outputs).count("not filled in yet") == 1


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nbgrader_gives_all_points_to_the_solution_and_none_to_the_empty_notebook(
    source, tmp_path, monkeypatch
):
    pytest.importorskip("nbgrader")
    name = source.stem
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HOME", str(tmp_path))  # nobody's settings
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    # nbgrader starts `alembic` by name, which lies beside this Python.
    monkeypatch.setenv(
        "PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    (tmp_path / "nbgrader_config.py").write_text(
        "c = get_config()\nc.CourseDirectory.course_id = 'minigrad'\n"
        "c.ClearSolutions.enforce_metadata = True\nc.ExecutePreprocessor.timeout = 120\n"
    )

    def nbgrader(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *arguments],
            cwd=tmp_path, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    folder = tmp_path / "source" / name
    folder.mkdir(parents=True)
    (folder / f"{name}.ipynb").write_bytes(source.read_bytes())
    nbgrader("generate_assignment", name)
    answers = {cell["id"]: cell["source"] for cell in read(source)["cells"]}
    for student in ("solved", "empty"):
        notebook = read(tmp_path / "release" / name / f"{name}.ipynb")
        for cell in notebook["cells"]:
            if student == "solved" and cell["id"].endswith("-answer"):
                cell["source"] = answers[cell["id"]]
        submitted = tmp_path / "submitted" / student / name
        submitted.mkdir(parents=True)
        (submitted / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    nbgrader("autograde", name)

    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as gradebook:
        scores = {
            s.student.id: (s.score, s.max_score) for s in gradebook.assignment_submissions(name)
        }
    points = sum(cell["metadata"]["nbgrader"].get("points", 0) for cell in marked_cells(source))
    assert points > 0
    assert scores == {"solved": (points, points), "empty": (0, points)}


def test_one_number_is_taken_from_any_array_of_size_one_and_from_nothing_else():
    assert as_number(np.array([[2.5]]), "loss") == as_number(2.5, "loss") == 2.5
    for value in (np.ones(3), np.empty(0)):
        with pytest.raises(Wrong, match=r"the loss has shape \(\d,\), where one number"):
            as_number(value, "loss")
