"""Names of columns and layers, as Keras and TensorFlow allow them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32


def layer_name(path: str) -> str:
    """Keras name of the layer at a path: no slash, and only what TensorFlow allows.

    Other letters, as columns of a user may have in their names, are left out; digits
    made of the path's piece keep names apart then.

    Example:

    >>> layer_name("stage1/conv"), layer_name("head/next year")
    ('stage1.conv', 'head.next_year_fe90b2f3')
    """
    return ".".join(_plain(piece) for piece in path.split("/"))


def _plain(piece: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", piece)
    plain = plain if re.match(r"[A-Za-z0-9.]|$", plain) else f"x{plain}"
    return piece if plain == piece else f"{plain}_{crc32(piece.encode()):08x}"


def input_names(names: Iterable[str]) -> dict[str, str]:
    """Names of Keras inputs, which may have all letters but a slash; no two the same.

    Example:

    >>> input_names(["a/b", "a.b", "c d"])
    {'a/b': 'a.b', 'a.b': 'a.b_', 'c d': 'c d'}
    """
    found: dict[str, str] = {}
    for name in names:
        chosen = name.replace("/", ".")
        while chosen in found.values():
            chosen += "_"
        found[name] = chosen
    return found


def single_or_named(values: Mapping[str, Any]) -> Any:
    """A single value as it is, several by name: as Keras models take and give them.

    Example:

    >>> single_or_named({"x": 1}), single_or_named({"x": 1, "y": 2})
    (1, {'x': 1, 'y': 2})
    """
    return values if len(values) > 1 else next(iter(values.values()))
