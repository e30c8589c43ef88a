"""What kscale runs on is said wherever it runs, installed or not."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
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


def test_a_tensorflow_that_does_not_load_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "import os; os.write(2, b'I0000 noise\\n')\n"
        "try: raise ImportError('no libcudart.so')\n"
        "except ImportError as error: raise ImportError('Traceback\\n of\\n lines')"
    )
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
    script += "from kscale.cli import main\n"
    script += "main(['tune', '--max-params', '9k', '--data', 'rows.npz', '-q'])"
    np.savez(tmp_path / "rows.npz", x=np.eye(40), y=np.arange(40) % 2)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "TensorFlow does not load here: no libcudart.so; pip" in done.stderr
    assert not (tmp_path / "runs").exists()
