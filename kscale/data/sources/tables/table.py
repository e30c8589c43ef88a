"""From CSV files to raw arrays: roles of columns, texts or a table, labels, groups."""

import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.load_options import Options
from kscale.data.parts import PartName
from kscale.data.preprocessing.base import Fit
from kscale.data.preprocessing.column_features import TableFit
from kscale.data.preprocessing.text import TextFit
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.data.readers.base import Reader
from kscale.data.readers.table_reader import (
    TableColumn,
    TableReader,
    not_a_number,
    places_of,
    values_of,
)
from kscale.data.readers.text_reader import TextReader
from kscale.data.sources.tables.columns import (
    Column,
    Judged,
    chunks_of_cells,
    judged,
    survey,
)
from kscale.data.sources.tables.csv_file import CsvFile
from kscale.data.sources.tables.label_columns import (
    Label,
    LabelArrays,
    chosen_labels,
    label_arrays,
    listed,
)
from kscale.data.sources.tables.part_files import Files
from kscale.errors import DataError, unknown_name

_TAKEN = {*keyword.kwlist, "self", "inputs", "args", "kwargs"}
_USABLE = ("label", "ignore", "split_by", "text")


@dataclass(frozen=True)
class _Plan:
    """What is read of each row."""

    labels: tuple[Label, ...]
    columns: tuple[TableColumn, ...]
    group: str | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        return self.columns[0].holds == "text"


def raw_data_of_tables(paths: Files, options: Options) -> RawData:
    """Raw arrays of CSV files, one a part.

    Files are read twice: once for counts, of which little is held, and once for the
    columns that are used, 4 bytes a number, and 16 a text and its length if it is over
    15 bytes. What columns hold is told by the training part.

    Raises:
        DataError: A file cannot be read, a label is missing, or no column is of use.
    """
    files, lacking = _with_labels(paths, options)
    plan = _planned(files["train"], survey(files["train"]), options)
    _check_options(plan, options)
    read = {part: _Read.of(file, plan) for part, file in files.items()}
    targets = _targets(plan, read, files)
    parts = {
        part: RawPart(
            {c.name: _array(files[part], c, each) for c, each in _paired(plan, found)},
            {name: each.arrays[part] for name, each in targets.items()},
        )
        for part, found in read.items()
    }
    return RawData(
        parts,
        fits=_fits(plan, options),
        reader=_reader(plan),
        class_names={name: each.names for name, each in targets.items()},
        groups=_groups(plan, read),
        warnings=(*lacking, *plan.warnings),
        notes=(
            *_told_parts(files),
            *(each.note for each in targets.values()),
            *plan.notes,
        ),
    )


def _with_labels(
    paths: Files, options: Options
) -> tuple[dict[PartName, CsvFile], list[str]]:
    """Files by part, without those that have no labels, as the test part of a contest.

    Returns:
        The files, and a warning for each that is left out.
    """
    files = {part: CsvFile.of(path) for part, path in paths.items()}
    train = files["train"]
    labels = chosen_labels(train.columns, options.label, train.path.name)
    warnings = []
    for part in [part for part in files if part != "train"]:
        file = files[part]
        asked = [column for label in labels for column in label.columns]
        missing = [column for column in asked if column not in file.columns]
        if missing:
            warnings.append(
                f"{file.path.name} is not used as the {part} part, which is cut from "
                f"the training part: it has no column {missing[0]!r}."
            )
            del files[part]
    return files, warnings


def _planned(file: CsvFile, columns: Mapping[str, Column], options: Options) -> _Plan:
    labels = chosen_labels(file.columns, options.label, file.path.name)
    left_out = _not_inputs(labels, options)
    for name in (*options.text, *left_out):
        if name not in columns:
            raise DataError(unknown_name("column", name, columns))
    found = {
        name: judged(column, name in options.text)
        for name, column in columns.items()
        if name not in left_out
    }
    used, others = _used(found, options)
    if not used:
        what = f"has no column to learn from besides {listed(left_out)}."
        told = [each.sentence for each in found.values()]
        raise DataError(" ".join((f"{file.path} {what}", *told)))
    named = _named(used, found)
    return _Plan(
        labels,
        named,
        options.split_by,
        (*others, *(e.sentence for e in found.values() if e.is_warning)),
        (*_told_columns(named), *_told_left_out(found)),
    )


def _not_inputs(labels: Sequence[Label], options: Options) -> list[str]:
    groups = [options.split_by] if options.split_by else []
    asked = [column for label in labels for column in label.columns]
    return [*asked, *options.ignore, *groups]


def _used(
    found: Mapping[str, Judged], options: Options
) -> tuple[list[str], tuple[str, ...]]:
    """The columns that are read, all text or none; and a warning of what is not."""
    useful = [name for name, each in found.items() if each.role != "left out"]
    texts = [name for name in useful if found[name].role == "text"]
    texts = [name for name in texts if name in options.text] or texts
    others = [name for name in useful if name not in texts]
    if not texts or not others:
        return texts or others, ()
    return texts, (
        f"Only the text of {' and '.join(texts)} is read, and not {listed(others, 8)}: "
        "a network takes text or a table. To learn from the table, leave the text out "
        "with ignore=... (--ignore).",
    )


def _named(used: Sequence[str], found: Mapping[str, Judged]) -> tuple[TableColumn, ...]:
    names = safe_names(used)
    return tuple(
        TableColumn(column, name, found[column].role)
        for column, name in zip(used, names, strict=True)
    )


