"""Successive halving: what goes on, from where, and what must not be deleted."""

from collections import Counter
from dataclasses import replace

import pytest
from contracts.searcher import (
    EPOCHS,
    NO_LIMIT,
    Simulation,
    log_size,
    made_pool,
    made_settings,
    made_trainings,
    run_searcher,
)

from kscale.search.contract import WAIT, Allowance, Job
from kscale.search.halving import HalvingSearcher


def made_halving(trials: int = 27, **more: object) -> HalvingSearcher:
    return HalvingSearcher(made_settings(made_pool(), trials, **more))


def by_epochs(jobs: list[Job]) -> Counter[int]:
    return Counter(job.epochs_to for job in jobs)


def test_a_third_of_each_rung_goes_on_and_the_last_has_full_length() -> None:
    jobs = run_searcher(made_halving(), log_size)
    assert by_epochs(jobs) == {1: 27, 3: 9, 9: 3}


def test_the_best_of_each_rung_go_on() -> None:
    jobs = run_searcher(made_halving(), log_size)
    first = [job for job in jobs if job.epochs_to == 1]
    best = sorted(first, key=log_size)[-9:]
    second = [job for job in jobs if job.epochs_to == 3]
    assert {job.spec for job in second} == {job.spec for job in best}
    assert all(job.epochs_from == 1 for job in second)


def test_members_go_on_together_by_their_mean() -> None:
    jobs = run_searcher(made_halving(9, seeds_per_spec=2), log_size)
    assert by_epochs(jobs) == {1: 9, 3: 3, 9: 1}
    last = jobs[-1]
    assert len(last.seeds) == 2 and last.parent_key(1) in {
        k for j in jobs for k in j.keys
    }


def test_what_failed_never_goes_on() -> None:
    jobs = run_searcher(
        made_halving(), lambda job: None if job.index % 2 == 0 else log_size(job)
    )
    parents = {job.parent for job in jobs if job.parent is not None}
    assert parents and all(parent % 2 for parent in parents)


def test_a_rung_waits_for_what_is_out() -> None:
    simulation = Simulation(made_halving(3), log_size, slots=4)
    for _ in range(3):
        simulation.step()
    assert len(simulation.pending) == 3
    asked = (simulation.history, simulation.pending)
    assert simulation.searcher.propose(*asked, NO_LIMIT) is WAIT


def test_weights_stay_while_a_rung_is_open_and_of_those_chosen() -> None:
    searcher = made_halving(9)
    simulation = Simulation(searcher, log_size)
    while len(simulation.history) < 5:
        simulation.step()
    done = {training.key for training in simulation.history}
    assert done <= searcher.needed(simulation.history, simulation.pending)
    while len(simulation.history) < 10:
        simulation.step()
    needed = searcher.needed(simulation.history, ())
    kept = [training for training in simulation.history if training.key in needed]
    assert [t.epochs for t in kept].count(1) == 2  # three were chosen, one went on
    simulation.run()
    assert searcher.needed(simulation.history, ()) == set()


def test_a_kill_in_the_middle_of_a_rung_loses_no_training() -> None:
    whole = run_searcher(made_halving(9), log_size)
    half = Simulation(made_halving(9), log_size)
    while len(half.history) < 10:
        half.step()
    again = Simulation(made_halving(9), log_size)
    again.history = list(half.history)
    assert again.run() == whole[10:]


def test_under_a_time_limit_fewer_enter_so_that_the_best_can_go_on() -> None:
    def cost(job: Job) -> float:
        return float(job.epochs_to - job.epochs_from)

    def left(jobs: list[Job]) -> Allowance:
        return Allowance(30.0 - sum(map(cost, jobs)), cost)

    jobs = Simulation(made_halving(27), log_size, allowance=left).run()
    found = by_epochs(jobs)
    assert found[1] < 27 and found[EPOCHS] >= 1
    assert sum(map(cost, jobs)) <= 30


def test_the_outlook_counts_what_will_go_on() -> None:
    searcher = made_halving(60)
    outlook = searcher.outlook((), ())
    assert len(outlook.jobs) == 20
    # 40 more, a third of 60 and a ninth of 60 go on
    assert outlook.trainings == pytest.approx(40 + 20 + 20 / 3)
    assert outlook.work > 0


def test_a_job_of_which_one_member_is_recorded_is_proposed_again() -> None:
    searcher = made_halving(3, seeds_per_spec=2)
    job = searcher.propose((), (), NO_LIMIT)
    assert isinstance(job, Job)
    half = made_trainings(job, 0.5)[:1]
    assert searcher.propose(half, (), NO_LIMIT) == job


def test_the_outlook_of_a_whole_search_is_what_comes() -> None:
    for trials, after in ((20, 0), (60, 1), (27, 30)):
        simulation = Simulation(made_halving(trials), log_size)
        while len(simulation.history) < after:
            simulation.step()
        outlook = simulation.searcher.outlook(simulation.history, simulation.pending)
        expected = len(outlook.jobs) + outlook.trainings
        done = len(simulation.jobs)
        assert expected == pytest.approx(len(simulation.run()) - done, abs=1.5)


def test_no_round_is_drawn_before_the_last_one_is_out() -> None:
    settings = made_settings(made_pool(), 60)
    drawn: list[int] = []
    some = settings.draws.some

    def counted(first: int, number: int) -> object:
        drawn.append(first)
        return some(first, number)

    settings.draws.some = counted  # type: ignore[method-assign, assignment]
    searcher = HalvingSearcher(settings)
    assert isinstance(searcher.propose((), (), NO_LIMIT), Job)
    assert set(drawn) == {0}


def test_few_epochs_have_fewer_rungs_and_a_note() -> None:
    made = replace(made_settings(made_pool(), 9), epochs=5)
    (note,) = HalvingSearcher(made).notes(())
    assert "2 rungs (of 1 and 5 epochs) in place of 3: from --epochs 9 on" in note
    assert not made_halving().notes(())
