"""What is particular to searchers that learn from scores."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
import pytest
from contracts.searcher import (
    EPOCHS,
    TASK,
    Simulation,
    log_size,
    made_pool,
    made_searcher,
    made_training,
)

from kscale.networks.families import find_family
from kscale.search.contract import Allowance, Job


def by_epochs(job: Job) -> float:
    """Seconds of a job."""
    return float(job.epochs_to - job.epochs_from)


def simulated(
    name: str, trials: int = 30, seed: int = 0, limit: float = math.inf
) -> Simulation:
    """A search that has ended."""

    def left(jobs: Sequence[Job]) -> Allowance:
        return Allowance(limit - sum(map(by_epochs, jobs)), by_epochs)

    searcher = made_searcher(name, made_pool(), trials, seed)
    found = Simulation(searcher, log_size, allowance=left)
    found.run()
    return found


def found_by(name: str) -> float:
    """The mean best score at full length, at the cost of ten whole trainings."""
    searches = (simulated(name, 200, seed, 10.0 * EPOCHS) for seed in range(4))
    return fmean(
        max(t.score for t in each.history if t.is_full and t.score is not None)
        for each in searches
    )


def test_it_finds_better_networks_than_random_search_at_equal_cost() -> None:
    assert found_by("auto") > found_by("random")
    assert found_by("bayesian") > found_by("random")


def test_what_does_not_promise_much_stays_short() -> None:
    found = simulated("auto", 200, limit=10.0 * EPOCHS)
    ended = {(job.spec, job.learning_rates): job.epochs_to for job in found.jobs}
    assert len(ended) > 15
    assert {1, 3, EPOCHS} == {*ended.values()}


def test_the_best_and_the_best_of_smaller_octaves_have_their_full_length() -> None:
    found = simulated("auto", 200, limit=20.0 * EPOCHS)
    beliefs = found.searcher.beliefs(found.history)
    assert beliefs is not None
    whole = {(t.spec, t.learning_rate) for t in found.history if t.is_full}
    best = beliefs.trained[0]
    assert (best.spec, best.learning_rate) in whole
    smaller = {}
    for each in beliefs.trained:
        if each.params.bit_length() < best.params.bit_length():
            smaller.setdefault(each.params.bit_length(), each)
    done = [(each.spec, each.learning_rate) in whole for each in smaller.values()]
    assert any(done)  # as many as a tenth of the time is enough for


@pytest.mark.parametrize("seed", range(5))
def test_smaller_networks_are_finished_after_the_most_promising_one(seed: int) -> None:
    """Else a search that is ended then had a smaller one for its answer."""

    def cost(job: Job) -> float:
        size = find_family(job.spec.family).size(job.spec, TASK)
        return by_epochs(job) * size.training_work

    searcher = made_searcher("auto", made_pool(), 200, seed)
    without_limit = Allowance(cost=cost)
    found = Simulation(searcher, log_size, allowance=lambda jobs: without_limit)
    while not any(training.is_full for training in found.history):
        found.step()
    beliefs = searcher.beliefs(found.history[:-1])
    assert beliefs is not None
    assert found.history[-1].params >= beliefs.trained[0].params


def test_beliefs_are_in_the_unit_of_the_score() -> None:
    found = simulated("auto")
    beliefs = found.searcher.beliefs(found.history)
    assert beliefs is not None and beliefs.untried
    scores = [t.score for t in found.history if t.score is not None]
    for each in (*beliefs.trained, *beliefs.untried):
        assert min(scores) - 3 < each.score < max(scores) + 3 and each.deviation > 0
    sizes = [each.params for each in beliefs.untried]
    assert sizes == sorted(sizes) and beliefs.gain >= 0


def test_the_only_network_that_was_tried_is_the_most_promising_one() -> None:
    """Else a search that time ends after one short training had no finalist."""
    searcher = made_searcher("auto", made_pool())
    assert searcher.beliefs([]) is None
    job = searcher.propose((), (), Allowance(cost=by_epochs))
    assert isinstance(job, Job) and job.epochs_to < EPOCHS
    beliefs = searcher.beliefs([made_training(job, 0, 0.5)])
    assert beliefs is not None
    assert [each.spec for each in beliefs.trained] == [job.spec]


def test_a_training_is_whole_where_its_epochs_cost_next_to_nothing() -> None:
    searcher = made_searcher("auto", made_pool())
    dear_start = Allowance(cost=lambda job: 10.0 + 0.1 * by_epochs(job))
    job = searcher.propose((), (), dear_start)
    assert isinstance(job, Job) and job.epochs_to == EPOCHS
    job = searcher.propose((), (), Allowance(cost=by_epochs))
    assert isinstance(job, Job) and job.epochs_to == 1


def test_a_network_that_is_too_dear_to_finish_keeps_no_other_from_being_tried() -> None:
    """The first networks are large: one may be begun, and never finished in time."""

    def cost(job: Job) -> float:
        params = find_family("mlp").size(job.spec, TASK).params
        return (job.epochs_to - job.epochs_from) * params / 10_000

    def left(jobs: Sequence[Job]) -> Allowance:
        return Allowance(20.0 - sum(map(cost, jobs)), cost)

    jobs = Simulation(
        made_searcher("auto", made_pool()), log_size, allowance=left
    ).run()
    dear = EPOCHS * max(map(cost, jobs)) / jobs[0].epochs_to
    assert dear > 20.0 and sum(map(cost, jobs)) > 15.0
    assert any(job.epochs_to == EPOCHS for job in jobs)


def test_the_first_networks_are_not_the_dear_ones() -> None:
    """Networks of the most work are tried first unless they cost far more than others,
    as wide convolutions of one layer do; then those of the most parameters are."""
    pool = made_pool("cnn")
    size = find_family("cnn").size

    def work(job: Job) -> float:
        return float(size(job.spec, TASK).training_work / np.median(pool.work))

    def dear(job: Job) -> float:
        return work(job) ** 12 * by_epochs(job)

    def firsts(cost: Callable[[Job], float]) -> list[Job]:
        searcher, left = made_searcher("auto", pool), Allowance(math.inf, cost)
        search = Simulation(searcher, log_size, slots=9, allowance=lambda jobs: left)
        while len(search.jobs) < 9:
            search.step()
        return search.jobs

    even, cheap = firsts(by_epochs), firsts(dear)
    assert sum(map(dear, cheap)) < sum(map(dear, even)) / 10
    most = max(size(pool.spec(place), TASK).params for place in range(len(pool.work)))
    assert max(size(job.spec, TASK).params for job in cheap) > 0.9 * most
