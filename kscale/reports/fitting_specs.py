"""Which networks fit a budget, over the depths and widths that a search would try."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.text import Text

from kscale.errors import BudgetError
from kscale.networks.budget import DEVICE_LIMITS, Budget
from kscale.networks.families import FAMILIES, find_family
from kscale.networks.families.base import Spec
from kscale.networks.sizing import Size
from kscale.reports.counting import describe_task, seen_by
from kscale.reports.size_tables import figure_table
from kscale.search.pool import Pool, Space
from kscale.task.tasks import Task
from kscale.text import counted, plain_text, printable
from kscale.units import format_bytes, format_count

_HEADERS = ("family", "depth", "width", "params", "FLOPs", "bytes")
_ON_DEVICE = ("flash", "RAM")


@dataclass(frozen=True)
class FittingSpecs:
    """Specs that fit a budget.

    Args:
        title: What was asked.
        budget: The limits.
        specs: Every spec of the listed knobs that fits, with its exact size.
    """

    title: str
    budget: Budget
    specs: tuple[tuple[Spec, Size], ...]

    @property
    def largest(self) -> list[tuple[Spec, Size]]:
        """The largest spec of each family and depth, in that order; of equal params,
        the one with more FLOPs is the larger."""
        smallest_first = sorted(self.specs, key=lambda p: (p[1].params, p[1].flops))
        largest = {(pair[0].family, pair[0].depth): pair for pair in smallest_first}
        return [largest[shape] for shape in sorted(largest)]

    def to_json(self) -> dict[str, Any]:
        """Raw integers; of each family and depth the largest spec."""
        return {
            "budget": self.budget.to_json(),
            "fitting": len(self.specs),
            "largest": [
                {
                    "family": spec.family,
                    "depth": spec.depth,
                    "width": spec.width,
                    "knobs": dict(spec.knobs),
                    **seen_by(size.blueprint),
                    "params": size.params,
                    "trainable": size.trainable,
                    "flops": size.flops,
                    "bytes": size.weight_bytes(),
                    **self._on_device(size),
                }
                for spec, size in self.largest
            ],
        }

    def to_text(self, width: int = 100) -> str:
        """A table for people; of each family and depth the largest spec."""
        rows = [
            (
                f"{spec.family} {spec.backbone}",
                str(spec.depth or ""),
                str(spec.width or ""),
                f"{size.params:,}",
                format_count(size.flops),
                format_bytes(size.weight_bytes()),
                *map(format_bytes, self._on_device(size).values()),
                f"{100 * self.budget.share(size):.0f} %",
            )
            for spec, size in self.largest
        ]
        title = Text(printable(self.title), style="bold")
        headers = (*_HEADERS, *_ON_DEVICE * self.budget.is_of_device, "of budget")
        return plain_text(Group(title, figure_table(headers, rows)), width)

    def _on_device(self, size: Size) -> dict[str, int]:
        """Flash and RAM, where a microcontroller is asked about."""
        used = self.budget.used(size)
        names = DEVICE_LIMITS if self.budget.is_of_device else ()
        return {name.removeprefix("max_"): used[name] for name in names}

    def __str__(self) -> str:
        return self.to_text()


def list_fitting(
    task: Task,
    budget: Budget,
    families: Sequence[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> FittingSpecs:
    """Specs that fit a budget, over the depths and widths that a search would try.

    Args:
        task: What the networks take in and put out.
        budget: The limits, at least one.
        families: Names of families; without any, all that take the task's inputs.
        settings: Values of knobs other than the defaults.

    Raises:
        BudgetError: There is no limit, or nothing fits.
        SpecError: A family or knob is unknown, or does not suit the task.
    """
    if not budget.is_limited:
        raise BudgetError(
            "Name a network (kscale size vgg16) or give a limit (--max-params 50k)."
        )
    chosen = [find_family(name) for name in families] or [
        family for family in FAMILIES.values() if family.takes(task)
    ]
    fixed = tuple((settings or {}).items())
    pool = Pool(Space(tuple(chosen), task, budget, fixed=fixed))
    specs = [(spec, find_family(spec.family).size(spec, task)) for spec in pool.specs()]
    fitting = counted(len(specs), "spec of a search fits", "specs of a search fit")
    title = f"{fitting} {budget}; the largest of each depth:"
    about = describe_task(task, specs[0][1].blueprint)
    return FittingSpecs(f"{about}. {title}", budget, tuple(specs))
