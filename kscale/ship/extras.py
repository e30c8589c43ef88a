"""Packages that only some formats, methods and executors need."""

from collections.abc import Iterable
from importlib.util import find_spec

from kscale.errors import MissingPackageError

EXTRAS = {
    "litert": ("ai_edge_litert", "ai_edge_quantizer"),
    "micro": ("tflite_micro",),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "ray": ("ray",),
}
"""Modules of each extra."""


def check_extra(what: str, extra: str) -> None:
    """Raise unless all modules of an extra are there; an empty text is no extra.

    Raises:
        MissingPackageError: One is missing; the text says how to install them.
    """
    check_modules(what, EXTRAS.get(extra, ()), extra)


def check_modules(what: str, modules: Iterable[str], extra: str) -> None:
    """As `check_extra`, of some modules of the extra."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        packages = ", ".join(name.replace("_", "-") for name in missing)
        raise MissingPackageError(
            f"{what} needs {packages}: pip install 'kscale[{extra}]'."
        )
