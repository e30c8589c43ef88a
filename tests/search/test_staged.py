"""Baselines, search, finalists: in this order, and no lucky seed wins."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from contracts.searcher import (
    BUDGET,
    EPOCHS,
    OBJECTIVE,
    Simulation,
    log_size,
    made_pool,
    made_settings,
    made_trainings,
)

from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.search import SEARCHERS
from kscale.search.affording import elapsed
from kscale.search.contract import WAIT, Allowance, Job
from kscale.search.random_search import RandomSearcher
from kscale.search.staged import StagedSearcher

LINEAR = find_family("linear")


def made_staged(
    trials: int = 20, searcher: str = "random", **settings: int
) -> StagedSearcher:
    inner = SEARCHERS[searcher](made_settings(made_pool(), trials))
    baselines = [(LINEAR.spec(), 3e-3)]
    return StagedSearcher(baselines, inner, OBJECTIVE, BUDGET, EPOCHS, **settings)


def noisy(job: Job) -> float:
    """Saturating in size, with seed noise of two points."""
    size = find_family(job.spec.family).size(job.spec, made_pool().space.task)
    noise = np.random.default_rng(job.seeds[0]).normal(0.0, 0.02)
    return float(0.95 - 3.0 / np.sqrt(size.params) + noise)


def stages_of(jobs: Sequence[Job]) -> list[str]:
    return [job.stage for job in jobs]


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_stages_come_in_order_with_new_seeds_for_finalists(searcher: str) -> None:
    jobs = Simulation(made_staged(searcher=searcher), noisy).run()
    stages = stages_of(jobs)
    assert stages == sorted(stages, key=["baseline", "search", "finalist"].index)
    assert stages.count("baseline") == 1
    assert sum(j.stage == "search" and not j.epochs_from for j in jobs) == 20
    assert 2 <= stages.count("finalist") <= 5
    searched = {seed for job in jobs if job.stage != "finalist" for seed in job.seeds}
    for job in jobs:
        if job.stage == "finalist":
            assert len(set(job.seeds)) == 3 and job.keep
            assert not searched & set(job.seeds)


def test_finalists_are_the_best_and_the_smallest_tied() -> None:
    staged = made_staged(finalist_seeds=2, most_finalists=3)
    simulation = Simulation(staged, log_size)
    simulation.run()
    finals = [job.spec for job in staged.finals(simulation.history)]
    searched = [t for t in simulation.history if t.stage != "finalist"]
    best = max(searched, key=lambda training: training.score or 0.0)
    assert best.spec in finals and 2 <= len(finals) <= 3


def test_a_training_that_was_stopped_early_is_no_finalist() -> None:
    def short_is_best(job: Job) -> float:
        return 0.99 if job.epochs_to < EPOCHS else 0.5

    jobs = Simulation(made_staged(searcher="halving"), short_is_best).run()
    full = {job.spec for job in jobs if job.epochs_to == EPOCHS}
    assert {job.spec for job in jobs if job.stage == "finalist"} <= full


def test_a_spec_that_would_overtake_all_finalists_becomes_one() -> None:
    staged = made_staged(trials=6, most_finalists=5)
    ranked: list[Job] = []

    def score(job: Job) -> float:
        if job.stage == "finalist":
            return 0.5  # every finalist was lucky
        ranked.append(job)
        return 0.9 - 0.05 * len(ranked)

    jobs = Simulation(staged, score).run()
    finalists = [job.spec for job in jobs if job.stage == "finalist"]
    assert finalists == [job.spec for job in ranked[:5]]


def test_a_baseline_over_the_budget_is_trained_but_no_finalist() -> None:
    inner = RandomSearcher(made_settings(made_pool(), 3))
    wide = find_family("mlp").spec(depth=2, width=1024)
    staged = StagedSearcher([(wide, 1e-3)], inner, OBJECTIVE, BUDGET, EPOCHS)
    jobs = Simulation(staged, lambda job: 0.99 if job.spec == wide else 0.5).run()
    assert jobs[0].spec == wide
    assert all(job.spec != wide for job in jobs if job.stage == "finalist")


def test_without_finalist_seeds_there_are_no_finalists() -> None:
    jobs = Simulation(made_staged(finalist_seeds=0), noisy).run()
    assert set(stages_of(jobs)) == {"baseline", "search"}


def test_nothing_finished_means_no_finalists() -> None:
    jobs = Simulation(made_staged(), lambda job: None).run()
    assert set(stages_of(jobs)) == {"baseline", "search"}


def test_finalists_that_fail_end_the_search() -> None:
    def score(job: Job) -> float | None:
        return None if job.stage == "finalist" else noisy(job)

    assert "finalist" in stages_of(Simulation(made_staged(), score).run())


def test_finalists_wait_for_results_that_are_due() -> None:
    staged = made_staged(trials=1)
    pending: list[Job] = []
    for _ in range(2):
        job = staged.propose((), pending, Allowance())
        assert isinstance(job, Job)
        pending.append(job)
    assert staged.propose((), pending, Allowance()) is WAIT
    history = [training for job in pending for training in made_trainings(job, 0.5)]
    final = staged.propose(history, (), Allowance())
    assert isinstance(final, Job) and final.stage == "finalist"


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("seconds, is_late", [(31.0, False), (29.0, True)])
def test_finalists_wait_only_while_they_have_time_afterwards(
    seconds: float, is_late: bool, seeds: int
) -> None:
    inner = RandomSearcher(made_settings(made_pool(), 3, seeds_per_spec=seeds))
    staged = StagedSearcher([], inner, OBJECTIVE, BUDGET, EPOCHS)
    jobs = Simulation(staged, log_size).run()
    searched = [job for job in jobs if job.stage == "search"]
    ended = searched[:-1]
    history = [t for job in ended for t in made_trainings(job, log_size(job))]
    # Ten seconds a training: of a job that is out, and two finalists of three seeds.
    cost = lambda job: 10.0 * len(job.seeds)  # noqa: E731
    allowance = Allowance(seconds, cost, most=seconds / 2, devices=3)
    proposed = staged.propose(history, searched[-1:], allowance)
    assert isinstance(proposed, Job) == is_late
    if isinstance(proposed, Job):
        assert proposed.stage == "finalist"


@pytest.mark.parametrize("searcher", ["random", "auto"])
@pytest.mark.parametrize(("devices", "most"), [(1, 10), (3, 30)])
def test_what_is_out_takes_the_time_that_it_will_need(
    searcher: str, devices: int, most: int
) -> None:
    """A device takes ten seconds for each of the jobs that wait for the device."""
    inner = SEARCHERS[searcher](made_settings(made_pool(), 100))
    staged = StagedSearcher([], inner, OBJECTIVE, BUDGET, EPOCHS, finalist_seeds=0)
    allowance = Allowance(100.0, lambda job: 10.0, devices=devices)
    pending: list[Job] = []
    while isinstance(job := staged.propose((), pending, allowance), Job):
        pending.append(job)
    assert len(pending) == most


def test_finalists_on_several_devices_take_the_time_of_the_longest() -> None:
    jobs = Simulation(made_staged(trials=3), log_size).run()
    finals = [job for job in jobs if job.stage == "finalist"][:2]
    cost = lambda job: 10.0 * len(job.seeds)  # noqa: E731
    times = [
        elapsed(finals, Allowance(cost=cost, devices=devices), set())
        for devices in (1, 2, 100)
    ]
    assert times == [60.0, 30.0, 10.0]


def test_retrained_scores_replace_the_lucky_one() -> None:
    simulation = Simulation(made_staged(trials=4, finalist_seeds=2), noisy)
    simulation.run()
    finals = [t for t in simulation.history if t.stage == "finalist"]
    assert len(finals) >= 4


def test_where_the_code_of_a_model_decides_no_rate_is_set() -> None:
    inner = RandomSearcher(made_settings(made_pool(), 3))
    staged = StagedSearcher([], inner, OBJECTIVE, BUDGET, EPOCHS, sets_rates=False)
    jobs = Simulation(staged, noisy).run()
    finals = [job for job in jobs if job.stage == "finalist"]
    assert finals and {job.learning_rates for job in finals} == {(None,) * 3}


class Clock:
    """Time in which each epoch of a training takes a second."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def cost(self, job: Job) -> float:
        return float(len(job.seeds) * (job.epochs_to - job.epochs_from))

    def __call__(self, jobs: Sequence[Job]) -> Allowance:
        spent = sum(map(self.cost, jobs))
        return Allowance(self.seconds - spent, self.cost, most=self.seconds / 2)


