"""Specs that are drawn: what fits, what is left out, when there is no more."""

import numpy as np
import pytest
from contracts.searcher import NO_LIMIT, OBJECTIVE

from kscale.errors import BudgetError, SpecError
from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec, Value
from kscale.networks.sizing import Size
from kscale.search.contract import Job, derived_seed
from kscale.search.drawn import Aim, Drawn
from kscale.search.drawn_pool import MOST_MISSES, DrawnPool
from kscale.search.draws import Settings
from kscale.search.random_search import RandomSearcher


class Made:
    """Draws of one knob from 1 to `most`, of 100 parameters each step."""

    name = "made:models"

    def __init__(self, most: int = 10, unknown: bool = False, fails: bool = False):
        self.most = most
        self.unknown = ("mine",) if unknown else ()
        self.fails = fails
        self.asked = 0

    def draw(self, seed: int, index: int, aim: Aim | None = None) -> Drawn:
        self.asked += 1
        units = 1 + derived_seed(seed, index) % self.most
        if aim is not None:
            place = aim.places.get("units", min(aim.reach, 1.0))
            units = 1 + int(place * (self.most - 1))
        spec = Spec(self.name, (("units", units),))
        if self.fails or units == 3:
            return Drawn(spec, None, reason="three is none")
        size = Size(100 * units, 100 * units, 200 * units, 1, 1)
        return Drawn(spec, size, unknown=self.unknown)


class Sparse:
    """Six layers of 1 to 64 times 16 units, of which 1 in 30,000 has 40,000 weights.

    A rate decides nothing of the size.
    """

    name = "made:sparse"

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def draw(self, seed: int, index: int, aim: Aim | None = None) -> Drawn:
        rng = np.random.default_rng([seed, aim.draw if aim else index])
        names = [*(f"units_{place}" for place in range(6)), "rate"]
        places = dict(zip(names, rng.random(7), strict=True))
        span = 65 - self.least
        for name, value in aim.known.items() if aim else ():
            begin = value if name == "rate" else (value - self.least + 0.5) / span
            way = min(aim.reach * 10 ** rng.uniform(-1, 1), 1.0) if aim else 0.0
            places[name] = begin + way * (places[name] - begin)
        places |= aim.places if aim else {}
        knobs: dict[str, Value] = {
            name: self.least + min(int(places[name] * span), span - 1)
            for name in names[:6]
        }
        wide = [64, *(16 * int(units) for units in knobs.values()), 10]
        weights = int(np.dot(wide[:-1], wide[1:]))
        spec = Spec(self.name, tuple(sorted({**knobs, "rate": places["rate"]}.items())))
        return Drawn(spec, Size(weights, weights, 1, 1, 1))


def test_where_few_draws_fit_others_are_shrunk_and_spread_over_the_limit() -> None:
    limit = Budget(max_params=40_000)
    pool, again = (DrawnPool(Sparse(), limit) for _ in range(2))
    found = [drawn.spec for drawn in pool.some(0, 12)]
    assert pool.is_rare and pool.draws < 200
    assert len({spec.knobs[1:] for spec in found}) == 12 == len(pool)
    assert [drawn.spec for drawn in again.some(0, 12)] == found
    drawn, plain = [pool.at(place) for place in range(12)], pool.fitting
    sizes = [each.size.params for each in drawn if each and each.size]
    assert max(sizes) <= 40_000
    assert pool.found.endswith(f"fit max_params=40k, and {12 - plain} made smaller")
    assert pool.found.startswith(f"{plain} of {pool.fitting + pool.too_large} draws")
    assert pool.notes() == [note for note in pool.notes() if pool.found in note] != []
    octaves = {int(np.log2(40_000 / size)) for size in sizes}
    assert {0, 1, 2} <= octaves
    rates = [float(spec["rate"]) for spec in found]  # on which no size depends
    assert max(rates) - min(rates) > 0.5


def test_where_nothing_fits_the_smallest_is_the_smallest_there_is() -> None:
    pool = DrawnPool(Sparse(least=3), Budget(max_params=9_000))
    with pytest.raises(BudgetError, match=r"smallest of .* has params=15,072"):
        pool.at(0)
    assert pool.draws < 1500


