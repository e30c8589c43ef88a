"""TensorFlow's SavedModel: a folder that TensorFlow Serving and others open.

Names of a signature have letters, digits and underscores only: every other character of
a Keras name becomes an underscore. The Keras name of each is written beside the model,
in `assets.extra/kscale.json`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from kscale.building.code.layout import identifier
from kscale.naming import input_names
from kscale.ship.formats.base import Format
from kscale.ship.prediction import Answer
from kscale.task.tasks import Task

if TYPE_CHECKING:
    import keras

NAMES_FILE = "assets.extra/kscale.json"  # a folder that TensorFlow leaves to others


def signature_names(names: Iterable[str]) -> dict[str, str]:
    """Names that a signature may have, by the names of a model; no two are the same.

    Example:

    >>> signature_names(["age", "hours-per-week", "hours per week", "1st"])
    {'age': 'age', 'hours-per-week': 'hours_per_week', 'hours per week': \
'hours_per_week_2', '1st': 'x_1st'}
    """
    found: dict[str, str] = {}
    taken = {"self"}  # which runtimes take themselves
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        found[name] = identifier(plain or "x", taken)
    return found


Decode = Callable[[Mapping[str, Any]], Any]
"""Ids of a text for ids by input; a graph of tensors."""


def write(
    model: "keras.Model",
    task: Task,
    path: Path,
    batch: int | None = None,
    decode: Decode | None = None,
) -> None:
    """Write a signature `serve` with inputs and outputs by name, be it only one.

    Args:
        model: A model of raw inputs.
        task: What the model predicts.
        path: The folder.
        batch: Examples of each call; any number without.
        decode: For models that write texts, what becomes a signature `decode`; its
            weights are those of the model.
    """
    import keras  # seconds; the table of formats is read without it

    tensors = {tensor.name: tensor for tensor in model.inputs}
    inputs = signature_names(tensors)
    target = task.targets[0].name  # the only one, if the output is no dict
    outputs = signature_names(
        model.output if isinstance(model.output, dict) else [target]
    )

    def serve(named: Any) -> dict[str, Any]:
        raw = {name: named[inputs[name]] for name in tensors}
        takes_names = isinstance(model.input, dict)
        given = model(raw if takes_names else raw[model.input.name], training=False)
        given = given if isinstance(given, dict) else {target: given}
        return {outputs[name]: tensor for name, tensor in given.items()}

    archive = keras.export.ExportArchive()
    archive.track(model)
    signature = {
        inputs[name]: keras.InputSpec(
            tensor.dtype, (batch, *tensor.shape[1:]), name=inputs[name]
        )
        for name, tensor in tensors.items()
    }
    archive.add_endpoint("serve", serve, [signature])
    if decode is not None:
        archive.add_endpoint("decode", *_decoding(decode, task, inputs, outputs))
    archive.write_out(path, verbose=False)
    named = [target for target in task.targets if target.head.is_named]
    classes = {target.name: target.class_names for target in named}
    about = {"inputs": inputs, "outputs": outputs, "classes": classes}
    (path / NAMES_FILE).parent.mkdir()
    (path / NAMES_FILE).write_text(json.dumps(about, indent=2) + "\n")


def _decoding(
    decode: Decode, task: Task, inputs: Mapping[str, str], outputs: Mapping[str, str]
) -> tuple[Callable[[Any], Any], list[Any]]:
    """What decodes by names of the signature, and what that takes."""
    import keras

    places = input_names(item.name for item in task.inputs)
    plain = {item.name: inputs[places[item.name]] for item in task.given_inputs}

    def decoded(named: Any) -> dict[str, Any]:
        ids = decode({name: named[key] for name, key in plain.items()})
        return {outputs[task.targets[0].name]: ids}

    takes = {
        key: keras.InputSpec("int32", (None, None), name=key) for key in plain.values()
    }
    return decoded, [takes]


def decode_of(path: Path, task: Task) -> Decode:
    """What the signature `decode` of a folder gives, for ids by input."""
    import keras

    names = json.loads((path / NAMES_FILE).read_text())
    served = keras.layers.TFSMLayer(path, call_endpoint="decode")

    def decode(ids: Mapping[str, Any]) -> Any:
        places = input_names(item.name for item in task.inputs)
        given = {names["inputs"][places[name]]: rows for name, rows in ids.items()}
        return served(given)[names["outputs"][task.targets[0].name]]

    return decode


def _answer(path: Path, task: Task) -> Answer:
    import keras

    names = json.loads((path / NAMES_FILE).read_text())
    served = keras.layers.TFSMLayer(path, call_endpoint="serve")

    def answer(raw: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        places = input_names(raw)
        tensors = {
            names["inputs"][places[name]]: keras.ops.convert_to_tensor(
                array.tolist() if array.dtype.kind in "OTU" else array
            )
            for name, array in raw.items()
        }
        given = served(tensors)
        return {t.name: given[names["outputs"][t.name]].numpy() for t in task.targets}

    return answer


FORMAT = Format(
    "-saved-model",
    lambda path: (path / NAMES_FILE).is_file(),
    write,
    answer=_answer,
    decodes=decode_of,
)
