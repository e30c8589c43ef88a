"""Sizes are climbed for as long as size helps, and luck neither stops nor drives it."""

import math
import re
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import pytest
from contracts.searcher import (
    EPOCHS,
    OBJECTIVE,
    TASK,
    Simulation,
    made_settings,
    run_searcher,
)

from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.runs.records import Training
from kscale.search.climbing import Climb, Reached
from kscale.search.contract import Allowance, Job
from kscale.search.draws import FirstJobs
from kscale.search.pool import Pool, Space
from kscale.search.random_search import RandomSearcher

LARGE = Budget(max_params=1_000_000)
Score = Callable[[Job], float]


def large_pool(*names: str) -> Pool:
    return Pool(Space(tuple(map(find_family, names or ("mlp",))), TASK, LARGE))


def params(job: Job) -> int:
    return int(find_family(job.spec.family).size(job.spec, TASK).params)


def tried(score: Score, trials: int = 20, seed: int = 0, *names: str) -> list[Job]:
    settings = made_settings(large_pool(*names), trials, seed)
    return run_searcher(RandomSearcher(settings), score)


def noise(job: Job) -> float:
    """Half of the standard error that the made-up trainings have."""
    return float(np.random.default_rng(job.seeds[0]).normal(0.0, 0.005))


def saturating(job: Job) -> float:
    """Nothing is gained above 20,000 parameters."""
    return 0.98 - 0.1 * max(0.0, np.log10(20_000 / params(job))) + noise(job)


def growing(job: Job) -> float:
    """Five standard errors for ten times the size."""
    return 0.05 * float(np.log10(params(job))) + noise(job)


@pytest.mark.parametrize("seed", range(5))
def test_where_size_stops_helping_little_is_spent_above(seed: int) -> None:
    sizes = sorted(map(params, tried(saturating, seed=seed)))
    assert len(sizes) == 20 and sizes[0] < 10_000
    assert sum(size > 200_000 for size in sizes) <= 4
    assert sum(5_000 < size < 100_000 for size in sizes) >= 8
    assert sum(sizes) < 20 * 150_000  # a search that climbs nothing takes 500,000 each


@pytest.mark.parametrize("seed", range(5))
def test_where_size_helps_the_limit_is_soon_reached(seed: int) -> None:
    sizes = list(map(params, tried(growing, seed=seed)))
    assert max(sizes[:8]) > 400_000
    assert sum(size > 400_000 for size in sizes) >= 4


@pytest.mark.parametrize("bad", range(4))
def test_one_bad_training_or_a_failed_one_does_not_stop_the_climb(bad: int) -> None:
    for worst in (0.0, None):
        settings = made_settings(large_pool(), 20)
        jobs = Simulation(
            RandomSearcher(settings),
            lambda job, worst=worst: worst if job.index == bad else growing(job),
        ).run()
        assert sum(params(job) > 400_000 for job in jobs) >= 5


def test_where_size_never_helps_all_sizes_come_with_more_trials() -> None:
    few, many = (tried(lambda job: 0.5, trials) for trials in (20, 60))
    assert set(few) == {job for job in many if job.index < 20}
    assert sum(map(params, few)) < sum(map(params, many)) / 3
    largest = large_pool().params.max()
    octaves = {int(np.log2(largest / params(job))) for job in many}
    assert octaves >= set(range(8))


def test_luck_seldom_raises_what_is_drawn() -> None:
    """Scores of noise alone: half a standard error of it, over twenty seeds."""
    sizes = [max(map(params, tried(noise, 8, seed))) for seed in range(20)]
    assert sum(size > 500_000 for size in sizes) <= 5


def test_families_climb_each_from_their_smallest() -> None:
    jobs = tried(saturating, 20, 0, "mlp", "cnn")
    first = [job.spec.family for job in jobs[:2]]
    assert sorted(first) == ["cnn", "mlp"]
    assert [job.spec.family for job in jobs].count("cnn") == 10


def asked_in_turn(lowest: int, score: Callable[[int], float], rounds: int) -> list[str]:
    """Octaves asked for, those with all below marked, where scores have an error."""
    climb = Climb({"mlp": lowest}, OBJECTIVE).rounds()
    asked, found = next(climb), []
    for _ in range(rounds):
        found.append(" ".join(f"{r.octave}{'-' * r.and_below}" for r in asked))
        asked = climb.send(
            [Reached("mlp", r.octave, score(r.octave), 0.01) for r in asked]
        )
    return found


def test_a_climb_pauses_after_three_octaves_and_looks_higher_each_time() -> None:
    """An octave that is better by less than the error of the difference helps not."""
    found = asked_in_turn(-8, lambda octave: 0.51 if octave > -4 else 0.5, 8)
    assert found[:4] == ["-4", "-3", "-2", "-1"]
    assert found[4:] == [f"-4- -4- -4- {look}" for look in (-3, -2, -1, 0)]


def test_one_bad_octave_does_not_end_a_climb() -> None:
    found = asked_in_turn(-8, lambda octave: 0.0 if octave == -3 else octave + 9.0, 6)
    assert found == ["-4", "-3", "-2", "-1", "0", "0- 0- 0- 0-"]


