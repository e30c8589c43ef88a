"""A ladder covers sizes, measures the noise, and spends its time on what narrows."""

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from contracts.searcher import (
    CHECKS_OF_ALL,
    TASK,
    Simulation,
    made_pool,
    made_settings,
    run_on_devices,
)

from kscale.errors import BudgetError
from kscale.networks.families import find_family
from kscale.search.contract import Allowance, Job, derived_seed
from kscale.search.ladder import SHARES, LadderSearcher
from kscale.search.narrowing import narrowing

POOL = made_pool()


def params(job: Job) -> int:
    return int(find_family(job.spec.family).size(job.spec, TASK).params)


def score(job: Job) -> float:
    """A law of size, at the rate that suits the size, with the luck of a seed."""
    rate, size = job.learning_rates[0] or 1.0, params(job)
    best = math.log(1e-2) - 0.3 * math.log(size / 1000)
    luck = np.random.default_rng(derived_seed(job.keys)).normal()
    error = 0.02 + 0.6 * size**-0.4 + 0.005 * (math.log(rate) - best) ** 2
    return float(1 - error + 0.003 * luck)


def alone(job: Job) -> float:
    return 1.0 + params(job) / 1000


def cost(job: Job) -> float:
    return len(job.seeds) * alone(job)


def made_ladder(units: float, **more: object) -> Simulation:
    """A search that may cost so many trainings of the largest network."""
    largest = float(1.0 + POOL.params.max() / 1000)

    def left(jobs: Sequence[Job]) -> Allowance:
        return Allowance(units * largest - sum(map(cost, jobs)), cost)

    settings = made_settings(POOL, 10_000, **more)
    searcher = LadderSearcher(settings)
    return Simulation(searcher, score, allowance=left, seconds=alone)


@cache
def ladder_of(units: float) -> list[Job]:
    """All jobs of a search."""
    return made_ladder(units).run()


def by_size(jobs: Sequence[Job]) -> dict[int, list[Job]]:
    return {size: [j for j in jobs if params(j) == size] for size in map(params, jobs)}


@pytest.mark.parametrize("check", CHECKS_OF_ALL, ids=lambda check: check.__name__)
def test_a_ladder_keeps_the_contract(check: Callable[[str], None]) -> None:
    check("ladder")


@pytest.mark.parametrize(("units", "span"), [(5.0, 48.0), (1.0, 6.0)])
def test_a_ladder_reaches_the_largest_that_is_affordable(
    units: float, span: float
) -> None:
    """Of 634 to 39,754 params, in sizes that are even in the logarithm."""
    jobs = ladder_of(units)
    sizes = sorted(by_size(jobs))
    assert sizes[0] < 800 and sizes[-1] > span * sizes[0]
    assert len(sizes) >= 6 and max(np.diff(np.log(sizes))) < 0.9
    assert sum(map(cost, jobs)) <= units * (1.0 + POOL.params.max() / 1000)
    pairs = {(job.spec, job.learning_rates) for job in jobs}
    assert len(jobs) - len(pairs) >= 2  # further seeds tell the noise


def test_a_ladder_on_several_devices_has_more_trainings_but_none_longer() -> None:
    limit = 2.0 * (1.0 + POOL.params.max() / 1000)
    searcher = LadderSearcher(made_settings(POOL, 10_000))
    (_, one), (end, four) = (
        run_on_devices(searcher, limit, devices, cost, score) for devices in (1, 4)
    )
    assert end <= limit and sum(map(cost, four)) > 0.9 * 4 * limit
    assert len(four) > 3 * len(one)
    assert max(map(cost, one)) <= max(map(cost, four)) <= 0.35 * limit


def test_few_trials_are_spread_over_the_sizes() -> None:
    searcher = LadderSearcher(made_settings(POOL, 9))
    jobs = Simulation(searcher, score).run()
    sizes = sorted(by_size(jobs))
    assert len(jobs) == 9 and len(sizes) >= 7 and sizes[-1] > 48 * sizes[0]


def test_rates_that_suit_small_sizes_are_carried_to_large_ones() -> None:
    """The best rate falls from 0.011 at 730 params to 0.0034 at 36,000."""
    jobs = ladder_of(5.0)
    largest = [job for job in jobs if params(job) > 15_000]
    rates = [job.learning_rates[0] or 1.0 for job in largest]
    assert rates and all(0.001 < rate < 0.011 for rate in rates)


def test_each_job_of_a_ladder_has_the_seeds_that_were_asked_for() -> None:
    jobs = made_ladder(2.0, seeds_per_spec=2).run()
    assert {len(job.seeds) for job in jobs} == {2}
    assert len({seed for job in jobs for seed in job.seeds}) == 2 * len(jobs)


def test_a_half_recorded_job_is_ended_first() -> None:
    search = made_ladder(5.0, seeds_per_spec=2)
    for _ in range(9):
        search.step()
    search.pending.clear()
    cut = search.history.pop()
    job = search.searcher.propose(search.history, (), Allowance())
    assert isinstance(job, Job) and job.index == cut.job and cut.key in job.keys


def test_too_few_sizes_are_refused() -> None:
    with pytest.raises(BudgetError, match="sizes or more, but only 1 size can be"):
        LadderSearcher(made_settings(made_pool(depth=2, width=8)))


def test_shares_of_the_examples_are_trained_at_several_sizes() -> None:
    jobs = Simulation(
        LadderSearcher(made_settings(POOL, 36, shares=SHARES)), score
    ).run()
    subsets = [job for job in jobs if job.stage == "subset"]
    pairs = {(params(job), job.share) for job in subsets}
    whole = {(job.spec, job.learning_rates) for job in jobs if job.stage == "search"}
    assert len(subsets) == len(pairs) == 8 and {share for _, share in pairs} == {
        *SHARES
    }
    assert max(pairs)[0] == max(map(params, jobs)) and all(
        (job.spec, job.learning_rates) in whole for job in subsets
    )
    keys = [key for job in jobs for key in job.keys]
    assert len(keys) == len({*keys})


def test_failures_leave_the_other_sizes() -> None:
    search = made_ladder(5.0)
    search.score = lambda job: None if params(job) < 1000 else score(job)
    assert len([size for size in by_size(search.run()) if size > 1000]) >= 6


SIZES = np.geomspace(1e3, 1e5, 5)
LAW = [[0.1 + 5 * size**-0.5] for size in SIZES]


def test_ends_tell_more_of_a_law_than_the_middle() -> None:
    part = narrowing(SIZES, LAW, np.ones(5), 4e5, 0.01)
    assert (part > 0).all() and part[-1] > 2 * part[2]
    assert part.argmax() == 4


def test_the_first_further_seeds_tell_most() -> None:
    once, often = (
        narrowing(SIZES, LAW, np.array([1, 1, 1, 1, n]), 4e5, 0.01) for n in (1, 6)
    )
    assert once[-1] > 2 * often[-1]


def test_noise_is_that_of_the_seeds_where_there_are_some() -> None:
    noisy = [[*LAW[0], LAW[0][0] + 0.2], *LAW[1:]]
    calm = narrowing(SIZES, LAW, np.ones(5), 4e5, 0.001)
    part = narrowing(SIZES, noisy, np.array([2, 1, 1, 1, 1]), 4e5, 0.001)
    assert part[0] / part[-1] < calm[0] / calm[-1]
