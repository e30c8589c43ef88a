"""Format: a form in which a trained model leaves a run, as one file or one folder."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from glob import escape
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from kscale.data.preprocessing.base import Preprocessing
from kscale.errors import ExportError, KscaleError, unwritable
from kscale.ship.prediction import Answer
from kscale.ship.programs import last_words, run_program
from kscale.task.tasks import Task

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Format:
    """A form in which a trained model leaves a run.

    Args:
        suffix: End of the default name.
        is_mine: Whether a path holds a model of this form, which may be overwritten.
        write: Writes a model, as `kscale.ship.packaging.package_model` makes it for a
            task, to a path that does not exist.
        check: Raises an `ExportError` for a path that does not suit the form.
        carries: Whether a model of this form does a preprocessing itself; what is left
            is described in files beside the model. None for forms that carry all, and
            texts and names of classes too.
        answer: What a model of a path, that carries all, answers raw inputs by name.
        extra: The extra of kscale that the form needs; empty for none.
        decodes: Of forms that carry all, what gives the texts of a model of a path:
            ids, for ids by input. Then `write` takes what decodes, as `decode`. None
            for forms of models alone.
    """

    suffix: str
    is_mine: Callable[[Path], bool]
    write: Callable[..., None]
    check: Callable[[Path], None] = lambda path: None
    carries: Callable[[Preprocessing], bool] | None = None
    answer: Callable[[Path, Task], Answer] | None = None
    extra: str = ""
    decodes: Callable[[Path, Task], Callable[[Mapping[str, Any]], Any]] | None = None


def is_numeric(item: Preprocessing) -> bool:
    """Whether a preprocessing reads numbers alone."""
    return all(raw.dtype != "string" for raw in item.raw_inputs)


def check_suffix(suffix: str) -> Callable[[Path], None]:
    """What refuses a path with another end of its name."""

    def check(path: Path) -> None:
        if path.suffix != suffix:
            raise ExportError(f"The file must end with {suffix}, but got {path.name}.")

    return check


def converted(
    module: str, arguments: Sequence[str | Path], path: Path, name: str = ""
) -> None:
    """Let a converter of another package write a file, as a program of its own.

    A crash of the converter ends that program alone. Messages have a name of the
    converter, by default that of the package of the module.

    Raises:
        ExportError: The converter failed, or wrote nothing.
    """
    done = run_program(module, arguments)
    if done.returncode == 0 and path.is_file():
        return
    name = name or module.partition(".")[0]
    raise ExportError(f"{name} does not convert the model: {last_words(done)}.")


def export_model(model: "keras.Model", task: Task, path: Path, form: Format) -> None:
    """Write a model in a form to a path that `check_target` allows."""
    write_whole(path, lambda partial: form.write(model, task, partial))


def write_whole(
    path: Path,
    write: Callable[[Path], object],
    beside: Callable[[Path], Mapping[Path, bytes]] = lambda partial: {},
) -> None:
    """Write a file or a folder so that a reader sees all of it or none.

    `write` gets a temporary path with the same end of the name. From that path,
    `beside` gives the files that describe the new content, which lie beside `path`.
    When all are written, temporary paths replace what was there. Temporary paths of
    killed processes are removed.

    Raises:
        ExportError: The path cannot be written; the old content is still there. Files
            beside the path may be new, where only the last step fails.
    """
    # Keras knows the form of a file by the end of its name.
    partial, old = _temporary(path), _temporary(path, "old")
    described: dict[Path, Path] = {}
    missing = [folder for folder in path.parents if not folder.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_partial(path.parent, path.name)
        partial.touch()  # fails with an error of Python's, not of another library
        partial.unlink()
        write(partial)
        for each, content in beside(partial).items():
            described[each] = _temporary(each)
            described[each].write_bytes(content)
        for each, new in described.items():
            new.replace(each)
        if path.is_dir():
            path.rename(old)  # a folder with content is not replaced
        partial.replace(path)
    except KscaleError:
        raise
    except Exception as error:  # libraries have errors of their own for a full disk
        raise ExportError(unwritable(path, error)) from error
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for each in (partial, old, *described.values()):
            _remove(each)
        for folder in missing * (not path.exists()):
            with suppress(OSError):
                folder.rmdir()


def _temporary(path: Path, what: str = "partial") -> Path:
    return path.with_name(f".{what}-{os.getpid()}-{path.name}")


def remove_partial(folder: Path, name: str = "") -> None:
    """Remove what killed processes left half written of files whose names begin so, and
    put back what they had moved away."""
    found = (folder.glob(f".{what}-*-{escape(name)}*") for what in ("old", "partial"))
    for path in chain.from_iterable(found):
        what, number, whole = path.name.split("-", 2)
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            if what == ".old" and not path.with_name(whole).exists():
                path.rename(path.with_name(whole))
            _remove(path)


def check_target(path: Path, form: Format, overwrite: bool) -> None:
    """Raise unless a model may be written in a form to a path.

    With `overwrite`, a model of this form at the path may be replaced.
    """
    form.check(path)
    if not (path.exists() or path.is_symlink()):
        return
    if not form.is_mine(path):
        raise ExportError(
            f"{path} holds something else, which is not written over; choose another "
            "path."
        )
    if not overwrite:
        check_free(path)


def check_free(*paths: Path) -> None:
    """Raise where something of an export is there already."""
    for path in filter(Path.exists, paths):
        raise ExportError(
            f"{path} exists already; choose another path, or overwrite it "
            "(--overwrite)."
        )


def _remove(path: Path) -> None:
    with suppress(OSError):  # whose reason is that of the error being told
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
