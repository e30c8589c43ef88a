"""Pool: the specs inside the budget, counted exactly and without building any."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.errors import BudgetError, KscaleError, SpecError
from kscale.networks.budget import Budget
from kscale.networks.families import FAMILIES, find_family, find_knob
from kscale.networks.families.base import Family, Knob, Spec, Value
from kscale.networks.sizing import Size, size_of
from kscale.search.smallest import Descent
from kscale.task.tasks import Task
from kscale.text import counted
from kscale.units import format_count

MOST_SPECS = 200_000
"""Larger spaces are not listed whole: shapes are drawn, and all their widths listed."""


def always_searched(families: Sequence[str], task: Task) -> tuple[str, ...]:
    """Knobs that a search of families varies unless they are set, the learning rate
    aside.

    Example:

    >>> always_searched(["mlp"], Task.of("vector", (5,), classes=2))
    ('depth', 'width')
    """
    known = (FAMILIES[name] for name in families if name in FAMILIES)
    knobs = (knob for family in known for knob in family.all_knobs.values())
    varied = (k for k in knobs if k.is_searched and len(k.values_for(task)) > 1)
    return tuple(dict.fromkeys(knob.name for knob in varied))


@dataclass(frozen=True)
class Space:
    """What a search may vary.

    Args:
        families: Families to choose from; all take the task.
        task: Inputs and targets of the networks.
        budget: Limits on each network.
        searched: Knobs to vary besides depth, width and learning rate.
        fixed: Values for knobs that are set; they are not varied.

    Raises:
        SpecError: A knob is unknown to every family, or set to an impossible value, or
            both set and searched.
    """

    families: tuple[Family, ...]
    task: Task
    budget: Budget
    searched: tuple[str, ...] = ()
    fixed: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.searched, *dict(self.fixed)):
            self._check_known(name)
        twice = [name for name in self.searched if name in dict(self.fixed)]
        if twice:
            raise SpecError(f"`{twice[0]}` is both set and searched; choose one.")

    def _check_known(self, name: str) -> None:
        """Raise if no family has the knob; one family raises its error."""
        has = [family for family in self.families if name in family.all_knobs]
        if not has and name != "learning_rate":
            find_knob(self.families[0], name)

    def values(self, family: Family, knob: Knob) -> tuple[Value, ...]:
        """Values to try of a family's knob: one unless the knob is searched."""
        fixed = dict(self.fixed)
        if knob.name in fixed:
            return (knob.check(fixed[knob.name]),)
        if knob.is_searched or knob.name in ("learning_rate", *self.searched):
            return knob.values_for(self.task)
        return (knob.default_for(self.task),)

    def learning_rates(self, family: Family) -> tuple[float, ...]:
        """Learning rates that may be tried for a family."""
        return tuple(float(v) for v in self.values(family, family.learning_rate))

    def changes_size(self, knob: Knob) -> bool:
        """Whether a knob may change what the budget limits. A function that no
        operation takes along changes the RAM of a device."""
        is_function = knob.name == "activation" and self.budget.is_of_device
        return knob.shapes or is_function

    def drawn_knobs(self, family: Family) -> list[Knob]:
        """Searched knobs that never change the size: drawn for each proposal."""
        return [
            knob
            for knob in family.all_knobs.values()
            if not self.changes_size(knob) and len(self.values(family, knob)) > 1
        ]


@dataclass(frozen=True, eq=False)
class _Group:
    """Specs that share all knobs but the width."""

    family: Family
    knobs: Mapping[str, Value]
    widths: tuple[Value, ...]

    def spec(self, column: int) -> Spec:
        width = {"width": self.widths[column]} if self.widths else {}
        knobs = {**self.knobs, **width}
        return Spec(self.family.name, tuple(sorted(knobs.items())))

    def size(self, task: Task) -> Size:
        """Sizes of all, as arrays along the widths."""
        width: dict[str, Any] = {}
        if self.widths:
            width["width"] = np.array(self.widths, np.int64)
        return size_of(self.family.blueprint_of({**self.knobs, **width}, task))

    def possible(self, task: Task) -> "_Group | None":
        """The group of widths that make a network; None if all widths do, or none."""
        widths = [w for w in self.widths if self._is_possible(w, task)]
        if not 0 < len(widths) < len(self.widths):
            return None
        return replace(self, widths=tuple(widths))

    def _is_possible(self, width: Value, task: Task) -> bool:
        try:
            self.family.blueprint_of({**self.knobs, "width": width}, task)
        except SpecError:
            return False
        return True


