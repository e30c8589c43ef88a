"""Points: sizes that were trained and the error of each, as people have them."""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import variance
from typing import Any

from kscale.errors import DataError, cause_of, missing_path
from kscale.naming import letters_of
from kscale.runs.law.quantities import SPACES, Quantity, real
from kscale.runs.law.rows import UNKNOWN, TableRow, are_signed, check_one_kind, rows_of
from kscale.text import counted, listed, printable
from kscale.units import parse_count

_ROLES = {
    "params": {
        *("params", "parameters", "nparams", "numparams", "totalparams"),
        *("paramcount", "n"),
    },
    "stderr": {"stderr", "standarderror", "se"},
    "sd": {"sd", "std"},
    **{name: {name} for name in ("seeds", "depth", "width", "examples")},
}
"""Columns that are read beside the result, by letters of their names."""

_SIZES = {"size", "modelsize"}
"""Columns of params where no other is."""

_ERRORS = (
    *("loss", "error", "errorrate", "err", "logloss", "nll"),
    *("mse", "rmse", "mae", "wer", "cer", "perplexity"),
)
_SCORES = (
    *("accuracy", "acc", "score", "f1", "f1score", "auc", "r2", "r2score"),
    *("recall", "precision", "top1", "top5", "balancedaccuracy", "macrof1"),
)
_NEGATIVE = {"r2", "r2score", "score"}
"""Scores that may be below 0."""

_UNIT = re.compile(r"\(\s*([kmb])[a-z]*\s*\)", re.IGNORECASE)
"""What the name of a column of params says they are counted in: `Params (M)`."""

_PART = re.compile("^(val|valid|validation|test|eval)(?=.)")
_MOST = 2**63 - 1  # sizes are counted in 64 bits


@dataclass(frozen=True)
class Point:
    """A size that was trained, and its error.

    Args:
        size: Parameters, all of them.
        error: Mean over the seeds, above 0 unless perfect.
        stderr: Standard error of that mean; None where it is not known.
        seeds: Trainings that the error is the mean of.
        depth, width: Shape; None where it is not known.
        examples: Examples trained on; None where that is not known.
    """

    size: int
    error: float
    stderr: float | None = None
    seeds: int = 1
    depth: int | None = None
    width: int | None = None
    examples: int | None = None