@pytest.mark.parametrize("searcher", SEARCHERS)
@pytest.mark.parametrize("seconds", [150.0, 250.0, 400.0])
def test_under_a_time_limit_half_is_kept_for_finalists(
    searcher: str, seconds: float
) -> None:
    clock = Clock(seconds)
    staged = made_staged(trials=40, searcher=searcher)
    jobs = Simulation(staged, noisy, allowance=clock).run()
    finals = [job for job in jobs if job.stage == "finalist"]
    assert len(finals) >= 2
    assert sum(map(clock.cost, finals)) <= seconds / 2 + clock.cost(finals[0])
    assert sum(map(clock.cost, jobs)) <= seconds
    stages = stages_of(jobs)
    assert stages == sorted(stages, key=["baseline", "search", "finalist"].index)


class QuickFinalists(Clock):
    """Finalists take a third of what was expected of them."""

    def __call__(self, jobs: Sequence[Job]) -> Allowance:
        finals = [job for job in jobs if job.stage == "finalist"]
        given = super().__call__(jobs)
        return replace(given, seconds=given.seconds + given.total(finals) * 2 / 3)


def test_time_that_finalists_leave_is_used() -> None:
    clock = QuickFinalists(400.0)
    staged = made_staged(trials=60)
    jobs = Simulation(staged, noisy, allowance=clock).run()
    stages = stages_of(jobs)
    first = stages.index("finalist")
    assert "search" in stages[first:]  # goes on, and leaves time to prove what it finds
    assert 0.0 <= clock(jobs).seconds < EPOCHS
    cut = Simulation(
        made_staged(trials=60),
        noisy,
        allowance=lambda new: clock(jobs[: first + 2] + new),
    )
    done = Simulation(staged, noisy)
    for job in jobs[: first + 2]:
        cut.history += made_trainings(job, done.score(job))
    assert cut.run() == jobs[first + 2 :]  # as after a kill


