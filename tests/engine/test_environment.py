"""What kscale runs on is said wherever it runs, installed or not."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from kscale.engine import environment


def test_an_installed_kscale_needs_what_its_metadata_says() -> None:
    found = environment.check_environment()
    assert found.packages["kscale"] and found.packages["numpy"] == version("numpy")
    assert found.is_ready and "Ready." in str(found)


def test_a_source_folder_that_was_never_installed_has_its_requirements(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of_all_but_kscale(name: str) -> str:
        if name == "kscale":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(environment, "version", of_all_but_kscale)
    found = environment.check_environment()
    folder = Path(environment.__file__).parents[2]
    assert f"kscale is not installed; it runs from {folder}" in str(found)
    assert found.is_ready and found.packages["numpy"] == version("numpy")


def test_a_package_that_is_missing_is_named_in_one_line() -> None:
    script = (
        "import sys; sys.modules['msgspec'] = None; from kscale.cli import main; "
        "main(['doctor'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "kscale needs the package msgspec, which is not installed" in done.stderr
