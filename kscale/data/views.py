"""Views of a data set: the same examples in smaller sizes, for some networks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import MadeRows, Rows, is_in_memory, lazy_rows, row_bytes
from kscale.data.memory import held, most_bytes
from kscale.data.parts import Part, PartName
from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.preprocessing.base import Preprocessing
from kscale.errors import ResultsError
from kscale.networks.families import view_of_spec
from kscale.networks.families.base import Spec
from kscale.task.tasks import Input, Task

View = Mapping[str, int]


def read_once(part: Part) -> Part:
    """A part whose raw rows, where they are read from files, are read once, if at all:
    into memory while they fit in half of what is free, to disk otherwise."""
    is_held = all(map(is_in_memory, part.inputs.values()))

    def again(rows: Rows) -> Rows:
        needed = len(rows) * row_bytes(rows)
        return held(rows, True, is_held and needed <= most_bytes(None))

    raw = {
        name: lazy_rows(partial(again, rows), rows.shape, rows.dtype)
        if isinstance(rows, MadeRows)
        else rows
        for name, rows in part.raw.items()
    }
    return replace(part, raw=raw)


def fitted_to(
    seen: Sequence[Any], view: View, train: Part, made: Mapping[str, Preprocessing]
) -> dict[str, Preprocessing]:
    """The preprocessing of some inputs or targets for a view, fitted on the training
    part, from the preprocessing of the full data."""
    return {
        item.name: made[item.name].variant(item, view, train.raw)
        for item in seen
        if item.name in made
    }


def labels_of(
    labelling: Mapping[str, Preprocessing], raw: Mapping[str, Rows]
) -> dict[str, NDArray[Any]]:
    """Labels by target, made of raw examples by name."""
    return {
        target: each.apply({it.name: raw[it.name][:] for it in each.raw_inputs})
        for target, each in labelling.items()
    }


def parts_in(
    task: Task,
    parts: Mapping[PartName, Part],
    preprocessing: Mapping[str, Preprocessing],
    labelling: Mapping[str, Preprocessing],
) -> dict[PartName, Part]:
    """Parts with the inputs of a view in place of those with all that there is to see:
    in memory while they fit in half of what is free, on disk otherwise.

    Args:
        task: As networks of the view have it.
        parts: The parts with all inputs.
        preprocessing: What makes the inputs of the view.
        labelling: What makes labels of the view, of targets of raw texts.
    """
    numbers = sum(int(np.prod(item.shape)) for item in task.inputs)
    # In float32, here and on the device.
    needed = 2 * 4 * numbers * sum(map(len, parts.values()))
    fits = needed <= most_bytes(None)

    def made(item: Input, part: Part) -> Rows:
        given = part.inputs[item.name]
        rows = preprocessing[item.name].rows(item, given, part.raw)
        return held(rows, True, fits and is_in_memory(given))

    def seen(part: Part) -> Part:
        inputs = {item.name: made(item, part) for item in task.inputs}
        if not labelling:
            return replace(part, inputs=inputs)
        targets = {**part.targets, **labels_of(labelling, part.raw)}
        return replace(part, inputs=inputs, targets=targets)

    return {name: seen(part) for name, part in parts.items()}


def recorded_preprocessing(
    description: Mapping[str, Any], spec: Spec
) -> dict[str, Preprocessing]:
    """The preprocessing of a spec that run.json describes.

    Raises:
        ResultsError: No network that was trained had this view of the data.
    """
    view = view_of_spec(spec, Task.from_json(description["task"]))
    whole = {"view": {}, "preprocessing": description.get("preprocessing", {})}
    for each in (whole, *description.get("views", ())):
        if each["view"] == view:
            return preprocessings_from_json(each["preprocessing"])
    shown = ", ".join(f"{name}={value}" for name, value in view.items())
    raise ResultsError(f"run.json has no preprocessing for {shown}; search again.")
