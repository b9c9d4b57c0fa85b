"""A figure's data is data: what is drawn is asserted, and labels can be read."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minigrad import plots
from minigrad.claims import censored
from minigrad.plots.labels import _luminance, spread_apart


@pytest.fixture
def ax():
    with matplotlib.rc_context():
        plots.style()
        figure, axes = plt.subplots()
        yield axes
        plt.close(figure)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_style_is_seven_inches_on_a_white_card(ax):
    assert ax.figure.get_size_inches()[0] == 7 and ax.figure.dpi == 100
    assert ax.figure.get_facecolor() == (1, 1, 1, 1)
    assert not ax.spines["top"].get_visible() and not plt.rcParams["text.usetex"]


def test_cycle_differs_in_dashes_too_so_that_it_survives_grey_print(ax):
    lines = [ax.plot([0, 1])[0] for _ in range(6)]
    looks = {(line.get_linestyle(), str(line._unscaled_dash_pattern)) for line in lines}
    assert len(looks) == 6 and len({line.get_color() for line in lines}) == 6


def test_median_band_is_quartiles_and_mean_band_is_the_standard_error(ax):
    x, runs = np.arange(4), normal(7, 4)
    drawn = plots.bands(ax, x, runs)
    np.testing.assert_array_equal(drawn.center, np.median(runs, axis=0))
    np.testing.assert_array_equal([drawn.low, drawn.high], np.quantile(runs, [0.25, 0.75], axis=0))
    drawn = plots.bands(ax, x, runs, center="mean")
    np.testing.assert_allclose((drawn.low + drawn.high) / 2, runs.mean(axis=0))
    np.testing.assert_allclose(
        (drawn.high - drawn.low) / 2, runs.std(axis=0, ddof=1) / np.sqrt(7), rtol=1e-10
    )
    drawn = plots.bands(ax, x, runs, center="mean", spread="range")
    np.testing.assert_array_equal([drawn.low, drawn.high], [runs.min(axis=0), runs.max(axis=0)])


def test_every_run_is_drawn_thin_behind_the_center(ax):
    runs = normal(5, 3)
    plots.bands(ax, [1, 2, 3], runs, label="arm")
    center, *thin = ax.lines
    assert len(thin) == 5 and all(t.get_zorder() < center.get_zorder() for t in thin)
    np.testing.assert_array_equal([t.get_ydata() for t in thin], runs)
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx(np.quantile(runs, 0.75, axis=0).max())


def test_what_a_cell_would_show_has_no_raw_numbers(ax):
    shown = [
        plots.bands(ax, [1, 2], normal(5, 2), label="arm"),
        plots.censored_points(ax, [1.0], [[3.3, None]], 10),
        plots.phase_diagram(ax, [1, 2], [1], [[1.5, None]]),
        *plots.direct_labels(ax),
    ]
    assert [repr(entry) for entry in shown] == [
        "Bands(5 runs, 2 points)", "CensoredPoints(1 settings, 1 runs censored)",
        "Phase(1 x 2, 1 censored)", "Label('arm')",
    ]  # fmt: skip


def test_one_run_is_a_line_without_a_band(ax):
    drawn = plots.bands(ax, [1, 2], [3.0, 4.0])
    np.testing.assert_array_equal(drawn.center, [3, 4])
    assert len(ax.lines) == 1 and not ax.collections


def test_a_named_color_keeps_its_dashes(ax):
    plots.bands(ax, [1, 2], normal(1, 2), color="orange")
    plots.bands(ax, [1, 2], normal(1, 2), color=plots.COLORS["orange"])
    first, second = ax.lines
    assert first.get_color() == second.get_color() == plots.COLORS["orange"]
    assert first._unscaled_dash_pattern == second._unscaled_dash_pattern != (0, None)


@pytest.mark.parametrize(
    ("x", "runs", "options", "message"),
    [
        ([1, 2], normal(3, 4), {}, r"x \(2,\) and runs \(3, 4\)"),
        ([1, 2], [[1, np.nan], [1, 2]], {}, r"runs\[0, 1\] is nan.*censored_points"),
        ([1, 2], normal(3, 2), {"center": "mode"}, "center='mode'"),
        ([1, 2], normal(3, 2), {"spread": "error"}, "spread='error' around the median"),
    ],
)
def test_bands_name_what_is_wrong(ax, x, runs, options, message):
    with pytest.raises(ValueError, match=message):
        plots.bands(ax, x, runs, **options)


def test_direct_labels_do_not_overlap_and_stay_inside_the_figure(ax):
    x = np.arange(10)
    for i, level in enumerate([0.5, 0.5, 0.5, 0.51, 0.9, 1.0, 1.0]):
        plots.bands(ax, x, level + 0.001 * normal(5, 10, seed=i), label=f"arm number {i}")
    drawn = plots.direct_labels(ax)
    assert [d.text for d in drawn] == [f"arm number {i}" for i in range(7)]
    assert drawn[4].y == ax.lines[4 * 6].get_ydata()[-1]
    ax.figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.texts]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert all(b.x1 <= ax.figure.bbox.x1 and b.y1 <= ax.figure.bbox.y1 for b in boxes)
    plots.direct_labels(ax)
    assert len(ax.texts) == 7  # a second call replaces the first


def test_labels_follow_the_last_point_that_is_shown(ax):
    ax.plot([0, 1, 2, 3], [1, 2, 3, np.nan], label="ends early")
    ax.plot([0, 1, 2, 3], [1, 1, 1, 1], label="_hidden")
    ax.set_xlim(0, 2.5)
    (label,) = plots.direct_labels(ax)
    assert (label.x, label.y) == (2, 3)


def test_leaders_do_not_undo_limits_that_ticks_have_widened(ax):
    ax.plot([0, 1], [1, 2], label="a")
    ax.plot([0, 0.5], [1, 1], label="ends early, hence a leader")
    ax.set_yticks([0, 10])
    limits = ax.get_xlim(), ax.get_ylim()
    plots.direct_labels(ax)
    ax.figure.draw_without_rendering()
    assert (ax.get_xlim(), ax.get_ylim()) == limits


def test_spreading_keeps_order_and_distance_and_is_the_least_squares_solution():
    from scipy.optimize import minimize

    for seed in range(5):
        wanted = np.random.default_rng(seed).uniform(0.2, 0.8, size=5)
        heights = spread_apart(wanted, 0.1)
        order = np.argsort(wanted)
        assert (np.diff(heights[order]) >= 0.1 - 1e-12).all()
        gaps = {"type": "ineq", "fun": lambda h, order=order: np.diff(h[order]) - 0.1}
        best = minimize(lambda h, w=wanted: ((h - w) ** 2).sum(), heights[::-1], constraints=gaps,
                        method="SLSQP", options={"ftol": 1e-12, "maxiter": 500})  # fmt: skip
        np.testing.assert_allclose(best.x, heights, atol=1e-4)
    np.testing.assert_allclose(spread_apart(np.array([0.1, 0.9, 0.5]), 0.1), [0.1, 0.9, 0.5])
    assert spread_apart(np.ones(4), 0.1).max() == 1 and spread_apart(np.zeros(4), 0.1).min() == 0


def test_label_colours_have_the_contrast_of_text():
    for color in [*plots.COLORS.values(), "yellow", "0.9"]:
        rgb = np.array(matplotlib.colors.to_rgb(plots.ink(color)))
        assert 1.05 / (_luminance(rgb) + 0.05) >= 4.4  # 4.5 before rounding to eight bits
    assert plots.ink("black") == "#000000"


TIMES = [[None] * 5, [4200, None, float("inf"), 3900, censored(5000)], [900, 800, 700, 600, 1000]]


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_censored_runs_are_counted_and_drawn_beyond_the_budget(ax, scale):
    ax.set_yscale(scale)
    drawn = plots.censored_points(ax, [0.3, 0.4, 0.5], TIMES, 5000, label="arm")
    np.testing.assert_array_equal(drawn.censored, [5, 3, 0])
    np.testing.assert_array_equal(drawn.median, [np.inf, np.inf, 800])
    assert [t.get_text() for t in ax.texts] == ["> 5000", "▲ 5/5", "▲ 3/5"]
    assert np.isfinite(drawn.values).sum() == 7
    dots = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(np.sort(dots.get_ydata()), np.sort([4200, 3900, *TIMES[2]]))
    low, high = ax.get_ylim()
    assert low < 600 and high > 5000
    left, right = ax.get_xlim()
    assert left < 0.3 and right > 0.5  # a setting where every run is censored is inside too
    for text in ax.texts[1:]:
        pixel = text.get_transform().transform(text.get_position())
        assert ax.transData.inverted().transform(pixel)[1] > 5000


def test_two_arms_share_a_budget_without_overlap(ax):
    plots.censored_points(ax, [1, 2, 3], TIMES, 5000)
    plots.censored_points(ax, [1, 2, 3], [[300] * 5, *TIMES[:2]], 5000)
    ax.figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in ax.texts]
    assert len(boxes) == 5
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert ax.get_ylim()[0] < 300
    with pytest.raises(ValueError, match="limit=6000 on axes with limit=5000"):
        plots.censored_points(ax, [1], [[7]], 6000)


def test_even_counts_and_short_rows_have_honest_medians(ax):
    drawn = plots.censored_points(ax, [1, 2], [[1, 2, None, None], [3, 5]], 10)
    np.testing.assert_array_equal(drawn.median, [np.inf, 4])
    assert drawn.values.shape == (2, 4)


def test_censored_points_name_what_is_wrong(ax):
    with pytest.raises(ValueError, match="1 values exceed the budget limit=10"):
        plots.censored_points(ax, [1], [[3, 11]], 10)
    with pytest.raises(ValueError, match=r"nan.*censored"):
        plots.censored_points(ax, [1], [[3, float("nan")]], 10)
    with pytest.raises(ValueError, match="2 settings x and 1 rows"):
        plots.censored_points(ax, [1, 2], [[3]], 10)


def test_phase_diagram_hatches_what_never_came(ax):
    ax.set_yscale("log")
    values = [[None, 4000, 300], [float("inf"), censored(5000), 700]]
    drawn = plots.phase_diagram(ax, [1, 2, 3], [0.1, 10], values, limit=5000, log=True, write=True)
    np.testing.assert_array_equal(drawn.censored, [[True, False, False], [True, True, False]])
    np.testing.assert_array_equal(drawn.values[~drawn.censored], [4000, 300, 700])
    hatched = [p for p in ax.patches if p.get_hatch()]
    assert [(p.get_x(), p.get_y()) for p in hatched] == [
        (0.5, pytest.approx(0.01)), (0.5, pytest.approx(1)), (1.5, pytest.approx(1)),
    ]  # fmt: skip
    assert [t.get_text() for t in ax.texts] == ["4000", "300", "700"]
    assert ax.get_legend().get_texts()[0].get_text() == "> 5000"
    mesh = ax.collections[0].get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(mesh), drawn.censored)


def test_phase_diagram_of_nothing_but_censored_cells_is_drawn(ax):
    drawn = plots.phase_diagram(ax, [1, 2], [1], [[None, None]], log=True)
    ax.figure.draw_without_rendering()
    assert drawn.censored.all()


def test_phase_diagram_names_what_is_wrong(ax):
    with pytest.raises(ValueError, match=r"values \(1, 2\); expected .* \(2, 2\)"):
        plots.phase_diagram(ax, [1, 2], [1, 2], [[1, 2]])
    with pytest.raises(ValueError, match="must increase"):
        plots.phase_diagram(ax, [2, 1], [1], [[1, 2]])


@pytest.mark.parametrize("axis", ["x", "y"])
def test_linear_and_log_draw_the_same_data(axis):
    x, runs = np.arange(6), np.abs(normal(5, 6))
    with matplotlib.rc_context():
        plots.style()
        pair = plots.linear_and_log(lambda ax: plots.bands(ax, x, runs, label="loss"), axis=axis)
    linear, log = pair.axes
    assert getattr(log, f"get_{axis}scale")() == "log"
    assert getattr(linear, f"get_{axis}scale")() == "linear"
    np.testing.assert_array_equal(linear.lines[0].get_xydata(), log.lines[0].get_xydata())
    np.testing.assert_array_equal(pair.data.runs, runs)
    assert [t.get_text() for t in log.texts] == ["loss"]
    plt.close(pair.figure)
    with pytest.raises(ValueError, match="axis='z'"):
        plots.linear_and_log(lambda ax: None, axis="z")
