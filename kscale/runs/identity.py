"""Identity: what makes two searches the same, and how two searches differ."""

import json
from collections.abc import Mapping
from typing import Any


def difference_of(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """How the identity in a folder differs from the one asked for, and what to do, as
    the end of a sentence on the folder; empty if both are the same.

    Args:
        there: The identity in the folder.
        asked: The other one, as read back from JSON.
    """
    has, wants = _flat(there), _flat(asked)
    keys = sorted(
        {*has, *wants} - {"baseline"}
    )  # part of the identity in older folders
    other = [key for key in keys if has.get(key) != wants.get(key)]
    if not other:
        return ""
    key = other[0]
    if key == "code" and "families" not in other:
        return (
            "holds another search: your code changed since. Undo the change to go on "
            "with it, or choose another folder with --run to search what it is now."
        )
    return (
        f"holds another search: its {key} is {json.dumps(has.get(key))}, not "
        f"{json.dumps(wants.get(key))}. Choose another folder with --run."
    )


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Items by name, those inside the budget and the settings included."""
    flat: dict[str, Any] = {}
    for key, value in dict(identity).items():
        flat |= value if isinstance(value, dict) else {key: value}
    return flat
