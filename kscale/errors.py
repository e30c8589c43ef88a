"""The errors kscale raises on purpose, so that a caller can tell them from bugs.

::

    KscaleError
    ├── SpecError            (ValueError)    a family, knob or blueprint that cannot be
    ├── BudgetError          (ValueError)    no limit at all, or nothing fits it
    ├── DataError            (ValueError)    data that cannot be read or trained on
    ├── TrialError           (RuntimeError)  one training that failed, or all of them
    ├── WorkerLostError      (RuntimeError)  a machine that trains with others is gone
    ├── ClusterError         (RuntimeError)  machines that cannot be joined, or are gone
    ├── ResultsError         (ValueError)    a run folder that cannot be used as asked
    ├── LawError             (ValueError)    too little for a scaling law, or beyond it
    ├── ExportError          (RuntimeError)  a model that cannot be written or read
    └── MissingPackageError  (ImportError)   a package that is missing or does not load
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from textwrap import shorten
from typing import Any


class KscaleError(Exception):
    """Anything kscale raises on purpose; its text is one line for the user."""


class SpecError(KscaleError, ValueError):
    """A family, a knob's value or a blueprint does not make a network."""


class BudgetError(KscaleError, ValueError):
    """A limit is no limit, or nothing fits it."""


class DataError(KscaleError, ValueError):
    """The data cannot be read, or cannot be trained on."""


class TrialError(KscaleError, RuntimeError):
    """A training failed; the search goes on unless every training failed."""


class WorkerLostError(KscaleError, RuntimeError):
    """A machine that trained with others is gone, or failed.

    Args:
        text: One line for the user.
        is_gone: Whether the machine is gone, through no fault of the training.
    """

    def __init__(self, text: str, is_gone: bool = True) -> None:
        super().__init__(text)
        self.is_gone = is_gone


class ClusterError(KscaleError, RuntimeError):
    """A cluster of machines cannot be started or joined, or its head is gone."""


class ResultsError(KscaleError, ValueError):
    """A run folder is none, is damaged, is in use or holds another search."""


class LawError(KscaleError, ValueError):
    """Results do not fix a scaling law, or a question lies beyond the law's range."""


class ExportError(KscaleError, RuntimeError):
    """A model could not be written or read back."""


class MissingPackageError(KscaleError, ImportError):
    """A package is not installed or does not load; the text says how to install it."""


_MOST_NAMES = 24  # that an error lists where some are near to the unknown one


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not in a table, with the nearest name there.

    Example:

    >>> unknown_name("family", "lineer", ["mlp", "linear"])
    "Unknown family 'lineer'. Did you mean 'linear'? Known: linear, mlp."
    """
    names = sorted(known)
    lowered = {item.lower(): item for item in names}
    near = get_close_matches(str(name).lower(), lowered, n=5, cutoff=0.5)
    hint = f" Did you mean {lowered[near[0]]!r}?" if near else ""
    if near and len(names) > _MOST_NAMES:
        others = len(names) - len(near)
        names = [*(lowered[item] for item in near), f"and {others} others"]
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(names)}."


def missing_path(path: str | Path) -> str:
    """The sentence for a path where nothing is, with the nearest path that exists."""
    near = _near_path(Path(path))
    return f"There is no file {path}.{f' Did you mean {near}?' if near else ''}"


def _near_path(path: Path) -> Path | None:
    parent = path.parent if path.parent.is_dir() else _near_path(path.parent)
    if parent is None or not os.access(parent, os.R_OK):
        return None
    names = {name.lower(): name for name in os.listdir(parent)}
    near = get_close_matches(path.name.lower(), names, n=1)
    return parent / names[near[0]] if near else None


def cause_of(error: BaseException) -> str:
    """The system's words for an error, or else the error's: no number, path or dot."""
    return getattr(error, "strerror", None) or sentence_of(error)


def unwritable(path: str | Path, error: BaseException) -> str:
    """The sentence for a file or folder that cannot be written."""
    return f"{path} cannot be written: {cause_of(error)}."


def check_least(
    name: str, value: Any, least: int | float, what: str = "a number"
) -> None:
    """Raise a `SpecError` unless a number is `least` or more; NaN is not.

    The number must be whole where `least` is an int; else `what` describes the number.
    """
    is_whole = isinstance(least, int)
    kind: Any = Integral if is_whole else Real
    if isinstance(value, bool) or not isinstance(value, kind):
        what = "whole" if is_whole else what
        raise SpecError(f"`{name}` must be {what}, but got {value!r}.")
    if not value >= least:
        raise SpecError(f"`{name} >= {least:g}` must hold, but got {name}={value}.")


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Inside, a file that cannot be written or deleted is a `ResultsError`."""
    try:
        yield
    except OSError as error:
        raise ResultsError(unwritable(path, error)) from error