_Fitting = tuple[_Group, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""A group, which of its widths fit, their figures by row, and their shares."""


class _Counted:
    """Fitting specs of a family, or else the smallest spec or why there is none."""

    def __init__(self, space: Space, family: Family, rng: np.random.Generator) -> None:
        self.space = space
        self.family = family
        self.fitting: list[_Fitting] = []
        self.smallest: tuple[float, Spec] | None = None
        self.error: SpecError | None = None
        self.number = 0
        most = MOST_SPECS // len(space.families)
        try:
            for group in _groups_of(space, family, most, rng):
                self._count(group)
        except SpecError as error:  # a value that is set is none of this family's
            self.error = error
        if self.smallest is not None and not self.fitting:
            # Where not all shapes are listed, the smallest may be another.
            knobs = dict(self._descent().smallest(dict(self.smallest[1].knobs)))
            widths = (knobs.pop("width"),) if "width" in knobs else ()
            self._count(_Group(family, knobs, widths))

    def _descent(self) -> Descent:
        budget = self.space.budget

        def measure(size: Size) -> float:
            return float(_largest_share(budget, budget.used(size))[0])

        return _descent(self.space, self.family, measure)

    def way_down(self, smallest: Spec) -> tuple[bool, str]:
        """Whether a network fits if more is set, and a sentence on what to set."""
        options, size = self._descent().further(dict(smallest.knobs), 1.0)
        budget, used = self.space.budget, self.space.budget.used(size)
        figures = ", ".join(
            f"{name.removeprefix('max_')}={used[name]:,}"
            for name in budget.limits
            if name in used
        )
        text = f"With {options} the smallest {self.family.name} has {figures}. "
        return bool(budget.allows_used(used)), text if options else ""

    def _count(self, group: _Group) -> None:
        task = self.space.task
        try:
            self._add(group, group.size(task))
        except SpecError as error:
            # A combination that makes no network (more stages than the image can be
            # halved) is no part of the space, unless it is all there is.
            self.error = error
            fewer = group.possible(task)
            if fewer is not None:
                self._add(fewer, fewer.size(task))

    def _add(self, group: _Group, size: Size) -> None:
        self.number += len(group.widths) or 1
        costs = self.space.budget.used(size)
        used = _largest_share(self.space.budget, costs)
        allowed = self.space.budget.allows_used(costs)
        inside = np.flatnonzero(np.broadcast_to(allowed, used.shape))
        least = int(np.argmin(used))
        if self.smallest is None or used[least] < self.smallest[0]:
            self.smallest = float(used[least]), group.spec(least)
        if len(inside):
            figures = np.broadcast_arrays(
                size.params, size.flops, size.training_work, used
            )
            counts = np.stack(figures[:3]).astype(np.int64)
            self.fitting.append((group, inside, counts[:, inside], used[inside]))


class Pool:
    """All specs of a space that fit its budget, or a large sample of them.

    Args:
        space: What may vary.
        seed: Decides which shapes are listed where the space is too large to be listed
            whole (see `MOST_SPECS`).

    Attributes:
        space: The space, with only the families that have a fitting spec.
        missing: By name, families without a fitting spec, and the error that says why.
        params: int64 array, exact weights of each spec.
        flops: int64 array, exact FLOPs of each spec.
        work: int64 array, `Size.training_work` of each spec.
        share: float array, the largest part of any limit that each spec uses.
        counted: Specs that were counted, whether they fit or not.

    Raises:
        BudgetError: Nothing fits; the text names the smallest size that can be reached.
        SpecError: The knobs make no network of any family.
    """

    def __init__(self, space: Space, seed: int = 0) -> None:
        rng = np.random.default_rng([seed, 1])
        counted = [_Counted(space, family, rng) for family in space.families]
        self.counted = sum(c.number for c in counted)
        self.missing = {
            c.family.name: _nothing_fits(space, [c]) for c in counted if not c.fitting
        }
        fitting = [item for c in counted for item in c.fitting]
        if not fitting:
            raise _nothing_fits(space, counted)
        families = tuple(c.family for c in counted if c.fitting)
        self.space = replace(space, families=families) if self.missing else space
        groups, columns, figures, shares = zip(*fitting, strict=True)
        self._groups: Sequence[_Group] = groups
        self.params, self.flops, self.work = np.concatenate(figures, axis=1)
        self.share = np.concatenate(shares)
        self._owners = np.repeat(np.arange(len(groups)), [*map(len, columns)])
        self._columns = np.concatenate(columns)

    def __len__(self) -> int:
        return len(self.params)

    @property
    def found(self) -> str:
        """Number of fitting specs, in a few words."""
        return f"{counted(len(self), 'spec fits', 'specs fit')} {self.space.budget}"

    def spec(self, index: int) -> Spec:
        """The spec at a position of the arrays; drawn knobs are at their defaults."""
        group = self._groups[int(self._owners[index])]
        return group.spec(int(self._columns[index]))

    def specs(self) -> Iterator[Spec]:
        """All specs, in the order of the arrays."""
        return (self.spec(index) for index in range(len(self)))

    def family(self, index: int) -> Family:
        """The family of the spec at a position."""
        return self._groups[int(self._owners[index])].family

    def within(self, inside: NDArray[np.bool_]) -> "Pool":
        """The specs of a mask over the arrays; their shares count from the largest."""
        fewer = copy(self)
        for name in ("params", "flops", "work"):
            setattr(fewer, name, getattr(self, name)[inside])
        fewer.share = self.share[inside] / self.share[inside].max()
        fewer._owners, fewer._columns = self._owners[inside], self._columns[inside]
        return fewer

    def at_least(self, index: int) -> NDArray[np.bool_]:
        """A mask of the specs that are the spec at a position, or a wider one.

        Wider ones have the same knobs but for the width, and as many FLOPs or more.
        """
        same = self._owners == self._owners[index]
        found: NDArray[np.bool_] = same & (self.flops >= self.flops[index])
        return found

    def by_family(self, numbers: Mapping[str, int]) -> NDArray[np.int64]:
        """An array like `params` with a number for each spec by its family's name.

        Specs of families that are not named have 0.
        """
        owned = [numbers.get(group.family.name, 0) for group in self._groups]
        found: NDArray[np.int64] = np.array(owned, np.int64)[self._owners]
        return found


def _groups_of(
    space: Space, family: Family, most: int, rng: np.random.Generator
) -> Iterator[_Group]:
    """The groups of a family; of too many specs, some that are drawn."""
    knobs = family.all_knobs
    width = knobs.get("width")
    widths = space.values(family, width) if width is not None else ()
    sizing = {knob.name for knob in knobs.values() if space.changes_size(knob)}
    shaping = [knobs[name] for name in knobs if name in sizing and name != "width"]
    fixed = {
        knob.name: space.values(family, knob)[0]
        if knob.name in dict(space.fixed)
        else knob.default_for(space.task)
        for knob in knobs.values()
        if knob.name not in sizing
    }
    choices = [space.values(family, knob) for knob in shaping]
    lengths = [*map(len, choices), 1]
    number, most_groups = prod(lengths), max(1, most // max(1, len(widths)))
    drawn = np.arange(number)
    if number > most_groups:
        drawn = np.sort(rng.choice(number, most_groups, replace=False))
    names = [knob.name for knob in shaping]
    for places in np.transpose(np.unravel_index(drawn, lengths)).tolist():
        values = (choice[at] for choice, at in zip(choices, places, strict=False))
        chosen = {**fixed, **dict(zip(names, values, strict=True))}
        named = family.named(chosen, space.task)
        yield _Group(family, named, widths)


def _descent(space: Space, family: Family, measure: Callable[[Size], float]) -> Descent:
    shaping = [knob for knob in family.knobs if space.changes_size(knob)]
    choices = {knob.name: space.values(family, knob) for knob in shaping}
    return Descent(family, space.task, measure, choices)


def way_to_fewer_flops(space: Space, spec: Spec, share: float) -> str:
    """A sentence on what to set for about a share of the FLOPs of a spec, or of the
    next one; empty where there is nothing to set."""
    family = find_family(spec.family)
    flops = family.size(spec, space.task).flops
    descent = _descent(space, family, lambda size: float(size.flops))
    options, size = descent.further(dict(spec.knobs), share * flops)
    fewer, before = format_count(size.flops), format_count(flops)
    return f"With {options} it has {fewer} FLOPs instead of {before}. " * bool(options)


def _largest_share(budget: Budget, used: Mapping[str, Any]) -> NDArray[np.float64]:
    """The largest part of any limit used; without limits, the weights themselves."""
    parts = [
        np.asarray(used[name], np.float64) / limit
        for name, limit in budget.limits.items()
        if name in used
    ]
    shares = parts or [np.asarray(used["max_params"], np.float64)]
    largest = np.max(np.broadcast_arrays(*shares), axis=0)
    found: NDArray[np.float64] = np.maximum(np.atleast_1d(largest), 1e-12)
    return found


def _nothing_fits(space: Space, counted: Sequence[_Counted]) -> KscaleError:
    """The error of a space of which nothing fits."""
    found = [(*c.smallest, c) for c in counted if c.smallest is not None]
    if not found:
        return _no_network(space, counted)
    names = " or ".join(each.family.name for *_, each in found)
    found.sort(key=lambda item: item[0])
    spec = found[0][1]
    shown = (f"{n}={v}" for n, v in spec.knobs if n in ("backbone", "depth", "width"))
    point = f" ({', '.join(shown)})" if spec.depth or spec.backbone else ""
    size = find_family(spec.family).size(spec, space.task)
    limits, over = limits_and_excess(space.budget, size)
    ways = [each.way_down(smallest) for _, smallest, each in found]
    fits, way = next((way for way in ways if way[0]), ways[0])
    suited = {name for name, item in FAMILIES.items() if item.takes(space.task)}
    are_others = suited - {each.family.name for each in counted}
    other = " or choose another family" if are_others else ""
    return BudgetError(
        f"No {names} fits {limits}: the smallest {spec.family} searched{point} has "
        f"{over}. {way}{'Otherwise raise' if fits else 'Raise'} the limit{other}."
    )


def _no_network(space: Space, counted: Sequence[_Counted]) -> KscaleError:
    """The error of a space in which there is no network at all."""
    errors = [c.error for c in counted if c.error is not None]
    names = " or ".join(c.family.name for c in counted)
    if space.budget.is_of_device and len(errors) > 1:
        return SpecError(
            f"No {names} runs on a microcontroller here. {errors[-1]} Leave out the "
            "board, max_flash and max_ram; max_bytes limits the weights."
        )
    none = f"No combination of the chosen knobs makes a {names} for this data."
    return errors[-1] if errors else BudgetError(none)


def limits_and_excess(budget: Budget, size: Size) -> tuple[str, str]:
    """The limits on sizes, and what of a size is above them, in words."""
    used = budget.used(size)
    limits = {name: most for name, most in budget.limits.items() if name in used}
    over = (
        f"{name.removeprefix('max_')}={used[name]:,}"
        for name, most in limits.items()
        if used[name] > most
    )
    return ", ".join(f"{n}={most:,}" for n, most in limits.items()), ", ".join(over)
