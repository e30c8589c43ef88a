"""The whole module of code: what the network is, its numbers, and its functions."""

import textwrap
from collections.abc import Mapping
from typing import Any

from kscale.building.code.compile_code import TrainingSettings, compile_code
from kscale.building.code.layout import statement
from kscale.building.code.network import network_code
from kscale.building.code.words import words_of_task
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaling
from kscale.networks.families import find_family
from kscale.networks.families.base import TRAINING_KNOBS, Spec
from kscale.networks.sizing import size_of
from kscale.task.tasks import Task
from kscale.text import printable

_WIDTH = 88
_ELSEWHERE = ["depth", "width", *[knob.name for knob in TRAINING_KNOBS]]


def module_code(
    spec: Spec,
    task: Task,
    result: str,
    settings: TrainingSettings,
    preprocessing: Mapping[str, Preprocessing],
    target_scaling: Mapping[str, Scaling],
) -> str:
    """A Python module that makes a trained network anew, with nothing but Keras.

    `build_model` gives the network with new weights, `compile_model` what trains it.
    Texts of the data stand in strings only, so none of them is run.

    Args:
        spec: The network.
        task: What the network was trained for.
        result: What the network reached, in one sentence.
        settings: How the network was trained.
        preprocessing: By input, from raw inputs to the network's.
        target_scaling: By real target, from the network's output to the user's unit.
    """
    constants: dict[str, Any] = {}
    blueprint = find_family(spec.family).blueprint(spec, task)
    words = words_of_task(task, preprocessing, target_scaling, constants)
    numbers, compiling = compile_code(settings, task)
    start = [
        _docstring(spec, size_of(blueprint).params, result, settings, *words),
        "",
        "import keras\nfrom keras import layers\n",
    ]
    for name, value in {**constants, **numbers}.items():
        start += statement(f"{name} = ", value)
    definitions = ("\n".join(start), *network_code(blueprint), *compiling)
    return "\n\n\n".join(definitions) + "\n"


def _docstring(
    spec: Spec,
    params: int,
    result: str,
    settings: TrainingSettings,
    inputs: list[str],
    outputs: list[str],
) -> str:
    shape = f" depth={spec.depth} width={spec.width}" if spec.width else ""
    knobs = ", ".join(
        f"{name}={printable(value)}"
        for name, value in spec.knobs
        if name not in _ELSEWHERE
    )
    several = ", by the names that `fit` takes targets by" if len(outputs) > 1 else ""
    paragraphs = [
        f"{spec.family}{shape}: {params:,} parameters.",
        f"{f'Knobs: {knobs}. ' * bool(knobs)}{result}",
        f"Inputs: {' '.join(inputs)}",
        f"Outputs{several}: {' '.join(outputs)}",
        settings.sentence,
        "Written by kscale. The weights are new; the trained ones are in the run.",
    ]
    # Neither may end the docstring.
    texts = [it.replace("\\", "\\\\").replace('"', "'") for it in paragraphs]
    wrapper = textwrap.TextWrapper(
        _WIDTH, break_long_words=False, break_on_hyphens=False
    )
    return '"""' + "\n\n".join(map(wrapper.fill, texts)) + '\n"""'
