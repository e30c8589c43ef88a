"""The experiments' modules, for tests: scripts that lie beside the package."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

_FOLDER = str(Path(__file__).parents[1] / "experiments")


def experiment(name: str) -> ModuleType:
    """A module of the experiments' folder by its name, such as `replay`."""
    if _FOLDER not in sys.path:
        sys.path.append(_FOLDER)
    return importlib.import_module(name)
