"""The split of examples into parts: seeded, stratified, equal with every NumPy."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.parts import PART_NAMES, PartName
from kscale.data.raw import RawData
from kscale.data.target_labels import PartLabels, alike_hint
from kscale.errors import DataError
from kscale.task.tasks import Target

SHARE = 0.15
"""Share of the examples that a part gets which the source does not have."""

_MOST_VALIDATION = 10_000  # each epoch ends with a pass over this part
_LEAST_TOGETHER = 7  # one in each part cut is then no more than the part's share

Indices = NDArray[np.int64]
PartRows = dict[PartName, Indices | None]
"""By part, rows of the source's training part; None for a part that the source has."""


def rows_of_parts(
    raw: RawData, targets: Sequence[Target], labels: Mapping[str, PartLabels], seed: int
) -> tuple[PartRows, str]:
    """Rows of each part, and a note if not all of their shares are the same.

    Parts that the source lacks are cut from its training part.
    """
    rows: PartRows = dict.fromkeys(raw.parts)
    missing = tuple(part for part in PART_NAMES if part not in raw.parts)
    train = {name: given["train"] for name, given in labels.items()}
    if raw.groups and missing:
        label = raw.groups["train"].label
        _, groups = np.unique(raw.groups["train"].rows[:], return_inverse=True)
        if groups.max() < len(missing):
            raise DataError(
                f"{label} must have at least {len(missing) + 1} different values, one "
                f"for each part, but it has {groups.max() + 1}."
            )
        rows |= cut_groups(groups, missing, seed)
        for target in targets:
            name, count = _rarest(target, train[target.name][rows["train"]])
            if not count:
                raise DataError(
                    f"With parts cut by {label}, the training part has no {name!r}; "
                    "cut by another column, or give parts."
                )
        return rows, ""
    given = raw.parts["train"].targets.values()
    for target, array in zip(targets, given, strict=True):
        name, count = _rarest(target, train[target.name])
        if count <= len(missing):
            raise DataError(
                f"Each {target.head.nouns[0]} of {array.label} must have at least "
                f"{1 + len(missing)} examples, one for each part, but {name!r} has "
                f"{count}. Add some or leave it out; if the labels are numbers to "
                "predict, give them as floats." + alike_hint(name, target.class_names)
            )
    if not missing:
        return rows, ""
    strata, note = _strata(targets, train, len(raw.parts["train"]))
    rows |= cut_parts(strata, missing, seed)
    return rows, note


def _rarest(target: Target, labels: NDArray[Any]) -> tuple[str, float]:
    """The class or label that is right least often, and how often."""
    if target.head.counts is None or target.head.is_sequence:
        return "", np.inf
    counts = target.head.counts(labels, target.outputs)
    return target.class_names[counts.argmin()], int(counts.min())


def _strata(
    targets: Sequence[Target], labels: Mapping[str, NDArray[Any]], examples: int
) -> tuple[NDArray[Any], str]:
    """Groups of the examples, for equal shares in all parts, and a note: combinations
    of the strata of all named targets, or where some are rare the strata of the first.
    Without named targets, strata of the first target; without targets, one group."""
    if not targets:
        return np.zeros(examples, np.int64), ""
    named = [target for target in targets if target.head.is_named] or targets[:1]
    names = [target.name for target in named]
    ids = np.stack([target.head.strata(labels[target.name]) for target in named])
    _, places, counts = np.unique(ids, axis=1, return_inverse=True, return_counts=True)
    if len(names) > 1 and counts.min() >= _LEAST_TOGETHER:
        return places.reshape(-1), ""
    note = (
        f"Parts have the same share of {names[0]} only, of each "
        f"{named[0].head.stratum}: of some combinations with {' and '.join(names[1:])} "
        f"there are fewer than {_LEAST_TOGETHER} examples."
    )
    return ids[0], note if len(names) > 1 else ""


