"""Linear models: logistic or linear regression, the baseline for everything.

Depth is fixed at 0 and there is no width: the inputs are flattened and read by one
dense layer. Token ids get one weight a token and output, averaged over the tokens that
are not padding, which is logistic regression on a bag of words.

Example:

>>> from kscale.task import Task
>>> FAMILY.size(FAMILY.spec(), Task.of("image", (28, 28, 1), classes=10)).params
7850
"""

from kscale.blueprint import (
    Blueprint,
    Embedding,
    Flatten,
    GlobalAveragePool,
    Layer,
    PaddingMask,
)
from kscale.errors import SpecError
from kscale.families.base import (
    Family,
    head_names,
    learning_rate_knob,
    with_heads,
)
from kscale.task import Task


def _network(task: Task) -> Blueprint:
    if len(task.inputs) != 1:
        raise SpecError(
            f"Family linear takes one input, but the data has {len(task.inputs)}."
        )
    if not task.targets:
        raise SpecError("Family linear needs a target, but the task has none.")
    if task.inputs[0].kind == "tokens":
        return _bag_of_words(task)
    flat: list[Layer] = [Flatten(name="flat")] if len(task.inputs[0].shape) > 1 else []
    return with_heads(task, flat)


def _bag_of_words(task: Task) -> Blueprint:
    ids = task.inputs[0]
    layers: list[Layer] = [PaddingMask(name="mask", inputs=(ids.name,))]
    heads = head_names(task)
    for target, head in zip(task.targets, heads, strict=True):
        weights = f"{head}/tokens"
        layers += [
            Embedding(ids.vocabulary, target.outputs, name=weights, inputs=(ids.name,)),
            GlobalAveragePool(name=head, inputs=(weights, "mask")),
        ]
    return Blueprint(task.inputs, tuple(layers), tuple(heads))


FAMILY = Family(
    name="linear",
    summary="logistic or linear regression; bag of words for tokens",
    depth_counts="nothing (0)",
    width_counts="nothing",
    kinds=("vector", "image", "tokens", "sequence"),
    knobs=(),
    learning_rate=learning_rate_knob(3e-3, 1e-3, 3e-2),
    network=_network,
)
