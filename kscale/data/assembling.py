"""From what a source found to a task, and to a data set of three parts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.array_inputs import with_fits
from kscale.data.dataset import Dataset
from kscale.data.digests import duplicate_warnings, fingerprint_of, row_digests
from kscale.data.holding import Holder, bytes_needed
from kscale.data.labels import Labels, check_counts, encode_target
from kscale.data.leaks import leak_warnings
from kscale.data.load_options import Options
from kscale.data.parts import PART_NAMES, Part, PartName
from kscale.data.preprocessing import Preprocessing
from kscale.data.preprocessing.scaled import Scaled, Unchanged
from kscale.data.preprocessing.text import PADDING, TextTokens
from kscale.data.raw import RawArray, RawData, RawParts
from kscale.data.readers import ArrayReader
from kscale.data.rows import ChosenRows, ComputedRows, Rows, chunks_of
from kscale.data.scaling import fit_target_scaling
from kscale.data.splitting import Indices, cut_groups, cut_parts, quantiles
from kscale.errors import DataError
from kscale.task.tasks import Input, Target, Task

_LEAST_EXAMPLES = 10
_LEAST_TOGETHER = 7  # one in each part cut is then no more than the part's share

_Rows = dict[PartName, Indices | None]
_Held = dict[PartName, dict[str, Rows]]


def peeked_task(raw: RawData, options: Options) -> Task | None:
    """The task of a source if it is known without fitting anything.

    Raises:
        DataError: Arrays are of no known form, or do not go together.
    """
    _check_names(raw.parts)
    raw = with_fits(raw, options.kind, options.vocabulary)
    inputs = [fit.known_input() for fit in raw.fits.values()]
    if None in inputs:
        return None
    targets = [target for target, _ in _encoded_targets(raw)]
    return Task(tuple(item for item in inputs if item), tuple(targets))


def dataset_of(name: str, raw: RawData, options: Options, split_seed: int) -> Dataset:
    """A data set of a source's arrays; parts that it lacks are cut from training.

    Raises:
        DataError: The arrays cannot be trained on; the text says why.
    """
    _check_names(raw.parts)
    raw = with_fits(raw, options.kind, options.vocabulary)
    encoded = _encoded_targets(raw)
    targets = tuple(target for target, _ in encoded)
    labels = {target.name: values for target, values in encoded}
    if len(raw.parts["train"]) < _LEAST_EXAMPLES:
        raise DataError(
            f"At least {_LEAST_EXAMPLES} examples are needed, but "
            f"{_first_label(raw.parts)} has {len(raw.parts['train'])}."
        )
    strata, note = _strata(targets, labels)
    rows = _rows(targets, labels, raw, strata, split_seed)
    is_cut = not raw.groups and len(raw.parts) < len(PART_NAMES)
    held = _hold(raw, rows, options.memory)
    inputs, preprocessing = _fit(raw, held["train"])
    digests = {part: row_digests([*arrays.values()]) for part, arrays in held.items()}
    placed = _place(rows, labels)
    leaks = [*leak_warnings(raw.reader, held["train"], placed["train"], is_cut)]
    parts = _parts(raw, inputs, preprocessing, held, placed, options.memory)
    parts = _with_originals(parts, raw, rows, preprocessing)
    return Dataset(
        name=name,
        task=Task(inputs, targets),
        **parts,
        preprocessing=preprocessing,
        target_scaling={
            target.name: fit_target_scaling(placed["train"][target.name])
            for target in targets
            if target.kind == "real"
        },
        fingerprint=fingerprint_of(digests, placed, targets),
        warnings=(
            *raw.warnings,
            *leaks,
            *_empty_texts(parts, preprocessing),
            *duplicate_warnings(digests),
        ),
        reader=raw.reader or ArrayReader(),
        notes=(*raw.notes, *([note] if note and is_cut else [])),
        cut=tuple(part for part in PART_NAMES if part not in raw.parts),
        cut_by=raw.groups["train"].label if raw.groups else "",
    )


def _check_names(parts: RawParts) -> None:
    first = parts["train"]
    for part, raw in parts.items():
        same = raw.inputs.keys() == first.inputs.keys()
        if not (same and raw.targets.keys() == first.targets.keys()):
            raise DataError(
                f"The {part} part must have the inputs and targets of the training "
                f"part, {[*first.inputs, *first.targets]}, but it has "
                f"{[*raw.inputs, *raw.targets]}."
            )


def _encoded_targets(raw: RawData) -> list[tuple[Target, Labels]]:
    found = []
    for name in raw.parts["train"].targets:
        arrays = {part: given.targets[name] for part, given in raw.parts.items()}
        target, labels = encode_target(name, arrays)
        found.append((_named(target, raw.class_names.get(target.name)), labels))
    return found


def _named(target: Target, names: tuple[str, ...] | None) -> Target:
    """The target with names for its numbers."""
    if not names:
        return target
    called = (names[int(number)] for number in target.class_names)
    return replace(target, class_names=tuple(called))


def _first_label(parts: RawParts) -> str:
    return next(iter(parts["train"].inputs.values())).label


def _rows(
    targets: tuple[Target, ...],
    labels: dict[str, Labels],
    raw: RawData,
    strata: NDArray[Any],
    seed: int,
) -> _Rows:
    """Rows of the training arrays in each part cut from them; None for a given part."""
    rows: _Rows = dict.fromkeys(raw.parts)
    missing = tuple(part for part in PART_NAMES if part not in raw.parts)
    if raw.groups and missing:
        rows.update(_grouped_rows(targets, labels, raw, missing, seed))
        return rows
    _check_counts(targets, labels, raw.parts, 1 + len(missing))
    if missing:
        rows.update(cut_parts(strata, missing, seed))
    return rows


def _grouped_rows(
    targets: tuple[Target, ...],
    labels: dict[str, Labels],
    raw: RawData,
    missing: tuple[PartName, ...],
    seed: int,
) -> dict[PartName, Indices]:
    array = raw.groups["train"]
    names, groups = np.unique(array.read(), return_inverse=True)
    if len(names) <= len(missing):
        raise DataError(
            f"{array.label} must have at least {len(missing) + 1} different values, "
            f"one for each part, but it has {len(names)}."
        )
    parts = cut_groups(groups, missing, seed)
    for target in targets:
        ids = labels[target.name]["train"]
        if target.kind == "classes" and len(np.unique(ids[parts["train"]])) < len(
            target.class_names
        ):
            lost = np.setdiff1d(ids, ids[parts["train"]])[0]
            raise DataError(
                f"With parts cut by {array.label}, the training part has no "
                f"{target.class_names[lost]!r}; cut by another column, or give parts."
            )
    return parts


def _check_counts(
    targets: tuple[Target, ...], labels: dict[str, Labels], parts: RawParts, least: int
) -> None:
    arrays = parts["train"].targets.values()
    for target, raw in zip(targets, arrays, strict=True):
        if target.kind == "classes":
            check_counts(raw.label, target, labels[target.name]["train"], least)


def _strata(
    targets: tuple[Target, ...], labels: dict[str, Labels]
) -> tuple[NDArray[Any], str]:
    """Groups that every part has its share of: combinations of classes, or where some
    are rare the first classes, with a note; without classes ranges of values."""
    names = [target.name for target in targets if target.kind == "classes"]
    if not names:
        return quantiles(labels[targets[0].name]["train"][:, 0]), ""
    ids = np.stack([labels[name]["train"] for name in names])
    _, places, counts = np.unique(ids, axis=1, return_inverse=True, return_counts=True)
    if len(names) > 1 and counts.min() >= _LEAST_TOGETHER:
        return places.reshape(-1), ""
    note = (
        f"Parts have the same share of each class of {names[0]} only: of some classes "
        f"of {' and '.join(names)} fewer than {_LEAST_TOGETHER} examples are together."
    )
    return ids[0], note if len(names) > 1 else ""


def _hold(raw: RawData, rows: _Rows, memory: int | None) -> _Held:
    """Raw rows by part and name."""
    known = [fit.known_input() for fit in raw.fits.values()]
    holder = Holder(memory, _needed(raw, [item for item in known if item]))
    held: _Held = {part: {} for part in rows}
    for name in raw.parts["train"].inputs:
        for part, cut in rows.items():
            given = raw.parts.get(part, raw.parts["train"])
            held[part][name] = holder.raw(given.inputs[name], cut)
    return held


def _needed(raw: RawData, inputs: list[Input]) -> int:
    examples = sum(len(part) for part in raw.parts.values())
    return bytes_needed(raw.parts["train"].inputs, examples, inputs)


def _fit(
    raw: RawData, train: Mapping[str, Rows]
) -> tuple[tuple[Input, ...], dict[str, Preprocessing]]:
    inputs, preprocessing = [], {}
    for fit in raw.fits.values():
        item, fitted = fit.fit({name: train[name] for name in fit.raw})
        inputs.append(item)
        preprocessing[item.name] = fitted
    return tuple(inputs), preprocessing


def _parts(
    raw: RawData,
    inputs: tuple[Input, ...],
    preprocessing: Mapping[str, Preprocessing],
    held: _Held,
    targets: Mapping[PartName, dict[str, NDArray[Any]]],
    memory: int | None,
) -> dict[PartName, Part]:
    """The three parts; what is held raw of the largest one, and can be worked out of
    the others, is let go as soon as it has been encoded."""
    holder = Holder(memory, _needed(raw, list(inputs)))
    parts: dict[PartName, Part] = {}
    for part in PART_NAMES:
        arrays = held.pop(part)
        encoded = {
            item.name: holder.encoded(
                item,
                preprocessing[item.name],
                {r.name: arrays[r.name] for r in preprocessing[item.name].raw_inputs},
            )
            for item in inputs
        }
        kept = {} if part == "train" else _irrecoverable(arrays, preprocessing)
        parts[part] = Part(encoded, targets[part], kept)
    return parts


def _empty_texts(
    parts: Mapping[PartName, Part], preprocessing: Mapping[str, Preprocessing]
) -> Iterator[str]:
    """How many texts hold no words; networks see nothing but padding of them."""
    for name, item in preprocessing.items():
        texts = [p.inputs[name] for p in parts.values() if isinstance(item, TextTokens)]
        empty = [np.sum(ids[:, 0] == PADDING) for t in texts for ids in chunks_of(t)]
        if sum(empty):
            yield (
                f"{sum(empty):,} of {sum(map(len, texts)):,} texts hold no words: "
                "nothing can be learned of them. Fill in or remove them."
            )


def _irrecoverable(
    arrays: Mapping[str, Rows], preprocessing: Mapping[str, Preprocessing]
) -> dict[str, Rows]:
    """Raw rows that nobody can work out of what networks read."""
    return {
        raw.name: arrays[raw.name]
        for item in preprocessing.values()
        if not isinstance(item, Scaled | Unchanged)
        for raw in item.raw_inputs
    }


def _with_originals(
    parts: Mapping[PartName, Part],
    raw: RawData,
    rows: _Rows,
    preprocessing: Mapping[str, Preprocessing],
) -> dict[PartName, Part]:
    """Parts with their fractions as the source has them: what was scaled cannot be
    turned back to the bit, and a 0 that became 1e-8 is none to a mask or a root."""
    found = {}
    for part, item in parts.items():
        given, chosen = raw.parts.get(part, raw.parts["train"]), rows[part]
        fractions = {
            name: _original(given.inputs[each.raw.name], chosen, item.inputs[name])
            for name, each in preprocessing.items()
            if isinstance(each, Scaled)
            and not each.scaling.is_identity
            and given.inputs[each.raw.name].dtype.kind == "f"
        }
        found[part] = replace(item, raw={**item.raw, **fractions})
    return found


def _original(array: RawArray, chosen: Indices | None, like: Rows) -> Rows:
    """Rows of a source's array, which is not copied, in the shape of others."""
    rows = np.arange(len(array)) if chosen is None else chosen
    take = array.take or array.read().__getitem__
    given = ChosenRows(take, rows, array.shape[1:], array.dtype)
    shape = like.shape[1:]
    return ComputedRows(
        lambda raw: raw[""].reshape(-1, *shape).astype(np.float32, copy=False),
        {"": given},
        shape,
        np.float32,
    )


def _place(
    rows: _Rows, arrays: Mapping[str, Labels]
) -> dict[PartName, dict[str, NDArray[Any]]]:
    """Arrays by part and name, instead of by name and given part."""
    return {
        part: {
            name: given[part] if cut is None else given["train"][cut]
            for name, given in arrays.items()
        }
        for part, cut in rows.items()
    }