def test_what_is_left_of_a_limit_is_for_further_seeds_of_finalists() -> None:
    def finals_of(trials: int) -> list[Job]:
        staged = made_staged(trials=trials, finalist_seeds=1, most_finalists=2)
        jobs = Simulation(staged, noisy, allowance=QuickFinalists(91.0)).run()
        assert QuickFinalists(91.0)(jobs).seconds >= 0.0
        return [job for job in jobs if job.stage == "finalist"]

    assert len(finals_of(trials=3)) == 2  # nothing is left to try: the search has ended
    finals = finals_of(trials=60)
    assert len({job.spec for job in finals}) == 2 < len(finals)
    assert len({job.seeds for job in finals}) == len(finals)


def test_where_two_finalists_take_too_long_all_time_is_for_the_search() -> None:
    jobs = Simulation(made_staged(trials=500), noisy, allowance=Clock(35.0)).run()
    assert stages_of(jobs) == ["baseline", "search", "search"]


def test_where_time_is_short_finalists_have_fewer_seeds() -> None:
    jobs = Simulation(made_staged(trials=500), noisy, allowance=Clock(80.0)).run()
    finals = [job for job in jobs if job.stage == "finalist"]
    assert [len(job.seeds) for job in finals] == [2, 2]
    assert stages_of(jobs).count("search") == 3


def test_a_searcher_that_knows_no_jobs_in_advance_may_use_a_time_limit() -> None:
    class OneByOne:
        """Knows nothing of what comes."""

        def __init__(self) -> None:
            self.inner = RandomSearcher(made_settings(made_pool(), 10))
            self.propose = self.inner.propose
            self.needed = self.inner.needed
            self.beliefs = self.inner.beliefs

        def outlook(self, history: object, pending: object) -> object:
            from kscale.search.contract import Outlook

            return Outlook()

    staged = StagedSearcher([], OneByOne(), OBJECTIVE, BUDGET, EPOCHS)  # type: ignore[arg-type]
    jobs = Simulation(staged, noisy, allowance=Clock(1000.0)).run()
    assert stages_of(jobs).count("search") == 10


