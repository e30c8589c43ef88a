"""What do many workers make of a search, and what do they waste?

Command: `python experiments/scaling.py --rows FILE` (each simulated search is a line of
FILE at once, so the command may be stopped and started again), figures to
`experiments/results/scaling.md`. `--smoke`: one search of four workers, and four real
trainings (30 s).

**Simulation** (no TensorFlow, no Ray): a discrete-event loop gives each free worker the
next job of the real searcher, finalists included, as `Driver` does, and ends the job
after what the training took. Trainings, seconds and seeds are those of kscale's own
tables (`ground_truth.py`, on a machine of other users: stragglers are real), and scores
of LCBench's, whose seconds follow from the size. Times are in full trainings of the
best network of a table. A search ends by its effort, or by a time limit.

**Ray** (`kscale[ray]`): the same trainings in one process and in two actors, in turn,
and what a training costs beside itself. The load of the machine is printed.

What was seen stands in `results/scaling.md`.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from msgspec.structs import replace as with_values
from replay import OWN, SHARED, Replay
from tables.reading import TableTask, read_table

from kscale.networks.budget import Budget
from kscale.networks.families.base import Spec
from kscale.runs.entries import best_of, entries_of
from kscale.runs.records import Training
from kscale.search import SEARCHERS
from kscale.search.contract import Job, Signal
from kscale.search.effort import Effort
from kscale.search.staged import StagedSearcher
from kscale.task.heads.base import Objective
from kscale.tuning.listeners import Listener
from kscale.tuning.time_policy import TimePolicy

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

RESULTS = Path(__file__).parent / "results" / "scaling.md"
OWN_TABLES = ("digits_mlp", "mnist14_cnn", "spoken_digits_rnn")
OF_LCBENCH = "credit-g"
WORKERS = (1, 4, 16, 64, 256, 1000)
FEW = 64  # workers; the own tables have some hundred trainings, LCBench thousands
EXAMPLES = 2000  # of validation, by which scores are uncertain
_WIDE = 8.7  # times that five widest layers of LCBench take as long as the narrowest


class Problem:
    """A search on a table, with what trainings take."""

    def __init__(self, task: TableTask, repeat: int) -> None:
        self.task = task
        self.replay = Replay(task, int(task.params.max()), repeat)
        self.objective = Objective("score", task.higher_is_better)
        self.seconds = seconds_of(task)
        self._means = self.seconds.mean(axis=0).tolist()
        by_spec: dict[Spec, list[float]] = {}
        for spec, seconds in zip(task.specs, self._means, strict=True):
            by_spec.setdefault(spec, []).append(seconds)
        self._of_spec = {spec: fmean(found) for spec, found in by_spec.items()}
        self.unit = self._means[int(task.truth.argmax())]

    def searcher(self, name: str, trainings: float | None) -> StagedSearcher:
        """A whole search without baselines, of an effort or of none."""
        settings = self.replay._settings()
        return StagedSearcher(
            [],
            SEARCHERS[name](settings),
            self.objective,
            Budget(),
            self.task.epochs,
            seed=settings.seed,
            effort=None if trainings is None else Effort(trainings, 0.0),
            largest=self.task.specs[int(self.task.params.argmax())],
        )

    def cost(self, job: Job) -> float:
        """Seconds that are expected of a job."""
        share = (job.epochs_to - job.epochs_from) / self.task.epochs
        rates = job.learning_rates
        places = [self.replay.places.get((job.spec, rate or 0.0)) for rate in rates]
        of_spec = self._of_spec[job.spec]
        return share * sum(of_spec if p is None else self._means[p] for p in places)

    def trained(self, job: Job, member: int) -> Training:
        """What the table says of a member of a job: finalists are of all seeds."""
        training = [*self.replay._trained(job)][member]
        place = self.replay.places[job.spec, job.learning_rates[member] or 0.0]
        if job.stage == "finalist":
            curves = self.task.curves
            curve = curves[job.seeds[member] % len(curves), place]
            training = with_values(training, score=float(curve[-1]))
        seconds = self.seconds[job.seeds[member] % len(self.seconds), place]
        share = (job.epochs_to - job.epochs_from) / self.task.epochs
        score = min(max(training.score or 0.0, 1.0), 99.0)
        stderr = math.sqrt(score * (100.0 - score) / EXAMPLES)
        return with_values(training, seconds=float(share * seconds), stderr=stderr)

    def regret(self, history: Sequence[Training]) -> float:
        """What the best network by some trainings misses, in points; the median one
        where there is none."""
        truth, entries = self.task.truth, entries_of(history)
        best = best_of([e for e in entries if e.is_full] or entries, self.objective)
        if best is None:
            return float(truth.max() - np.median(truth))
        place = self.replay.places[best.spec, float(best.learning_rate or 0.0)]
        return float(truth.max() - truth[place])


def seconds_of(task: TableTask) -> Any:
    """Seconds of trainings of full length, `(seeds, specs)`.

    LCBench has none. What is known of its times is how much longer five layers take
    where they are widest: so a training takes a fixed time and one for each weight.
    """
    if task.seconds is not None:
        return task.seconds
    deep = [
        params
        for spec, params in zip(task.specs, task.params, strict=True)
        if spec.depth == 5
    ]
    fixed = (max(deep) - _WIDE * min(deep)) / (_WIDE - 1)
    return (fixed + task.params)[None] / np.median(fixed + task.params)


@dataclass(eq=False)
class Course:
    """What ended, when all and the search ended, and by proposal the jobs that were
    out and the seconds until the answer."""

    history: list[Training] = field(default_factory=list)
    wall: float = 0.0
    searched: float = 0.0
    asked: list[tuple[int, float]] = field(default_factory=list)

    def idle(self, workers: int, wall: float, *stages: str) -> float:
        """Part of the time of workers in which they train nothing of some stages."""
        busy = sum(t.seconds for t in self.history if t.stage in stages)
        return 1 - busy / (workers * max(wall, 1e-9))


def simulate(
    problem: Problem, searcher: StagedSearcher, workers: int, limit: float | None
) -> Course:
    """A search with workers that train what the table says, as the driver runs it; what
    has not ended by a limit is lost."""
    course, clock, number = Course(), 0.0, 0
    policy = TimePolicy(limit, 0.0, lambda: clock)
    policy.keep(0.0)
    out: dict[Job, set[int]] = {}
    waiting: deque[tuple[Job, int]] = deque()
    running: list[tuple[float, int, Job, int, Training]] = []
    while True:
        while len(running) < workers:
            if not waiting:
                allowance = policy.allowance(problem.cost, problem.cost, workers)
                begun = time.process_time()
                job = searcher.propose(course.history, [*out], allowance)
                course.asked.append((len(out), time.process_time() - begun))
                if isinstance(job, Signal):
                    break
                known = {training.key for training in course.history}
                out[job] = {m for m, key in enumerate(job.keys) if key not in known}
                waiting += ((job, member) for member in sorted(out[job]))
            job, member = waiting.popleft()
            training, number = problem.trained(job, member), number + 1
            end = clock + training.seconds
            heappush(running, (end, number, job, member, training))
        if not running:
            return course
        clock, _, job, member, training = heappop(running)
        if limit is not None and clock > limit:
            return course
        course.history.append(training)
        course.wall = clock
        if job.stage == "search":
            course.searched = clock
        out[job].discard(member)
        if not out[job]:
            del out[job]


@dataclass(frozen=True)
class Case:
    """A search that is simulated: by an effort in full trainings of the winner, or by a
    time limit in full trainings of the best network."""

    task: str
    searcher: str
    workers: int
    effort: float | None
    limit: float | None
    repeat: int

    def row(self, task: TableTask) -> dict[str, Any]:
        """What came of it."""
        problem = Problem(task, self.repeat)
        unit = problem.unit
        limit = None if self.limit is None else self.limit * unit
        searcher = problem.searcher(self.searcher, self.effort)
        course = simulate(problem, searcher, self.workers, limit)
        wall = course.wall if limit is None else limit
        most = max(out for out, _ in course.asked)
        full = [seconds for out, seconds in course.asked if out >= 0.9 * most]
        return vars(self) | {
            "wall": wall / unit,
            "work": sum(t.seconds for t in course.history) / unit,
            "idle": course.idle(self.workers, wall, "search", "finalist"),
            "idle_search": course.idle(self.workers, course.searched, "search"),
            "trainings": len(course.history),
            "out": most,
            "regret": problem.regret(course.history),
            "ask_ms": 1e3 * median(full),
            "most_ms": 1e3 * max(seconds for _, seconds in course.asked),
        }


def cases(repeats: int) -> Iterator[Case]:
    """All searches, repeat by repeat."""
    for repeat in range(repeats):
        for task in (*OWN_TABLES, OF_LCBENCH):
            for name in ("auto", "halving", "random"):
                for workers in WORKERS:
                    if workers > FEW and task != OF_LCBENCH:
                        continue
                    yield Case(task, name, workers, 5.0, None, repeat)
                    yield Case(task, name, workers, None, 3.0, repeat)


def tasks() -> dict[str, TableTask]:
    """The tables that are there, by name."""
    found = {name: read_table(OWN / f"{name}.npz")[0] for name in OWN_TABLES}
    path = SHARED / "lcbench_given.npz"
    others = read_table(path) if path.exists() else []
    return found | {task.name: task for task in others if task.name == OF_LCBENCH}


FIGURES = {
    "wall": "wall",
    "work": "work",
    "idle": "idle",
    "idle_search": "idle in the search",
    "trainings": "trainings",
    "out": "most out",
    "regret": "regret (stderr)",
    "ask_ms": "ms a proposal",
    "most_ms": "at most",
}


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Means over tables and repeats, by limit, searcher and number of workers."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    order = sorted(rows, key=lambda r: (r["effort"] or 99, r["searcher"], r["workers"]))
    for row in order:
        limit = (
            f"effort {row['effort']:g}" if row["effort"] else f"time {row['limit']:g}"
        )
        groups.setdefault((limit, row["searcher"], row["workers"]), []).append(row)
    heads = ("limit", "searcher", "workers", "searches", *FIGURES.values())
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for key, found in groups.items():
        cells = [*map(str, key), str(len(found))]
        for name in FIGURES:
            values = [row[name] for row in found]
            text = (
                f"{fmean(values):.2f}" if max(values) < 50 else f"{fmean(values):.0f}"
            )
            if name == "regret":
                of_repeat: dict[int, list[float]] = {}
                for row in found:
                    of_repeat.setdefault(row["repeat"], []).append(row["regret"])
                means = [fmean(each) for each in of_repeat.values()]
                spread = stdev(means) / len(means) ** 0.5 if len(means) > 1 else 0.0
                text += f" ({spread:.2f})"
            cells.append(text)
        yield f"| {' | '.join(cells)} |"


class Ends(Listener):
    """Notes when the trainings of a search end."""

    def __init__(self) -> None:
        self.found: list[tuple[float, Training]] = []

    def result_recorded(self, result: Any) -> None:
        if isinstance(result, Training) and result.stage == "search":
            self.found.append((time.monotonic(), result))


def real(workers: int | None, trials: int, **options: Any) -> float:
    """Seconds of a real search, from its first result to its last one."""
    import kscale

    ends, begun = Ends(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        kscale.tune(
            listener=ends,
            run=f"{folder}/run",
            trials=trials,
            searcher="random",
            finalist_seeds=0,
            workers=workers,
            **options,
        )
    first, last = ends.found[0][0], ends.found[-1][0]
    seconds = sum(training.seconds for _, training in ends.found[1:])
    beside = (last - first - seconds) / (len(ends.found) - 1)
    text = f"; {1e3 * beside:.1f} ms a training beside itself" * (workers in (None, 1))
    print(
        f"{workers or 'no'} workers: {last - first:.1f} s after the first result, that "
        f"came after {first - begun:.1f} s{text}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return last - first


def with_ray(is_small: bool) -> None:
    """Two actors against one process, in turn; what a training costs beside itself."""
    if find_spec("ray") is None:
        print("Ray is not installed: pip install 'kscale[ray]'.", file=sys.stderr)
        return
    if is_small:
        real(2, 4, max_params=2_000, family="mlp", epochs=1)
        return
    one = {"family": "mlp", "settings": {"depth": 1, "width": 8}, "seeds": 5}
    for workers in (None, 1, None, 1):
        real(workers, 8, max_params=20_000, epochs=1, **one)
    ratios = []
    for _ in range(3):
        alone, two = (
            real(workers, 16, max_params=50_000, family="cnn", epochs=20)
            for workers in (None, 2)
        )
        ratios.append(alone / two)
    print("one process / two actors:", *(f"{ratio:.2f}" for ratio in ratios))


def main() -> None:
    """Simulate what is missing, and write the table; then the part with Ray."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one search, and Ray")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--rows", type=Path, help="file of what was simulated")
    parser.add_argument("--ray", action="store_true", help="the part with Ray alone")
    asked = parser.parse_args()
    if asked.smoke or asked.ray:
        if asked.smoke:
            case = Case("digits_mlp", "auto", 4, 5.0, None, 0)
            print(*table([case.row(tasks()["digits_mlp"])]), sep="\n")
        with_ray(asked.smoke)
        return
    if asked.rows is None:
        parser.error("--rows is needed, or --smoke, or --ray.")
    lines = asked.rows.read_text().splitlines() if asked.rows.exists() else []
    rows, known = list(map(json.loads, lines)), tasks()
    had = {tuple(row[name] for name in Case.__annotations__) for row in rows}
    for case in cases(asked.repeats):
        if case.task not in known or tuple(vars(case).values()) in had:
            continue
        rows.append(case.row(known[case.task]))
        with asked.rows.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    print(*table(rows), sep="\n")


if __name__ == "__main__":
    main()
