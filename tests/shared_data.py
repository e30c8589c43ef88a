"""Data sets and tables that lie beside the project, and tests that need them."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


def needs(name: str) -> pytest.MarkDecorator:
    """Skips a test where there is no such file, and says so."""
    path = SHARED / name
    return pytest.mark.skipif(not path.exists(), reason=f"../shared/{name} is missing")
