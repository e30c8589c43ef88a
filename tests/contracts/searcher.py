"""What every searcher promises, as functions to apply to one."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence

import numpy as np
from msgspec.structs import replace

from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.runs.records import Training
from kscale.search import SEARCHERS
from kscale.search.contract import DONE, WAIT, Allowance, Job, Searcher, keys_of
from kscale.search.draws import Settings
from kscale.search.ladder import LadderSearcher
from kscale.search.pool import Pool, Space
from kscale.search.random_search import PoolDraws
from kscale.task.objectives import find_objective
from kscale.task.tasks import Target, Task

TASK = Task.of("image", (8, 8, 1), classes=10)
BUDGET = Budget(max_params=40_000, max_flops=70_000, max_bytes=150_000)
OBJECTIVE = find_objective("accuracy", Target("label", "classes", 10))
EPOCHS = 9
NO_LIMIT = Allowance()

Score = Callable[[Job], float | None]


def made_pool(family: str = "mlp", **knobs: object) -> Pool:
    """A pool of one family on the digits' task."""
    return Pool(Space((find_family(family),), TASK, BUDGET, fixed=tuple(knobs.items())))


def made_settings(
    pool: Pool, trials: int = 30, seed: int = 0, **more: object
) -> Settings:
    """What a searcher over a pool is made from."""
    draws = PoolDraws(pool, seed)
    return Settings(draws, trials, EPOCHS, OBJECTIVE, seed, **more)  # type: ignore[arg-type]


def made_searcher(name: str, pool: Pool, trials: int = 30, seed: int = 0) -> Searcher:
    """A searcher by name; `ladder` is that of `--for-law`."""
    makers = {**SEARCHERS, "ladder": LadderSearcher}
    return makers[name](made_settings(pool, trials, seed))


def made_training(job: Job, member: int, score: float | None) -> Training:
    """A training that did not happen."""
    size = find_family(job.spec.family).size(job.spec, TASK)
    return job.training(
        member,
        size,
        full_epochs=EPOCHS,
        seconds=float(job.epochs_to - job.epochs_from),
        status="failed" if score is None else "ok",
        reason="made to fail" if score is None else "",
        score=score,
        stderr=None if score is None else 0.01,
        examples=100,
    )


def made_trainings(job: Job, score: float | None) -> list[Training]:
    """A training for each member."""
    return [made_training(job, member, score) for member in range(len(job.seeds))]


