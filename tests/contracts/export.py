"""What every export format promises, as checks to run over the table of formats."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from warm_python import WarmPython

TOLERANCE = 1e-5
"""Largest difference of a probability, and of a value for each unit of its size."""

# Opens models as a stranger does, and writes what they give.
_STRANGER = """
import json, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "kscale":
            raise ImportError("kscale is not installed here")
sys.meta_path.insert(0, Missing())
import keras, numpy as np, tensorflow as tf
def of_keras(path, raw):
    model = keras.saving.load_model(path)
    tensors = {name: tf.constant(rows) for name, rows in raw.items()}
    return model(tensors if len(tensors) > 1 else next(iter(tensors.values())))
def of_saved_model(path, raw):
    names = json.load(open(path + "/assets.extra/kscale.json"))
    served = tf.saved_model.load(path).signatures["serving_default"]
    raw = {names["inputs"][name]: tf.constant(rows) for name, rows in raw.items()}
    given = served(**raw)
    return {name: given[plain] for name, plain in names["outputs"].items()}
READERS = {"keras": of_keras, "saved-model": of_saved_model}
def plain(array):
    return [str(x, "utf-8") for x in array] if array.dtype == object else array.tolist()
found = []
for form, path, raw in json.load(open(sys.argv[1])):
    given = READERS[form](path, raw)
    given = given if isinstance(given, dict) else {"": given}
    found.append({name: plain(tensor.numpy()) for name, tensor in given.items()})
assert "kscale" not in sys.modules
json.dump(found, open(sys.argv[2], "w"))
"""


@dataclass(frozen=True)
class Exported:
    """An exported model under test.

    Args:
        form: Name of its format.
        path: Where it is.
        raw: Inputs by name, as lists.
        wanted: What Keras gave for them, by output; text for names of classes.
    """

    form: str
    path: Path
    raw: Mapping[str, list[Any]]
    wanted: Mapping[str, NDArray[Any]]


Found = Mapping[str, list[Any]]
Check = Callable[[Exported, Found], None]


def open_as_stranger(
    exported: list[Exported], folder: Path, warm_python: WarmPython
) -> list[Found]:
    """What exported models give in another process, which cannot import kscale."""
    asked, answers = folder / "asked.json", folder / "answers.json"
    asked.write_text(
        json.dumps([[item.form, str(item.path), item.raw] for item in exported])
    )
    done = warm_python.run(_STRANGER, asked, answers, folder=folder)
    assert done.returncode == 0, done.stderr
    found: list[Found] = json.loads(answers.read_text())
    return found


def check_outputs_are_those_of_keras(item: Exported, found: Found) -> None:
    for name, wanted in item.wanted.items():
        given = found[name] if name in found else found[""]
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(given, wanted, rtol=TOLERANCE, atol=TOLERANCE)


def check_class_names_are_inside(item: Exported, found: Found) -> None:
    for name, wanted in item.wanted.items():
        if wanted.dtype.kind != "f":
            assert found[name] == wanted.tolist()


def check_every_output_has_its_name(item: Exported, found: Found) -> None:
    alone = len(item.wanted) == 1 and item.form == "keras"
    assert found.keys() == ({""} if alone else item.wanted.keys())


CHECKS: list[Check] = [
    check_outputs_are_those_of_keras,
    check_class_names_are_inside,
    check_every_output_has_its_name,
]
