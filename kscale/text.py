"""Text on one line, counts with nouns, arguments of docstrings, tables of `rich`."""

import inspect
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table


def printable(text: object) -> str:
    """Text from a file of a stranger on one line, without control characters.

    Example:

    >>> printable("a\\x1b[31mb\\nc")
    'a?[31mb c'
    """
    spaced = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in spaced)


def argument_texts(documented: Any) -> dict[str, str]:
    """What the `Args:` of a docstring say of each argument, by name, on one line.

    Example:

    >>> argument_texts(argument_texts)
    {'documented': 'A class or a function.'}

    Args:
        documented: A class or a function.
    """
    _, _, arguments = (inspect.getdoc(documented) or "").partition("Args:\n")
    section = re.split(r"\n(?=\S)", arguments, maxsplit=1)[0]
    entries = re.findall(r"^    (\w[\w, ]*): ((?:.*\n?)(?: {8}.*\n?)*)", section, re.M)
    return {
        name: " ".join(text.split())
        for names, text in entries
        for name in names.split(", ")
    }


def listed(names: Sequence[str], most: int = 30) -> str:
    """The first names, and the number of the others.

    Example:

    >>> listed(["a", "b", "c"], 2)
    'a, b, and 1 more'
    """
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, which is plural unless the number is 1.

    Example:

    >>> counted(1, "epoch"), counted(1200, "epoch"), counted(2, "class", "classes")
    ('1 epoch', '1,200 epochs', '2 classes')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def plain_text(renderable: Any, width: int, colour: bool = False) -> str:
    """What `rich` would show, as text without spaces at the end of lines."""
    from rich.console import Console  # 0.1 s that most imports do without

    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        color_system="standard" if colour else None,
        force_terminal=colour,
        highlight=False,
        legacy_windows=False,
    )
    console.print(renderable)
    lines = (line.rstrip() for line in file.getvalue().splitlines())
    return "\n".join(lines) + "\n"


class Grid(NamedTuple):
    """The cells of a table, for every form of text; numbers stand at the right."""

    header: Sequence[str]
    are_numbers: Sequence[bool]
    rows: Sequence[Sequence[str]]


def grid_width(grid: Grid) -> int:
    """Characters of a line of `grid_table`."""
    from rich.cells import cell_len

    columns = zip(grid.header, *grid.rows, strict=True)
    return sum(max(map(cell_len, cells)) + 2 for cells in columns) - 2


def grid_table(grid: Grid, styles: Sequence[str] = ()) -> "Table":
    """A table of `rich` without lines, whose cells are never broken.

    Each row may have a style.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name, is_number in zip(grid.header, grid.are_numbers, strict=True):
        justify: Any = "right" if is_number else "left"
        table.add_column(Text(name), justify=justify, no_wrap=True)
    for row, style in zip(grid.rows, styles or [""] * len(grid.rows), strict=True):
        table.add_row(*map(Text, row), style=style)
    return table