class Simulation:
    """A searcher at work, with trainings that did not happen.

    Args:
        searcher: Proposes the jobs.
        score: From a job to a score; None fails.
        slots: Jobs that may be out at once; the one that is out longest ends first.
        allowance: What time is left, from the jobs so far.
        seconds: What a member of a job takes.

    Attributes:
        jobs: What was proposed, in this order.
        history: Trainings of the jobs that have ended.
    """

    def __init__(
        self,
        searcher: Searcher,
        score: Score,
        slots: int = 1,
        allowance: Callable[[Sequence[Job]], Allowance] = lambda jobs: NO_LIMIT,
        seconds: Callable[[Job], float] = lambda job: 0.0,
    ) -> None:
        self.searcher = searcher
        self.score = score
        self.slots = slots
        self.allowance = allowance
        self.seconds = seconds
        self.jobs: list[Job] = []
        self.history: list[Training] = []
        self.pending: list[Job] = []

    def step(self) -> bool:
        """Propose, or end a pending job; whether there was anything to do."""
        if len(self.pending) < self.slots:
            asked = (tuple(self.history), tuple(self.pending))
            job = self.searcher.propose(*asked, self.allowance(self.jobs))
            again = self.searcher.propose(*asked, self.allowance(self.jobs))
            assert job == again
            if isinstance(job, Job):
                self._check(job)
                self.jobs.append(job)
                self.pending.append(job)
                self._check_parents()
                return True
            assert job is DONE or self.pending  # nothing is due to wait for
        if not self.pending:
            return False
        ended = self.pending.pop(0)
        known = keys_of(self.history)
        took = self.seconds(ended)
        new = [
            replace(training, seconds=took)
            for training in made_trainings(ended, self.score(ended))
        ]
        self.history += [training for training in new if training.key not in known]
        return True

    def run(self, most: int = 5000) -> list[Job]:
        """All jobs up to the end."""
        for _ in range(most):
            if not self.step():
                for _ in range(2):
                    done = self.searcher.propose(self.history, (), self.allowance([]))
                    assert done is DONE or self.allowance([]).is_limited
                return self.jobs
        raise AssertionError(f"still proposing after {most} steps")

    def _check(self, job: Job) -> None:
        known = keys_of(self.history, self.pending)
        assert not known.issuperset(job.keys), "proposed twice"
        assert len(
            {j.index for j in self.jobs if j.stage == job.stage} | {job.index}
        ) == (1 + len({j.index for j in self.jobs if j.stage == job.stage}))
        if job.epochs_from:
            done = {t.key: t for t in self.history}
            needed = self.searcher.needed(self.history, self.pending)
            for member in range(len(job.seeds)):
                parent = done[job.parent_key(member) or ""]
                assert parent.status == "ok" and parent.job == job.parent
                assert parent.key in needed, "weights of a parent may be deleted"

    def _check_parents(self) -> None:
        needed = self.searcher.needed(self.history, self.pending)
        out = [job for job in self.pending if job.epochs_from]
        parents = {
            job.parent_key(member) for job in out for member in range(len(job.seeds))
        }
        assert parents <= needed, (
            "weights of a parent may be deleted while a job is out"
        )


def run_searcher(searcher: Searcher, score: Score, slots: int = 1) -> list[Job]:
    """All jobs a searcher proposes when each is scored by a function of the job."""
    return Simulation(searcher, score, slots).run()


def log_size(job: Job) -> float:
    """A made-up score that grows with the size and is best at one learning rate."""
    size = find_family(job.spec.family).size(job.spec, TASK)
    rate = job.learning_rates[0] or 1.0
    return float(np.log10(size.params) / 10 - abs(np.log(rate / 2e-3)))


def check_same_seed_same_proposals(name: str) -> None:
    """Equal seeds give equal jobs, other seeds other ones."""
    first, second, other = (
        run_searcher(made_searcher(name, made_pool(), seed=seed), log_size)
        for seed in (7, 7, 8)
    )
    assert first == second
    assert first != other


def check_same_proposals_in_another_process(name: str) -> None:
    """Proposals do not depend on the process, for example on Python's string hashes."""
    here = run_searcher(made_searcher(name, made_pool(), trials=10), log_size)
    script = (
        "import json\n"
        "from contracts.searcher import *\n"
        f"searcher = made_searcher({name!r}, made_pool(), trials=10)\n"
        "print(json.dumps([job.keys for job in run_searcher(searcher, log_size)]))"
    )
    path = [entry for entry in sys.path if entry]
    there = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(there.stdout) == [list(job.keys) for job in here]


def check_never_over_budget(name: str) -> None:
    """Every proposal fits every limit, by its exact size."""
    jobs = run_searcher(made_searcher(name, made_pool(), trials=15), log_size)
    assert jobs
    for job in jobs:
        assert BUDGET.allows(find_family(job.spec.family).size(job.spec, TASK))


def check_ends_when_exhausted(name: str) -> None:
    """A space of few points is proposed whole, each point once, and then it is over."""
    pool = made_pool(depth=2, learning_rate=1e-3)
    jobs = run_searcher(made_searcher(name, pool, trials=10_000), log_size)
    points = [(job.spec, job.learning_rates) for job in jobs if not job.epochs_from]
    assert len(points) == len(set(points)) == len(pool)


def check_trials_are_specs_and_not_jobs(name: str) -> None:
    """As many specs are tried as were asked for, however many jobs each takes."""
    jobs = run_searcher(made_searcher(name, made_pool(), trials=30), log_size)
    assert sum(not job.epochs_from for job in jobs) == 30


