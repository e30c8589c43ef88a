"""The smallest network of a family, and the knobs that make a smaller one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from kscale.errors import SpecError
from kscale.networks.families.base import Family, Value
from kscale.networks.sizing import Size, size_of
from kscale.task.tasks import Task

Choices = Mapping[str, Sequence[Value]]
Knobs = Mapping[str, Value]

_NARROW = (4, 2, 1)  # may be set, below the widths that a search tries


@dataclass(frozen=True)
class Descent:
    """A way from a network to smaller ones of its family, a knob at a time.

    Args:
        family: The family.
        task: What the networks must take in and put out.
        measure: What of a size is to become small.
        choices: Values that the search has, by the knobs that change the size.
        known: What was measured, by the values of knobs.
    """

    family: Family
    task: Task
    measure: Callable[[Size], float]
    choices: Choices
    known: dict[tuple[Value, ...], float] = field(default_factory=dict)

    def smallest(self, start: Knobs, choices: Choices | None = None) -> Knobs:
        """Knobs of a network than which no other value of one knob makes a smaller."""
        best = self._whole(start)
        least, before = self.measured(best), inf
        while least < before:
            before = least
            for name, values in (choices or self.choices).items():
                for value in values:
                    tried = {**best, name: value}
                    found = self.measured(tried)
                    if found < least:
                        best, least = tried, found
        return best

    def _whole(self, knobs: Knobs) -> dict[str, Value]:
        """All knobs, with defaults for knobs that specs leave out."""
        return {**{knob.name: knob.default for knob in self.family.knobs}, **knobs}

    def measured(self, knobs: Knobs) -> float:
        """What is measured of the network of knobs; infinite where there is none."""
        values = tuple(knobs.values())
        if values not in self.known:
            try:
                size = size_of(self.family.blueprint_of(knobs, self.task))
                self.known[values] = self.measure(size)
            except SpecError:
                self.known[values] = inf
        return self.known[values]

    def further(self, smallest: Knobs, most: float) -> tuple[str, Size]:
        """Options for a network smaller than the smallest of the search, and its size.

        As few knobs change as bring the measure down to `most`. If none do, the options
        are the nearest; without a smaller network, they are empty.
        """
        smallest = self._whole(smallest)
        free = {
            knob.name: knob.values_for(self.task)
            for knob in self.family.knobs
            if knob.shapes or knob.name in self.choices
        }
        more = {name: v for name, v in free.items() if {*v} - {*self.choices[name]}}
        ways: list[Choices] = [{**self.choices, name: more[name]} for name in more]
        reached = [smallest, *(self.smallest(smallest, way) for way in ways)]
        narrow = [{**free, "width": (n,)} for n in _NARROW] if "width" in free else []
        for way in (free, *narrow):
            if min(map(self.measured, reached)) > most:
                reached.append(self.smallest(smallest, way))
        knobs = min(reached, key=self.measured)
        enough = max(most, self.measured(knobs))
        for name in free:
            fewer = {**knobs, name: smallest[name]}
            knobs = fewer if self.measured(fewer) <= enough else knobs
        changed = [name for name in free if knobs[name] not in self.choices[name]]
        options = " ".join(f"--set {name}={knobs[name]}" for name in changed)
        return options, size_of(self.family.blueprint_of(knobs, self.task))
