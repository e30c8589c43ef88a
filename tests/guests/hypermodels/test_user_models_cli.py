"""A user's own models from a file, on the command line."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tuning.made_data import digits

from kscale import Run
from kscale.cli import main
from kscale.guests.hypermodels.user_code import load_hypermodel
from kscale.guests.hypermodels.user_outputs import UserOutputs
from kscale.guests.hypermodels.user_trainer import save_user_model

MODULE = """
import keras
import keras_tuner
from parts_of_a_test.shapes import SHAPE


class Models(keras_tuner.HyperModel):
  def build(self, hp):
    print("building")
    from parts_of_a_test.late import flat
    model = keras.Sequential([
        keras.Input(SHAPE),
        flat(),
        keras.layers.Dense(hp.Int("units", 4, 64), activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model

  def fit(self, hp, model, *args, **kwargs):
    import later_of_a_test
    assert kwargs["callbacks"]
    return model.fit(*args, **kwargs)
"""
PARTS = {
    "models_of_a_test.py": MODULE,
    "later_of_a_test.py": "",
    "parts_of_a_test/__init__.py": "",
    "parts_of_a_test/shapes.py": "SHAPE = (8, 8, 1)",
    "parts_of_a_test/late.py": "from keras.layers import Flatten as flat",
}


def test_a_search_of_a_file_prints_its_answer_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parts_of_a_test").mkdir()
    for name, content in PARTS.items():
        Path(name).write_text(content)
    before = list(sys.path)
    arguments = (
        "tune --hypermodel models_of_a_test:Models --width-knob units --trials 2"
    )
    arguments += " --max-params 2000 --epochs 1 --finalist-seeds 0 --run run --json"
    done = CliRunner().invoke(main, arguments.split())
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    own = [row for row in rows if row["family"] == "models_of_a_test:Models"]
    assert len(own) == 2
    assert all(row["params"] == 75 * row["width"] + 10 <= 2000 for row in own)
    assert "Searching models_of_a_test:Models: 2 of " in done.stderr
    assert sys.path == before
    for name, content in PARTS.items():
        Path(name).write_text(f"{content}\n# changed\n")
        changed = CliRunner().invoke(main, arguments.split())
        assert changed.exit_code == 1, name
        assert "run holds another search: your code changed since." in changed.stderr
        Path(name).write_text(content)
    assert not CliRunner().invoke(main, arguments.split()).exit_code


MODEL = """
from keras import Input, Sequential, layers
def build(hp):
    return Sequential([Input((8, 8, 1)), layers.Flatten(), layers.Dense(10)])
"""


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("x = 1 / 0", "cannot be imported: ZeroDivisionError: division by zero ("),
        ("import nowhere_at_all", "cannot be imported: ModuleNotFoundError"),
        ("def build(hp):\n    raise ValueError(hp)", "build made no model in 20 draws"),
        ("import sys\nsys.exit()", "the code ended the program with sys.exit(None) ("),
        ("import argparse\nargparse.ArgumentParser().parse_args()\n1 / 0", "division"),
        ("def build(hp):\n    raise SystemExit(3)", "with sys.exit(3) ("),
        (MODEL.replace("10", "7"), "gives 7 outputs, but label has 10 classes ("),
        (MODEL.replace("8, 8", "9, 8"), "takes 9 x 8 x 1, but the data has 8 x 8"),
        ("build = 3", "is a keras_tuner.HyperModel or a function build(hp), but"),
    ],
)
def test_code_that_fails_is_one_line_with_its_place(
    code: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"failing_{abs(hash(code))}"
    Path(f"{name}.py").write_text(code)
    arguments = ["tune", "--hypermodel", f"{name}:build", "--max-params", "2000", "-q"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert text in done.stderr
    if "build = 3" not in code:
        assert f"{name}.py, line" in done.stderr


LAYER = """
import keras


class Third(keras.layers.Layer):
    def call(self, x):
        return x / 3


def build(hp):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), Third()]
    return keras.Sequential([*layers, keras.layers.Dense(10)])


print("imported")
"""


def test_a_model_of_own_layers_opens_with_their_code(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("layer_of_a_test.py").write_text(LAYER)
    np.save("one.npy", np.zeros((1, 8, 8, 1)))
    Path("run/models").mkdir(parents=True)
    for name in ("run.json", "results.jsonl"):
        shutil.copy(tiny_run.folder / name, "run")
    data, code = digits(), load_hypermodel("layer_of_a_test:build")
    model = code.hypermodel.build(None)
    heads = UserOutputs.of(model, model.outputs[0], data.task)
    note = save_user_model(model, heads, data, Path("run/models/best.keras"))
    assert "best.keras has Third, code of your own: give kscale predict" in note
    for command in ("predict run one.npy --model best", "export run --model best"):
        done = CliRunner().invoke(main, command.split())
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, f"Error: {note}")
        asked = [*command.split(), "--hypermodel", "./layer_of_a_test.py:build"]
        done = CliRunner().invoke(main, asked)
        assert done.exit_code == 0, done.output
        assert "imported" not in done.stdout
    opened = Run("run").load_model("best", custom_objects=code.objects())
    assert opened.count_params() == 650