def check_survives_failures(name: str) -> None:
    """Failed trainings, even all of them, end no search early."""
    jobs = run_searcher(made_searcher(name, made_pool(), trials=30), lambda job: None)
    assert len(jobs) == 30 and not any(job.epochs_from for job in jobs)
    some = made_searcher(name, made_pool(), trials=30)
    found = run_searcher(some, lambda job: None if job.index % 2 else log_size(job))
    assert sum(not job.epochs_from for job in found) == 30


def check_several_jobs_may_be_out(name: str) -> None:
    """With three slots the same first jobs are tried, none of the jobs twice."""
    one = run_searcher(made_searcher(name, made_pool()), log_size)
    three = run_searcher(made_searcher(name, made_pool()), log_size, slots=3)
    assert len(three) == len(set(three))
    assert {j for j in one if not j.epochs_from} == {
        j for j in three if not j.epochs_from
    }


def check_a_resumed_search_goes_on(name: str) -> None:
    """A new searcher that knows the history proposes what the old one would have."""
    whole = Simulation(made_searcher(name, made_pool()), log_size)
    whole.run()
    for cut in (1, 7, 30, len(whole.history) - 1):
        again = Simulation(made_searcher(name, made_pool()), log_size)
        again.history = list(whole.history[:cut])
        again.jobs = list(whole.jobs[:cut])
        assert again.run() == whole.jobs


def check_a_job_in_flight_is_proposed_again_after_a_kill(name: str) -> None:
    """What was out when a process died is not in the history, and so is proposed."""
    first = Simulation(made_searcher(name, made_pool()), log_size, slots=3)
    for _ in range(20):
        first.step()
    while not first.pending:
        assert first.step()
    lost = list(first.pending)
    again = Simulation(made_searcher(name, made_pool()), log_size)
    again.history = list(first.history)
    assert {job for job in lost} <= {*again.run()}


def check_what_the_outlook_knows_comes(name: str) -> None:
    """Jobs of the outlook are proposed, and there is an outlook while jobs come.

    A searcher that waits for a result may know no job, but expects trainings.
    """
    simulation = Simulation(made_searcher(name, made_pool()), log_size)
    for _ in range(11):
        simulation.step()
    pending = tuple(simulation.pending)
    outlook = simulation.searcher.outlook(simulation.history, pending)
    assert outlook.trainings and not {*outlook.jobs} & {*pending}
    assert {*outlook.jobs} <= {*simulation.run()}
    assert simulation.searcher.outlook(simulation.history, ()).jobs == ()


def check_more_trials_go_on(name: str) -> None:
    """A longer search begins with the first jobs of a shorter one."""
    few = Simulation(made_searcher(name, made_pool(), trials=12), log_size)
    few.run()
    more = Simulation(made_searcher(name, made_pool(), trials=25), log_size)
    more.history = list(few.history)
    roots = [job for job in (*few.jobs, *more.run()) if not job.epochs_from]
    assert len(roots) == len(set(roots)) == 25


def check_a_time_limit_is_kept(name: str) -> None:
    """Jobs cost seconds by their epochs; together they stay within the limit."""

    def cost(job: Job) -> float:
        return float(job.epochs_to - job.epochs_from)

    for limit in (0.0, 1.0, 5.0, 40.0, 100.0):

        def left(jobs: Sequence[Job], limit: float = limit) -> Allowance:
            return Allowance(limit - sum(map(cost, jobs)), cost)

        searcher = made_searcher(name, made_pool())
        jobs = Simulation(searcher, log_size, allowance=left).run()
        spent = sum(map(cost, jobs))
        assert spent <= limit
        if limit >= 40.0:
            assert spent >= limit / 2
            assert any(job.epochs_to == EPOCHS for job in jobs)