def read_points(path: str | Path) -> tuple[tuple[Point, ...], Quantity]:
    """The points of a CSV file, the smallest first, and what their values are.

    Columns are `params`, or `params (M)` for millions, and one of `loss`, `error` or a
    score such as `accuracy`, in per cent or as a share; `stderr` (or `sd`, of single
    trainings), `seeds`, `depth`, `width` and `examples` may be there. Rows of one size,
    shape and number of examples are trainings of one network.

    Raises:
        DataError: The file cannot be read, or a cell is no possible value.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
        rows = [*rows_of(text, _ROLES["params"])]
    except FileNotFoundError as error:
        raise DataError(missing_path(path)) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8.") from error
    except (OSError, csv.Error, ValueError) as error:
        raise DataError(f"{path!s:.200}: {cause_of(error)}.") from error
    if not text.strip():
        raise DataError(f"{path} is empty.")
    return _points(rows, str(path))


def points_of(given: Any) -> tuple[tuple[Point, ...], Quantity]:
    """Points as a program has them, and what their values are.

    Args:
        given: The path of a CSV file as `read_points` takes; `Point`s, whose values are
            errors; pairs of params and error; dicts, one a row; or a dict or data frame
            of columns.

    Raises:
        DataError: They are none of these, or a value is not possible.
    """
    if isinstance(given, str | Path):
        return read_points(given)
    if hasattr(given, "keys"):
        columns = {str(name): _listed(given[name]) for name in given.keys()}  # noqa: SIM118
        if len({*map(len, columns.values())}) > 1:
            raise DataError("All columns of points must be of one length.")
        given = [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ]
    rows = []
    for number, item in enumerate(_listed(given), start=1):
        rows.append(TableRow(f"row {number}", _cells(item)))
    return _points(rows, "points")


def _listed(given: Any) -> list[Any]:
    try:
        return [*given]
    except TypeError as error:
        raise DataError(
            "Points are the path of a CSV file, a list of dicts, or a dict of columns, "
            f"not {given!r:.60}."
        ) from error


def _cells(item: Any) -> dict[str, str]:
    if isinstance(item, Point):
        item = {("params" if k == "size" else k): v for k, v in vars(item).items()}
    elif not isinstance(item, Mapping):
        try:
            size, error = item
        except (TypeError, ValueError) as problem:
            raise DataError(
                f"A point is a dict, or a pair of params and error, not {item!r:.60}."
            ) from problem
        item = {"params": size, "error": error}
    return {str(k): "" if v is None else str(v) for k, v in item.items()}


def _points(
    rows: Sequence[TableRow], source: str
) -> tuple[tuple[Point, ...], Quantity]:
    """Points of rows, those of one network in one.

    Raises:
        DataError: A column is missing, or a cell is no possible value.
    """
    names = [*dict.fromkeys(name for row in rows for name in row.cells)]
    if not rows:
        raise DataError(f"{source} has no row with numbers.")
    roles = {role: _column(names, known, source) for role, known in _ROLES.items()}
    roles["params"] = roles["params"] or _column(names, _SIZES, source)
    results = {name: kind for name in names if (kind := _kind(name))}
    if roles["params"] is None or len(results) != 1:
        raise DataError(f"{source} {_lacking(names, roles['params'], [*results])}")
    ((name, kind),) = results.items()
    read = _readers(roles, name)
    trained = _trained(rows, read, source)
    groups, networks = defaultdict(list), defaultdict(list)
    for row, cells in zip(rows, trained, strict=True):
        network = tuple(cells[key] for key in _NETWORK)
        groups[network].append(cells)
        networks[network].append(row.cells)
    unread = {*names} - {column for column, *_ in read.values()}
    try:
        check_one_kind([*networks.values()], sorted(unread))
        values = [cells["value"] for cells in trained]
        is_signed = are_signed(rows, [name, roles["stderr"], roles["sd"]])
        quantity = _quantity(name, kind, values, is_signed or "%" in name)
    except ValueError as error:
        raise DataError(printable(f"{source}{error}")) from error
    points = (_point(group, quantity) for group in groups.values())
    return tuple(sorted(points, key=lambda point: point.size)), quantity


_NETWORK = ("params", "depth", "width", "examples")
"""What trainings of one network have in common."""


def _column(names: Iterable[str], known: set[str], source: str) -> str | None:
    found = [name for name in names if letters_of(_UNIT.sub("", name)) in known]
    if len(found) > 1:
        raise DataError(f"{source} has several columns for one thing: {found}.")
    return found[0] if found else None


def _kind(name: str) -> str | None:
    """Whether the values of a column are errors or scores; None of other columns."""
    plain = _plain(name)
    return "error" if plain in _ERRORS else "score" if plain in _SCORES else None


def _plain(name: str) -> str:
    return _PART.sub("", letters_of(name))


def _lacking(names: Sequence[str], params: str | None, results: Sequence[str]) -> str:
    if params and results:
        return f"has several results, {', '.join(results)}: leave one of them."
    lacks = "loss, error or accuracy" if params else "params"
    return (
        f"has no column {lacks}; its columns are {listed(names, 8) or 'none'}: rename "
        f"one of them to {lacks.split(',')[0]}."
    )


_Reader = tuple[str | None, Callable[[str], float], bool]


def _readers(roles: Mapping[str, str | None], value: str) -> dict[str, _Reader]:
    """For each figure of a row its column, how it is read, and whether it must be."""
    return {
        "params": (roles["params"], _sizes_in(roles["params"] or ""), True),
        "value": (value, _signed, True),
        "stderr": (roles["stderr"], _amount, False),
        "sd": (roles["sd"], _amount, False),
        "seeds": (roles["seeds"], parse_count, False),
        "depth": (roles["depth"], _whole, False),
        "width": (roles["width"], _whole, False),
        "examples": (roles["examples"], parse_size, False),
    }


def _trained(
    rows: Iterable[TableRow], read: Mapping[str, _Reader], source: str
) -> list[dict[str, Any]]:
    """The figures of each row.

    Raises:
        DataError: A cell is no possible value.
    """
    found, bad = [], []
    for row in rows:
        try:
            found.append({what: _read(row, *how) for what, how in read.items()})
        except ValueError as error:
            bad.append(f"{row.place}: {error}")
    if bad:
        more = counted(len(bad) - 1, "more row is", "more rows are")
        wrong = f" {more} wrong." if len(bad) > 1 else ""
        raise DataError(printable(f"{source}, {bad[0]}{wrong}"))
    return found


def _read(
    row: TableRow, column: str | None, parse: Callable[[str], float], is_needed: bool
) -> Any:
    text = row.cells.get(column or "", "")
    if is_needed and not text:
        raise ValueError(f"{column} is empty.")
    if not is_needed and text.lower() in UNKNOWN:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from error


def parse_size(text: str) -> int:
    """Parameters as people write them, with any mark between thousands.

    Raises:
        ValueError: The text is no size, or larger than any that can be counted.
    """
    count = parse_count(SPACES.sub("", text))
    if count > _MOST:
        raise ValueError(f"{text!r} is more than can be counted, {_MOST:,}.")
    return count


def _sizes_in(column: str) -> Callable[[str], int]:
    """What reads a column, whose name may say in what its numbers are counted."""
    unit = _UNIT.search(column)
    letter = unit[1] if unit else ""
    return lambda text: parse_size(text + letter * text[-1:].isdigit())


def parse_sizes(text: str) -> list[int]:
    """Sizes between commas, or one with commas between thousands.

    Raises:
        ValueError: A part is no size, or the text may be one size or several.

    Example:

    >>> parse_sizes("4k,5M"), parse_sizes("1,000,000")
    ([4000, 5000000], [1000000])
    """
    parts = [part.strip() for part in text.split(",")]
    bare = any(re.fullmatch(r"\d{1,3}", part) for part in parts)
    if bare and len(parts) > 1 and any(part[-1:].isalpha() for part in parts):
        raise ValueError(
            f"{text!r} may be one size or several; write 1.5M, or 1000,5M."
        )
    try:
        return [parse_size(text)]
    except ValueError:
        if len(parts) == 1:
            raise
    return [parse_size(part) for part in parts]


def _signed(text: str) -> float:
    return real(text.removesuffix("%"))


def _amount(text: str) -> float:
    value = _signed(text)
    if value < 0:
        raise ValueError(f"{text!r} is below 0.")
    return value


def _whole(text: str) -> int:
    value = real(text)
    if value != round(value) or value < 0:
        raise ValueError(f"{text!r} is no whole number.")
    return round(value)


def _quantity(
    name: str, kind: str, values: Sequence[float], in_per_cent: bool
) -> Quantity:
    """What values are.

    Raises:
        ValueError: One of them is not possible.
    """
    low, high = min(values), max(values)
    whole = 100 if in_per_cent or high > 1 else 1
    is_score = kind == "score"
    may_be_negative = is_score and _plain(name) in _NEGATIVE
    if low < 0 and not may_be_negative:
        raise ValueError(f": {name} is {low:g}, below 0.")
    if is_score and high > 100:
        raise ValueError(f": {name} is {high:g}, above 100 %.")
    in_per_cent = whole > 1 if is_score else in_per_cent
    return Quantity(name, is_score, whole, in_per_cent, may_be_negative)


def _point(trained: Sequence[Mapping[str, Any]], quantity: Quantity) -> Point:
    """A network with all its trainings: their errors over the same examples do not
    become smaller by more seeds, those over the seeds do."""
    seeds = [int(cells["seeds"] or 1) for cells in trained]
    values = [cells["value"] for cells in trained]
    mean = sum(v * n for v, n in zip(values, seeds, strict=True)) / sum(seeds)
    squares = [_stderr(cells) ** 2 for cells in trained]
    between = variance(values) / len(values) if len(values) > 1 else 0.0
    stderr = quantity.stderr(math.sqrt(sum(squares) / len(squares) + between))
    network = {key: trained[0][key] for key in _NETWORK[1:]}
    size, error = trained[0]["params"], quantity.error(mean)
    return Point(size, error, stderr or None, sum(seeds), **network)


def _stderr(cells: Mapping[str, Any]) -> float:
    if cells["stderr"] is not None:
        return float(cells["stderr"])
    return float(cells["sd"] or 0.0) / math.sqrt(cells["seeds"] or 1)
