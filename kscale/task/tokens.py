"""Tokens: ids with a special meaning, and the text of ids."""

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
    """The pieces in a row; pieces of single bytes are joined to characters."""
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


def kept_ids(names: Sequence[str], vocabulary: int) -> list[int]:
    """Ids of a vocabulary that a smaller one keeps: the tokens of byte-pair merges in
    their order, and every single character, which stand last.

    Example:

    >>> kept_ids(["", "", "", "", "\u2581a", "\u2581ab", "a", "b"], 7)
    [0, 1, 2, 3, 4, 6, 7]
    """
    characters = single_characters(names)
    merged = range(vocabulary - characters)
    return [*merged, *range(len(names) - characters, len(names))]


def single_characters(names: Sequence[str]) -> int:
    """Tokens of one character at the end of a vocabulary."""
    last = next((i for i, name in enumerate(reversed(names)) if len(name) != 1), 0)
    return last
