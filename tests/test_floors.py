"""The house: who may import whom, and what stays light.

`FLOORS` lists the rooms from the ground up. A module imports from its own room and from
rooms below it, wherever the import stands; no modules import each other in a circle.
"""

import ast
import json
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
from reports.made_runs import digits_results, made_run

import kscale
from kscale.runs.records import to_line

HOUSE = Path(kscale.__file__).parent
FLOORS: dict[str, int] = {
    room: floor
    for floor, rooms in enumerate(
        (
            ("errors", "units", "naming", "text"),
            ("task",),
            ("networks",),
            ("runs",),
            ("search",),
            ("data",),
            ("building",),
            ("engine",),
            ("ship",),
            ("reports",),
            ("tuning",),
            ("guests",),
            ("run",),
            ("searches",),
            ("",),  # kscale/__init__.py
            ("cli",),
            ("__main__",),
        )
    )
    for room in rooms
}
HEAVY = {"tensorflow", "keras", "keras_tuner"}
IMPORT_KERAS = {"data", "building", "engine", "ship", "tuning", "guests", "run"}
MAY_IMPORT = {
    "keras": IMPORT_KERAS,
    "tensorflow": {"engine", "guests"},
    "keras_tuner": {"tuning", "guests"},
    "tensorboard": {"reports"},
    "ray": {"tuning"},
}
"""Rooms that import a heavy library; everything else does without it."""

MODULES = {
    ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted(HOUSE.rglob("*.py"))
}
LIGHT = [
    ["size", "vgg16"],
    ["size", "--max-params", "50k"],
    ["families"],
    ["board", "--help"],
    ["predict", "--help"],
    ["export", "--help"],
    ["compress", "--help"],
]


@cache
def imports_of(module: str) -> frozenset[str]:
    """Modules that a module imports, in functions and for type checkers as well."""
    return imports_in(MODULES[module].read_text())


def imports_in(source: str) -> frozenset[str]:
    """Modules that some code imports, by a statement or by a call with their name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError("a relative import, which no other check would see")
        elif isinstance(node, ast.Call) and node.args:
            called, named = ast.unparse(node.func), node.args[0]
            is_import = called.rpartition(".")[2] in ("import_module", "__import__")
            if is_import and isinstance(named, ast.Constant):
                names.add(str(named.value))
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in MODULES else node.module)
    return frozenset(names)


def room_of(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def ours(module: str) -> set[str]:
    return {name for name in imports_of(module) if name in MODULES}


def run_by(module: str) -> set[str]:
    """Modules that an import of a module runs: those that the module imports, and the
    packages that these lie in."""
    found = ours(module)
    for name in ours(module):
        while (name := name.rpartition(".")[0]) and not f"{module}.".startswith(
            f"{name}."
        ):
            found.add(name)
    return found


def test_imports_are_seen_however_they_are_written() -> None:
    calls = "import_module('kscale.run'), importlib.import_module('a.b'), "
    assert imports_in(f"{calls}__import__('c')") == {"kscale.run", "a.b", "c"}
    assert imports_in("def f():\n  import a\n  from b import c") == {"a", "b"}
    with pytest.raises(AssertionError, match="relative"):
        imports_in("from .tuning import driver")


def test_every_module_is_in_a_room() -> None:
    assert {room_of(module) for module in MODULES} == FLOORS.keys()


def test_no_import_goes_up() -> None:
    up = {
        f"{module} -> {name}"
        for module in MODULES
        for name in ours(module)
        if FLOORS[room_of(name)] > FLOORS[room_of(module)]
    }
    assert not up, sorted(up)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module: run_by(module) for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


@pytest.mark.parametrize("library", MAY_IMPORT)
def test_heavy_libraries_are_imported_in_their_rooms(library: str) -> None:
    rooms = {
        room_of(module)
        for module in MODULES
        if library in {name.partition(".")[0] for name in imports_of(module)}
    }
    assert rooms == MAY_IMPORT[library]


def loaded_after(script: str) -> set[str]:
    """Top-level modules that a fresh process has loaded after a script."""
    script += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_kscale_is_light() -> None:
    assert not loaded_after("import kscale") & {*HEAVY, "numpy", "rich"}


def test_listing_the_commands_imports_none() -> None:
    assert not loaded_after(script_of(["--help"])) & {*HEAVY, "numpy", "rich"}


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_commands_that_do_not_train_are_light(arguments: list[str]) -> None:
    assert_light(arguments)


@pytest.mark.parametrize("name", ["data.npz", "data.csv"])
def test_describing_data_is_light(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.eye(40), y=np.arange(40) % 2)
    rows = "".join(f"{row % 7},{row % 2}\n" for row in range(40))
    (tmp_path / "data.csv").write_text(f"x,y\n{rows}")
    assert_light(["data", str(tmp_path / name)], "PIL")


def test_a_search_without_a_network_that_fits_is_refused_light(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where no past runs tell what trainings cost
    np.savez(tmp_path / "data.npz", x=np.eye(40), y=np.arange(40) % 2)
    data = str(tmp_path / "data.npz")
    assert_light(["tune", "--data", data, "--max-params", "3"], status=1)
    assert_light(["plan", "--data", data, "--max-params", "500", "--no-measure"])


def script_of(arguments: list[str], status: int = 0) -> str:
    """A script that runs a command, which must end with an exit code."""
    return (
        "from kscale.cli import main\n"
        f"try: main({arguments!r})\n"
        f"except SystemExit as end: assert end.code == {status}"
    )


def assert_light(arguments: list[str], *others: str, status: int = 0) -> None:
    loaded = loaded_after(script_of(arguments, status))
    assert not loaded & {*HEAVY, "matplotlib", "scipy", "sklearn", *others}


def test_a_forecast_is_light(tmp_path: Path) -> None:
    rows = "".join(f"{10**n},{0.5**n}\n" for n in range(2, 7))
    (tmp_path / "points.csv").write_text(f"params,loss\n{rows}")
    assert_light(["forecast", str(tmp_path / "points.csv"), "--double"], "pandas")


def test_the_code_of_a_run_is_light(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(made_run()))
    lines = "".join(map(to_line, digits_results()))
    (tmp_path / "results.jsonl").write_text(lines)
    assert_light(["report", str(tmp_path), "--code"])
