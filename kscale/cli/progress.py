"""Progress of a search on standard error: a bar in a terminal, else plain lines."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kscale.data.class_weights import class_counts
from kscale.reports.notes import imbalance_notes
from kscale.reports.quality import number_text
from kscale.runs.entries import answers_of, best_of
from kscale.runs.records import Record, Reference, Training, is_trained
from kscale.search.contract import Job
from kscale.text import counted
from kscale.tuning.effort_texts import expected_effort
from kscale.tuning.family_candidates import FamilyCandidates
from kscale.tuning.listeners import Listener
from kscale.tuning.planning import planned_search
from kscale.units import format_count, format_seconds

if TYPE_CHECKING:
    from kscale.tuning.plan import Plan


def progress_listener(quiet: bool) -> Listener:
    """A listener that writes to standard error, or nothing if all shall be quiet."""
    return Listener() if quiet else ShownProgress()


class ShownProgress(Listener):
    """A line for everything that happens; in a terminal a bar below the lines."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        plain: Any = {"markup": False, "highlight": False, "emoji": False}
        self._console = Console(stderr=True, soft_wrap=True, **plain)
        about: Any = {"disable": not sys.stderr.isatty(), "transient": True}
        self._bar = Progress(*columns, console=self._console, **about)
        self._task = self._bar.add_task("starting", total=None)
        self._end: float | None = None

    def started(self, plan: "Plan", folder: Path, recorded: Sequence[Record]) -> None:
        self._plan, data, request = plan, plan.dataset, plan.request
        self._trained = list(filter(is_trained, recorded))
        before = len(self._trained)
        searched = plan.candidates.most_trials(request.most_trials) * request.seeds
        compared = len(plan.baselines()) + request.retrain_baseline
        is_counted = plan.effort is None and request.trials is not None
        total = max(compared + searched, before)
        self._expected = total if is_counted else None
        trials = f"at most {counted(request.trials, 'trial')}" if request.trials else ""
        uneven = imbalance_notes(
            data.task.targets, class_counts(data), plan.objective, request.class_weights
        )
        lines = [
            f"{data.name}: {len(data.train):,} training, {len(data.validation):,} "
            f"validation, {len(data.test):,} test examples; "
            f"{counted(plan.recipe.epochs, 'epoch')} of batches of "
            f"{plan.recipe.batch_size}.",
            *plan.notes,
            f"Searching {', '.join(plan.candidates.names)}: "
            f"{'; '.join(filter(None, (plan.candidates.found, trials)))}. "
            f"Run folder: {folder}",
            *filter(None, [expected_effort(plan, plan.cost_model())]),
            *(f"Warning: {warning}" for warning in (*data.warnings, *uneven)),
        ]
        if before:
            lines.append(f"Going on after {counted(before, 'recorded training')}.")
        elif isinstance(plan.candidates, FamilyCandidates):  # others are slow to draw
            lines.append(planned_search(plan, False, 0.5).to_line())
        for line in lines:
            self.note(line)
        self._show("starting")
        self._bar.start()

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        if not self._bar.disable:
            progress = f"epoch {epochs}/{job.epochs_to}, {self._score(score)}"
            self._show(f"{job.spec.label}: {progress}; {self._state()}")

    def time_left(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def result_recorded(self, result: Training | Reference) -> None:
        self._trained.append(result)
        done = len(self._trained)
        self._expected = self._expected and max(done, self._expected)
        size = f"{format_count(result.params)} params"
        part = "" if result.is_full else f", {counted(result.epochs, 'epoch')}"
        outcome = f"failed, {result.reason}"
        if result.status != "failed":
            seconds = format_seconds(result.seconds)
            score = self._score(result.score or 0.0)
            outcome = f"{score} in {seconds}; {self._state()}"
        what = f"{result.stage} {result.label}, {size}{part}"
        of_all = f"/{self._expected}" if self._expected else ""
        self.note(f"[{done}{of_all}] {what}: {outcome}")
        self._show("next")

    def finalists_planned(self, jobs: Sequence[Job], seconds: float) -> None:
        trainings = sum(len(job.seeds) for job in jobs)
        recorded = sum(each.stage == "finalist" for each in self._trained)
        self._expected = len(self._trained) - recorded + trainings
        seeds = counted(len(jobs[0].seeds), "new seed")
        self.note(
            f"{counted(len(jobs), 'finalist')}, {seeds} each: "
            f"{counted(trainings, 'training')}, about {format_seconds(seconds)}."
        )

    def note(self, text: str) -> None:
        self._console.print(text)

    def ended(self) -> None:
        if not self._bar.disable:
            self._bar.stop()

    def _show(self, text: str) -> None:
        done, total = len(self._trained), self._expected
        self._bar.update(self._task, description=text, completed=done, total=total)

    def _state(self) -> str:
        """The best so far and the time left."""
        plan = self._plan
        entries = answers_of(self._trained, plan.budget, plan.identity)
        best = best_of(entries, plan.objective)
        left = "unknown time"
        if self._end is not None:
            left = format_seconds(max(self._end - time.monotonic(), 0.0))
        return f"best {self._score(best.score) if best else 'none yet'}; {left} left"

    def _score(self, score: float) -> str:
        """A score with the name of its metric."""
        objective = self._plan.objective
        unit = " %" if objective.is_share else ""
        return f"{objective.name} {number_text(score, objective.is_share)}{unit}"
