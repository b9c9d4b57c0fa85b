"""The verdict's fixed rules, censored runs, and text that is the same on every machine."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from minigrad import claims
from minigrad.claims import censored, claim, first_time, paired
from minigrad.claims.censoring import Censored, Undecided, quantile
from minigrad.claims.display import coarse, to_precision_of
from minigrad.claims.verdicts import MIME, seeds_verdict


def make(measured, holds=None, **options):
    options = {"paper": "power2022grokking", "published": "1000 steps", "unit": "steps"} | options
    return claim("It takes long.", measured=measured, holds=holds, **options)


@pytest.mark.parametrize(
    ("truths", "verdict"),
    [
        ([True] * 4, "inconclusive"),
        ([False] * 4, "inconclusive"),
        ([True] * 5, "holds"),
        ([True] * 4 + [False], "partly"),
        ([True] * 3 + [False] * 3, "partly"),
        ([True] * 2 + [False] * 3, "does not hold at this scale"),
        ([False] * 5, "does not hold at this scale"),
        ([True] * 4 + [None], "inconclusive"),  # holds or partly
        ([True] * 3 + [None, False], "partly"),  # whichever way the undecided seed falls
        ([False] * 4 + [None], "does not hold at this scale"),
        ([True] * 2 + [None, False, False], "inconclusive"),
    ],
)
def test_verdict_over_seeds_is_a_fixed_rule(truths, verdict):
    assert seeds_verdict(truths) == verdict
    assert make([1.0] * len(truths), truths).verdict == verdict


def test_predicate_is_asked_for_every_seed():
    assert make([2000, 3000, 1500, 1200, 1001], lambda t: t > 1000).verdict == "holds"
    assert make([2000, 3000, 1500, 1200, 999], lambda t: t > 1000).verdict == "partly"
    assert make(np.arange(5) + 2000, lambda t: t > 1000).verdict == "holds"


def test_booleans_are_counted():
    shown = make(np.array([True, True, True, False, True]))
    assert (shown.measured, shown.verdict) == ("4 of 5", "partly")


def test_censored_run_supports_later_than_but_cannot_decide_beyond_its_budget():
    runs = [1200, 4000, censored(5000), censored(5000), censored(5000)]
    assert make(runs, lambda t: t > 1000).verdict == "holds"
    assert make(runs, lambda t: t > 6000).verdict == "inconclusive"
    assert make(runs, lambda t: t < 5000).verdict == "does not hold at this scale"
    with pytest.raises(Undecided, match="budget was too short"):
        _ = censored(5000) < np.float64(6000)


def test_numpy_scalars_compare_with_censored_runs():
    assert np.float64(10) < censored(5000)
    assert not np.float64(5000) > censored(5000)
    assert np.float64(10000) / censored(5000) < 2


def test_censored_runs_are_counted_never_dropped():
    shown = make([1000, 2000, 3000, censored(5000), censored(5000)], lambda t: t > 0)
    assert shown.measured == "3000 steps"
    assert shown.spread == "quartiles 2000 to > 5000, > 5000 (2 of 5), 5 seeds"
    shown = make([1000, censored(5000), censored(5000)], lambda t: t > 0)
    assert shown.measured == "> 5000 steps"


def test_quantiles_match_numpy_and_bound_what_is_censored():
    rng = np.random.default_rng(0)
    for n in range(1, 12):
        x = rng.normal(size=n)
        for q in (0.25, 0.5, 0.75):
            assert quantile(x, q) == pytest.approx(np.quantile(x, q), abs=1e-12)
    # An even count with one run censored: the median lies above the mean of 2 and the limit 10.
    assert quantile([1.0, 2.0, censored(10), censored(10)], 0.5) == Censored(6.0)


def test_quantile_bounds_contain_the_truth():
    rng = np.random.default_rng(1)
    for _ in range(200):
        truth = rng.exponential(size=7)
        limits = rng.exponential(size=7)
        seen = [t if t <= c else censored(c) for t, c in zip(truth, limits, strict=True)]
        for q in (0.25, 0.5, 0.75):
            got, exact = quantile(seen, q), np.quantile(truth, q)
            if isinstance(got, Censored):
                assert got.low <= exact * (1 + 1e-12)
            else:
                assert got == pytest.approx(exact)


def test_interval_arithmetic_contains_every_pair():
    rng = np.random.default_rng(2)
    for _ in range(300):
        low, width, other = rng.uniform(0.1, 5, 3)
        a, x = Censored(low, low + width), low + width * rng.uniform(0.01, 0.99)
        for got, want in [
            (a + other, x + other), (a - other, x - other), (other - a, other - x),
            (a * other, x * other), (a / other, x / other), (other / a, other / x),
        ]:  # fmt: skip
            assert got.low < want < got.high


def test_paired_comparison_keeps_censoring_honest():
    assert paired([900, 30], [300, 10], how="ratio") == [3.0, 3.0]
    assert paired([5.0], [3.0]) == [2.0]
    later, sooner, unknown = paired(
        [censored(5000), 500, censored(5000)], [500, censored(5000), censored(5000)], how="ratio"
    )
    assert later > 9 and sooner < 0.11
    with pytest.raises(Undecided):
        _ = unknown > 1
    assert repr(paired([censored(5)], [censored(5)])[0]) == "unknown"
    with pytest.raises(ValueError, match="positive"):
        paired([1.0], [0.0], how="ratio")
    with pytest.raises(ValueError, match="same seeds"):
        paired([1.0], [0.0, 1.0])


def test_pairing_cancels_what_the_arms_share():
    rng = np.random.default_rng(3)
    luck = rng.normal(scale=10, size=8)  # a seed's difficulty, the same in both arms
    effect = paired(luck + 1, luck)
    assert make(effect, lambda d: d > 0, over="mean").verdict == "holds"
    assert make(list(luck + 1), lambda d: d > 0, over="mean").verdict == "inconclusive"


def test_verdict_over_the_mean_asks_the_interval():
    x = [0.9, 1.1, 1.0, 0.95, 1.05, 1.0]  # mean 1, 95 % interval 1 ± 0.074
    assert make(x, lambda m: abs(m - 1) < 0.1, over="mean").verdict == "holds"
    assert make(x, lambda m: m > 1.2, over="mean").verdict == "does not hold at this scale"
    assert make(x, lambda m: m > 0.99, over="mean").verdict == "inconclusive"
    # The band lies strictly inside the interval: both ends fail, the middle does not.
    assert make(x, lambda m: abs(m - 1) < 0.01, over="mean").verdict == "inconclusive"
    assert make(x[:4], lambda m: m > 0, over="mean").verdict == "inconclusive"
    shown = make(x, lambda m: m > 0, over="mean")
    assert (shown.measured, shown.spread) == ("1.00 steps", "mean ± 0.07 (95 %), 6 seeds")


def test_t_interval_covers_the_mean_in_95_percent():
    rng = np.random.default_rng(4)

    def claim_true_mean(sample):
        return make(list(sample), lambda m: m > 0, over="mean").verdict == "inconclusive"

    covered = np.mean([claim_true_mean(rng.normal(size=6)) for _ in range(1000)])
    assert 0.93 < covered < 0.97  # zero is the true mean, so 95 % of the intervals contain it


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measured": [1.0, float("nan")]}, r"measured\[1\] is nan.*censored\(limit\)"),
        ({"measured": [float("inf")]}, "never came"),
        ({"measured": [None]}, r"measured\[0\] is None.*censored"),
        ({"measured": []}, "empty"),
        ({"holds": [True]}, "holds has 1 entries and measured 5"),
        ({"holds": None}, "holds is missing"),
        ({"over": "median"}, "over='median'; expected"),
        ({"setting": "copy"}, "setting='copy'; expected"),
        ({"digits": 5}, "digits=5"),
        ({"over": "mean", "measured": [censored(5)] * 5}, "their mean is unknown"),
        ({"over": "mean", "holds": [True] * 5}, "predicate on the mean"),
    ],
)
def test_bad_input_names_the_argument(changes, message):
    good = {"measured": [1.0] * 5, "holds": lambda t: t > 0}
    with pytest.raises(ValueError, match=message):
        make(**good | changes)
    with pytest.raises(ValueError, match="limit=inf"):
        censored(float("inf"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4851.3, "4900"), (0.09983, "0.1"), (0.996, "1"), (1.0, "1"), (97.4, "97"), (0.0, "0"),
        (-0.0123, "-0.012"), (123456, "120000"), (9.96e6, "1.0e+07"), (3.2e-9, "3.2e-09"),
        (censored(12500), "> 12500"), (censored(5000 / 456), "> 10"), (censored(0.05), "> 0.05"),
    ],
)  # fmt: skip
def test_coarse_numbers(value, text):
    assert coarse(value) == text


@pytest.mark.parametrize(
    ("mean", "error", "text"),
    [(5183.7, 38.2, "5180"), (0.98765, 0.0961, "1.0"), (-0.02, 0.3, "0.0"), (7.3, 0.0, "7.3"),
     (412.0, 2600.0, "0"), (3.14159, 0.0123, "3.14")],
)  # fmt: skip
def test_a_mean_is_rounded_where_its_error_begins(mean, error, text):
    assert to_precision_of(error, mean) == text


def test_text_is_the_same_under_rounding_errors():
    rng = np.random.default_rng(5)
    x = np.array([1234.0, 2345.0, 3456.0, 4567.0, 5678.0])
    first = make(x, lambda t: t > 1000)
    again = make(x * (1 + 1e-6 * rng.normal(size=5)), lambda t: t > 1000)
    assert first._repr_mimebundle_() == again._repr_mimebundle_()


def test_display_has_text_html_and_a_ledger_record():
    shown = make([2000] * 5, lambda t: t > 1000, note="smaller net")
    bundle = shown._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", MIME}
    assert bundle["text/plain"].splitlines() == [
        "[holds] It takes long.",
        "  paper  1000 steps (power2022grokking, replication)",
        "  ours   2000 steps; quartiles 2000 to 2000, 5 seeds",
        "  note   smaller net",
    ]
    (record,) = json.loads(json.dumps(bundle[MIME]))
    assert list(record) == [
        "statement", "paper", "published", "measured", "spread", "verdict", "setting", "note",
    ]  # fmt: skip
    assert all(isinstance(value, str) for value in record.values())


def test_table_shows_every_claim_once_and_counts_verdicts():
    good, bad = make([2.0] * 5, [True] * 5), make([2.0] * 5, [False] * 5)
    bundle = claims.table(good, bad, good)._repr_mimebundle_()
    assert len(bundle[MIME]) == 3
    assert bundle["text/plain"].endswith("holds: 2, does not hold at this scale: 1")
    assert bundle["text/html"].count("<tr") == 4
    assert max(map(len, bundle["text/plain"].splitlines())) <= 88
    with pytest.raises(TypeError, match="entry 0 is list"):
        claims.table([good])


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.styles = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append(tag)
        self.styles.append(dict(attributes).get("style", ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_escaped_balanced_and_takes_its_colours_from_the_page():
    nasty = '<script>alert("x")</script> & p < 0.05'
    shown = claim(nasty, paper=nasty, published=nasty, measured=[1.0] * 5, holds=[True] * 5,
                  note=nasty, unit="<b>")  # fmt: skip
    questions = claims.predict(claims.question("q", nasty, [nasty, "no"]))
    for text in (shown.html(), questions.html(), questions.score({"q": nasty}, q="no").html()):
        tags = Tags(text)
        assert not tags.open and "script" not in tags.seen and "b" not in tags.seen
        assert "#" not in "".join(tags.styles) and "rgb" not in "".join(tags.styles)


def ask():
    return claims.predict(
        claims.question("decay", "Half the weight decay: it comes", ["sooner", "later", "never"]),
        claims.question("delay", "How much later is it?", unit="times"),
    )


def test_predictions_are_scored():
    scores = ask().score({"decay": "later", "delay": 50}, decay="later", delay=[20, 30, 40])
    assert scores.right == 2 and "2 of 2 right." in scores.text()
    scores = ask().score({"decay": "never", "delay": 61}, decay="later", delay=30.0)
    assert scores.right == 0 and scores.text().count("not this time") == 2


def test_unanswered_predictions_are_friendly():
    for empty in ({}, {"decay": None, "delay": ...}):
        text = ask().score(empty, decay="later", delay=30.0).text()
        assert "No predictions yet" in text and text.count("no answer yet") == 2
    text = ask().score({"decay": "maybe", "delay": "lots"}, decay="later", delay=30.0).text()
    assert "choose one of 'sooner' / 'later' / 'never'" in text and "write a number" in text


def test_a_censored_outcome_accepts_any_number_beyond_the_budget():
    assert ask().score({"delay": 80}, decay="never", delay=censored(50)).right == 1
    assert ask().score({"delay": 20}, decay="never", delay=censored(50)).right == 0


def test_questions_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"no outcome for \['delay'\]"):
        ask().score({}, decay="later")
    with pytest.raises(ValueError, match="prediction 'dekay' has no question"):
        ask().score({"dekay": 1}, decay="later", delay=1.0)
    with pytest.raises(ValueError, match="expected one of"):
        ask().score({}, decay="perhaps", delay=1.0)
    with pytest.raises(ValueError, match="at least two"):
        claims.question("a", "b", ["only"])
    with pytest.raises(TypeError, match="question"):
        claims.predict("what?")
    with pytest.raises(ValueError, match="names repeat"):
        claims.predict(claims.question("a", "b"), claims.question("a", "c"))


def test_first_time_is_the_first_tick_at_the_level_or_censored():
    assert first_time([0, 5, 10], [0.2, 0.9, 0.1], 0.9) == 5
    assert first_time([0, 5, 10], [0.2, 0.3, np.nan], 0.9) == censored(10)
    assert first_time([0, 5], -np.array([3.0, 1.0]), -1.0) == 5
    with pytest.raises(ValueError, match="k >= 1"):
        first_time([], [], 0.5)
