"""What a search improves: a metric of a name, for one target or several."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kscale.errors import DataError, unknown_name
from kscale.naming import letters_of
from kscale.task.heads import HEADS
from kscale.task.heads.base import Objective as Objective
from kscale.task.tasks import Target, Task

_MEAN = Objective("mean", higher_is_better=True)


def find_objective(name: str | None, target: Target) -> Objective:
    """The objective of a name for a target; without a name the target's usual metric.

    Names are those of `keras.metrics`, as `snake_case` or as class names, and the usual
    short ones (`f1`, `rmse`, `mae`, `auc`). With more than two classes, `recall`,
    `precision`, `f1_score` and `auc` are means over the classes (macro).

    Example:

    >>> find_objective("rmse", Target("y", "real", 1)).name
    'root_mean_squared_error'
    """
    known = target.head.objectives
    wanted = str(name or target.head.metric)
    names = {
        letters_of(each): item
        for item in known.values()
        for each in (*item.aliases, item.name)
    }
    found = names.get(letters_of(wanted))
    if found is None:
        short = (a for o in known.values() for a in o.aliases if len(a) < len(o.name))
        title = f"metric for {target.head.title}"
        raise DataError(unknown_name(title, wanted, {*known, *short}))
    if found.is_decoded:
        raise DataError(
            f"{metric_name(found)} is of decoded texts, which only finalists and "
            f"answers are: search by {target.head.metric}, and read it in the report."
        )
    if target.outputs < found.least_outputs:
        raise DataError(
            f"{found.name} needs more than {found.least_outputs - 1} "
            f"{target.head.nouns[1]}, but there are {target.outputs}."
        )
    return found


def task_objective(name: str | None, task: Task) -> Objective:
    """The objective of a task: of a single target, or the mean over several.

    With several targets a metric must be known for all of them. Without a name, and
    for `mean`, each target has its head's `mean_metric`, as the accuracy of classes and
    the R2 score of real values: all of one unit, so that their mean has a meaning.

    Example:

    >>> task = Task((), (Target("kind", "classes", 3), Target("price", "real", 1)))
    >>> [(name, part.name) for name, part in task_objective(None, task).parts]
    [('kind', 'accuracy'), ('price', 'r2_score')]
    """
    if len(task.targets) < 2:
        return find_objective(name, task.targets[0])
    parts = tuple((target.name, _part(name, target)) for target in task.targets)
    first = parts[0][1]
    is_same = all(part.name == first.name for _, part in parts)
    return replace(first if is_same else _MEAN, parts=parts)


def _part(name: str | None, target: Target) -> Objective:
    """The metric of one of several targets."""
    if name is None or letters_of(str(name)) in ("mean", "default"):
        return find_objective(target.head.mean_metric, target)
    try:
        return find_objective(name, target)
    except DataError as error:
        means = ", ".join(f"{h.mean_metric} of {h.title}" for h in HEADS.values())
        raise DataError(
            f"The objective must suit each of several targets. Of {target.name!r}: "
            f"{error} Or take mean: {means}."
        ) from error


def asked_objective(identity: Mapping[str, Any], task: Task) -> Objective:
    """The objective that the identity of a run names.

    The objective may be a metric of the user's program, which another tuner improved:
    then the identity has the direction too, and the metric has no unit.
    """
    name, direction = identity.get("objective"), identity.get("direction")
    if direction is None:
        return task_objective(name, task)
    plain = re.sub(r"[^\w .:/-]", "?", str(name))[:60]
    return Objective(plain, higher_is_better=direction == "max")


def metric_name(objective: Objective) -> str:
    """Name of a metric as people write it."""
    return objective.name.replace("_", " ")


def shown_metrics(
    task: Task, objective: Objective
) -> dict[str, tuple[Target, Objective]]:
    """Metrics of a result by name, each with its target.

    Names are `recall`, or `target/recall` of several targets, of which the metrics that
    are improved are shown, too.

    Example:

    >>> task = Task.of("vector", (3,), values=1)
    >>> list(shown_metrics(task, task_objective("loss", task)))
    ['root_mean_squared_error', 'mean_absolute_error', 'r2_score']
    """
    improved = {name: part.name for name, part in objective.parts}
    found = {}
    for target in task.targets:
        shown, metrics = target.head.shown, target.head.objectives
        before = f"{target.name}/" if len(task.targets) > 1 else ""
        for name in dict.fromkeys((improved.get(target.name, shown[0]), *shown)):
            found[before + name] = target, metrics[name]
    return found