def test_a_failed_finalist_does_not_keep_the_next_in_line_from_being_proved() -> None:
    staged = made_staged(trials=6, most_finalists=4)
    ranked: list[Job] = []
    finals: list[Job] = []

    def score(job: Job) -> float | None:
        if job.stage == "finalist":
            finals.append(job)
            return None if len(finals) == 2 else 0.3
        ranked.append(job)
        return 0.9 - 0.01 * len(ranked)

    Simulation(staged, score).run()
    assert len({job.spec for job in finals}) == 4
    assert len({job.index for job in finals}) == 4


def test_finalists_that_are_trained_cost_nothing_again() -> None:
    clock = Clock(1000.0)
    staged = made_staged(trials=6)
    simulation = Simulation(staged, noisy)
    simulation.run()
    second = staged.finals(simulation.history)[1]
    history = [t for t in simulation.history if t.key not in second.keys]
    left = Allowance(27.0, clock.cost, most=27.0)
    assert staged.propose(history, (), left) == second


def test_a_baseline_keeps_its_rate_where_the_code_of_models_decides() -> None:
    linear = LINEAR.spec()
    inner = RandomSearcher(made_settings(made_pool(), 2))
    staged = StagedSearcher(
        [(linear, 3e-3)], inner, OBJECTIVE, BUDGET, EPOCHS, sets_rates=False
    )
    jobs = Simulation(staged, lambda job: 0.9 if job.spec == linear else 0.1).run()
    finals = [job for job in jobs if job.stage == "finalist" and job.spec == linear]
    assert finals and {job.learning_rates[0] for job in finals} == {3e-3}


def by_size(job: Job) -> tuple[int, int]:
    """Rank among the sizes tried and the size itself are what scores are made of."""
    size = find_family(job.spec.family).size(job.spec, made_pool().space.task)
    return size.params, len(job.seeds)


def fallen(job: Job) -> float:
    """One large spec has luck in the search: retrained it is as good as the small."""
    params, seeds = by_size(job)
    if job.stage == "finalist":
        return 0.90
    return 0.95 if params > 20_000 else 0.895


def test_smaller_specs_that_become_tied_are_retrained_too() -> None:
    staged = made_staged(trials=8, most_finalists=5)
    simulation = Simulation(staged, fallen)
    jobs = simulation.run()
    finals = [job.spec for job in jobs if job.stage == "finalist"]
    searched = [job for job in jobs if job.stage == "search"]
    smallest = LINEAR.spec()  # below all that is searched
    assert all(by_size(job)[0] > 650 for job in searched)
    assert smallest in finals and len(finals) <= 5


def test_finalists_of_a_search_with_more_trials_have_other_numbers() -> None:
    few = Simulation(made_staged(trials=6), noisy)
    few.run()
    more = Simulation(made_staged(trials=30), noisy, slots=2)
    more.history = list(few.history)
    more.run()
    finals = {(t.job, t.spec) for t in more.history if t.stage == "finalist"}
    assert len(finals) == len({job for job, _ in finals})
    assert len(finals) > len({t.spec for t in few.history if t.stage == "finalist"})


def test_the_best_in_each_of_the_bits_is_a_finalist() -> None:
    staged = made_staged(finalist_seeds=1)
    staged.budget = Budget(max_bytes=40_000, bits=(8, 16, 32))
    simulation = Simulation(staged, log_size)
    simulation.run()
    searched = [t for t in simulation.history if t.stage == "search"]
    tiers = {staged.budget.bits_for(training.bytes)[0] for training in searched}
    finals = staged.finalists(simulation.history)
    assert tiers == {entry.bits for entry in finals} == {8, 16, 32}
    assert len({entry.spec for entry in finals}) == len(finals)
