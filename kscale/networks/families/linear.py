"""Linear models: logistic or linear regression, the baseline for everything.

Depth is fixed at 0 and there is no width: the inputs are flattened and read by one
dense layer. Token ids get one weight a token and output, ten times their average over
the tokens that are not padding is the output, which is logistic regression on a bag of
words. `vocabulary` tells the first ids apart, and all others are one.

Example:

>>> from kscale.task.tasks import Task
>>> FAMILY.size(FAMILY.spec(), Task.of("image", (28, 28, 1), classes=10)).params
7850
"""

from kscale.errors import SpecError
from kscale.networks.blueprint import (
    Blueprint,
    Flatten,
    GlobalAveragePool,
    Layer,
    PaddingMask,
    Rescale,
)
from kscale.networks.families.base import (
    Family,
    head_names,
    learning_rate_knob,
    with_heads,
)
from kscale.networks.families.tokens import VOCABULARY, embedded, refuse_knobs_of_tokens
from kscale.task.tasks import Task

# Adam moves a weight by about the learning rate a step, whatever the gradient, and the
# average divides what a token adds by the length of the text.
_TENFOLD = 10.0


def _network(task: Task, *, vocabulary: int) -> Blueprint:
    if len(task.inputs) != 1:
        raise SpecError(
            f"Family linear takes one input, but the data has {len(task.inputs)}."
        )
    if not task.targets:
        raise SpecError("Family linear needs a target, but the task has none.")
    if task.inputs[0].kind == "tokens":
        return _bag_of_words(task, vocabulary)
    refuse_knobs_of_tokens(task, vocabulary=vocabulary)
    flat: list[Layer] = [Flatten(name="flat")] if len(task.inputs[0].shape) > 1 else []
    return with_heads(task, flat)


def _bag_of_words(task: Task, vocabulary: int) -> Blueprint:
    ids = task.inputs[0]
    layers: list[Layer] = [PaddingMask(name="mask", inputs=(ids.name,))]
    heads = head_names(task)
    for target, head in zip(task.targets, heads, strict=True):
        weights = f"{head}/tokens"
        layers += [
            *embedded(ids, vocabulary, target.outputs, weights, "linear"),
            GlobalAveragePool(name=f"{head}/average", inputs=(weights, "mask")),
            Rescale(_TENFOLD, name=head),
        ]
    return Blueprint(task.inputs, tuple(layers), tuple(heads))


FAMILY = Family(
    name="linear",
    summary="logistic or linear regression; bag of words for tokens",
    depth_counts="nothing (0)",
    width_counts="nothing",
    kinds=("vector", "image", "tokens", "sequence", "spectrogram"),
    knobs=(VOCABULARY,),
    learning_rate=learning_rate_knob(3e-3, 1e-3, 3e-2),
    network=_network,
)
