"""Tokens: ids that have a meaning of their own, and the text that ids stand for."""

import re
from collections.abc import Iterable, Sequence

PADDING, UNKNOWN, START, END = 0, 1, 2, 3
"""Ids of a sub-word vocabulary that are no piece of a text."""

SPACE = "\u2581"
"""Stands for a space in a piece, as SentencePiece writes it."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def text_of(ids: Iterable[int], names: Sequence[str]) -> str:
    """The text of ids, up to the first end or padding.

    Example:

    >>> text_of([4, 5, 3, 4], ["", "", "", "", "\u2581ein", "en"])
    'einen'
    """
    pieces = []
    for token in ids:
        if token in (END, PADDING):
            break
        if token != START:
            pieces.append(names[token])
    return _joined(pieces).replace(SPACE, " ").strip()


def _joined(pieces: Sequence[str]) -> str:
    """The pieces in a row; those of single bytes are the characters that they spell."""
    if not any(map(_BYTE.fullmatch, pieces)):
        return "".join(pieces)
    spelled = b"".join(
        bytes.fromhex(found[1]) if (found := _BYTE.fullmatch(piece)) else piece.encode()
        for piece in pieces
    )
    return spelled.decode(errors="replace")


def characters_in(piece: str) -> int:
    """Characters of a text that a piece stands for; none of a token without a text.

    Example:

    >>> [characters_in(piece) for piece in ("\u2581ein", "<0xC3>", "")]
    [4, 1, 0]
    """
    return 1 if _BYTE.fullmatch(piece) else len(piece)
