"""A user's code: imported by name, and where it fails."""

import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import keras_tuner

from kscale.errors import SpecError, TrialError, reason_of, unknown_name

LIBRARIES = ("site-packages", "dist-packages", "<frozen")
HERE = Path(__file__).parents[2]
_INSTALLED = (f"{HERE}/", sys.base_prefix)


@dataclass(frozen=True)
class UserCode:
    """A hypermodel, its `module:name` and the folder of a module imported by name."""

    name: str
    hypermodel: keras_tuner.HyperModel
    folder: Path | None = None

    def importable(self) -> AbstractContextManager[None]:
        """A context in which modules in the folder are found.

        Raises:
            TrialError: The code ended the program.
        """
        return _running(self.folder)

    def objects(self) -> dict[str, Any]:
        """Classes and functions of the module, by the names that Keras saves."""
        known = vars(sys.modules[self.name.partition(":")[0]]).values()
        return {
            each.__name__: each
            for each in known
            if (inspect.isclass(each) or inspect.isfunction(each))
            and not str(each.__module__).startswith("keras")
        }


def load_hypermodel(source: Any) -> UserCode:
    """A hypermodel.

    Args:
        source: `module:name` of something that is imported, the current folder first,
            or `path/to/file.py:name`, the folder of the file (or of its outermost
            package) first; or an object: a `keras_tuner.HyperModel`, a class of them
            that needs no arguments, or a function `build(hp)`.

    Raises:
        SpecError: The source is no hypermodel, or the module cannot be imported.
    """
    if not isinstance(source, str):
        return UserCode(*_hypermodel(source, ""))
    module, found = _imported(source)
    with _running(Path.cwd()):
        name, made = _hypermodel(found, f"{module.__name__}:{source.split(':')[-1]}")
    return UserCode(name, made, root_of(module.__file__, module.__name__))


def root_of(file: str | None, module: str) -> Path | None:
    """The folder in which a module is found by its name."""
    if file is None:
        return None
    path = Path(file).resolve()
    return path.parents[module.count(".") + (path.name == "__init__.py")]


def _hypermodel(found: Any, name: str) -> tuple[str, keras_tuner.HyperModel]:
    if inspect.isclass(found) and issubclass(found, keras_tuner.HyperModel):
        try:
            found = found()
        except Exception as error:
            raise SpecError(
                f"{found.__name__}() cannot be made: "
                f"{reason_of(error)}{place_of(error)}."
            ) from error
    if isinstance(found, keras_tuner.HyperModel):
        return name or _name_of(type(found)), found
    if not callable(found) or inspect.isclass(found):
        raise SpecError(
            "A hypermodel is a keras_tuner.HyperModel or a function build(hp), but "
            f"{name or 'this'} is {found!r}."
        )
    made = keras_tuner.src.engine.hypermodel.get_hypermodel(found)
    return name or _name_of(found), made


def _imported(name: str) -> tuple[ModuleType, Any]:
    module_name, _, attribute = name.rpartition(":")
    if not (module_name and attribute):
        raise SpecError(
            f"A hypermodel is named MODULE:NAME, for example my_models:build, not "
            f"{name!r}."
        )
    module = _module(*_place(module_name))
    if not hasattr(module, attribute):
        known = [
            n for n, v in vars(module).items() if callable(v) and not n.startswith("_")
        ]
        raise SpecError(unknown_name(f"name in {module_name}", attribute, known))
    return module, getattr(module, attribute)


def _place(named: str) -> tuple[str, Path, Path | None]:
    """The name of a module, its folder, and its file if the user named a file."""
    if "/" not in named and not named.endswith(".py"):
        return named, Path.cwd(), None
    path = Path(named).expanduser().resolve()
    if not path.exists():
        path = path.with_name(f"{path.name}.py")
    if not path.exists():
        raise SpecError(f"There is no file {named}.")
    root, name = path.parent, path.stem
    while (root / "__init__.py").exists():
        root, name = root.parent, f"{root.name}.{name}"
    return name, root, path


def _module(name: str, folder: Path, path: Path | None) -> ModuleType:
    usual = sys.argv  # the command line is kscale's, and not the module's
    sys.argv = [f"{name.rpartition('.')[2]}.py"]
    try:
        with _running(folder, Path.cwd()):
            module = importlib.import_module(name)
    except Exception as error:  # a user's code may fail in any way
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise SpecError(
                f"There is no module {missing!r} in {folder} or among the installed "
                "packages."
            ) from error
        raise SpecError(
            f"{name} cannot be imported: {reason_of(error)}{place_of(error)}."
        ) from error
    finally:
        sys.argv = usual
    file = module.__file__
    if path is not None and path.is_file() and file and Path(file).resolve() != path:
        raise SpecError(
            f"{path} cannot be imported: {module.__name__} is {file} already. Rename "
            "the file."
        )
    return module


@contextmanager
def _running(*folders: Path | None) -> Iterator[None]:
    """The user's code runs: modules are looked for in some folders first."""
    added = [str(folder) for folder in folders if folder is not None]
    sys.path[:0] = added
    importlib.invalidate_caches()
    try:
        yield
    except SystemExit as error:
        ended = TrialError(f"it ended the program with sys.exit({error.code!r})")
        raise ended.with_traceback(error.__traceback__) from error
    finally:
        for each in added:
            if each in sys.path:
                sys.path.remove(each)


def _name_of(item: Any) -> str:
    called = item if hasattr(item, "__qualname__") else type(item)
    return f"{called.__module__}:{called.__qualname__}"


def place_of(error: BaseException | None) -> str:
    """Where a user's code failed: ` (my_models.py, line 7)`; empty if not known."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    for frame in reversed(frames):
        is_library = any(part in frame.filename for part in LIBRARIES)
        if not is_library and not frame.filename.startswith(_INSTALLED):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


@contextmanager
def known_objects(hypermodel: str | None) -> Iterator[None]:
    """A context in which Keras knows the classes and functions of a user's module.

    The module is that of `MODULE:NAME`; there is none where the name is None.
    """
    if hypermodel is None:
        yield
        return
    # Standard output is the result of a command; a user's code may print, too.
    with redirect_stdout(sys.stderr):
        code = load_hypermodel(hypermodel)
    known = keras.saving.get_custom_objects()
    before = dict(known)
    known.update(code.objects())
    try:
        with code.importable():
            yield
    finally:
        known.clear()
        known.update(before)
