"""Cells that hold numbers, as people write them: 1e3, 1,234.5, 12 kg, $5, 50 %, (3)."""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from kscale.errors import DataError

BLANKS = frozenset(
    {"", "?", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "NULL", "null", "Null"}
)
"""Cells that hold nothing."""

_MISSING = re.compile(
    r"[-–—.*]+|#?n[./]?a\.?|<na>|nil|none|missing|unknown", re.IGNORECASE
)
"""Further cells that hold nothing, in a column of numbers."""

_MOST = 3.4e38  # in float32
_LETTERS = r"[^\W\d_]+"
_MONEY = rf"(?:[A-Z]{{1,2}})?[$€£¥₹]|(?:USD|EUR|GBP|CHF|JPY)(?!{_LETTERS})"
_UNIT = rf"{_MONEY}|[%‰°]|°?{_LETTERS}[²³23]?(?:/\d*{_LETTERS}[²³23]?)?"
_PARTS = re.compile(
    rf"(?P<minus>[-−+(]?)\s*(?P<before>{_MONEY}|)\s*(?P<sign>[-−]?)"
    r"(?P<number>[.,]?\d(?:[\d.,'’ \u00a0\u2009\u202f]*\d)?[.,]?(?:[eE][+-]?\d+)?)\s*"
    rf"(?P<after>{_UNIT}|)(?P<end>\)?)"
)
_MARKS = " '’\u00a0\u2009\u202f"  # between thousands


def _written(decimal: str, thousands: str) -> re.Pattern[str]:
    """Digits with a mark before the fraction, and with marks between thousands."""
    grouped = rf"[1-9]\d{{0,2}}([{thousands}{_MARKS}])\d{{3}}(?:\1\d{{3}})*"
    lakhs = r"|[1-9]\d?(?:,\d{2})+,\d{3}" if thousands == "," else ""
    whole = rf"(?:\d+|{grouped}{lakhs})"
    return re.compile(rf"(?:{whole}(?:[{decimal}]\d*)?|[{decimal}]\d+)(?:[eE].*)?")


_READINGS = {
    ".": (_written(".", ","), str.maketrans("", "", "," + _MARKS)),
    ",": (_written(",", "."), str.maketrans(",", ".", "." + _MARKS)),
}
"""By the mark before a fraction, what is a number and how it becomes a plain one."""


@dataclass(frozen=True)
class NumberForm:
    """How the numbers of a column are written.

    Args:
        decimal: Mark before the fraction, a point or a comma.
        unit: What stands before or behind every number; empty without a unit.
    """

    decimal: str = "."
    unit: str = ""

    def numbers(
        self, cells: Sequence[str], column: str, where: Callable[[int], str]
    ) -> NDArray[np.float64]:
        """The numbers in cells, NaN where they are missing.

        Raises:
            NotANumber: A cell holds no number, or one that float32 cannot hold; the
                text names the column, and the file and line of the cell's place.
        """
        numbers = all_numbers(cells) if self == NumberForm() else None
        if numbers is not None:
            return numbers
        known = {
            cell: math.nan
            if cell in BLANKS or is_missing_word(cell)
            else dict(readings(cell)).get(self)
            for cell in {*cells}
        }
        for place, cell in enumerate(cells):
            if known[cell] is None:
                raise NotANumber(
                    f"{where(place)} must hold a number{self._such} in {column}, but "
                    f"it holds {cell!r}."
                )
        return np.array([known[cell] for cell in cells], np.float64)

    @property
    def _such(self) -> str:
        """An example for a message, if the form is not the plain one."""
        is_before = re.fullmatch(_MONEY, self.unit)
        number = f"{self.unit * bool(is_before)}1{self.decimal}5"
        example = number if is_before else f"{number} {self.unit}".rstrip()
        return "" if self == NumberForm() else f" such as {example}"


class NotANumber(DataError):
    """A cell holds no number."""


def readings(cell: str) -> Iterator[tuple[NumberForm, float]]:
    """Each form in which a cell holds a number that float32 can, with the number.

    Example:

    >>> [(form.decimal, number) for form, number in readings("1,234")]
    [('.', 1234.0), (',', 1.234)]
    >>> list(readings("(12.5 kg)"))
    [(NumberForm(decimal='.', unit='kg'), -12.5)]
    """
    found = _PARTS.fullmatch(cell)
    if found is None or (found["minus"] == "(") != bool(found["end"]):
        return
    if found["before"] and found["after"]:
        return
    unit = found["before"] or found["after"]
    if len(unit) > 1:  # not M and m, but KG and kg, year and years
        unit = unit.lower().removesuffix("s" if len(unit) > 2 else "")
    sign = -1 if found["sign"] or found["minus"] in ("-", "−", "(") else 1
    for decimal, (written, plain) in _READINGS.items():
        if written.fullmatch(found["number"]):
            number = sign * float(found["number"].translate(plain))
            if abs(number) < _MOST:
                yield _form(decimal, unit), number


_form = lru_cache(maxsize=1024)(NumberForm)  # one of few for most of many cells


def is_missing_word(cell: str) -> bool:
    """Whether a cell holds nothing in a column of numbers, and a word in others."""
    return bool(_MISSING.fullmatch(cell))


def all_numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """Plain numbers in cells if no cell is blank or a word; faster than one by one."""
    try:
        numbers = np.array(list(map(float, cells)))
    except ValueError:
        return None
    # float() also takes "1_000"; a comparison with NaN is never true.
    is_plain = (np.abs(numbers) < _MOST).all() and "_" not in "".join(cells)
    return numbers if is_plain else None


def is_number(cell: str) -> bool:
    """Whether a cell holds a plain number that float32 can."""
    return abs(_float(cell)) < _MOST


def is_huge(cell: str) -> bool:
    """Whether a cell holds a plain number that float32 cannot."""
    return abs(_float(cell)) >= _MOST


def _float(cell: str) -> float:
    try:
        return math.nan if "_" in cell else float(cell)
    except ValueError:
        return math.nan