_MARKS = re.compile(
    r"\x1b\[[0-9;]*m|\{\{function_node [^}]*\}\} |\[\[\{\{.*?\]\]|\[Op:\w+\]( name: ?)?"
)
_NODE = re.compile(r"'\{\{node [^}]*\}\} = (\w+)[^']*'")
# What Keras, AutoGraph and TensorFlow say before what is wrong, and after it.
_AROUND = (
    "Could not automatically infer the output shape",
    "Exception encountered when calling",
    "Arguments received by",
    "Graph execution error",
    "Detected at node",
    "Hint: If you want to see a list of allocated tensors",
    "in user code:",
    'File "',
)
_OUT_OF_MEMORY = ("MemoryError", "ResourceExhaustedError")
# Of XLA, and of a copy to a device that is full, in errors of other kinds.
_MEMORY_MARKS = ("RESOURCE_EXHAUSTED", "Dst tensor is not initialized")
# What was too large, without allocators, hints and lists of buffers around it.
_TOO_LARGE = re.compile(
    r"OOM when allocating tensor with shape\[[\d,]*\]|"
    r"Out of memory while trying to allocate [\d.]+ ?\w+"
)
_LONGEST = 300


def reason_of(error: Exception) -> str:
    """Why something failed, in one line for a result, without a dot at its end.

    Example:

    >>> reason_of(TrialError("the loss became nan in epoch 2"))
    'the loss became nan in epoch 2'
    >>> reason_of(ValueError("shapes do not fit"))
    'ValueError: shapes do not fit'
    """
    text, kind = sentence_of(error), type(error).__name__
    if isinstance(error, TrialError):
        return text
    if is_out_of_memory(error):
        kind = "memory ran out"
        too_large = _TOO_LARGE.search(str(error))
        text = too_large.group() if too_large else text
    return f"{kind}: {text}" if text else kind


def is_out_of_memory(error: Exception) -> bool:
    """Whether something failed because the memory of a device or machine was full.

    Example:

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("no memory"))
    (True, False)
    """
    is_kind = type(error).__name__ in _OUT_OF_MEMORY
    return is_kind or any(mark in str(error) for mark in _MEMORY_MARKS)


def sentence_of(error: BaseException | str) -> str:
    """What is wrong, by an error or its text, in one line.

    The line is the first paragraph that says what is wrong. It ends with a whole
    sentence, or a whole word and an ellipsis, without a dot.
    """
    plain = re.split(r"\n\s*\n", _NODE.sub(r"\1", _MARKS.sub("", str(error))))
    paragraphs = [" ".join(each.split()) for each in plain if each.strip()]
    causes = [each for each in paragraphs if not each.startswith(_AROUND)]
    text, *more = causes or paragraphs or [""]
    text += f" {more[0]}" if text.endswith(":") and more else ""
    if len(text) > _LONGEST:
        end = text.rfind(". ", 0, _LONGEST)
        text = text[:end] if end > 0 else shorten(text, _LONGEST, placeholder=" ...")
    return text if text.endswith("...") else text.rstrip(".")
