"""Packages that only some formats and methods need."""

from importlib.util import find_spec

from kscale.errors import MissingPackageError

EXTRAS = {
    "litert": ("ai_edge_litert", "ai_edge_quantizer"),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
}
"""Modules of each extra."""


def check_extra(what: str, extra: str) -> None:
    """Raise unless the modules of an extra are there.

    Raises:
        MissingPackageError: One is missing; the text says how to install them.
    """
    missing = [name for name in EXTRAS.get(extra, ()) if find_spec(name) is None]
    if missing:
        packages = ", ".join(name.replace("_", "-") for name in missing)
        raise MissingPackageError(
            f"{what} needs {packages}: pip install 'kscale[{extra}]'."
        )
