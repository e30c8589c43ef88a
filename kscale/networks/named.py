"""Published networks by their usual names, each with its source.

`named.json` has of each the family, the knobs that differ from the family's defaults,
the side of its images or the vocabularies of its inputs, and paper and table.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kscale.errors import SpecError, unknown_name
from kscale.naming import letters_of
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
    if "side" in row:
        side = row.pop("side")
        return Named(task=Task.of("image", (side, side, 3), classes=1000), **row)
    names = zip(("ids", "types"), row.pop("vocabularies"), strict=False)
    inputs = tuple(Input(name, "tokens", (512,), ids) for name, ids in names)
    return Named(task=Task(inputs, ()), **row)


_ROWS = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
NAMED: dict[str, Named] = {name: _named(row) for name, row in _ROWS.items()}


def find_named(name: str) -> tuple[str, Named]:
    """The name and the record of a network, by any spelling: `vgg16`, `bert_base`.

    Raises:
        SpecError: No network of that name is known.
    """
    by_letters = {letters_of(known): known for known in NAMED}
    if letters_of(name) not in by_letters:
        raise SpecError(unknown_name("network", name, NAMED))
    known = by_letters[letters_of(name)]
    return known, NAMED[known]
