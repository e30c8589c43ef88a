"""Random search stays inside the budget and near it."""

import numpy as np
from contracts.searcher import (
    EPOCHS,
    NO_LIMIT,
    TASK,
    Simulation,
    log_size,
    made_pool,
    made_settings,
    run_searcher,
)

from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.search.draws import FirstJobs
from kscale.search.pool import Pool, Space
from kscale.search.random_search import PoolDraws, RandomSearcher
from kscale.task.tasks import Task

NAMES = ("mlp", "cnn")


def random_searcher(pool: Pool, trials: int, **more: object) -> RandomSearcher:
    return RandomSearcher(made_settings(pool, trials, **more))


def shares(trials: int, seed: int = 0) -> np.ndarray:
    """Share of the budget that proposals use, while the pool is far from exhausted."""
    pool = made_pool()
    by_spec = dict(zip(pool.specs(), pool.share, strict=True))
    used = []
    for start in range(trials):
        draw = PoolDraws(pool, 1000 * seed + start).some(0, 1)[0]
        used.append(by_spec[draw.spec])
    return np.array(used)


def test_sixty_per_cent_of_proposals_use_half_the_budget() -> None:
    # Binomial with p = .6, n = 400: six standard deviations are .147, 1e-9.
    assert abs((shares(400) > 0.5).mean() - 0.60) < 0.147


def test_small_sizes_are_proposed_too() -> None:
    # Binomial with p = .15, n = 400: six standard deviations are .107.
    assert abs((shares(400, seed=1) <= 1 / 8).mean() - 0.15) < 0.107


def test_every_spec_comes_once_before_any_comes_again() -> None:
    pool = made_pool()
    jobs = run_searcher(random_searcher(pool, 2 * len(pool)), log_size)
    first = [job.spec for job in jobs if job.index < len(pool)]
    assert len(set(first)) == len(pool)
    assert len(jobs) == 2 * len(pool)


def test_a_spec_never_gets_the_same_learning_rate_twice() -> None:
    pool = made_pool(depth=2)
    jobs = run_searcher(random_searcher(pool, 10_000), log_size)
    points = [(job.spec, job.learning_rates[0]) for job in jobs]
    rates = find_family("mlp").learning_rate.values
    assert len(points) == len(set(points)) == len(pool) * len(rates)


def test_more_trials_go_on_where_fewer_ended() -> None:
    pool = made_pool()
    few = run_searcher(random_searcher(pool, 5), log_size)
    many = run_searcher(random_searcher(pool, 12), log_size)
    assert set(few) == {job for job in many if job.index < 5}


def test_a_round_begins_with_its_cheapest_and_goes_on_as_drawn() -> None:
    pool = made_pool()
    work = dict(zip(pool.specs(), pool.work.tolist(), strict=True))
    searcher = FirstJobs(made_settings(pool, 50), EPOCHS)
    assert len(searcher.outlook((), ()).jobs) == 20
    jobs = run_searcher(searcher, log_size)
    for start, end in ((0, 20), (20, 40), (40, 50)):
        drawn = jobs[start:end]
        assert {job.index for job in drawn} == set(range(start, end))
        costs = [work[job.spec] for job in drawn]
        assert costs[:3] == sorted(costs)[:3]
        others = [job.index for job in drawn[3:]]
        assert others == sorted(others)


def test_seeds_per_spec_are_distinct_members_of_one_job() -> None:
    first, second = run_searcher(
        random_searcher(made_pool(), 2, seeds_per_spec=3), log_size
    )
    assert len({*first.seeds, *second.seeds}) == 6
    assert len(first.learning_rates) == 3


def not_wide(spec: Spec) -> bool:
    return (spec.width or 0) <= 24


def test_what_is_refused_costs_no_trial() -> None:
    jobs = run_searcher(random_searcher(made_pool(), 20, admits=not_wide), log_size)
    assert len(jobs) == 20
    assert all(not_wide(job.spec) for job in jobs)


def test_every_admitted_point_is_proposed_once() -> None:
    pool = made_pool(depth=2)
    jobs = run_searcher(random_searcher(pool, 10_000, admits=not_wide), log_size)
    points = [(job.spec, job.learning_rates) for job in jobs]
    admitted = {spec for spec in pool.specs() if not_wide(spec)}
    rates = find_family("mlp").learning_rate.values
    assert {spec for spec, _ in points} == admitted
    assert len(points) == len(set(points)) == len(admitted) * len(rates)


def test_admission_is_asked_when_a_job_is_due_and_not_before() -> None:
    asked = []

    def admits(spec: Spec) -> bool:
        asked.append(spec)
        return True

    searcher = random_searcher(made_pool(), 50, admits=admits)
    outlook = searcher.outlook((), ())
    assert len(outlook.jobs) + outlook.trainings == 50 and not asked
    job = searcher.propose((), (), NO_LIMIT)
    assert isinstance(job, Job) and asked == [job.spec]


def test_equal_answers_give_equal_jobs() -> None:
    first, second = (
        run_searcher(random_searcher(made_pool(), 60, admits=not_wide), log_size)
        for _ in range(2)
    )
    assert first == second


def test_more_trials_go_on_where_a_search_with_refusals_ended() -> None:
    few = Simulation(random_searcher(made_pool(), 20, admits=not_wide), log_size)
    few.run()
    more = Simulation(random_searcher(made_pool(), 45, admits=not_wide), log_size)
    more.history = list(few.history)
    jobs = [*few.jobs, *more.run()]
    assert len(jobs) == len(set(jobs)) == 45


def test_when_all_is_refused_the_search_is_over() -> None:
    searcher = random_searcher(made_pool(), 50, admits=lambda spec: False)
    assert run_searcher(searcher, log_size) == []


def two_families(**limits: int) -> Pool:
    families = (find_family("mlp"), find_family("cnn"))
    return Pool(Space(families, TASK, Budget(**limits)))


def test_families_get_equal_shares_however_many_specs_they_have() -> None:
    pool = two_families(max_params=50_000)
    counts = [sum(spec.family == name for spec in pool.specs()) for name in NAMES]
    assert counts[0] > 1.2 * counts[1] or counts[1] > 1.2 * counts[0]
    for trials in (2, 8, 20, 41):
        jobs = run_searcher(random_searcher(pool, trials), log_size)
        proposed = [sum(job.spec.family == name for job in jobs) for name in NAMES]
        assert sum(proposed) == trials
        assert abs(proposed[0] - proposed[1]) <= 1


def test_where_one_family_is_exhausted_the_others_go_on() -> None:
    pool = two_families(max_params=700)
    few, many = sorted(NAMES, key=lambda n: sum(s.family == n for s in pool.specs()))
    jobs = run_searcher(random_searcher(pool, 10_000), log_size)
    points = [(job.spec, job.learning_rates) for job in jobs]
    rates = len(find_family("mlp").learning_rate.values)
    assert len(points) == len(set(points)) == rates * len(pool)
    assert few in {job.spec.family for job in jobs[:4]}
    assert {job.spec.family for job in jobs[-5:]} == {many}


def test_a_drawn_knob_has_only_values_that_suit_the_data() -> None:
    task = Task.of("spectrogram", (16, 8), classes=3)
    space = Space((find_family("cnn"),), task, Budget(20_000), ("augment",))
    draws = PoolDraws(Pool(space)).some(0, 20)
    drawn = {draw.spec["augment"] for draw in draws}
    assert drawn <= {"none", "shift", "erase", "shift+erase"} and len(drawn) > 1
