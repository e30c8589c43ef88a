"""Progress of a search on standard error: a bar in a terminal, else plain lines."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kscale.data.class_weights import class_counts
from kscale.reports.notes import imbalance_notes
from kscale.reports.quality import number_text
from kscale.runs.entries import answers_of, best_of
from kscale.runs.records import Record, Reference, Training, is_trained
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
        self._trained: list[Training | Reference] = []
        self._expected = 0
        self._end: float | None = None

    def started(self, plan: "Plan", folder: Path, recorded: Sequence[Record]) -> None:
        self._plan, data, request = plan, plan.dataset, plan.request
        self._trained = list(filter(is_trained, recorded))
        before = len(self._trained)
        searched = plan.candidates.most_trials(request.trials) * request.seeds
        compared = len(plan.baselines()) + request.retrain_baseline
        self._expected = max(compared + searched, before)
        self.note(
            f"{data.name}: {len(data.train):,} training, {len(data.validation):,} "
            f"validation, {len(data.test):,} test examples; {plan.recipe.epochs} "
            f"epochs of batches of {plan.recipe.batch_size}."
        )
        for text in plan.notes:
            self.note(text)
        self.note(
            f"Searching {', '.join(plan.candidates.names)}: "
            f"{plan.candidates.found}; at most {request.trials} are tried. "
            f"Run folder: {folder}"
        )
        uneven = imbalance_notes(
            data.task.targets, class_counts(data), plan.objective, request.class_weights
        )
        for warning in (*data.warnings, *uneven):
            self.note(f"Warning: {warning}")
        if before:
            self.note(f"Going on: {before} trainings are recorded.")

    def result_recorded(self, result: Training | Reference) -> None:
        self._trained.append(result)
        done = len(self._trained)
        self._expected = max(done, self._expected)
        self.note(f"[{done}/{self._expected}] {self.describe(result)}")

    def finalists_planned(self, jobs: Sequence[Job], seconds: float) -> None:
        trainings = sum(len(job.seeds) for job in jobs)
        recorded = sum(each.stage == "finalist" for each in self._trained)
        self._expected = len(self._trained) - recorded + trainings
        self.note(
            f"{len(jobs)} finalists from {len(jobs[0].seeds)} new seeds each: "
            f"{trainings} trainings, about {format_seconds(seconds)}."
        )

    def time_left(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def note(self, text: str) -> None:
        click.echo(text, err=True)

    def describe(self, result: Training | Reference) -> str:
        """A result, the best so far and the time left, in one line."""
        size = f"{format_count(result.params)} params"
        part = "" if result.is_full else f", {result.epochs} epochs"
        what = f"{result.stage} {result.label}, {size}{part}"
        if result.status == "failed":
            return f"{what}: failed, {result.reason}"
        score = self.score(result.score or 0.0)
        seconds = format_seconds(result.seconds)
        return f"{what}: {score} in {seconds}; {self.state()}"

    def state(self) -> str:
        """The best so far and the time left."""
        plan = self._plan
        entries = answers_of(self._trained, plan.budget, plan.identity)
        best = best_of(entries, plan.objective)
        left = "unknown time"
        if self._end is not None:
            left = format_seconds(max(self._end - time.monotonic(), 0.0))
        return f"best {self.score(best.score) if best else 'none yet'}; {left} left"

    def score(self, score: float) -> str:
        """A score with the name of its metric."""
        objective = self._plan.objective
        unit = " %" if objective.is_share else ""
        return f"{objective.name} {number_text(score, objective.is_share)}{unit}"


class BarListener(LineListener):
    """A bar with the best so far and the time left; details scroll above it."""

    _bar: "Progress | None" = None
    _task: "TaskID"

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
        progress = f"epoch {epochs}/{job.epochs_to}, {self.score(score)}"
        self._show(f"{job.spec.label}: {progress}; {self.state()}")

    def result_recorded(self, result: Training | Reference) -> None:
        super().result_recorded(result)
        self._show("next")

    def ended(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def note(self, text: str) -> None:
        if self._bar is None:
            super().note(text)
        else:
            self._bar.console.print(text, markup=False, highlight=False)

    def _show(self, text: str) -> None:
        if self._bar is not None:
            done, total = len(self._trained), self._expected
            self._bar.update(self._task, description=text, completed=done, total=total)
