"""Multi-layer perceptrons, for tables of numbers, small images and text.

Depth counts hidden dense layers, width their units. Images are flattened. With
`depth=1` the network is one hidden layer and the output layer; `depth=2` adds one
`width x width` layer. Hidden layers start from He initialization (He et al. 2015,
equation 10).

Tokens are embedded, and the hidden layers read the average over those that are not
padding: the deep averaging network (Iyyer et al. 2015), with one layer much as fastText
(Joulin et al. 2016). Most weights are the embedding's: `vocabulary` tells the first ids
apart, and all others are one; `embedding_width` is the features of each. Whole tokens
and features of the average are dropped in training, or few texts are learned by heart.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("vector", (20,), classes=3)
>>> FAMILY.size(FAMILY.spec(depth=2, width=16, norm="none"), task).params
659
>>> 20 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3
659
>>> task = Task.of("tokens", (40,), vocabulary=1000, classes=2)
>>> FAMILY.size(FAMILY.spec(depth=1, width=16, norm="none"), task).params
16306
>>> 1000 * 16 + 16 * 16 + 16 + 16 * 2 + 2
16306
"""

from kscale.errors import SpecError
from kscale.networks.blueprint import (
    Activation,
    BatchNorm,
    Blueprint,
    Count,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    Layer,
    LayerNorm,
    PaddingMask,
    Repeat,
)
from kscale.networks.families.base import (
    Family,
    Knob,
    depth_knob,
    learning_rate_knob,
    width_knob,
    with_heads,
)
from kscale.networks.families.tokens import (
    EMBEDDING_WIDTH,
    VOCABULARY,
    embedded,
    refuse_knobs_of_tokens,
)
from kscale.task.tasks import Input, Task

# Spread of the embeddings at the start. On SST-2 (6,920 training sentences, depth 1,
# width 16, learning rate 3e-3, three seeds) 0.1 gives 78.3 % on validation, 0.02 gives
# 77.5 %, and that without whole tokens dropped 76.9 %.
_EMBEDDINGS = 0.1


def _network(
    task: Task,
    *,
    depth: int,
    width: Count,
    activation: str,
    norm: str,
    dropout: float,
    vocabulary: int,
    embedding_width: int,
    token_dropout: float,
) -> Blueprint:
    if len(task.inputs) != 1:
        raise SpecError(
            f"Family mlp takes one input, but the data has {len(task.inputs)}."
        )
    hidden: list[Layer] = [
        Dense(width, name="dense", use_bias=norm != "batch", initializer="he_normal")
    ]
    if norm == "batch":
        hidden.append(BatchNorm(name="norm"))
    elif norm == "layer":
        hidden.append(LayerNorm(name="norm"))
    hidden.append(Activation(activation, name="activation"))
    if dropout:
        hidden.append(Dropout(dropout, name="dropout"))
    layers: list[Layer] = []
    if task.inputs[0].kind == "tokens":
        narrow = embedding_width or width
        layers += _average(task.inputs[0], vocabulary, narrow, token_dropout)
    else:
        knobs = {"vocabulary": vocabulary, "embedding_width": embedding_width}
        refuse_knobs_of_tokens(task, **knobs)
    if len(task.inputs[0].shape) > 1:
        layers.append(Flatten(name="flat"))
    layers.append(Repeat(tuple(hidden), depth, name="hidden"))
    return with_heads(task, layers)


def _average(ids: Input, vocabulary: int, width: Count, dropout: float) -> list[Layer]:
    """The average of the embeddings of all tokens that are not padding."""
    layers: list[Layer] = [
        PaddingMask(name="mask", inputs=(ids.name,)),
        *embedded(ids, vocabulary, width, "embeddings", "mlp", stddev=_EMBEDDINGS),
    ]
    if dropout:
        layers.append(Dropout(dropout, positions=True, name="embeddings/dropout"))
    average = (layers[-1].name, "mask")
    layers.append(GlobalAveragePool(name="average", inputs=average))
    if dropout:
        layers.append(Dropout(dropout, name="average/dropout"))
    return layers


FAMILY = Family(
    name="mlp",
    summary="dense layers; tables, small images, averages of text",
    depth_counts="hidden dense layers",
    width_counts="units of a hidden layer",
    kinds=("vector", "image", "tokens", "sequence", "spectrogram"),
    knobs=(
        depth_knob(2, (1, 2, 3, 4, 6, 8), "hidden dense layers"),
        width_knob(64, 8192, "units of a hidden layer"),
        Knob(
            "activation",
            "relu",
            ("relu", "gelu", "silu", "tanh"),
            "function after each hidden layer",
            shapes=False,
        ),
        Knob("norm", "batch", ("none", "batch", "layer"), "what is normalized"),
        Knob(
            "dropout",
            0.0,
            (0.0, 0.1, 0.2, 0.3, 0.5),
            "share of hidden units dropped in training",
            low=0.0,
            high=0.95,
            shapes=False,
        ),
        VOCABULARY,
        EMBEDDING_WIDTH,
        Knob(
            "token_dropout",
            0.5,
            (0.0, 0.3, 0.5, 0.6, 0.7),
            "share of tokens, and of features of their average, dropped in training",
            low=0.0,
            high=0.95,
            shapes=False,
        ),
    ),
    learning_rate=learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