def cut_parts(
    strata: NDArray[Any], wanted: tuple[PartName, ...], seed: int
) -> dict[PartName, Indices]:
    """Rows of the training part and of the parts cut from it, each in ascending order.

    Every part has about its share of each stratum, a whole number from 0 for each
    example, and at least one example of it: each occurs more often than parts are cut.
    """
    order = np.lexsort((_shuffled(len(strata), seed), strata))
    counts = np.bincount(strata)
    rank = np.arange(len(strata)) - np.repeat(np.cumsum(counts) - counts, counts)
    given = [_allot(counts, _examples(part, len(strata))) for part in wanted]
    place = (rank >= np.cumsum(given, axis=0)[:, strata[order]]).sum(axis=0)
    parts: tuple[PartName, ...] = (*wanted, "train")
    return {part: np.sort(order[place == i]) for i, part in enumerate(parts)}


def nested_rows(
    targets: Sequence[Target], labels: Mapping[str, NDArray[Any]], seed: int
) -> NDArray[np.int32]:
    """Rows in an order of which every beginning has about its share of each stratum."""
    examples = len(next(iter(labels.values())))
    strata, _ = _strata(targets, labels, examples)
    order = np.lexsort((_shuffled(len(strata), seed), strata))
    counts = np.bincount(strata)
    rank = np.arange(len(strata)) - np.repeat(np.cumsum(counts) - counts, counts)
    places = (rank + 0.5) / np.repeat(counts, counts)
    return order[np.argsort(places, kind="stable")].astype(np.int32)


def cut_groups(
    groups: NDArray[Any], wanted: tuple[PartName, ...], seed: int
) -> dict[PartName, Indices]:
    """Like `cut_parts`, but all examples of a group go to one part.

    Each part gets whole groups, in an order drawn from the seed, until it has about its
    share of the examples, and at least one group. Groups half as large again as such a
    part go to training, where others are left. Groups are whole numbers from 0, of
    which there are more than parts are cut.
    """
    counts = np.bincount(groups)
    drawn = np.argsort(_shuffled(len(counts), seed), kind="stable")
    # What is far larger than a part comes last, where training takes what is left.
    is_large = counts[drawn] > 1.5 * SHARE * len(groups)
    order = deque([*drawn[~is_large].tolist(), *drawn[is_large].tolist()])
    parts: dict[PartName, Indices] = {}
    for after, part in enumerate(wanted):
        share = _examples(part, len(groups))
        most = len(order) - (len(wanted) - after)  # the others need one each
        taken = [order.popleft()]
        left = share - counts[taken[0]]
        while len(taken) < most and 2 * left >= counts[order[0]]:
            taken.append(order.popleft())
            left -= counts[taken[-1]]
        parts[part] = np.flatnonzero(np.isin(groups, taken))
    parts["train"] = np.flatnonzero(np.isin(groups, [*order]))
    return parts


def _examples(part: PartName, examples: int) -> int:
    count = max(1, round(SHARE * examples))
    return min(count, _MOST_VALIDATION) if part == "validation" else count


def _allot(counts: NDArray[Any], total: int) -> NDArray[Any]:
    """How many of each stratum: at least one, the rest by largest remainder."""
    exact = counts * (total / counts.sum())
    given = np.where(counts > 0, np.maximum(1, np.floor(exact)), 0).astype(np.int64)
    left = max(0, total - int(given.sum()))
    given[np.argsort(given - exact, kind="stable")[:left]] += 1
    return given


def _shuffled(count: int, seed: int) -> NDArray[np.uint64]:
    """Numbers to sort by: SplitMix64 (Steele et al. 2014, figure 17) of the row."""
    start = _mixed(np.array([seed % 2**64], dtype=np.uint64))
    rows = np.arange(1, count + 1, dtype=np.uint64)
    return _mixed(start + rows * np.uint64(0x9E3779B97F4A7C15))


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
