"""Baselines, search, finalists: in this order, and no lucky seed wins."""

import numpy as np
from contracts.searcher import BUDGET, log_size, made_pool, made_result, run_searcher

from kscale.networks.families import find_family
from kscale.search.contract import DONE, WAIT, Job
from kscale.search.random_search import RandomSearcher
from kscale.search.staged import StagedSearcher
from kscale.task.objectives import find_objective
from kscale.task.tasks import Target

OBJECTIVE = find_objective("accuracy", Target("label", "classes", 10))
LINEAR = find_family("linear")


def made_staged(trials: int = 20, **settings: int) -> StagedSearcher:
    inner = RandomSearcher(made_pool(), trials, 3)
    baselines = [(LINEAR.spec(), 3e-3)]
    return StagedSearcher(baselines, inner, OBJECTIVE, BUDGET, 3, **settings)


def noisy(job: Job) -> float:
    """Saturating in size, with seed noise of two points."""
    size = find_family(job.spec.family).size(job.spec, made_pool().space.task)
    noise = np.random.default_rng(job.seeds[0]).normal(0.0, 0.02)
    return float(0.95 - 3.0 / np.sqrt(size.params) + noise)


def test_stages_come_in_order_with_new_seeds_for_finalists() -> None:
    jobs = run_searcher(made_staged(), noisy)
    stages = [job.stage for job in jobs]
    assert stages == sorted(stages, key=["baseline", "search", "finalist"].index)
    assert stages.count("baseline") == 1 and stages.count("search") == 20
    assert 2 <= stages.count("finalist") <= 5
    searched = {seed for job in jobs if job.stage != "finalist" for seed in job.seeds}
    for job in jobs:
        if job.stage == "finalist":
            assert len(set(job.seeds)) == 3
            assert not searched & set(job.seeds)


def test_finalists_are_the_best_and_the_smallest_tied() -> None:
    staged = made_staged(finalist_seeds=2, most_finalists=3)
    run_searcher(staged, log_size)
    tied = [job.spec for job in staged.planned_finals]
    scores = [r for r in staged.results if r.stage != "finalist"]
    best = max(scores, key=lambda result: result.score or 0.0)
    assert best.spec in tied and 2 <= len(tied) <= 3


def test_a_spec_that_would_overtake_all_finalists_becomes_one() -> None:
    staged = made_staged(trials=6, most_finalists=5)
    ranked: list[Job] = []

    def score(job: Job) -> float:
        if job.stage == "finalist":
            return 0.5  # every finalist was lucky
        ranked.append(job)
        return 0.9 - 0.05 * len(ranked)

    jobs = run_searcher(staged, score)
    finalists = [job.spec for job in jobs if job.stage == "finalist"]
    assert finalists == [job.spec for job in ranked[:5]]


def test_a_baseline_over_the_budget_is_trained_but_no_finalist() -> None:
    inner = RandomSearcher(made_pool(), 3, 3)
    wide = find_family("mlp").spec(depth=2, width=1024)
    staged = StagedSearcher([(wide, 1e-3)], inner, OBJECTIVE, BUDGET, 3)
    jobs = run_searcher(staged, lambda job: 0.99 if job.spec == wide else 0.5)
    assert jobs[0].spec == wide
    assert all(job.spec != wide for job in jobs if job.stage == "finalist")


def test_without_finalist_seeds_there_are_no_finalists() -> None:
    jobs = run_searcher(made_staged(finalist_seeds=0), noisy)
    assert {job.stage for job in jobs} == {"baseline", "search"}


def test_nothing_finished_means_no_finalists() -> None:
    jobs = run_searcher(made_staged(), lambda job: None)
    assert {job.stage for job in jobs} == {"baseline", "search"}


def test_stopping_goes_to_the_finalists_at_once() -> None:
    staged = made_staged(trials=50)
    for _ in range(8):
        job = staged.ask()
        assert isinstance(job, Job)
        staged.tell(job, [made_result(job, 0, noisy(job))])
    staged.stop_search(most_finalists=2)
    jobs = run_searcher(staged, noisy)
    assert [job.stage for job in jobs[:2]] == ["finalist"] * 2


def test_finalists_wait_for_results_that_are_due() -> None:
    staged = made_staged(trials=2)
    jobs = [staged.ask() for _ in range(3)]
    assert staged.ask() is WAIT
    for job in jobs:
        assert isinstance(job, Job)
        staged.tell(job, [made_result(job, 0, 0.5)])
    final = staged.ask()
    assert isinstance(final, Job) and final.stage == "finalist"


def test_retrained_scores_replace_the_lucky_one() -> None:
    staged = made_staged(trials=4, finalist_seeds=2)
    assert run_searcher(staged, noisy)
    assert staged.ask() is DONE
    finals = [r for r in staged.results if r.stage == "finalist"]
    assert len(finals) >= 4
