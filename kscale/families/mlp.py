"""Multi-layer perceptrons, for tables of numbers and small images.

Depth counts hidden dense layers, width their units. Images are flattened. With
`depth=1` the network is one hidden layer and the output layer; `depth=2` adds one
`width x width` layer. Hidden layers start from He initialization (He et al. 2015,
equation 10).

Example:

>>> from kscale.task import Task
>>> task = Task.of("vector", (20,), classes=3)
>>> FAMILY.size(FAMILY.spec(depth=2, width=16, norm="none"), task).params
659
>>> 20 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3
659
"""

from kscale.blueprint import (
    Activation,
    BatchNorm,
    Blueprint,
    Count,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LayerNorm,
    Repeat,
)
from kscale.errors import SpecError
from kscale.families.base import (
    Family,
    Knob,
    depth_knob,
    learning_rate_knob,
    width_knob,
    with_heads,
)
from kscale.task import Task


def _network(
    task: Task,
    *,
    depth: int,
    width: Count,
    activation: str,
    norm: str,
    dropout: float,
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
    if len(task.inputs[0].shape) > 1:
        layers.append(Flatten(name="flat"))
    layers.append(Repeat(tuple(hidden), depth, name="hidden"))
    return with_heads(task, layers)


FAMILY = Family(
    name="mlp",
    summary="dense layers; tables and small images",
    depth_counts="hidden dense layers",
    width_counts="units of a hidden layer",
    kinds=("vector", "image", "sequence"),
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
    ),
    learning_rate=learning_rate_knob(3e-3, 5e-4, 2e-2),
    network=_network,
)
