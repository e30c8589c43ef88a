"""Files of JSON lines, which a stopped experiment goes on from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file; none if there is no file."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:  # cut off when its writer was killed
            continue
    return rows


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row to a file."""
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
