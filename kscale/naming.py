"""Names: of columns and layers as Keras allows them, and as people spell them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from zlib import crc32


def layer_name(path: str) -> str:
    """Keras name of the layer at a path, with the characters that TensorFlow allows.

    A slash becomes a dot. Other characters, as names of columns may have, become
    underscores, and digits made from the name keep such names apart.

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
    """Names of Keras inputs: a slash becomes a dot, and no two names are the same.

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


def letters_of(name: str) -> str:
    """Small letters and digits of a name, which people spell in several ways.

    Example:

    >>> letters_of("ResNet-50 V2")
    'resnet50v2'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())