def safe_names(columns: Sequence[str]) -> list[str]:
    """Names that Keras and a SavedModel take for inputs, no two the same.

    Example:

    >>> safe_names(["age", "hours per-week", "Age", "2nd", "class", "größe"])
    ['age', 'hours_per_week', 'Age_2', 'column_2nd', 'class_', 'gr_e']
    """
    names: list[str] = []
    taken: set[str] = set()  # TensorFlow tells no capitals apart
    for column in columns:
        plain = _plain_name(column)
        name, count = plain, 1
        while name.lower() in taken:
            count += 1
            name = f"{plain}_{count}"
        taken.add(name.lower())
        names.append(name)
    return names


def _plain_name(column: str) -> str:
    """ASCII letters and digits, a letter first, and no word of Python."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", column).strip("_")
    name = name if name[:1].isalpha() else f"column_{name}".rstrip("_")
    return name + "_" * (name in _TAKEN)


def _check_options(plan: _Plan, options: Options) -> None:
    if plan.is_text:
        options.refuse_except("a table of text", *_USABLE, "vocabulary", "length")
    else:
        options.refuse_except("a table without text", *_USABLE)


@dataclass(frozen=True)
class _Read:
    """What a file holds, a column at a time."""

    columns: list[NDArray[Any]]
    labels: list[list[str]]
    groups: list[str]
    lines: list[int]

    @classmethod
    def of(cls, file: CsvFile, plan: _Plan) -> "_Read":
        """The columns of a plan, read in one pass."""
        places = places_of(plan.columns, file)
        asked = [column for label in plan.labels for column in label.columns]
        chosen = [*map(file.columns.index, asked)]
        grouped = file.columns.index(plan.group) if plan.group in file.columns else None
        pieces: list[list[NDArray[Any]]] = [[] for _ in places]
        read = cls([], [[] for _ in chosen], [], [])
        for lines, cells in chunks_of_cells(file):
            for column, place, into in zip(plan.columns, places, pieces, strict=True):
                into.append(_values(file, column, cells[place], lines))
            for label, place in zip(read.labels, chosen, strict=True):
                label.extend(map(sys.intern, cells[place]))
            read.groups.extend(cells[grouped] if grouped is not None else ())
            read.lines.extend(lines)
        if not read.lines:
            raise DataError(f"{file.path} has no rows below the names of its columns.")
        read.columns.extend(map(np.concatenate, pieces))
        return read


def _values(
    file: CsvFile, column: TableColumn, cells: Sequence[str], lines: Sequence[int]
) -> NDArray[Any]:
    try:
        return values_of(column.holds, cells)
    except ValueError:
        for cell, line in zip(cells, lines, strict=True):
            try:
                values_of(column.holds, [cell])
            except ValueError as error:
                where = f"{file.path}:{line}"
                raise DataError(not_a_number(where, column.column, cell)) from error
        raise


def _paired(plan: _Plan, read: _Read) -> Sequence[tuple[TableColumn, NDArray[Any]]]:
    return list(zip(plan.columns, read.columns, strict=True))


def _array(file: CsvFile, column: TableColumn, values: NDArray[Any]) -> RawArray:
    label = f"{file.path.name}: {column.column}"
    return RawArray(label, values.shape, values.dtype, lambda: values)


def _targets(
    plan: _Plan, read: Mapping[PartName, _Read], files: Mapping[PartName, CsvFile]
) -> dict[str, LabelArrays]:
    """Labels by target."""
    names: dict[PartName, str] = {part: str(file.path) for part, file in files.items()}
    lines = {part: each.lines for part, each in read.items()}
    targets: dict[str, LabelArrays] = {}
    start = 0
    for label in plan.labels:
        end = start + len(label.columns)
        cells = {part: each.labels[start:end] for part, each in read.items()}
        targets[label.name] = label_arrays(label, cells, lines, names)
        start = end
    return targets


def _groups(plan: _Plan, read: Mapping[PartName, _Read]) -> dict[PartName, RawArray]:
    if plan.group is None:
        return {}
    name = f"Column {plan.group!r}"
    return {
        part: RawArray.of(name, each.groups)
        for part, each in read.items()
        if each.groups
    }


def _fits(plan: _Plan, options: Options) -> dict[str, Fit]:
    names = tuple(column.name for column in plan.columns)
    if plan.is_text:
        text = TextFit(names, options.vocabulary, options.length)
        return {text.name: text}
    numbers = tuple(c.name for c in plan.columns if c.holds == "number")
    words = tuple(c.name for c in plan.columns if c.holds == "category")
    table = TableFit(numbers, words)
    return {table.name: table}


def _reader(plan: _Plan) -> Reader:
    return TextReader(plan.columns) if plan.is_text else TableReader(plan.columns)


def _told_parts(files: Mapping[PartName, CsvFile]) -> list[str]:
    given = [f"{file.path.name} ({part})" for part, file in files.items()]
    told = [f"The parts are {', '.join(given)}."] if len(given) > 1 else []
    if unnamed := files["train"].unnamed:
        told.append(f"Columns without a name are called {listed(unnamed)}.")
    return told


def _told_columns(columns: Sequence[TableColumn]) -> list[str]:
    told = []
    for holds, what in (("number", "Numbers"), ("category", "Categories")):
        names = [each.column for each in columns if each.holds == holds]
        told += [f"{what}: {listed(names)}."] if names else []
    names = [each.column for each in columns if each.holds == "text"]
    if names:
        after = ", joined in this order" if len(names) > 1 else ""
        told.append(f"Text: {listed(names)}{after}.")
    renamed = [f"{c.column!r} is {c.name}" for c in columns if c.column != c.name]
    if renamed:
        told.append(f"Inputs of the model have plainer names: {listed(renamed)}.")
    return told


def _told_left_out(found: Mapping[str, Judged]) -> list[str]:
    return [e.sentence for e in found.values() if e.sentence and not e.is_warning]
