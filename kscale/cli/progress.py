"""Progress of a search on standard error: a bar in a terminal, else plain lines."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kscale.answers import best_of, entries_of, is_answer
from kscale.results import Result
from kscale.search.base import Job
from kscale.tuning.listeners import Listener
from kscale.units import format_count, format_seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from kscale.tuning.plans import Plan


def progress_listener(quiet: bool) -> Listener:
    """A listener that suits where standard error goes."""
    if quiet:
        return Listener()
    return BarListener() if sys.stderr.isatty() else LineListener()


class LineListener(Listener):
    """One plain line for everything that happens."""

    def __init__(self) -> None:
        self._results: list[Result] = []
        self._expected = 0
        self._begun = time.monotonic()

    def started(self, plan: "Plan", folder: Path, recorded: int) -> None:
        self._plan = plan
        self._begun = time.monotonic()
        members = min(plan.request.trials, len(plan.pool)) * plan.request.seeds
        self._expected = len(plan.baselines()) + members
        names = ", ".join(family.name for family in plan.space.families)
        parts = plan.dataset.parts
        self.say(
            f"{plan.dataset.name}: {len(parts['train']):,} training, "
            f"{len(parts['validation']):,} validation, {len(parts['test']):,} test "
            f"examples; {plan.recipe.epochs} epochs of batches of "
            f"{plan.recipe.batch_size}."
        )
        self.say(
            f"Searching {names}: {len(plan.pool):,} specs fit {plan.space.budget}; "
            f"at most {plan.request.trials} are tried. Run folder: {folder}"
        )
        for warning in plan.dataset.warnings:
            self.say(f"Warning: {warning}")
        if recorded:
            self.say(f"Going on: {recorded} results are recorded.")

    def result_recorded(self, result: Result) -> None:
        self._results.append(result)
        done = len(self._results)
        self.say(f"[{done}/{max(done, self._expected)}] {self.describe(result)}")

    def finalists_planned(self, jobs: Sequence[Job], seconds: float) -> None:
        trainings = sum(len(job.seeds) for job in jobs)
        self._expected = len(self._results) + trainings
        self.say(
            f"{len(jobs)} finalists from {len(jobs[0].seeds)} new seeds each: "
            f"{trainings} trainings, about {format_seconds(seconds)}."
        )

    def note(self, text: str) -> None:
        self.say(text)

    def say(self, text: str) -> None:
        """One line on standard error."""
        click.echo(text, err=True)

    def describe(self, result: Result) -> str:
        """A result, the best so far and the time left, in one line."""
        spec = result.spec
        width = f" x {spec.width}" if spec.width else ""
        what = f"{result.stage} {spec.family} {spec.depth}{width}"
        size = f"{format_count(result.params)} params"
        if result.status == "failed":
            return f"{what}, {size}: failed, {result.reason}"
        score = self._score(result.score or 0.0)
        text = f"{what}, {size}: {score} in {format_seconds(result.seconds)}"
        best = self._best()
        return f"{text}; best {best}; {self._left()} left" if best else text

    def _score(self, score: float) -> str:
        name = self._plan.objective.name
        if self._plan.objective.is_share:
            return f"{name} {100 * score:.1f} %"
        return f"{name} {score:.4g}"

    def _best(self) -> str:
        budget = self._plan.space.budget
        entries = [e for e in entries_of(self._results) if is_answer(e, budget)]
        best = best_of(entries, self._plan.objective)
        return self._score(best.score) if best else ""

    def _left(self) -> str:
        done = len(self._results)
        each = (time.monotonic() - self._begun) / max(done, 1)
        return format_seconds(each * max(self._expected - done, 0))


class BarListener(LineListener):
    """A bar with the best so far and the time left; details scroll above it."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def started(self, plan: "Plan", folder: Path, recorded: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        super().started(plan, folder, recorded)
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        console = Console(stderr=True)
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("starting", total=self._expected)
        self._bar.start()

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        width = f" x {job.spec.width}" if job.spec.width else ""
        self._show(
            f"{job.spec.family} {job.spec.depth}{width}: epoch "
            f"{epochs}/{job.epochs_to}, {self._score(score)}; "
            f"best {self._best() or 'none yet'}; {self._left()} left"
        )

    def result_recorded(self, result: Result) -> None:
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
                total=max(self._expected, len(self._results)),
            )
