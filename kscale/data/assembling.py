"""The path of data: from what a source holds to a task, and to a data set.

Raw arrays of each part become labels, are cut into the parts that are missing, held in
memory or on disk, and prepared by what is fitted on the training part.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from kscale.data.array_inputs import with_fits
from kscale.data.dataset import Dataset
from kscale.data.example_rows import ComputedRows, Rows, chosen_rows, chunks_of
from kscale.data.leaks import leak_warnings
from kscale.data.load_options import Options
from kscale.data.memory import fits_memory, held
from kscale.data.parts import (
    PART_NAMES,
    Part,
    PartName,
    duplicate_warnings,
    fingerprint_of,
    row_digests,
)
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.log_mel import LogMel
from kscale.data.preprocessing.scaled import Scaled, Unchanged, fit_target_scaling
from kscale.data.preprocessing.subwords import Subwords
from kscale.data.preprocessing.text_tokens import PADDING, TextTokens
from kscale.data.raw import RawData, RawPart
from kscale.data.sources.arrays import ArrayReader, scale_warnings
from kscale.data.splitting import Indices, rows_of_parts
from kscale.data.target_labels import PartLabels, alike_warnings, encode_target
from kscale.data.views import labels_of
from kscale.errors import DataError
from kscale.task.tasks import Target, Task
from kscale.text import counted

_LEAST_EXAMPLES = 10


def peeked_task(raw: RawData, options: Options) -> Task | None:
    """The task of a source, or None if something must be fitted to know it."""
    raw, targets, _ = _understood(raw, options)
    known = tuple(filter(None, (fit.known_input() for fit in raw.fits)))
    is_known = len(known) == len(raw.fits) and not raw.labelling
    return Task(known, targets) if is_known else None


def dataset_of(name: str, raw: RawData, options: Options, split_seed: int) -> Dataset:
    """A data set of a source's arrays; parts that it lacks are cut from training."""
    raw, targets, labels = _understood(raw, options)
    train = raw.parts["train"]
    if len(train) < _LEAST_EXAMPLES:
        label = next(iter(train.inputs.values())).label
        raise DataError(
            f"At least {_LEAST_EXAMPLES} examples are needed, but {label} has "
            f"{len(train)}."
        )
    rows, note = rows_of_parts(raw, targets, labels, split_seed)
    cut = tuple(part for part in PART_NAMES if part not in raw.parts)
    is_cut = bool(cut) and not raw.groups
    placed = {
        part: {
            name: given[part] if chosen is None else given["train"][chosen]
            for name, given in labels.items()
        }
        for part, chosen in rows.items()
    }
    known = [fit.known_input() for fit in raw.fits]
    in_memory = fits_memory(raw, known, options.memory)
    taken: dict[PartName, Mapping[str, Rows]] = {
        part: {
            name: held(chosen_rows(array.rows, chosen), array.is_slow, in_memory)
            for name, array in raw.parts.get(part, train).inputs.items()
        }
        for part, chosen in rows.items()
    }
    digests = {part: row_digests([*arrays.values()]) for part, arrays in taken.items()}
    leaks = [*leak_warnings(raw.reader, taken["train"], placed["train"], is_cut)]
    leaks += scale_warnings(raw, taken)
    fitted = [fit.fit(taken["train"]) for fit in raw.fits]
    inputs = tuple(item for item, _ in fitted)
    made = [fit.fit(taken["train"]) for fit in raw.labelling.values()]
    labelling = {target.name: each for target, each in made}
    targets = (*targets, *(target for target, _ in made))
    for fit in raw.labelling.values():
        taken = {part: fit.examples(arrays) for part, arrays in taken.items()}
    for part, arrays in taken.items():
        placed[part] |= labels_of(labelling, arrays)
    reader = raw.reader.fitted(taken["train"]) if raw.reader else ArrayReader()
    preprocessing = {item.name: each for item, each in fitted}
    in_memory = fits_memory(raw, inputs, options.memory)
    parts: dict[PartName, Part] = {}
    for part in PART_NAMES:
        # Raw rows of the largest part leave memory as soon as they are encoded.
        arrays = taken.pop(part)
        encoded = {}
        for item, each in fitted:
            read = {one.name: arrays[one.name] for one in each.raw_inputs}
            computed = ComputedRows(each.apply, read, item.shape, item.dtype)
            encoded[item.name] = held(computed, not each.is_cheap, in_memory)
        read_by = [*preprocessing.values(), *labelling.values()]
        kept = _kept(part, raw.parts, rows[part], arrays, read_by)
        parts[part] = Part(encoded, placed[part], kept)
    return Dataset(
        name=name,
        task=Task(inputs, targets),
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        preprocessing=preprocessing,
        target_scaling={
            target.name: fit_target_scaling(placed["train"][target.name])
            for target in targets
            if not target.head.is_named
        },
        labelling=labelling,
        fingerprint=fingerprint_of(
            digests, placed, targets, (it.word_vectors for it in preprocessing.values())
        ),
        warnings=(
            *raw.warnings,
            *leaks,
            *_text_warnings(parts, preprocessing),
            *duplicate_warnings(digests),
        ),
        reader=reader,
        notes=(
            *raw.notes,
            *(note for _, each in (*fitted, *made) for note in each.notes),
            *([note] if note else []),
        ),
        cut=cut,
        cut_by=raw.groups["train"].label if raw.groups else "",
    )


