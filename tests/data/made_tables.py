"""Small CSV files for tests, written where they are needed."""

import gzip
from collections.abc import Sequence
from pathlib import Path


def write_csv(path: Path, columns: Sequence[str], *rows: Sequence[object]) -> Path:
    """A plain CSV file of rows."""
    lines = [",".join(map(str, row)) for row in (columns, *rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_text(path: Path, text: str) -> Path:
    """A file of a text, compressed if the name ends in `.gz`."""
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def table(path: Path, rows: int = 60) -> Path:
    """Two numbers, a category and a label that goes with one of them."""
    return write_csv(
        path,
        ["size", "weight", "kind", "label"],
        *(
            [row % 7, row * 0.5 + row % 3, "abc"[row % 3], ("no", "yes")[row % 2]]
            for row in range(rows)
        ),
    )


def sentences(path: Path, rows: int = 60) -> Path:
    """Texts that all differ, and a label."""
    return write_csv(
        path,
        ["text", "label"],
        *(
            [f"this is the {row}th of many lines", ("good", "bad")[row % 2]]
            for row in range(rows)
        ),
    )
