"""Linear models: logistic or linear regression, the baseline for everything.

There is no depth (it is shown as 0) and no width: the inputs are flattened and read by
one dense layer. Every token id has one weight for each output; the output is ten times
the average of the weights of all tokens that are not padding, which is logistic
regression on a bag of words; with `ngrams=2` on a bag of words and pairs of words, of
which `buckets` decide the size.

Example:

>>> from kscale.task.tasks import Task
>>> FAMILY.size(FAMILY.spec(), Task.of("image", (28, 28, 1), classes=10)).params
7850
"""

from dataclasses import replace

from kscale.errors import SpecError
from kscale.networks import blueprint as bp
from kscale.networks.families import base, tokens
from kscale.task.tasks import Task

# Adam moves a weight by about the learning rate a step, whatever the gradient, and the
# average divides what a token adds by the length of the text.
_TENFOLD = 10.0


def _network(
    task: Task,
    *,
    vocabulary: int = tokens.VOCABULARY,
    ngrams: int = replace(tokens.NGRAMS, is_searched=True),
    buckets: int = replace(tokens.BUCKETS, is_searched=True),
) -> bp.Blueprint:
    item = task.inputs[0]
    if not task.targets:
        raise SpecError("Family linear needs a target, but the task has none.")
    if item.kind == "tokens":
        return _bag_of_words(task, vocabulary, ngrams, buckets)
    tokens.refuse_knobs_of_tokens(
        task, vocabulary=vocabulary, ngrams=ngrams - 1, buckets=buckets
    )
    flat: list[bp.Layer] = [bp.Flatten(name="flat")] if len(item.shape) > 1 else []
    return base.with_heads(task, flat)


def _bag_of_words(
    task: Task, vocabulary: int, ngrams: int, buckets: int
) -> bp.Blueprint:
    ids = tokens.known_ids(task.inputs[0], vocabulary, "tokens", ngrams, buckets)
    layers = [*ids.layers, bp.PaddingMask(name="mask", inputs=(ids.name,))]
    heads = base.head_names(task)
    for target, head in zip(task.targets, heads, strict=True):
        weights = f"{head}/tokens"
        layers += [
            bp.Embedding(ids.number, target.outputs, name=weights, inputs=(ids.name,)),
            bp.GlobalAveragePool(
                positions=True, name=f"{head}/average", inputs=(weights, "mask")
            ),
            bp.Rescale(_TENFOLD, name=head),
        ]
    activations = base.activations_of(task)
    return bp.Blueprint(task.inputs, tuple(layers), tuple(heads), activations)


FAMILY = base.Family(
    name="linear",
    summary="logistic or linear regression; bag of words for tokens",
    depth_counts="nothing (0)",
    width_counts="nothing",
    kinds=("vector", "image", "tokens", "sequence", "spectrogram"),
    learning_rate=base.learning_rate_knob(3e-3, 1e-3, 3e-2),
    network=_network,
)
