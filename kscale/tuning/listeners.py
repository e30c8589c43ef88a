"""Listeners: what a search calls while it goes on, to show its progress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kscale.runs.records import Record, Reference, Training
    from kscale.search.contract import Job
    from kscale.tuning.plan import Plan


class Listener:
    """Hears what a search does; by default every method does nothing."""

    def started(self, plan: Plan, folder: Path, recorded: Sequence[Record]) -> None:
        """The search begins, or goes on where results are recorded already."""

    def epoch_done(self, job: Job, member: int, epochs: int, score: float) -> None:
        """One epoch of one training is done."""

    def time_left(self, seconds: float) -> None:
        """Expected seconds to the end, finalists included; heard before each result."""

    def result_recorded(self, result: Training | Reference) -> None:
        """A training ended, well or not, and is on disk."""

    def finalists_planned(self, jobs: Sequence[Job], seconds: float) -> None:
        """The search is over; finalists will take about `seconds`."""

    def note(self, text: str) -> None:
        """A sentence for the user."""

    def ended(self) -> None:
        """Nothing follows."""
