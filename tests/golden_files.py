"""Golden files: tables that people read, kept under `tests/golden` and compared."""

from collections.abc import Callable
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--overwrite`, which refreshes the golden files."""
    parser.addoption(
        "--overwrite",
        action="store_true",
        help="write the golden files anew instead of comparing with them",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Compares text with `tests/golden/<test name>.txt`, or writes that file."""
    path = _FOLDER / f"{request.node.name}.txt"

    def compare(text: str) -> None:
        if request.config.getoption("--overwrite"):
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path.name} is missing: run pytest --overwrite."
        assert text == path.read_text(encoding="utf-8")

    return compare