def _understood(
    raw: RawData, options: Options
) -> tuple[RawData, tuple[Target, ...], dict[str, PartLabels]]:
    """Raw data with a fit of each input, its targets, and its labels by target."""
    first = raw.parts["train"]
    for part_name, part in raw.parts.items():
        same = part.inputs.keys() == first.inputs.keys()
        if not (same and part.targets.keys() == first.targets.keys()):
            raise DataError(
                f"The {part_name} part must have the inputs and targets of the "
                f"training part, {[*first.inputs, *first.targets]}, but it has "
                f"{[*part.inputs, *part.targets]}."
            )
    raw = with_fits(raw, options)
    targets, labels, warnings = [], {}, [*raw.warnings]
    for name in first.targets:
        arrays = {part: given.targets[name] for part, given in raw.parts.items()}
        if name in raw.targets:
            targets.append(raw.targets[name])
            labels[name] = {part: array.rows[:] for part, array in arrays.items()}
            continue
        names = raw.class_names.get(name or "label", ())
        target, values = encode_target(name, arrays, names)
        if target.kind == "labels" and arrays["train"].dtype.kind == "f":
            warnings.append(
                f"{arrays['train'].label} holds only 0 and 1, so each of its columns "
                "is a label that may be true, and no value."
            )
        several = target.head.nouns[1]
        warnings += alike_warnings(several, target.name, target.class_names)
        targets.append(target)
        labels[target.name] = values
    return replace(raw, warnings=tuple(warnings)), tuple(targets), labels


def _kept(
    part: PartName,
    given: Mapping[PartName, RawPart],
    chosen: Indices | None,
    arrays: Mapping[str, Rows],
    preprocessing: Sequence[Preprocessing],
) -> dict[str, Rows]:
    """Raw rows of a part that nobody can work out of what networks read.

    Fractions that are scaled cannot be turned back to the bit, and a 0 that became 1e-8
    is none to a mask or a root. Texts, sounds and columns are large; those of the
    training part are not kept, and sounds are read again where they are needed; but
    texts of sub-words are, of which a network may see others.
    """
    source, kept = given.get(part, given["train"]).inputs, {}
    for item in preprocessing:
        if not isinstance(item, Scaled | Unchanged):
            is_kept = part != "train" or isinstance(item, Subwords)
            names = [raw.name for raw in item.raw_inputs if is_kept]
            kept.update({name: arrays[name] for name in names})
            if isinstance(item, LogMel) and part == "train":
                array = source[item.raw.name]
                kept[item.raw.name] = chosen_rows(array.rows, chosen)
        elif isinstance(item, Scaled) and not item.scaling.is_identity:
            array = source[item.raw.name]
            if array.dtype.kind == "f":
                kept[item.raw.name] = chosen_rows(array.rows, chosen)
    return kept


def _text_warnings(
    parts: Mapping[PartName, Part], preprocessing: Mapping[str, Preprocessing]
) -> Iterator[str]:
    """Sentences on texts without words, and on texts that are not split."""
    for name, item in preprocessing.items():
        if not isinstance(item, TextTokens):
            continue
        if item.unsplit:
            yield (
                f"{item.unsplit:,} training texts are in a script without spaces, but "
                "most are not, so words are read, which end at spaces: little is known "
                "of such a text. Train on them alone, or put spaces between words."
            )
        texts = [part.inputs[name] for part in parts.values()]
        empty = [np.sum(ids[:, 0] == PADDING) for t in texts for ids in chunks_of(t)]
        if sum(empty):
            which = f"{sum(empty):,} of {counted(sum(map(len, texts)), 'text')}"
            yield (
                f"{which} {'holds' if sum(empty) == 1 else 'hold'} no words: nothing "
                "can be learned of such a text. Fill it in or remove it."
            )
