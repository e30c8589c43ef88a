"""Measures against numbers worked out by hand."""

import math

import pytest

from kscale.reports.measures import (
    density,
    gain_per_doubling,
    net_score,
    score_interval,
    wilson_interval,
)
from kscale.task.heads import HEADS

ACCURACY = HEADS["classes"].objectives["accuracy"]
AUC = HEADS["classes"].objectives["auc"]
LOSS = HEADS["classes"].objectives["loss"]
ERROR = HEADS["real"].objectives["root_mean_squared_error"]


def test_density_is_points_above_chance_per_million_params() -> None:
    # 90 - 10 = 80 points from half a million params
    assert density(ACCURACY, 0.9, 0.1, 500_000) == pytest.approx(160)


def test_density_needs_a_share_chance_and_weights() -> None:
    assert density(ERROR, 0.9, 0.1, 500_000) is None
    assert density(ACCURACY, 0.9, None, 500_000) is None
    assert density(ACCURACY, 0.9, 0.1, 0) is None


def test_net_score_of_a_hundredth_of_a_million() -> None:
    # 20 log10(100^2 / (sqrt(0.01) sqrt(0.01))) = 20 log10(10^6)
    assert net_score(ACCURACY, 1.0, 10_000, 20_000) == pytest.approx(120)


def test_net_score_counts_millions_of_multiply_adds() -> None:
    # a = 50, p = 4, m = 25: 20 log10(2500 / 2 / 5) = 20 log10(250)
    found = net_score(ACCURACY, 0.5, 4_000_000, 50_000_000)
    assert found == pytest.approx(47.9588, abs=1e-4)


def test_net_score_needs_a_share_above_nothing() -> None:
    assert net_score(LOSS, 0.5, 10, 10) is None
    assert net_score(ACCURACY, 0.0, 10, 10) is None
    assert net_score(ACCURACY, 0.5, 0, 10) is None
    assert net_score(ACCURACY, 0.5, 10, 0) is None


def test_gain_is_points_per_doubling() -> None:
    # 6 points over 1000 -> 8000, three doublings
    gain = gain_per_doubling(ACCURACY, 0.86, 8000, (0.80, 1000))
    assert gain == pytest.approx(2)


def test_gain_of_an_error_is_how_much_it_falls() -> None:
    gain = gain_per_doubling(ERROR, 3.0, 4000, (4.0, 1000))
    assert gain == pytest.approx(0.5)


def test_gain_over_nothing_is_unknown() -> None:
    assert gain_per_doubling(ACCURACY, 0.9, 1000, (0.8, 0)) is None
    assert gain_per_doubling(ACCURACY, 0.9, 1000, (0.8, 1000)) is None


def test_a_gain_over_nearly_the_same_size_is_unknown() -> None:
    assert gain_per_doubling(ACCURACY, 0.9, 1099, (0.8, 1000)) is None
    largest = gain_per_doubling(ACCURACY, 0.9, 1100, (0.8, 1000))
    assert largest == pytest.approx(10 * 7.2725, rel=1e-4)


def test_wilson_interval_against_its_formula_by_hand() -> None:
    # p = .9, n = 100, z^2 = 3.8416: center .919208 / 1.038416 = .885202;
    # half 1.96 / 1.038416 sqrt(.0009 + .00009604) = .059569
    low, high = wilson_interval(0.9, 100)
    assert low == pytest.approx(0.885202 - 0.059569, abs=2e-6)
    assert high == pytest.approx(0.885202 + 0.059569, abs=2e-6)


def test_wilson_interval_stays_between_0_and_1() -> None:
    low, high = wilson_interval(1.0, 20)
    # 1 / (1 + z^2 / n) = 20 / 23.8416
    assert (low, high) == pytest.approx((20 / 23.8416, 1.0))
    assert high <= 1
    assert wilson_interval(0.0, 20)[0] == 0.0


def test_accuracy_has_wilsons_interval_and_other_scores_one_of_stderr() -> None:
    assert score_interval(ACCURACY, 0.9, 0.5, 100) == wilson_interval(0.9, 100)
    assert score_interval(ERROR, 4.0, 0.5, 100) == pytest.approx((3.02, 4.98))
    assert score_interval(AUC, 0.99, 0.02, 100) == pytest.approx((0.9508, 1.0))
    assert score_interval(ERROR, 4.0, None, 100) is None


def test_measures_of_an_empty_test_part_are_unknown() -> None:
    assert score_interval(ACCURACY, 0.9, None, 0) is None
    assert math.isfinite(wilson_interval(0.5, 1)[0])
