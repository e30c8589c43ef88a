"""Networks of `keras.applications` with a new head: transfer learning.

There is no depth (it is shown as 0) and no width: both come with the `backbone`, which
a search varies instead. The backbone ends in the average over all positions; dropout
and the output layer follow. With `tuned=head` the backbone keeps its weights, and its
norms work as in inference; with `tuned=all` everything is trained.

The network resizes images to squares of `side` pixels, repeats the channel of grey
images three times and gives the backbone pixels on the scale that it was trained on,
whatever scaling the data has. `side=0` is the smallest of 96, 128, 160, 192 and 224
that shows all pixels of an image.

`weights=imagenet` starts from the weights of Keras, which are downloaded once;
`weights=none` starts from random weights; anything else is the path of a file that
Keras wrote for the backbone without its top.

Example:

>>> from kscale.task.tasks import Task
>>> task = Task.of("image", (28, 28, 1), classes=10)
>>> size = FAMILY.size(FAMILY.spec(backbone="mobilenet_v2_1.0"), task)
>>> size.params == 2_257_984 + 1280 * 10 + 10, size.trainable
(True, 12810)
"""

from kscale.networks.backbones import NETWORKS, SIDES, Backbone, side_for
from kscale.networks.blueprint import Blueprint
from kscale.networks.families import base
from kscale.networks.families.images import DROPOUT, image_shape
from kscale.task.tasks import Task


def _network(
    task: Task,
    *,
    backbone: str = base.knob(
        "mobilenet_v2_1.0",
        tuple(NETWORKS),
        "network of keras.applications, with its alpha",
        is_searched=True,
    ),
    tuned: str = base.knob("head", ("head", "all"), "what is trained"),
    side: int = base.knob(
        0, (0, *SIDES), "pixels of a side that images are resized to; 0 suits the image"
    ),
    weights: str = base.knob(
        "imagenet",
        ("imagenet", "none"),
        "where the backbone starts: imagenet, none or a file",
        shapes=False,
        is_open=True,
    ),
    dropout: float = DROPOUT,
) -> Blueprint:
    trunk = Backbone(
        backbone,
        side_for(backbone, side, image_shape(task)),
        tuned == "all",
        weights,
        task.inputs[0].scale,
        task.inputs[0].offset,
        name="backbone",
    )
    return base.with_heads(task, [trunk, *base.dropped(dropout)])


FAMILY = base.Family(
    name="pretrained",
    summary="keras.applications with a new head; few images",
    depth_counts="nothing (0): the backbone has it",
    width_counts="nothing: the backbone has it",
    kinds=("image",),
    learning_rate=base.learning_rate_knob(1e-3, 1e-4, 1e-2),
    network=_network,
)
