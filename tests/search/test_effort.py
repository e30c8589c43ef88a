"""An effort ends a search at so many full trainings of its winner."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import pytest
from contracts.searcher import (
    BUDGET,
    EPOCHS,
    OBJECTIVE,
    TASK,
    Simulation,
    made_pool,
    made_settings,
    made_training,
)

from kscale.networks.families import find_family
from kscale.networks.families.base import Spec
from kscale.runs.records import Training
from kscale.search import SEARCHERS
from kscale.search.affording import affordable
from kscale.search.contract import DONE, Allowance, Belief, Beliefs, Job
from kscale.search.effort import EFFORTS, Flat
from kscale.search.random_search import RandomSearcher
from kscale.search.staged import StagedSearcher

POOL = made_pool()
LARGEST = POOL.spec(int(POOL.work.argmax()))
LINEAR = find_family("linear").spec()


def work(spec: Spec) -> int:
    return int(find_family(spec.family).size(spec, TASK).training_work)


def seconds(job: Job) -> float:
    """A member takes its work, and nothing is fixed."""
    return (job.epochs_to - job.epochs_from) * work(job.spec) / 1000


def cost(job: Job) -> float:
    return len(job.seeds) * seconds(job)


def short(job: Job) -> float:
    """Small data: whatever is trained takes a tenth of a second."""
    return 0.1


def size_helps(job: Job) -> float:
    return float(0.99 - 30.0 / work(job.spec) ** 0.5)


def whole(spec: Spec) -> float:
    """Seconds of one full training."""
    return seconds(Job("search", 0, spec, (1,), (None,), EPOCHS))


def made_search(
    staged: StagedSearcher,
    score: Callable[[Job], float | None] = size_helps,
    seconds: Callable[[Job], float] = seconds,
    time: float = float("inf"),
    history: Sequence[Training] = (),
) -> Simulation:
    """A search, or the next session of one."""

    def cost(job: Job) -> float:
        return len(job.seeds) * seconds(job)

    def allowance(jobs: Sequence[Job]) -> Allowance:
        left = time - sum(map(cost, jobs))
        return Allowance(left, cost, time / 2, alone=cost)

    search = Simulation(staged, score, allowance=allowance, seconds=seconds)
    search.history = list(history)
    return search


def made_staged(effort: str = "normal", searcher: str = "random") -> StagedSearcher:
    return staged_of(SEARCHERS[searcher](made_settings(POOL, 10_000)), effort)


def staged_of(inner: object, effort: str) -> StagedSearcher:
    baselines = [(LINEAR, 3e-3)]
    about = (OBJECTIVE, BUDGET, EPOCHS)
    asked = EFFORTS[effort]
    return StagedSearcher(baselines, inner, *about, effort=asked, largest=LARGEST)  # type: ignore[arg-type]


def spent(history: Sequence[Training]) -> float:
    return sum(training.seconds for training in history)


def finals_of(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.stage == "finalist"]


@pytest.mark.parametrize(
    ("searcher", "effort"), [("random", "normal"), *((s, "quick") for s in SEARCHERS)]
)
def test_all_trainings_cost_at_most_so_many_of_the_largest(
    searcher: str, effort: str
) -> None:
    search = made_search(made_staged(effort, searcher))
    finals = finals_of(search.run())
    assert len(finals) >= 2
    winner = max(finals, key=size_helps).spec
    assert spent(search.history) <= EFFORTS[effort].trainings * whole(LARGEST)
    assert spent(search.history) >= EFFORTS[effort].trainings * 2 / 3 * whole(winner)


class Believing(RandomSearcher):
    """Finds one of what was trained the most promising, the smallest."""

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        searched = [t for t in history if t.stage == "search"]
        if len(searched) < 3:
            return None
        least = min(searched, key=lambda training: training.params)
        believed = Belief(least.spec, least.learning_rate, least.params, 0.9, 0.01)
        return Beliefs((believed,), (), 1.0)


def test_the_most_promising_network_is_what_an_effort_is_measured_by() -> None:
    search = made_search(staged_of(Believing(made_settings(POOL, 10_000)), "thorough"))
    jobs = search.run()
    winner = min((j.spec for j in jobs if j.stage == "search"), key=work)
    ended = [t for t in search.history if t.stage != "finalist"]
    limit = EFFORTS["thorough"].trainings * whole(winner)
    assert (
        spent(ended[:-1]) < limit < EFFORTS["thorough"].trainings * whole(LARGEST) / 2
    )
    assert len(finals_of(jobs)) >= 2  # whatever they cost


@pytest.mark.parametrize(("linear", "unit"), [(0.0, min), (0.99, max)])
def test_while_a_baseline_is_ahead_the_dearest_network_is_what_counts(
    linear: float, unit: Callable[[Iterable[float]], float]
) -> None:
    """The smallest network is the most promising one here, and may be too small."""
    staged = staged_of(Believing(made_settings(POOL, 10_000)), "thorough")
    search = made_search(staged, lambda job: linear if job.spec == LINEAR else 0.5)
    while len(search.history) < 6:
        search.step()
    tried = [t.spec for t in search.history if t.stage == "search"]
    assert len({*map(work, tried)}) > 2
    left = staged.within(search.history, (), Allowance(cost=cost, alone=cost)).seconds
    seconds = EFFORTS["thorough"].trainings * unit(map(whole, tried))
    assert left == pytest.approx(seconds - spent(search.history))
    huge = msgspec.structs.replace(
        search.history[-1], spec=LARGEST, status="failed", score=None, seconds=0.0
    )
    beside = staged.within(
        [*search.history, huge], (), Allowance(cost=cost, alone=cost)
    )
    assert beside.seconds == pytest.approx(left)


def test_a_promising_network_that_was_never_trained_whole_becomes_a_finalist() -> None:
    class Short(Believing):
        """Trains for an epoch only."""

        def __init__(self) -> None:
            super().__init__(made_settings(POOL, 10_000))
            self.epochs = 1

    search = made_search(staged_of(Short(), "quick"))
    jobs = search.run()
    assert all(job.epochs_to == 1 for job in jobs if job.stage == "search")
    smallest = min((j.spec for j in jobs if j.stage == "search"), key=work)
    assert smallest in {job.spec for job in finals_of(jobs)}


def test_where_little_is_left_finalists_have_fewer_seeds() -> None:
    quick, thorough = (
        {len(job.seeds) for job in finals_of(made_search(made_staged(effort)).run())}
        for effort in ("quick", "thorough")
    )
    assert max(quick) < 3 and thorough == {3}


def test_small_data_is_searched_for_some_seconds() -> None:
    search = made_search(made_staged("quick"), seconds=short)
    search.run()
    most = EFFORTS["quick"].least
    assert most - 2.0 < spent(search.history) <= most


def test_the_same_effort_adds_nothing_and_a_greater_one_goes_on() -> None:
    search = made_search(made_staged("normal"))
    first = list(search.run())
    assert made_search(made_staged("normal"), history=search.history).run() == []
    more = made_search(made_staged("thorough"), history=search.history)
    begun = [job for job in more.run() if job.stage == "search"]
    assert begun and not {*begun} & {*first}
    limit = EFFORTS["thorough"].trainings * whole(LARGEST)
    assert limit / 2 < spent(more.history) <= limit


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been() -> None:
    jobs = made_search(made_staged("normal")).run()
    half = made_search(made_staged("normal"))
    while len(half.history) < len(jobs) // 2:
        half.step()
    again = made_search(made_staged("normal"), history=half.history)
    assert half.jobs + again.run() == jobs


class Expecting(RandomSearcher):
    """Expects gains by the number of trainings, in standard errors of 0.01."""

    def __init__(self, gains: Mapping[int, float], epochs: int = EPOCHS) -> None:
        super().__init__(made_settings(POOL, 20))
        self.gains, self.epochs = gains, epochs

    def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
        if not history:
            return None
        best = max(history, key=lambda training: training.score or 0.0)
        believed = Belief(best.spec, best.learning_rate, best.params, 0.9, 0.01)
        return Beliefs((believed,), (), 0.01 * self.gains.get(len(history), 1.0))


def searched_of(inner: Expecting, stop_when_flat: bool = True) -> list[Job]:
    about = ([], inner, OBJECTIVE, BUDGET, EPOCHS)
    return made_search(StagedSearcher(*about, stop_when_flat=stop_when_flat)).run()


def count_of(jobs: Sequence[Job]) -> int:
    return sum(job.stage == "search" for job in jobs)


def test_a_search_ends_after_eight_jobs_in_a_row_that_promise_little() -> None:
    few = {number: 0.05 for number in range(2, 20) if number != 8}
    jobs = searched_of(Expecting(few))
    assert count_of(jobs) == 16 and len(finals_of(jobs)) >= 2
    assert count_of(searched_of(Expecting(few), stop_when_flat=False)) == 20


def test_why_a_search_ended_is_told_in_the_unit_of_the_score() -> None:
    inner = Expecting({number: number / 100 for number in range(2, 10)})
    staged = StagedSearcher([], inner, OBJECTIVE, BUDGET, EPOCHS, stop_when_flat=True)
    search = made_search(staged)
    assert staged.flat(()) is None
    search.run()
    assert staged.flat(search.history) == Flat(pytest.approx(0.0009), 0.01)


def test_a_search_is_not_flat_while_the_best_was_only_trained_short() -> None:
    jobs = searched_of(Expecting(dict.fromkeys(range(20), 0.0), epochs=3))
    searched = [job for job in jobs if job.stage == "search"]
    assert len(searched) == 20 and {job.epochs_to for job in searched} == {3}
    assert max(searched, key=size_helps).spec == finals_of(jobs)[0].spec


@pytest.mark.parametrize("most", [0.95, 0.99])
def test_scores_that_are_all_alike_end_no_search_before_full_trainings(
    most: float,
) -> None:
    """Of two classes, 95 % are of one, and no short training tells them apart."""

    def score(job: Job) -> float:
        learned = most - 3.0 / work(job.spec) ** 0.5
        return max(learned, 0.95) if job.epochs_to == EPOCHS else 0.95

    inner = SEARCHERS["auto"](made_settings(POOL, 60))
    staged = StagedSearcher([], inner, OBJECTIVE, BUDGET, EPOCHS, stop_when_flat=True)
    jobs = [job for job in made_search(staged, score).run() if job.stage == "search"]
    whole = [score(job) for job in jobs if job.epochs_to == EPOCHS]
    assert len(jobs) > 12 and max(whole) > most - 0.03


def test_a_network_that_fails_after_a_short_training_keeps_no_search_going() -> None:
    """Such a network is promising for ever, and never has its full length."""
    star: list[tuple[Spec, float | None]] = []

    def score(job: Job) -> float | None:
        network = job.spec, job.learning_rates[0]
        if job.epochs_to < EPOCHS:
            star[:] = star or [network]
            return 0.9 if network in star else 0.7
        return None if network in star else 0.8

    inner = SEARCHERS["auto"](made_settings(POOL, 150))
    staged = StagedSearcher([], inner, OBJECTIVE, BUDGET, EPOCHS, stop_when_flat=True)
    search = made_search(staged, score)
    jobs = search.run()
    failed = [t for t in search.history if t.status == "failed"]
    assert [(t.spec, t.learning_rate) for t in failed] == star
    assert staged.flat([t for t in search.history if t.stage == "search"])
    assert star[0] not in {(job.spec, job.learning_rates[0]) for job in finals_of(jobs)}


@pytest.mark.parametrize("epochs", [1, EPOCHS])
def test_a_rate_that_only_the_code_of_the_user_knows_hides_no_network(
    epochs: int,
) -> None:
    """Trainings have the rate, and the searcher has none; the best is the second."""
    specs = [find_family("mlp").spec(width=8 * number) for number in range(1, 10)]
    jobs = [
        Job("search", at, spec, (1,), (None,), epochs) for at, spec in enumerate(specs)
    ]
    history = [
        msgspec.structs.replace(made_training(job, 0, 0.5), learning_rate=0.01)
        for job in jobs
    ]

    class Fixed(RandomSearcher):
        def beliefs(self, history: Sequence[Training]) -> Beliefs | None:
            return Beliefs((Belief(specs[1], None, 10, 0.9, 0.01),), (), 0.0001)

    inner = Fixed(made_settings(POOL))
    staged = StagedSearcher([], inner, OBJECTIVE, BUDGET, EPOCHS, stop_when_flat=True)
    if epochs == EPOCHS:
        assert staged.flat(history) == Flat(0.0001, 0.01)
    else:
        assert [entry.spec for entry in staged.finalists(history)] == specs[1:2]


def test_of_an_effort_and_a_time_limit_the_smaller_ends_a_search() -> None:
    alone = made_search(made_staged("normal"))
    alone.run()
    enough, little = 2 * spent(alone.history), spent(alone.history) / 2
    timed = [made_search(made_staged("normal"), time=t) for t in (enough, little)]
    assert [*map(len, (search.run() for search in timed))][0] == len(alone.jobs)
    assert spent(timed[1].history) <= little


@pytest.mark.parametrize(
    ("part", "seconds", "devices"),
    [(2.0, 1.0, 1.0), (0.5, 0.5, 2.0), (0.125, 0.125, 4.0)],
)
def test_an_effort_pays_for_devices_as_far_as_the_time_limit_allows(
    part: float, seconds: float, devices: float
) -> None:
    """Of four, in some part of the seconds that the effort takes on one of them."""
    staged = made_staged("normal")
    effort = EFFORTS["normal"].trainings * whole(LARGEST)
    most = part * effort / 2
    given = Allowance(part * effort, cost, most, 0.25, alone=cost, devices=4)
    within = staged.within((), (), given)
    assert within.seconds == pytest.approx(seconds * effort)
    assert (within.devices, within.share) == (pytest.approx(devices), 0.25)
    assert within.most <= most and within.most <= effort / 2 / devices


def test_what_is_out_counts_as_spent() -> None:
    staged = made_staged("quick")
    costs = Allowance(cost=cost, alone=cost)
    out: list[Job] = []
    while isinstance(job := staged.propose((), out, costs), Job):
        out.append(job)
    assert job is not DONE and len(out) > 1
    assert costs.total(out) <= EFFORTS["quick"].trainings * whole(LARGEST)


def test_an_effort_pays_for_finalists_that_fit_into_it() -> None:
    costs = {8: 10.0, 16: 60.0, 24: 12.0}
    finals = [
        Job("finalist", n, find_family("mlp").spec(width=w), (1, 2, 3), (1e-3,) * 3, 9)
        for n, w in enumerate(costs)
    ]

    def cost(job: Job) -> float:
        return len(job.seeds) * costs[job.spec.width]

    def chosen(left: float) -> list[tuple[int, int]]:
        jobs = affordable(finals, Allowance(cost=cost), Allowance(left, cost), set())
        return [(job.spec.width, len(job.seeds)) for job in jobs]

    assert chosen(1000.0) == [(8, 3), (16, 3), (24, 3)]
    assert chosen(45.0) == [(8, 2), (24, 2)]
    assert chosen(5.0) == [(8, 1), (24, 1)]  # two it leaves whatever they cost
