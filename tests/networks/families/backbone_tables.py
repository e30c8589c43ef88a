"""Makes the table of backbones from Keras: the text of `backbone_table.py`."""

from typing import Any
from unittest import mock

import keras

from kscale import count_model
from kscale.networks.backbone_table import Counts
from kscale.networks.backbones import NETWORKS

HEAD = '''\
"""What the backbones of `kscale.networks.backbones` cost, counted on Keras' own.

Written by `pytest tests/families/test_backbone_table.py -m slow --overwrite`.
"""

from typing import NamedTuple


class Counts(NamedTuple):
    """What a network costs without its top, average over all positions included.

    Args:
        features: Number of outputs.
        params: Weights.
        statistics: Weights that no training changes.
        costs: By the side of the image: FLOPs, the most bytes of activations alive at
            once, and those that training holds.
        file: Name of its ImageNet weights at Keras; `{side}` is one of `trained`.
        trained: Sides with weights of their own; others take those of the largest.
    """

    features: int
    params: int
    statistics: int
    costs: dict[int, tuple[int, int, int]]
    file: str
    trained: tuple[int, ...] = ()

    def file_of(self, side: int) -> str:
        """Name of the file of ImageNet weights for a side."""
        own = side if side in self.trained else max(self.trained, default=side)
        return self.file.format(side=own)


# fmt: off
COUNTS = {
'''


class _Asked(Exception):
    """Keras asked for a file."""


def make(network: str, side: int, weights: str | None = None) -> keras.Model:
    """A network without its top, whose weights have no values."""
    known = NETWORKS[network]
    alpha = {"alpha": known.alpha} if known.alpha else {}
    with keras.StatelessScope(initialize_variables=False):
        return getattr(keras.applications, known.maker)(
            include_top=False,
            weights=weights,
            input_shape=(side, side, 3),
            pooling="avg",
            **alpha,
        )


def file_asked(network: str, side: int) -> str:
    """Name of the file of ImageNet weights that Keras would download."""
    asked: list[str] = []

    def get_file(fname: str, *args: Any, **kwargs: Any) -> str:
        asked.append(fname)
        raise _Asked

    with mock.patch("keras.src.utils.file_utils.get_file", get_file):
        try:
            make(network, side, "imagenet")
        except _Asked:
            return asked[0]
    raise AssertionError(f"Keras asked for no weights of {network}.")


def count(network: str, side: int) -> tuple[tuple[int, ...], tuple[int, int, int]]:
    """Features, params and statistics of a network; what it costs at a side."""
    found = count_model(make(network, side))
    size, features = found.size, found.rows[-1].shape[-1]
    costs = (size.flops, size.activation_bytes, size.training_activation_bytes)
    return (features, size.params, size.params - size.trainable), costs


def counts(network: str) -> Counts:
    """The row of one network."""
    sides = NETWORKS[network].sides
    found = {side: count(network, side) for side in sides}
    fixed = {figures for figures, _ in found.values()}
    assert len(fixed) == 1, network
    costs = {side: cost for side, (_, cost) in found.items()}
    return Counts(*fixed.pop(), costs, *files(network))  # type: ignore[call-arg]


def files(network: str) -> tuple[str, tuple[int, ...]]:
    """Name of the files of ImageNet weights, and the sides that have their own."""
    asked = {side: file_asked(network, side) for side in NETWORKS[network].sides}
    largest = asked[max(asked)]
    if len({*asked.values()}) == 1:
        return largest, ()
    trained = tuple(side for side, file in asked.items() if f"_{side}_" in file)
    return largest.replace(f"_{max(asked)}_", "_{side}_"), trained


def entry(network: str, counts: Counts) -> str:
    """The lines of one row."""
    lines = [
        f'    "{network}": Counts('
        f"{counts.features:_}, {counts.params:_}, {counts.statistics:_}, {{"
    ]
    for side, (flops, peak, held) in counts.costs.items():
        lines.append(f"        {side}: ({flops:_}, {peak:_}, {held:_}),")
    trained = f",\n        {counts.trained}" if counts.trained else ""
    return "\n".join([*lines, "    },", f'        "{counts.file}"{trained}),', ""])


def text(rows: dict[str, Counts]) -> str:
    """The whole module."""
    return HEAD + "".join(entry(*row) for row in rows.items()) + "}\n"
