"""What every test needs: a quiet TensorFlow, said before anything imports it."""

import gc
import os
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from golden_files import golden, pytest_addoption  # noqa: E402, F401
from tiny_run import tiny_run  # noqa: E402, F401
from warm_python import warm_python  # noqa: E402, F401


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a token of a cluster, and an environment without one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    return tmp_path


def pytest_collection_finish() -> None:
    """Take what all tests import out of the garbage collector's sight.

    KerasTuner and Keras collect several times a trial, and each time would go through
    the million objects of TensorFlow's modules.
    """
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests were skipped, and why: they prove nothing here."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in skipped
    )
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"{number} skipped: {reason}")
