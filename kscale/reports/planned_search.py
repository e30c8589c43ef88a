"""What a search will train, and what that costs, for people and as plain data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group
from rich.text import Text

from kscale.reports.size_tables import figure_table
from kscale.text import counted, plain_text, printable
from kscale.units import format_count, format_seconds

_HEADERS = ("", "networks", "trainings", "epochs", "FLOPs", "time")


@dataclass(frozen=True)
class PlannedStage:
    """A stage of a search.

    Args:
        name: `baseline`, `search` or `finalist`.
        networks: Networks trained, each counted once.
        trainings: Trainings of these networks.
        epochs: Epochs of all trainings.
        flops: FLOPs of all trainings: three forward passes for each example trained on,
            and one for each example scored.
        seconds: Time of all trainings; None where it is not known.
    """

    name: str
    networks: int
    trainings: int
    epochs: int
    flops: int
    seconds: float | None


@dataclass(frozen=True)
class PlannedSearch:
    """What a search will train, and what that costs, before anything is searched.

    Args:
        data: Name of the data.
        found: What of the candidates fits the budget, in a few words.
        counted: Specs that exist; None where they can only be drawn.
        fitting: Specs that fit; None where they can only be drawn.
        epochs: Epochs of a training of full length.
        stages: In the order of the search.
        around: Seconds before, between and after the trainings; None where the time is
            not known.
        limit: The time limit in seconds; None without one.
        basis: What the time is worked out from, a sentence.
        notes: Further sentences.
    """

    data: str
    found: str
    counted: int | None
    fitting: int | None
    epochs: int
    stages: tuple[PlannedStage, ...]
    around: float | None
    limit: float | None
    basis: str
    notes: tuple[str, ...] = ()

    @property
    def trainings(self) -> int:
        """Trainings of all stages."""
        return sum(stage.trainings for stage in self.stages)

    @property
    def flops(self) -> int:
        """FLOPs of all stages."""
        return sum(stage.flops for stage in self.stages)

    @property
    def seconds(self) -> float | None:
        """Wall clock of the whole search; None where it is not known."""
        parts = [self.around, *(stage.seconds for stage in self.stages)]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def to_json(self) -> dict[str, Any]:
        """Raw numbers."""
        totals = {
            name: getattr(self, name) for name in ("trainings", "flops", "seconds")
        }
        return {**asdict(self), **totals}

    def to_line(self) -> str:
        """A sentence."""
        trained = ", ".join(
            f"{counted(stage.trainings, 'training')} of the {stage.name}"
            for stage in self.stages
        )
        time = "" if self.seconds is None else f", about {format_seconds(self.seconds)}"
        return f"To be trained: {trained}; {format_count(self.flops)} FLOPs{time}."

    def to_text(self, width: int = 100) -> str:
        """A table for people, and what it stands on."""
        title = f"{self.data}: {self.found}"
        if self.counted is not None:
            title += f", of {self.counted:,}"
        stages = [_row(stage) for stage in self.stages]
        around = ("start, choice, answer", "", "", "", "", _time(self.around))
        total = ("all", "", f"{self.trainings:,}", "", format_count(self.flops))
        table = figure_table(_HEADERS, [*stages, around], (*total, _time(self.seconds)))
        sentences = [Text(printable(each)) for each in (self.basis, *self.notes)]
        title = f"{title}; {counted(self.epochs, 'epoch')} each."
        heading = Text(printable(title), style="bold")
        return plain_text(Group(heading, table, *sentences), width)

    def __str__(self) -> str:
        return self.to_text()


def _row(stage: PlannedStage) -> Sequence[str]:
    numbers = (stage.networks, stage.trainings, stage.epochs)
    shown = (f"{number:,}" for number in numbers)
    return stage.name, *shown, format_count(stage.flops), _time(stage.seconds)


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else format_seconds(seconds)
