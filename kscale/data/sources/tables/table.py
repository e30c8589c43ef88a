"""From CSV files to raw arrays: roles of columns, texts or a table, labels, groups."""

import keyword
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Reader
from kscale.data.load_options import OF_WORDS, Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.preprocessing.table_columns import TableFit
from kscale.data.preprocessing.text_tokens import TextFit
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.data.readers.table_files import (
    TableColumn,
    TableReader,
    TextReader,
    check_columns,
    values_of,
)
from kscale.data.sources.tables.columns import ColumnCounts, ColumnRole, role_of, survey
from kscale.data.sources.tables.csv_file import CsvFile, Files, parts_notes
from kscale.data.sources.tables.labels import (
    LabelArrays,
    LabelCells,
    chosen_labels,
    label_arrays,
)
from kscale.errors import DataError, unknown_name
from kscale.text import listed

_TAKEN = {*keyword.kwlist, "self", "inputs", "args", "kwargs"}
_TITLES = {"number": "Numbers", "category": "Categories", "text": "Text"}
_USABLE = ("label", "ignore", "split_by", "text", "decimal")


def raw_data_of_tables(paths: Files, options: Options) -> RawData:
    """Raw arrays of CSV files, one file for each part.

    Files are read twice: once to count, and once for the columns that are used. Columns
    take 4 bytes a number; a text takes 16 bytes, and its length if that is over 15. The
    training part decides the roles of columns.
    """
    files = {part: CsvFile.of(path) for part, path in paths.items()}
    train = files["train"]
    labels = chosen_labels(train.columns, options.label, train.path.name)
    asked = [column for label in labels for column in label.columns]
    lacking = _without_labels(files, asked)
    counts = survey(train, options.decimal)
    found = _roles(train, counts, asked, options)
    used, warnings = _used(found, options)
    columns = tuple(
        TableColumn(column, name, found[column].role, found[column].form)
        for column, name in zip(used, safe_names(used), strict=True)
    )
    fit, reader = _fit_and_reader(columns, options)
    cells = LabelCells({column: [] for column in asked})
    read = {p: _read(f, p, columns, cells, options.split_by) for p, f in files.items()}
    targets = {
        label.name: label_arrays(label, cells, counts[label.columns[0]])
        for label in labels
    }
    return RawData(
        {
            part: RawPart(inputs, {n: each.arrays[part] for n, each in targets.items()})
            for part, (inputs, _) in read.items()
        },
        fits=(fit,),
        reader=reader,
        class_names={name: each.names for name, each in targets.items()},
        groups={
            part: RawArray.of(f"Column {options.split_by!r}", keys)
            for part, (_, keys) in read.items()
            if keys
        },
        warnings=(
            *lacking,
            *warnings,
            *(each for role in found.values() for each in role.warnings),
        ),
        notes=(
            *_notes(files, targets, cells, columns),
            *(each for role in found.values() for each in role.notes),
        ),
    )


def _without_labels(files: dict[PartName, CsvFile], asked: list[str]) -> list[str]:
    """Take away files without labels, as the test part of a contest; a warning each."""
    warnings = []
    for part, file in [*files.items()]:
        missing = [column for column in asked if column not in file.columns]
        if missing:
            warnings.append(
                f"{file.path.name} is not used as the {part} part, which is cut from "
                f"the training part: it has no column {missing[0]!r}."
            )
            del files[part]
    return warnings


def _roles(
    file: CsvFile,
    counts: Mapping[str, ColumnCounts],
    asked: Sequence[str],
    options: Options,
) -> dict[str, ColumnRole]:
    """The role of each column that a network may read."""
    left_out = [*filter(None, (*asked, *options.ignore, options.split_by))]
    for name in (*options.text, *left_out):
        if name not in counts:
            raise DataError(unknown_name("column", name, counts))
    found = {
        name: role_of(column, name in options.text)
        for name, column in counts.items()
        if name not in left_out
    }
    if all(each.role == "left out" for each in found.values()):
        what = f"has no column to learn from besides {listed(left_out)}."
        why = [each for r in found.values() for each in (*r.notes, *r.warnings)]
        raise DataError(" ".join((f"{file.path} {what}", *why)))
    return found


