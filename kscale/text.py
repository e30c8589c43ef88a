"""Text as it is safe to show: on one line, or as `rich` would print it."""

import io
from typing import Any


def printable(text: object) -> str:
    """Text from a file of a stranger on one line, without control characters.

    Example:

    >>> printable("a\\x1b[31mb\\nc")
    'a?[31mb c'
    """
    spaced = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in spaced)


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
