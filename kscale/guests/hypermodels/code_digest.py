"""A digest of the files that a user's models are written in."""

import ast
import inspect
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import keras_tuner

from kscale.guests.hypermodels.user_code import HERE, LIBRARIES, root_of


def digest_of(hypermodel: keras_tuner.HyperModel) -> str:
    """A digest of the code of a hypermodel; empty if it has no source.

    Digested are the file of the hypermodel and all modules in the same folder, or below
    it, that the file imports, and those that these import: at the top or inside a
    function, but only where `import` names them. Installed packages do not count.
    """
    item: Any = type(hypermodel)
    if item is keras_tuner.src.engine.hypermodel.DefaultHyperModel:
        item = inspect.unwrap(getattr(hypermodel, "_build", hypermodel.build))
        item = getattr(hypermodel, "build", item)
    contents = sorted(_sources_of(item))
    return blake2b(b"\0".join(contents), digest_size=8).hexdigest() if contents else ""


def _sources_of(item: Any) -> list[bytes]:
    try:
        file = inspect.getsourcefile(item)
        if file is None or not Path(file).is_file():
            return [inspect.getsource(item).encode()]
        path = Path(file).resolve()
        root = root_of(file, getattr(item, "__module__", "")) or path.parent
        packages = _modules(root, getattr(item, "__module__", ""))
        return [each.read_bytes() for each in _files_of({path, *packages}, root)]
    except (TypeError, OSError, IndexError):
        return []


def _files_of(waiting: set[Path], root: Path) -> set[Path]:
    """Files, and all files of a folder that they import."""
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        waiting |= set(_imports_of(path, root)) - found
    return found


def _imports_of(file: Path, root: Path) -> Iterator[Path]:
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[node.level - 1] if node.level else root
            for alias in node.names:
                yield from _modules(base, f"{node.module or ''}.{alias.name}")


def _modules(base: Path, name: str) -> Iterator[Path]:
    """Files of the user that importing a name executes."""
    folder = base
    for part in filter(None, name.split(".")):
        yield from _user_file(folder / "__init__.py")
        folder /= part
        yield from _user_file(folder.with_name(f"{part}.py"))
    yield from _user_file(folder / "__init__.py")


def _user_file(path: Path) -> list[Path]:
    is_library = any(part in str(path) for part in (*LIBRARIES, f"{HERE}/"))
    return [path.resolve()] if path.is_file() and not is_library else []
