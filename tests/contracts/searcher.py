"""What every searcher promises, as functions to apply to one."""

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.runs.records import Training
from kscale.search import SEARCHERS
from kscale.search.contract import DONE, Job, Searcher
from kscale.search.pool import Pool, Space
from kscale.task.tasks import Task

TASK = Task.of("image", (8, 8, 1), classes=10)
BUDGET = Budget(max_params=40_000, max_flops=70_000, max_bytes=150_000)


def made_pool(family: str = "mlp", **knobs: object) -> Pool:
    """A pool of one family on the digits' task."""
    return Pool(Space((find_family(family),), TASK, BUDGET, fixed=tuple(knobs.items())))


def made_searcher(name: str, pool: Pool, trials: int = 50, seed: int = 0) -> Searcher:
    """A searcher by name."""
    return SEARCHERS[name](pool, trials=trials, epochs=3, seed=seed)


def made_result(job: Job, member: int, score: float | None) -> Training:
    """A result of a training that did not happen."""
    size = find_family(job.spec.family).size(job.spec, TASK)
    return Training(
        key=job.member_key(member),
        stage=job.stage,
        job=job.index,
        member=member,
        spec=job.spec,
        params=size.params,
        trainable=size.trainable,
        flops=size.flops,
        bytes=size.weight_bytes(),
        seed=job.seeds[member],
        learning_rate=job.learning_rates[member],
        epochs=job.epochs_to,
        status="failed" if score is None else "ok",
        reason="made to fail" if score is None else "",
        score=score,
        stderr=None if score is None else 0.01,
        examples=100,
    )


def run_searcher(
    searcher: Searcher, score: Callable[[Job], float | None], most: int = 5000
) -> list[Job]:
    """All jobs a searcher proposes when each is scored by a function of the job."""
    jobs: list[Job] = []
    for _ in range(most):
        job = searcher.ask()
        if not isinstance(job, Job):
            assert job is DONE
            assert searcher.ask() is DONE
            return jobs
        jobs.append(job)
        members = range(len(job.seeds))
        searcher.tell(job, [made_result(job, m, score(job)) for m in members])
    raise AssertionError(f"still proposing after {most} jobs")


def log_size(job: Job) -> float:
    """A made-up score that grows with the size and is best at one learning rate."""
    size = find_family(job.spec.family).size(job.spec, TASK)
    return float(np.log10(size.params) / 10 - abs(np.log(job.learning_rates[0] / 2e-3)))


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
        "jobs = run_searcher(searcher, log_size)\n"
        "told = [[j.spec.to_json(), j.seeds, j.learning_rates] for j in jobs]\n"
        "print(json.dumps(told))"
    )
    path = [entry for entry in sys.path if entry]
    there = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{script}"],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [[j.spec.to_json(), list(j.seeds), list(j.learning_rates)] for j in here]
    assert json.loads(there.stdout) == expected


def check_never_over_budget(name: str) -> None:
    """Every proposal fits every limit, by its exact size."""
    jobs = run_searcher(made_searcher(name, made_pool(), trials=400), log_size)
    assert jobs
    for job in jobs:
        assert BUDGET.allows(find_family(job.spec.family).size(job.spec, TASK))


def check_ends_when_exhausted(name: str) -> None:
    """A space of few points is proposed whole, each point once, and then it is over."""
    pool = made_pool(depth=2, learning_rate=1e-3)
    jobs = run_searcher(made_searcher(name, pool, trials=10_000), log_size)
    points = [(job.spec, job.learning_rates) for job in jobs]
    assert len(points) == len(set(points)) == len(pool)


def check_survives_failures(name: str) -> None:
    """Failed results, even all of them, end no search early."""
    searcher = made_searcher(name, made_pool(), trials=30)
    assert len(run_searcher(searcher, lambda job: None)) == 30


def check_what_is_planned_is_asked_in_that_order(name: str) -> None:
    """Planned jobs come next, a preferred one before them, whatever is told."""
    searcher = made_searcher(name, made_pool(), trials=10)
    planned = list(searcher.planned())
    if len(planned) > 1:
        searcher.prefer(planned[-1])
        planned = [planned[-1], *planned[:-1]]
    for expected in planned:
        job = searcher.ask()
        assert job == expected
        searcher.tell(job, [made_result(job, m, 0.5) for m in range(len(job.seeds))])