def _used(
    found: Mapping[str, ColumnRole], options: Options
) -> tuple[list[str], list[str]]:
    """The columns that are read, all text or no text, and a warning of the others."""
    useful = [name for name, each in found.items() if each.role != "left out"]
    texts = [name for name in useful if found[name].role == "text"]
    texts = [name for name in texts if name in options.text] or texts
    others = [name for name in useful if name not in texts]
    if not texts or not others:
        return useful, []
    warning = (
        f"Only the text of {' and '.join(texts)} is read, and not {listed(others, 8)}: "
        "a network takes text or a table. To learn from the table, leave the text out "
        "with ignore=... (--ignore)."
    )
    return texts, [warning]


def safe_names(columns: Sequence[str]) -> list[str]:
    """Different names that Keras and a SavedModel take for inputs.

    Example:

    >>> safe_names(["age", "hours per-week", "Age", "2nd", "class", "größe"])
    ['age', 'hours_per_week', 'Age_2', 'column_2nd', 'class_', 'gr_e']
    """
    names: dict[str, str] = {}  # for TensorFlow capitals are small letters
    for column in columns:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", column).strip("_")
        plain = plain if plain[:1].isalpha() else f"column_{plain}".rstrip("_")
        plain += "_" * (plain in _TAKEN)
        numbered = (f"{plain}_{number}" for number in count(2))
        name = next(n for n in chain([plain], numbered) if n.lower() not in names)
        names[name.lower()] = name
    return [*names.values()]


def _read(
    file: CsvFile,
    part: PartName,
    columns: Sequence[TableColumn],
    labels: LabelCells,
    group: str | None,
) -> tuple[dict[str, RawArray], list[str]]:
    """Inputs by raw name and a key of each row's group; labels are added to others."""
    check_columns(columns, file)
    start, groups = len(labels.lines), list[str]()
    pieces: dict[str, list[NDArray[Any]]] = {each.name: [] for each in columns}
    for lines, cells in file.chunks():

        def where(place: int, lines: tuple[int, ...] = lines) -> str:
            return f"{file.path}:{lines[place]}"

        for each in columns:
            pieces[each.name].append(values_of(each, cells[each.column], where))
        for column, into in labels.columns.items():
            into.extend(map(sys.intern, cells[column]))
        groups.extend(cells.get(group or "", ()))
        labels.lines.extend(lines)
    labels.files[part] = str(file.path), slice(start, len(labels.lines))
    inputs = {}
    for each in columns:
        whole = np.concatenate(pieces.pop(each.name))
        inputs[each.name] = RawArray(f"{file.path.name}: {each.column}", whole)
    return inputs, groups


def _fit_and_reader(
    columns: tuple[TableColumn, ...], options: Options
) -> tuple[Fit, Reader]:
    """How the columns are read, all text or no text; refuses what is of no use."""
    names = {
        holds: tuple(each.name for each in columns if each.holds == holds)
        for holds in _TITLES
    }
    if names["text"]:
        options.refuse_except("a table of text", *_USABLE, *OF_WORDS)
        fit = TextFit.of(names["text"], options)
        return fit, TextReader(columns)
    options.refuse_except("a table without text", *_USABLE)
    return TableFit(names["number"], names["category"]), TableReader(columns)


def _notes(
    files: Mapping[PartName, CsvFile],
    targets: Mapping[str, LabelArrays],
    cells: LabelCells,
    columns: Sequence[TableColumn],
) -> Iterator[str]:
    """What was understood of files, of columns to predict, and of the others."""
    yield from parts_notes(files)
    if unnamed := files["train"].unnamed:
        yield f"Columns without a name are called {listed(unnamed)}."
    for each in targets.values():
        yield from each.notes
    are_apart = len(targets) > 1 and [*targets] == [*cells.columns]
    if are_apart and all({*c} == {"0", "1"} for c in cells.columns.values()):
        yield f"With the label {','.join(targets)}:labels they are one target."
    for holds, what in _TITLES.items():
        names = [each.column for each in columns if each.holds == holds]
        after = ", joined in this order" if holds == "text" and len(names) > 1 else ""
        if names:
            yield f"{what}: {listed(names)}{after}."
    renamed = [f"{c.column!r} is {c.name}" for c in columns if c.column != c.name]
    if renamed:
        yield f"Inputs of the model have plainer names: {listed(renamed)}."
