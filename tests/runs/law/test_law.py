"""The law of error against size: what it says, how sure, and what it refuses."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from kscale.errors import LawError
from kscale.runs.law.law import Law, fit_law
from kscale.runs.law.points import Point

SIZES = np.geomspace(1e3, 1e5, 6)


def power(size: float) -> float:
    return 0.1 + 2 * size**-0.4


def ladder(
    curve: Callable[[float], float],
    noise: float = 0.0,
    seed: int = 0,
    sizes: Sequence[float] = tuple(SIZES),
    depth: int | None = None,
) -> list[Point]:
    """Points around a curve, with relative noise."""
    factors = np.exp(noise * np.random.default_rng(seed).standard_normal(len(sizes)))
    return [
        Point(round(size), float(curve(size) * factor), depth=depth)
        for size, factor in zip(sizes, factors, strict=True)
    ]


def interval(law: Law, size: float) -> tuple[float, float, float]:
    (found,) = law.predict([size], beyond=True)
    return found.low, found.predicted, found.high


def test_a_law_without_noise_is_told_at_four_times_the_largest_size() -> None:
    law = fit_law(ladder(power))
    low, middle, high = interval(law, 4e5)
    assert middle == pytest.approx(power(4e5), rel=0.03)
    assert low < power(4e5) < high
    assert law.form == "power"
    assert law.limit.low < 0.1 < law.limit.high


@pytest.mark.parametrize(("noise", "width"), [(0.02, 0.25), (0.05, 0.6)])
def test_intervals_hold_on_simulated_laws_and_are_narrow(
    noise: float, width: float
) -> None:
    generator = np.random.default_rng(7)
    held, widths = [], []
    for seed in range(20):
        exponent, floor = generator.uniform(0.2, 0.8), generator.uniform(0, 0.5)

        def curve(size: float, a: float = exponent, e: float = floor) -> float:
            return float(0.3 * (e + (1 - e) * (size / 1e3) ** -a))

        law = fit_law(ladder(curve, noise, seed))
        for times in (2, 4, 10):
            low, middle, high = interval(law, times * 1e5)
            held.append(low <= curve(times * 1e5) <= high)
            widths.append((high - low) / middle)
    # 60 answers, 3 of a law: of a true 90 %, fewer than 48 are rare.
    assert np.mean(held) >= 0.8
    assert np.median(widths) < width


def test_more_noise_makes_a_wider_interval() -> None:
    widths = []
    for noise in (0.005, 0.05):
        low, _, high = interval(fit_law(ladder(power, noise)), 4e5)
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_points_known_to_be_noisy_count_less() -> None:
    *points, last = ladder(power, 0.003)
    off = 1.3 * last.error
    blind = fit_law([*points, Point(last.size, off)])
    stderrs = [Point(p.size, p.error, 0.003 * p.error) for p in points]
    told = fit_law([*stderrs, Point(last.size, off, 0.3 * off)])
    misses = [abs(interval(law, 4e5)[1] - power(4e5)) for law in (blind, told)]
    assert misses[1] < misses[0] / 2
    assert told.noise == pytest.approx(0.003)


def test_the_same_points_in_any_order_have_the_same_law() -> None:
    points = ladder(power, 0.02)
    assert fit_law(points).predict([2e5]) == fit_law(points[::-1]).predict([2e5])


def test_a_flat_ladder_is_said_to_be_flat() -> None:
    law = fit_law(ladder(lambda size: 0.2, 0.03, seed=10))
    assert any("too little for a law" in note for note in law.notes)
    still = fit_law(ladder(lambda size: 0.3))
    assert any("too little for a law" in note for note in still.notes)
    assert law.stops_paying == 1000


def test_where_more_stops_paying() -> None:
    sizes = np.geomspace(1e3, 1e6, 8)
    law = fit_law(ladder(lambda n: 0.1 + 0.3 * (n / 1e3) ** -1.5, 0.01, sizes=sizes))
    assert law.stops_paying is not None and 5e3 < law.stops_paying < 5e4
    steep = fit_law(ladder(lambda n: 0.3 * (n / 1e3) ** -0.5, 0.01, sizes=sizes))
    assert steep.stops_paying is None


def test_a_curve_that_turns_up_is_not_told_to_fall() -> None:
    def curve(size: float) -> float:
        return float(0.1 + 0.3 * (size / 1e3) ** -0.5 + 0.02 * (size / 1e4) ** 0.35)

    law = fit_law(ladder(curve, 0.01, sizes=np.geomspace(1e3, 1e6, 12)))
    assert law.form == "bounded" and "rising" in law.formula
    low, middle, high = interval(law, 4e6)
    assert middle > curve(1e6) and low < curve(4e6) < high


def test_the_law_is_of_the_depth_that_is_best_at_large_sizes() -> None:
    sizes = np.geomspace(1e3, 1e5, 8)
    shallow = ladder(lambda n: 0.2 + 0.1 * (n / 1e3) ** -0.9, 0.005, 1, sizes, depth=1)
    deep = ladder(lambda n: 0.4 * (n / 1e3) ** -0.3, 0.005, 2, sizes, depth=3)
    law = fit_law([*shallow, *deep])
    assert law.depth == 3 and {point.depth for point in law.points} == {3}
    assert any("depth 3" in note for note in law.notes)
    assert interval(law, 4e5)[1] == pytest.approx(0.4 * 400**-0.3, rel=0.1)


def test_depths_of_one_law_share_the_law() -> None:
    odd, even = SIZES * 1.3, SIZES
    points = [*ladder(power, 0.02, 1, odd, 1), *ladder(power, 0.02, 2, even, 2)]
    assert fit_law(points).depth is None


def test_the_size_that_reaches_an_error() -> None:
    law = fit_law(ladder(power, 0.002))
    found = law.reach(power(2e5))
    assert found.low < 2e5 < found.high
    assert found.size == pytest.approx(2e5, rel=0.5)


def test_the_size_that_reaches_an_error_is_found_between_any_sizes() -> None:
    law = fit_law(ladder(lambda size: 3 * size**-0.5))
    found = law.reach(3 * 87_100**-0.5)
    assert found.low <= 87_100 <= found.high
    assert found.size == pytest.approx(87_100, rel=0.02)


def test_a_limit_is_where_the_formula_ends() -> None:
    law = fit_law(ladder(power))
    assert law.limit.low < 0.1 < law.limit.high
    assert law.limit.predicted == pytest.approx(float(law.formula.split()[0]), rel=0.05)
    far = law.predict([1e18], beyond=True)[0]
    assert far.predicted == pytest.approx(law.limit.predicted, rel=0.01)


def test_more_pays_as_long_as_the_error_falls_clearly() -> None:
    sizes = np.geomspace(1e4, 1e6, 6)
    errors = dict(zip(sizes, (0.9, 0.8, 0.6, 0.4, 0.2, 0.1), strict=True))
    law = fit_law(ladder(errors.__getitem__, sizes=sizes))
    assert law.stops_paying is None or law.stops_paying > 3e5


def test_thousands_of_points_are_fitted_as_some_means() -> None:
    many = fit_law(ladder(power, 0.02, sizes=np.geomspace(1e3, 1e5, 3000)))
    low, middle, high = interval(many, 4e5)
    assert low < power(4e5) < high
    assert middle == pytest.approx(power(4e5), rel=0.03)
    assert len(many.points) == 3000


def test_an_error_below_the_limit_is_not_reached() -> None:
    law = fit_law(ladder(power, 0.002))
    with pytest.raises(
        LawError, match=r"error of 0\.01 is not likely .* least is 0\.09"
    ):
        law.reach(0.01)


def test_sizes_beyond_four_times_the_largest_are_asked_for() -> None:
    law = fit_law(ladder(power))
    with pytest.raises(LawError, match=r"1M params are 10 times the largest"):
        law.predict([1e6])
    assert law.predict([1e6], beyond=True)[0].predicted < power(1e5)


@pytest.mark.parametrize("size", [0, -5, math.inf, math.nan])
def test_no_size_is_refused(size: float) -> None:
    with pytest.raises(LawError, match="number of parameters"):
        fit_law(ladder(power)).predict([size], beyond=True)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([], "there are 0: none"),
        ([Point(1000, 0.1)] * 5, "4 sizes or more; there are 1: 1k"),
        (ladder(power, sizes=[1e3, 2e3, 2.5e3, 2.9e3]), "factor of 3 or more"),
        (ladder(lambda size: 0.0), "All errors are 0"),
    ],
)
def test_points_that_fix_no_law_are_refused(points: list[Point], words: str) -> None:
    with pytest.raises(LawError, match=words):
        fit_law(points)


def test_some_errors_of_zero_do_not_end_the_fit() -> None:
    points = [*ladder(power)[:-1], Point(100_000, 0.0)]
    assert 0 < fit_law(points).predict([4e5])[0].predicted < 0.3


def test_a_short_ladder_says_how_wide_the_interval_is() -> None:
    law = fit_law(ladder(power, 0.05, sizes=np.geomspace(1e4, 1e5, 5)))
    assert any(
        note.startswith("5 sizes over 1.0 decades: at 4 times the largest")
        for note in law.notes
    )
