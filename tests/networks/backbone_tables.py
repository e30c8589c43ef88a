"""Makes the table of backbones from Keras: the text of `backbones.json`."""

import json
from typing import Any
from unittest import mock

import keras

from kscale import count_model
from kscale.networks.backbones import NETWORKS, Network


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


def counts(network: str) -> Network:
    """The row of one network, for the sides that its row has."""
    known = NETWORKS[network]
    found = {side: count(network, side) for side in known.costs}
    fixed = {figures for figures, _ in found.values()}
    assert len(fixed) == 1, network
    costs = {side: cost for side, (_, cost) in found.items()}
    return Network(*known[:3], *fixed.pop(), *files(network), costs)  # type: ignore[call-arg]


def files(network: str) -> tuple[str, tuple[int, ...]]:
    """Name of the files of ImageNet weights, and the sides that have their own."""
    asked = {side: file_asked(network, side) for side in NETWORKS[network].costs}
    largest = asked[max(asked)]
    if len({*asked.values()}) == 1:
        return largest, ()
    trained = tuple(side for side, file in asked.items() if f"_{side}_" in file)
    return largest.replace(f"_{max(asked)}_", "_{side}_"), trained


def entry(network: str, counts: Network) -> str:
    """The lines of one row: what holds for all sides, then a line for each side."""
    row = counts._asdict()
    sides = [
        f'  "{side}": {json.dumps(cost)}' for side, cost in row.pop("costs").items()
    ]
    start = json.dumps(row).removesuffix("}")
    return f' "{network}": {start}, "costs": {{\n' + ",\n".join(sides) + "\n }}"


def text(rows: dict[str, Network]) -> str:
    """The whole file."""
    return "{\n" + ",\n".join(entry(*row) for row in rows.items()) + "\n}\n"