def run_on_devices(
    searcher: Searcher,
    limit: float,
    devices: int,
    cost: Callable[[Job], float],
    score: Score,
) -> tuple[float, list[Job]]:
    """When the last job ends, where each device trains one at a time, and all jobs."""
    now, jobs = 0.0, list[Job]()
    history: list[Training] = []
    ends: dict[Job, float] = {}  # of jobs that are out
    while True:
        allowance = Allowance(limit - now, cost, devices=devices)
        asked = history, (*ends,), allowance
        job = searcher.propose(*asked) if len(ends) < devices else WAIT
        if isinstance(job, Job):
            jobs.append(job)
            ends[job] = now + cost(job)
        elif ends:
            ended = min(ends, key=ends.__getitem__)
            now = ends.pop(ended)
            new = made_trainings(ended, score(ended))
            history += [replace(t, seconds=cost(ended) / len(new)) for t in new]
        else:
            return now, jobs


def check_a_time_limit_is_that_of_each_device(name: str) -> None:
    """Four devices end in time, and none of them is idle for most of the time."""

    def cost(job: Job) -> float:
        return float(job.epochs_to - job.epochs_from)

    for limit in (5.0, 30.0):
        searcher = made_searcher(name, made_pool())
        end, jobs = run_on_devices(searcher, limit, 4, cost, log_size)
        assert end <= limit
    assert sum(map(cost, jobs)) >= limit * 4 / 2
    assert any(job.epochs_to == EPOCHS for job in jobs)


def check_waiting_ends(name: str) -> None:
    """`WAIT` is only proposed while a job is out."""
    searcher = made_searcher(name, made_pool(), trials=12)
    simulation = Simulation(searcher, log_size, slots=20)
    for _ in range(200):
        before = tuple(simulation.history), tuple(simulation.pending)
        if searcher.propose(*before, NO_LIMIT) is WAIT:
            assert simulation.pending
        if not simulation.step():
            break
    assert not simulation.pending and math.isfinite(len(simulation.jobs))


def check_what_it_says_of_a_history(name: str) -> None:
    """Notes and beliefs of an empty, a failed and a whole history, alike if asked
    again; and weights of a few trainings are needed, of none at the end but some."""
    searcher = made_searcher(name, made_pool())
    failed = Simulation(made_searcher(name, made_pool()), lambda job: None)
    whole = Simulation(made_searcher(name, made_pool()), log_size)
    failed.run()
    whole.run()
    for history in ([], failed.history, whole.history):
        for asked in (searcher, made_searcher(name, made_pool())):
            first = asked.notes(history), asked.beliefs(history)
            assert (asked.notes(history), asked.beliefs(history)) == first
            assert first == (searcher.notes(history), searcher.beliefs(history))
            assert all(note and note.endswith(".") for note in first[0])
        if (known := first[1]) is not None:
            assert history and math.isfinite(known.gain) and known.gain >= 0
            assert {(b.spec, b.learning_rate) for b in known.trained} <= {
                (t.spec, t.learning_rate) for t in history
            }
    keys = keys_of(whole.history)
    assert searcher.needed([], ()) == set()
    assert searcher.needed(whole.history, ()) < keys
    assert searcher.needed(whole.history[: len(whole.history) // 2], ()) <= keys


CHECKS_OF_ALL = [
    check_same_seed_same_proposals,
    check_same_proposals_in_another_process,
    check_never_over_budget,
    check_a_resumed_search_goes_on,
    check_what_the_outlook_knows_comes,
    check_more_trials_go_on,
    check_a_time_limit_is_kept,
    check_a_time_limit_is_that_of_each_device,
    check_waiting_ends,
    check_what_it_says_of_a_history,
]

CHECKS = [
    *CHECKS_OF_ALL,
    check_ends_when_exhausted,
    check_trials_are_specs_and_not_jobs,
    check_survives_failures,
]
"""Of searchers that look for the best network."""

CHECKS_OF_A_SEQUENCE = [
    check_several_jobs_may_be_out,
    check_a_job_in_flight_is_proposed_again_after_a_kill,
]
"""Of searchers that try the same networks whatever the scores are."""
