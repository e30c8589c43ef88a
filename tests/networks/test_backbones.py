"""The table of backbones is what Keras' own networks cost."""

import warnings
from pathlib import Path

import backbone_tables as tables
import pytest

from kscale.networks import backbones
from kscale.networks.backbones import NETWORKS

TABLE = Path(backbones.__file__).with_suffix(".json")


@pytest.mark.parametrize(
    ("network", "side"),
    [("mobilenet_0.25", 160), ("mobilenet_v2_0.35", 32), ("vgg16", 96)],
)
def test_a_row_is_what_keras_has(network: str, side: int) -> None:
    row = NETWORKS[network]
    figures = (row.features, row.params, row.statistics)
    assert tables.count(network, side) == (figures, row.costs[side])


def test_files_of_weights_are_those_that_keras_asks_for() -> None:
    assert NETWORKS["mobilenet_0.25"].file_of(160) == "mobilenet_2_5_160_tf_no_top.h5"
    assert tables.file_asked("mobilenet_0.25", 160) == "mobilenet_2_5_160_tf_no_top.h5"
    assert NETWORKS["mobilenet_0.25"].file_of(32) == "mobilenet_2_5_224_tf_no_top.h5"


def test_the_file_has_the_form_that_the_test_writes() -> None:
    assert TABLE.read_text() == tables.text(NETWORKS)


@pytest.mark.slow
def test_the_table_is_what_keras_has(request: pytest.FixtureRequest) -> None:
    with warnings.catch_warnings():
        # MobileNets say that sides without weights of their own take those of 224.
        warnings.simplefilter("ignore")
        rows = {network: tables.counts(network) for network in NETWORKS}
    if request.config.getoption("--overwrite"):
        TABLE.write_text(tables.text(rows))
    assert TABLE.read_text() == tables.text(rows)


def test_every_network_has_a_row_that_grows_with_the_side() -> None:
    for row in NETWORKS.values():
        for figures in zip(*row.costs.values(), strict=True):
            assert list(figures) == sorted({*figures})
