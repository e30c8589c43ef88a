"""A user's code: imported by name, digested, and where it fails."""

import ast
import importlib
import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import keras_tuner

from kscale.errors import SpecError, TrialError, missing_path, reason_of, unknown_name

_LIBRARIES = (
    "site-packages",
    "dist-packages",
    "<frozen",
    f"{Path(__file__).parents[2]}/",
)


@dataclass(frozen=True)
class UserCode:
    """A hypermodel, its `module:name` and the folder of a module imported by name."""

    name: str
    hypermodel: keras_tuner.HyperModel
    folder: Path | None = None

    def importable(self) -> AbstractContextManager[None]:
        """A context in which modules in the folder are found, and an end of the program
        by the code is a `TrialError`."""
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

    def _source(self) -> Any:
        """The class or the function of the user."""
        kind = type(self.hypermodel)
        is_function = kind is keras_tuner.src.engine.hypermodel.DefaultHyperModel
        return inspect.unwrap(self.hypermodel.build) if is_function else kind

    def place(self) -> str:
        """Where the code builds, as `place_of` says it; empty if not known."""
        builder = getattr(self._source(), "build", self._source())
        code = getattr(inspect.unwrap(builder), "__code__", None)
        return f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""

    def digest(self) -> str:
        """A digest of the code of the hypermodel; empty if it has no source.

        Digested are its file and all modules in the same folder, or below it, that the
        file or one of these names in an `import`, at the top or inside a function.
        """
        item = self._source()
        try:
            file, module = inspect.getsourcefile(item), getattr(item, "__module__", "")
            if file is None or not Path(file).is_file():
                contents = [inspect.getsource(item).encode()]
            else:
                root = _root_of(file, module)
                new, found = {Path(file).resolve(), *_named(root, module)}, set[Path]()
                while new:
                    found |= new
                    new = {each for p in new for each in _imports(p, root)} - found
                contents = [path.read_bytes() for path in found]
        except (TypeError, OSError, IndexError):
            return ""
        return blake2b(b"\0".join(sorted(contents)), digest_size=8).hexdigest()


def load_hypermodel(source: Any) -> UserCode:
    """A hypermodel, or a `SpecError` that says why there is none.

    Args:
        source: `module:name` of something that is imported, the current folder first,
            or `path/to/file.py:name`, the folder of the file (or of its outermost
            package) first; or an object: a `keras_tuner.HyperModel`, a class of them
            that needs no arguments, or a function `build(hp)`.
    """
    if not isinstance(source, str):
        return UserCode(*_hypermodel(source, ""))
    module_name, _, attribute = source.rpartition(":")
    if not (module_name and attribute):
        raise SpecError(
            "A hypermodel is named MODULE:NAME, for example my_models:build, not "
            f"{source!r}."
        )
    module = _module(*_place(module_name))
    found = vars(module)
    if attribute not in found:
        known = [n for n, v in found.items() if callable(v) and not n.startswith("_")]
        raise SpecError(unknown_name(f"name in {module_name}", attribute, known))
    with _running(Path.cwd()):
        made = _hypermodel(found[attribute], f"{module.__name__}:{attribute}")
    file = module.__file__
    return UserCode(*made, _root_of(file, module.__name__) if file else None)


def _root_of(file: str, module: str) -> Path:
    """The folder in which a module is found by its name."""
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
    is_function = callable(found) and not inspect.isclass(found)
    if not isinstance(found, keras_tuner.HyperModel) and not is_function:
        raise SpecError(
            "A hypermodel is a keras_tuner.HyperModel or a function build(hp), but "
            f"{name or 'this'} is {found!r}."
        )
    called = found if hasattr(found, "__qualname__") else type(found)
    made = keras_tuner.src.engine.hypermodel.get_hypermodel(found)
    return name or f"{called.__module__}:{called.__qualname__}", made


def _place(named: str) -> tuple[str, Path, Path | None]:
    """The name of a module, its folder, and its file if the user named a file."""
    if "/" not in named and not named.endswith(".py"):
        return named, Path.cwd(), None
    path = Path(named).expanduser().resolve()
    if not path.exists():
        path = path.with_name(f"{path.name}.py")
    if not path.exists():
        raise SpecError(missing_path(named))
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
        ended = TrialError(f"the code ended the program with sys.exit({error.code!r})")
        raise ended.with_traceback(error.__traceback__) from error
    finally:
        for each in added:
            if each in sys.path:
                sys.path.remove(each)


def place_of(error: BaseException | None) -> str:
    """Where a user's code failed: ` (my_models.py, line 7)`; empty if not known."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    for file, line, *_ in reversed(frames):
        if not _is_library(file) and not file.startswith(sys.base_prefix):
            return f" ({file}, line {line})"
    return ""


@contextmanager
def known_objects(hypermodel: str | None) -> Iterator[None]:
    """A context in which Keras knows what the module of a `MODULE:NAME` defines."""
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


def _is_library(file: str) -> bool:
    return any(part in file for part in _LIBRARIES)


def _imports(file: Path, root: Path) -> Iterator[Path]:
    """Files of the user that a file imports."""
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _named(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[node.level - 1] if node.level else root
            for alias in node.names:
                yield from _named(base, f"{node.module or ''}.{alias.name}")


def _named(folder: Path, name: str) -> Iterator[Path]:
    """Files of the user that importing a name executes."""
    files = [folder / "__init__.py"]
    for part in filter(None, name.split(".")):
        files.append(folder / f"{part}.py")
        folder /= part
        files.append(folder / "__init__.py")
    for file in files:
        if file.is_file() and not _is_library(str(file)):
            yield file.resolve()