def test_a_look_that_helps_is_climbed_to() -> None:
    found = asked_in_turn(-10, lambda octave: 0.9 if octave == -1 else 0.5, 9)
    assert found[-2:] == ["-5- -5- -5- -1", "-1- -1- -1- 0"]


def notes(score: Score, trials: int) -> list[str]:
    searcher = RandomSearcher(made_settings(large_pool(), trials))
    simulation = Simulation(searcher, score)
    simulation.run()
    return list(searcher.notes(simulation.history))


def test_a_search_says_at_which_size_it_stopped_and_why() -> None:
    (stopped,) = notes(saturating, 20)
    assert stopped.startswith("In the search, size stopped helping mlp at ")
    assert "larger ones tried, up to" in stopped and "More --trials" in stopped
    assert "the larger one tried, of" in notes(lambda job: 0.5, 2)[0]
    (ended,) = notes(growing, 1)
    assert (
        "was tried, although size may still help: more --trials or more --time go on"
        in ended
    )
    assert notes(growing, 20) == []
    assert notes(lambda job: 0.5, 20) == notes(lambda job: 0.5, 20)


@pytest.mark.parametrize("seed", range(12))
def test_what_a_search_says_of_sizes_is_true_of_its_history(seed: int) -> None:
    rng, said = np.random.default_rng(seed), set()
    rise = float(rng.choice([0.0, 0.005, 0.02]))  # for each doubling

    def score(job: Job) -> float | None:
        if rng.random() < 0.1:
            return None
        return rise * math.log2(params(job)) + float(rng.normal(0.0, 0.015))

    searcher = RandomSearcher(made_settings(large_pool(), 24, seed))
    simulation = Simulation(searcher, score)
    while simulation.step():
        if simulation.history and simulation.history[-1].is_scored:
            stderr = float(rng.uniform(0.002, 0.03))
            changed = msgspec.structs.replace(simulation.history[-1], stderr=stderr)
            if not simulation.pending:
                simulation.history[-1] = changed
        for note in searcher.notes(simulation.history):
            said.add(note.split()[0])
            check_sizes(note, simulation.history)
    assert said


def check_sizes(note: str, history: Sequence[Training]) -> None:
    """The numbers of a note are those of the history."""
    numbers = [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\d|\d", note)]
    if note.startswith("No mlp"):
        assert numbers == [max(t.params for t in history)]
        return
    larger = [t for t in history if t.params > numbers[0]]
    most = max(t.params for t in larger)
    assert numbers[1:] == ([len(larger), most] if len(larger) > 1 else [most])
    at = [t for t in history if t.params == numbers[0] and t.is_scored]
    best = max(at, key=lambda t: t.score)
    for each in larger:
        if each.is_scored:
            assert each.score - best.score <= math.hypot(each.stderr, best.stderr)


def test_only_a_pool_is_climbed_and_one_spec_has_no_note() -> None:
    family = find_family("mlp")
    fixed = tuple({**dict(family.spec().knobs), "learning_rate": 1e-3}.items())
    pool = Pool(Space((family,), TASK, LARGE, fixed=fixed))
    searcher = RandomSearcher(made_settings(pool, 5))
    simulation = Simulation(searcher, growing)
    assert len(simulation.run()) == 1 and not searcher.notes(simulation.history)


def test_what_an_older_version_drew_stands() -> None:
    """A search that climbed nothing goes on with what its folder holds."""
    old = Simulation(FirstJobs(made_settings(large_pool(), 12), EPOCHS), growing)
    old.run()
    same = Simulation(RandomSearcher(made_settings(large_pool(), 12)), growing)
    more = Simulation(RandomSearcher(made_settings(large_pool(), 15)), growing)
    same.history, more.history = list(old.history), list(old.history)
    assert same.run() == []
    assert sorted(job.index for job in more.run()) == [12, 13, 14]


def test_where_time_is_short_what_is_drawn_is_cheap() -> None:
    """A second for each 1,000 parameters: a job may take a quarter of what is left."""

    def left(jobs: Sequence[Job]) -> Allowance:
        return Allowance(60.0 - sum(map(cost, jobs)), cost)

    def cost(job: Job) -> float:
        return params(job) / 1000

    searcher = RandomSearcher(made_settings(large_pool(), 20))
    assert searcher.outlook((), ()).trainings == 20
    jobs = Simulation(searcher, growing, allowance=left).run()
    assert 5.0 < max(map(cost, jobs)) <= 15.0
    assert len(jobs) >= 8 and sum(map(cost, jobs)) <= 60.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("seconds", [12.0, 25.0, 50.0])
def test_where_time_is_short_no_spec_comes_again_while_others_are_untried(
    seed: int, seconds: float
) -> None:
    """After a dear first training, only the smallest are cheap enough, or none is."""

    def cost(job: Job) -> float:
        return 2.0 + params(job) / 1000

    def left(jobs: Sequence[Job]) -> Allowance:
        return Allowance(seconds - sum(map(cost, jobs)) - 4.0 * bool(jobs), cost)

    searcher = RandomSearcher(made_settings(large_pool("cnn"), 20, seed))
    jobs = Simulation(searcher, growing, allowance=left).run()
    assert len(jobs) >= 2
    assert len({job.spec for job in jobs}) == len(jobs)
