"""The whole module of code: what the network is, its numbers, and its functions."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kscale.building.code.layout import assignment, expression, lines_of
from kscale.building.code.network import network_code
from kscale.building.code.training import Training
from kscale.building.code.words import (
    Words,
    constant_names,
    words_of_input,
    words_of_target,
)
from kscale.data.preprocessing import Preprocessing
from kscale.data.scaling import Scaling
from kscale.naming import layer_name
from kscale.networks.families import find_family
from kscale.networks.families.base import TRAINING_KNOBS, head_names
from kscale.runs.entries import Entry
from kscale.task.objectives import Objective, metric_name
from kscale.task.tasks import Task
from kscale.text import printable

_WIDTH = 88
_ELSEWHERE = ["depth", "width", *[knob.name for knob in TRAINING_KNOBS]]


@dataclass(frozen=True)
class Subject:
    """What the code is of.

    Args:
        entry: The network.
        task: What it was trained for.
        objective: What its score is.
        training: How it was trained.
        data: Name of the data.
        preprocessing: By input, from raw inputs to the network's.
        target_scaling: By real target, from the network's output to the user's unit.
    """

    entry: Entry
    task: Task
    objective: Objective
    training: Training
    data: str
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    target_scaling: Mapping[str, Scaling] = field(default_factory=dict)


def module_code(subject: Subject) -> str:
    """A Python module that makes a trained network anew, with Keras alone.

    `build_model` gives the network with new weights, `compile_model` what trains it.
    Texts of the data stand in strings only, so none of them is run.
    """
    task, spec = subject.task, subject.entry.spec
    words = _words(subject)
    start = (
        f"{_docstring(subject, words)}\n\nimport keras\nfrom keras import layers\n\n"
        f"{_constants(subject, words)}"
    )
    definitions = (
        *network_code(find_family(spec.family).blueprint(spec, task)),
        *subject.training.code(task),
    )
    return "\n\n\n".join((start, *definitions)) + "\n"


def _words(subject: Subject) -> list[Words]:
    inputs, targets = subject.task.inputs, subject.task.targets
    names = [item.name for item in inputs] + [item.name for item in targets]
    prefixes = constant_names(names)
    words = [
        words_of_input(item, subject.preprocessing.get(item.name), prefix)
        for item, prefix in zip(inputs, prefixes, strict=False)
    ]
    heads = [layer_name(name) for name in head_names(subject.task)]
    outputs = heads if len(targets) > 1 else [targets[0].name]
    words += [
        words_of_target(item, output, subject.target_scaling.get(item.name), prefix)
        for item, output, prefix in zip(
            targets, outputs, prefixes[len(inputs) :], strict=True
        )
    ]
    return words


def _docstring(subject: Subject, words: list[Words]) -> str:
    number = len(subject.task.inputs)
    inputs = " ".join(item.text for item in words[:number])
    outputs = " ".join(item.text for item in words[number:])
    by_name = ", by the names that `fit` takes targets by"
    several = by_name * (len(words) - number > 1)
    paragraphs = [
        _title(subject),
        f"{_knobs(subject)} {_score(subject)}",
        f"Inputs: {inputs}",
        f"Outputs{several}: {outputs}",
        subject.training.words,
        "Written by kscale. The weights are new; the trained ones are in the run.",
    ]
    texts = [_filled(_quotable(text.strip())) for text in paragraphs]
    return '"""' + "\n\n".join(texts) + '\n"""'


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _constants(subject: Subject, words: list[Words]) -> str:
    numbers: dict[str, Any] = {}
    for item in words:
        numbers |= item.constants
    numbers |= subject.training.constants(subject.task)
    return "\n".join(_constant(name, value) for name, value in numbers.items())


def _title(subject: Subject) -> str:
    spec, entry = subject.entry.spec, subject.entry
    shape = f" depth={spec.depth} width={spec.width}" if spec.width else ""
    return f"{spec.family}{shape}: {entry.params:,} parameters."


def _knobs(subject: Subject) -> str:
    knobs = ", ".join(
        f"{name}={printable(value)}"
        for name, value in subject.entry.spec.knobs
        if name not in _ELSEWHERE
    )
    return f"Knobs: {knobs}." if knobs else ""


def _score(subject: Subject) -> str:
    entry, objective = subject.entry, subject.objective
    factor, unit = (100, " %") if objective.is_share else (1, "")
    score, error = factor * entry.score, factor * entry.stderr
    seeds = len(entry.results)
    return (
        f"Its {metric_name(objective)} on the validation part of "
        f"{printable(subject.data)} was {score:.4g} ± {error:.2g}{unit}, the mean of "
        f"{seeds} {'training' if seeds == 1 else 'trainings'}."
    )


def _quotable(text: str) -> str:
    """Text that may stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"', "'")


def _constant(name: str, value: Any) -> str:
    return "\n".join(lines_of(assignment(name, expression(value))))
