"""The whole module of code: what the network is, its numbers, and its functions."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

from kscale.building.code.compile_code import TrainingSettings, compile_code
from kscale.building.code.layout import statement
from kscale.building.code.network import network_code
from kscale.building.code.words import Words, words_of_task
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import Scaling
from kscale.networks.families import find_family
from kscale.networks.families.base import TRAINING_KNOBS, Spec
from kscale.task.tasks import Task
from kscale.text import printable

_WIDTH = 88
_ELSEWHERE = ["depth", "width", *[knob.name for knob in TRAINING_KNOBS]]


@dataclass(frozen=True)
class Subject:
    """What the code is of.

    Args:
        spec: The network.
        task: What the network was trained for.
        params: Its parameters.
        result: What the network reached, in one sentence.
        settings: How the network was trained.
        preprocessing: By input, from raw inputs to the network's.
        target_scaling: By real target, from the network's output to the user's unit.
    """

    spec: Spec
    task: Task
    params: int
    result: str
    settings: TrainingSettings
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    target_scaling: Mapping[str, Scaling] = field(default_factory=dict)


def module_code(subject: Subject) -> str:
    """A Python module that makes a trained network anew, with nothing but Keras.

    `build_model` gives the network with new weights, `compile_model` what trains it.
    Texts of the data stand in strings only, so none of them is run.
    """
    task, spec = subject.task, subject.spec
    inputs, outputs = words_of_task(task, subject.preprocessing, subject.target_scaling)
    constants, compiling = compile_code(subject.settings, task)
    for item in (*outputs[::-1], *inputs[::-1]):
        constants = {**item.constants, **constants}
    start = (
        f"{_docstring(subject, inputs, outputs)}\n\n"
        "import keras\nfrom keras import layers\n",
        *(
            line
            for name, it in constants.items()
            for line in statement(f"{name} = ", it)
        ),
    )
    definitions = (
        "\n".join(start),
        *network_code(find_family(spec.family).blueprint(spec, task)),
        *compiling,
    )
    return "\n\n\n".join(definitions) + "\n"


def _docstring(subject: Subject, inputs: list[Words], outputs: list[Words]) -> str:
    spec = subject.spec
    shape = f" depth={spec.depth} width={spec.width}" if spec.width else ""
    several = ", by the names that `fit` takes targets by" if len(outputs) > 1 else ""
    paragraphs = [
        f"{spec.family}{shape}: {subject.params:,} parameters.",
        f"{_knobs(spec)} {subject.result}",
        f"Inputs: {' '.join(item.text for item in inputs)}",
        f"Outputs{several}: {' '.join(item.text for item in outputs)}",
        subject.settings.sentence,
        "Written by kscale. The weights are new; the trained ones are in the run.",
    ]
    # Neither may end the docstring.
    texts = [it.strip().replace("\\", "\\\\").replace('"', "'") for it in paragraphs]
    wrapper = textwrap.TextWrapper(
        _WIDTH, break_long_words=False, break_on_hyphens=False
    )
    return '"""' + "\n\n".join(map(wrapper.fill, texts)) + '\n"""'


def _knobs(spec: Spec) -> str:
    knobs = ", ".join(
        f"{name}={printable(value)}"
        for name, value in spec.knobs
        if name not in _ELSEWHERE
    )
    return f"Knobs: {knobs}." if knobs else ""