def asked_of(searcher: RandomSearcher) -> list[Job]:
    jobs: list[Job] = []
    while isinstance(job := searcher.propose((), jobs, NO_LIMIT), Job):
        jobs.append(job)
    return jobs


def settings_of(pool: DrawnPool, trials: int, **more: object) -> Settings:
    return Settings(pool, trials, 2, OBJECTIVE, **more)  # type: ignore[arg-type]


def searcher_of(source: Made, trials: int = 50, seed: int = 0) -> RandomSearcher:
    pool = DrawnPool(source, Budget(max_params=800), seed)
    return RandomSearcher(settings_of(pool, trials, seed=seed))


def test_every_spec_that_fits_is_proposed_once_and_no_other() -> None:
    units = [job.spec["units"] for job in asked_of(searcher_of(Made()))]
    assert sorted(units) == [1, 2, 4, 5, 6, 7, 8]


def test_proposals_depend_on_the_seed_and_not_on_the_trials() -> None:
    few, many, other = (
        [job.spec for job in asked_of(searcher_of(Made(20), trials, seed))]
        for trials, seed in ((5, 0), (6, 0), (6, 1))
    )
    assert set(few) < set(many) != set(other)


def test_the_cheapest_of_a_round_come_first() -> None:
    jobs = searcher_of(Made()).outlook((), ()).jobs
    assert [job.spec["units"] for job in jobs[:3]] == [1, 2, 4]


def test_the_learning_rate_is_left_to_the_code_of_the_model() -> None:
    assert searcher_of(Made()).outlook((), ()).jobs[0].learning_rates == (None,)


def test_a_round_ends_when_its_time_is_up_and_the_next_one_goes_on() -> None:
    pool = DrawnPool(Made(), Budget(max_params=800), seconds=0.0)
    searcher = RandomSearcher(settings_of(pool, 50))
    assert len(searcher.outlook((), ()).jobs) == len(pool) == 1
    units = [job.spec["units"] for job in asked_of(searcher)]
    assert sorted(units) == [1, 2, 4, 5, 6, 7, 8]


def test_what_fits_nothing_ends_with_the_smallest_seen() -> None:
    source = Made()
    pool = DrawnPool(source, Budget(max_params=50))
    with pytest.raises(BudgetError, match=r"smallest of \d+ draws \(units=1\) has par"):
        pool.at(0)
    assert 20 < source.asked < MOST_MISSES


def test_what_always_fails_ends_early_with_the_reason() -> None:
    source = Made(fails=True)
    with pytest.raises(SpecError, match="no model in 20 draws: three is none"):
        DrawnPool(source, Budget(max_params=800)).at(0)
    assert source.asked == 20


def test_a_limit_on_what_is_unknown_is_refused_not_exceeded() -> None:
    with pytest.raises(BudgetError, match="max_flops cannot be kept: what mine"):
        DrawnPool(Made(unknown=True), Budget(max_flops=10**9)).at(0)
    assert DrawnPool(Made(unknown=True), Budget(max_params=10**9)).at(0) is not None


def test_what_is_left_out_is_counted_with_its_reason() -> None:
    pool = DrawnPool(Made(), Budget(max_params=800))
    assert pool.at(10**6) is None
    assert pool.left_out == {"three is none": 1}
    assert pool.found.startswith("7 of ")


def test_what_is_not_admitted_is_passed_over_until_it_is_too_much() -> None:
    pool = DrawnPool(Made(2000), Budget(max_params=10**6))
    asked: list[int] = []

    def admits(spec: Spec) -> bool:
        asked.append(int(spec["units"]))
        return len(asked) % 2 == 0 and len(asked) < 11

    jobs = asked_of(RandomSearcher(settings_of(pool, 25, admits=admits)))
    assert [job.spec["units"] for job in jobs] == asked[1:11:2]
    assert len(asked) == len(set(asked)) == 10 + 30
    few = asked_of(RandomSearcher(settings_of(pool, 3, admits=lambda spec: True)))
    assert len(few) == 3
