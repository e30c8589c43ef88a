"""Published networks by their usual names, each with its source.

`named.json` has of each the family, the knobs that differ from the family's defaults,
the side of its images or the vocabularies of its inputs where these are not the usual
ones of the family, paper and table, and what the network is called elsewhere.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kscale.errors import SpecError, unknown_name
from kscale.naming import letters_of
from kscale.networks.families import FAMILIES
from kscale.task.tasks import Input, Task


@dataclass(frozen=True)
class Named:
    """A published network.

    Args:
        family: Family of the network.
        task: Inputs and targets that the network was published with.
        source: Paper and table of the setting.
        knobs: Knobs that differ from the defaults of the family.
    """

    family: str
    task: Task
    source: str
    knobs: Mapping[str, Any]


def _named(row: dict[str, Any]) -> Named:
    row.pop("also", None)
    if "side" in row:
        side = row.pop("side")
        return Named(task=Task.of("image", (side, side, 3), classes=1000), **row)
    usual = FAMILIES[row["family"]].usual
    if usual is not None:
        return Named(task=usual, **row)
    names = zip(("ids", "types"), row.pop("vocabularies"), strict=False)
    inputs = tuple(Input(name, "tokens", (512,), ids) for name, ids in names)
    return Named(task=Task(inputs, ()), **row)


_ROWS = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
_ALSO = {other: name for name, row in _ROWS.items() for other in row.get("also", ())}
NAMED: dict[str, Named] = {name: _named(row) for name, row in _ROWS.items()}
_WORDS = {
    **{"tiny": "ti", "small": "s", "base": "b", "large": "l"},
    **{"patch": "", "uncased": ""},
}


def find_named(name: str, others: Iterable[str] = ()) -> tuple[str, Named]:
    """The name and the record of a network, by any spelling: `vgg16`, `bert_base`, and
    those of other libraries: `google/vit-base-patch16-224`, `mobilenet_v2_1.0_224`.

    The size may be left out where there is one: `distilbert`.

    Args:
        name: Name of a network.
        others: Families that the name may have meant, for the text of an error.

    Raises:
        SpecError: No network of that name is known, or several are.
    """
    known = {_normal(item): item for item in (*NAMED, *_ALSO)}
    sizes = [item for item in NAMED if _normal(item.split("-")[0]) == _normal(name)]
    found = known.get(_normal(name)) or (sizes[0] if len(sizes) == 1 else None)
    if found is None and sizes:
        raise SpecError(f"Several networks are called {name!r}: {', '.join(sizes)}.")
    if found is None:
        kind = "family or network" if others else "network"
        raise SpecError(unknown_name(kind, name, [*others, *NAMED]))
    found = _ALSO.get(found, found)
    return found, NAMED[found]


def _normal(name: str) -> str:
    """The letters and digits of a name, without an owner before it, with one word for
    a size, and without what all networks here are: for 224 pixels, alpha 1, uncased."""
    alone = re.sub(r"^[\w.-]+/(?=.*[a-z]{2})", "", name.lower())
    alone = re.sub(r"([-_ ](1\.0|224)|v1)(?![^-_ ])", "", alone)
    return letters_of(re.sub("|".join(_WORDS), lambda word: _WORDS[word[0]], alone))
