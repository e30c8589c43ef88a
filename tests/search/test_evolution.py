"""Evolution: what a child is, whose child, and what happens to what is refused."""

from collections.abc import Callable
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from contracts.searcher import EPOCHS, log_size, made_pool, made_settings, run_searcher

from kscale.networks.families.base import Spec
from kscale.search.contract import Job
from kscale.search.draws import FirstJobs, Settings
from kscale.search.evolution import EvolutionSearcher, nearest


def made_evolution(
    trials: int = 30, seed: int = 0, **more: object
) -> EvolutionSearcher:
    return EvolutionSearcher(made_settings(made_pool(), trials, seed, **more))


def point_of(job: Job) -> dict[str, object]:
    return {"rate": job.learning_rates[0], **dict(job.spec.knobs)}


def changes(one: Job, other: Job) -> int:
    first, second = point_of(one), point_of(other)
    return sum(first[name] != second[name] for name in first)


def test_children_differ_in_one_knob_from_one_of_the_ten_before() -> None:
    jobs = run_searcher(made_evolution(40), log_size)
    least = [
        min(changes(jobs[place], parent) for parent in jobs[place - 10 : place])
        for place in range(10, 40)
    ]
    assert max(least) <= 2 and least.count(1) >= 25


def test_children_are_better_than_draws() -> None:
    jobs = run_searcher(made_evolution(30), log_size)
    first, last = jobs[:10], jobs[-10:]
    assert sum(map(log_size, last)) > sum(map(log_size, first))


def test_finds_better_networks_than_the_same_number_of_draws() -> None:
    def best(made: Callable[[Settings], FirstJobs], seed: int) -> float:
        searcher = made(made_settings(made_pool(), 30, seed))
        return max(map(log_size, run_searcher(searcher, log_size)))

    def drawn(settings: Settings) -> FirstJobs:
        return FirstJobs(settings, EPOCHS)

    seeds = range(1, 4)
    assert fmean(best(EvolutionSearcher, s) for s in seeds) > fmean(
        best(drawn, s) for s in seeds
    )


def test_what_is_not_admitted_costs_no_trial_and_is_asked_once() -> None:
    asked: list[Spec] = []

    def admits(spec: Spec) -> bool:
        asked.append(spec)
        return spec.depth != 4

    jobs = run_searcher(made_evolution(40, admits=admits), log_size)
    assert len(jobs) == 40 and all(job.spec.depth != 4 for job in jobs)
    refused = [spec for spec in asked if spec.depth == 4]
    assert refused and len(refused) == len({*refused})


def test_a_few_changes_come_before_small_ones_and_absent_knobs_are_none() -> None:
    parent = Spec("net", (("act", "relu"), ("depth", 2), ("width", 8)))
    others = {
        "far": replace(parent, knobs=(("act", "relu"), ("depth", 9), ("width", 8))),
        "two": replace(parent, knobs=(("act", "tanh"), ("depth", 2), ("width", 9))),
        "absent": replace(parent, knobs=(("act", "relu"), ("depth", 3))),
    }
    rng = np.random.default_rng(0)
    points = [(spec, None) for spec in others.values()]
    found = [spec for spec, _ in nearest((parent, None), points, rng)]
    assert found == [others["absent"], others["far"], others["two"]]


@pytest.mark.parametrize("seed", [0, 1])
def test_members_of_a_job_are_trainings_of_one_network(seed: int) -> None:
    jobs = run_searcher(made_evolution(15, seed, seeds_per_spec=2), log_size)
    assert len(jobs) == 15 and all(len({*job.seeds}) == 2 for job in jobs)
