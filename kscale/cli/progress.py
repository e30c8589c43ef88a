"""Progress of a search on standard error: a bar in a terminal, else plain lines."""

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kscale.data.class_weights import class_counts
from kscale.reports.notes import imbalance_notes
from kscale.runs.entries import answers_of, best_of, entries_of, names_one
from kscale.runs.records import Record, Reference, Training
from kscale.search.contract import Job
from kscale.tuning.listeners import Listener
from kscale.units import format_count, format_seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kscale.tuning.plan import Plan


def progress_listener(quiet: bool) -> Listener:
    """A listener that suits where standard error goes."""
    if quiet:
        return Listener()
    return BarListener() if sys.stderr.isatty() else LineListener()


class LineListener(Listener):
    """One plain line for everything that happens."""

    def __init__(self) -> None:
        self._results: list[Training | Reference] = []
        self._before = 0
        self._expected = 0
        self._seconds_left: float | None = None
        self._told = time.monotonic()

    def started(self, plan: "Plan", folder: Path, recorded: Sequence[Record]) -> None:
        self._plan = plan
        self._results = list(_trained(recorded))
        self._before = len(self._results)
        members = plan.trials_of(plan.pool) * plan.request.seeds
        compared = len(plan.baselines()) + plan.request.retrain_baseline
        self._expected = max(compared + members, self._before)
        names = ", ".join(family.name for family in plan.space.families)
        parts = plan.dataset.parts
        self.say(
            f"{plan.dataset.name}: {len(parts['train']):,} training, "
            f"{len(parts['validation']):,} validation, {len(parts['test']):,} test "
            f"examples; {plan.recipe.epochs} epochs of batches of "
            f"{plan.recipe.batch_size}."
        )
        for note in plan.notes:
            self.say(note)
        self.say(
            f"Searching {names}: {plan.pool.found}; "
            f"at most {plan.request.trials} are tried. Run folder: {folder}"
        )
        uneven = imbalance_notes(
            plan.dataset.task.targets,
            class_counts(plan.dataset),
            plan.objective,
            plan.request.class_weights,
        )
        for warning in (*plan.dataset.warnings, *uneven):
            self.say(f"Warning: {warning}")
        if self._before:
            self.say(f"Going on: {self._before} trainings are recorded.")

    def result_recorded(self, result: Training | Reference) -> None:
        self._results.append(result)
        done = len(self._results)
        self._expected = max(done, self._expected)
        self.say(f"[{done}/{self._expected}] {self.describe(result)}")

    def finalists_planned(self, jobs: Sequence[Job], seconds: float) -> None:
        trainings = sum(len(job.seeds) for job in jobs)
        recorded = sum(result.stage == "finalist" for result in self._results)
        self._expected = len(self._results) - recorded + trainings
        self.say(
            f"{len(jobs)} finalists from {len(jobs[0].seeds)} new seeds each: "
            f"{trainings} trainings, about {format_seconds(seconds)}."
        )

    def note(self, text: str) -> None:
        self.say(text)

    def say(self, text: str) -> None:
        """One line on standard error."""
        click.echo(text, err=True)

    def describe(self, result: Training | Reference) -> str:
        """A result, the best so far and the time left, in one line."""
        what = f"{result.stage} {result.label}"
        size = f"{format_count(result.params)} params"
        if result.status == "failed":
            return f"{what}, {size}: failed, {result.reason}"
        score = self._score(result.score or 0.0)
        text = f"{what}, {size}: {score} in {format_seconds(result.seconds)}"
        return f"{text}; best {self._best()}; {self._left()} left"

    def _score(self, score: float) -> str:
        name = self._plan.objective.name
        if self._plan.objective.is_share:
            return f"{name} {100 * score:.1f} %"
        return f"{name} {score:.4g}"

    def _best(self) -> str:
        plan, trained = self._plan, entries_of(self._results)
        entries = answers_of(trained, plan.space.budget, names_one(plan.identity))
        best = best_of(entries, plan.objective)
        return self._score(best.score) if best else "none yet"

    def time_left(self, seconds: float) -> None:
        self._seconds_left, self._told = seconds, time.monotonic()

    def _left(self) -> str:
        """The time left as the search told, less what has passed since."""
        if self._seconds_left is None:
            return "unknown time"
        passed = time.monotonic() - self._told
        return format_seconds(max(self._seconds_left - passed, 0.0))


def _trained(records: Sequence[Record]) -> Iterator[Training | Reference]:
    """Trainings, that of the user's present model included."""
    for item in records:
        if isinstance(item, Reference):
            if item.part == "validation" and item.learning_rate is not None:
                yield item
        elif isinstance(item, Training):
            yield item


class BarListener(LineListener):
    """A bar with the best so far and the time left; details scroll above it."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def started(self, plan: "Plan", folder: Path, recorded: Sequence[Record]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        super().started(plan, folder, recorded)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        console = Console(stderr=True)
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("starting", total=self._expected)
        self._bar.start()

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        self._show(
            f"{job.spec.label}: epoch {epochs}/{job.epochs_to}, "
            f"{self._score(score)}; best {self._best()}; {self._left()} left"
        )

    def result_recorded(self, result: Training | Reference) -> None:
        super().result_recorded(result)
        self._show("next")

    def ended(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        if self._bar is None:
            super().say(text)
        else:
            self._bar.console.print(text, markup=False, highlight=False)

    def _show(self, text: str) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task,
                description=text,
                completed=len(self._results),
                total=self._expected,
            )
