"""The house: who may import whom, how long a file may be, and what stays light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reports.made_runs import digits_results, made_run

import kscale

HOUSE = Path(kscale.__file__).parent
FLOORS = {
    **dict.fromkeys(("errors", "units"), 0),
    **dict.fromkeys(
        ("task", "objectives", "blueprint", "pretrained", "layer_costs"), 1
    ),
    **dict.fromkeys(("naming", "predictions", "identity"), 1),
    **dict.fromkeys(("sizing", "budget", "augmentation"), 1),
    "families": 2,
    **dict.fromkeys(("results", "answers", "search"), 3),
    **dict.fromkeys(("reports", "counting"), 4),
    **dict.fromkeys(("backbones", "building", "data", "models"), 5),
    **dict.fromkeys(("preprocessing_layers", "codegen"), 5),
    **dict.fromkeys(("predicting", "export"), 6),
    **dict.fromkeys(("tuning", "run"), 7),
    **dict.fromkeys(("cli", "__main__"), 8),
}
HEAVY = {"tensorflow", "keras", "keras_tuner"}
FILES = sorted(HOUSE.rglob("*.py"))
LIGHT = [
    ["--help"],
    ["size", "vgg16"],
    ["size", "--max-params", "50k"],
    ["families"],
    ["board", "--help"],
    ["predict", "--help"],
    ["export", "--help"],
]


def imports_of(path: Path) -> set[str]:
    """Modules imported when a file is, without those for type checkers."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= submodules if node.module == "kscale" else {node.module}
    return names


def floor_of(path: Path) -> int:
    return FLOORS[path.relative_to(HOUSE).parts[0].removesuffix(".py")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_imports_point_down(path: Path) -> None:
    if path == HOUSE / "__init__.py":
        return
    names = imports_of(path)
    ours = {name.split(".")[1] for name in names if name.startswith("kscale.")}
    above = {name for name in ours & FLOORS.keys() if FLOORS[name] > floor_of(path)}
    assert not above
    if floor_of(path) < 5:
        assert not HEAVY & {name.split(".")[0] for name in names}
    if "tuning" not in path.relative_to(HOUSE).parts:
        assert "keras_tuner" not in {name.split(".")[0] for name in names}


def test_every_file_has_a_floor_and_at_most_400_lines() -> None:
    for path in FILES:
        assert path == HOUSE / "__init__.py" or floor_of(path) >= 0
        assert len(path.read_text().splitlines()) <= 400, path


def loaded_after(script: str) -> set[str]:
    """Top-level modules that a fresh process has loaded after a script."""
    script += "\nimport sys; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_kscale_is_light() -> None:
    assert not loaded_after("import kscale") & {*HEAVY, "numpy", "rich"}


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_commands_that_do_not_train_are_light(arguments: list[str]) -> None:
    assert_light(arguments)


def test_describing_data_is_light(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.eye(40), y=np.arange(40) % 2)
    assert_light(["data", str(tmp_path / "data.npz")])


def assert_light(arguments: list[str]) -> None:
    script = (
        "from kscale.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not loaded_after(script) & {*HEAVY, "matplotlib", "scipy", "sklearn"}


def test_the_code_of_a_run_is_light(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(made_run()))
    lines = "".join(result.to_line() for result in digits_results())
    (tmp_path / "results.jsonl").write_text(lines)
    arguments = ["report", str(tmp_path), "--code"]
    script = (
        "from kscale.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not loaded_after(script) & {*HEAVY, "matplotlib", "scipy", "sklearn"}
