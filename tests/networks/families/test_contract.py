"""Every family keeps its promises for every kind of input it takes."""

from collections.abc import Iterator

import pytest
from contracts import family as contract

from kscale.networks.families import FAMILIES, find_family
from kscale.networks.families.base import Family
from kscale.task.tasks import InputKind, Task


@pytest.fixture(scope="module", autouse=True)
def forget_models() -> Iterator[None]:
    """Models that the checks share go with the last of them."""
    yield
    contract.built.cache_clear()


PAIRS = [
    pytest.param(family, kind, id=f"{family.name}-{kind}")
    for family in FAMILIES.values()
    for kind in family.kinds
]
# To a family for images a spectrogram is one more image: one kind shows all.
TRAINED = [
    pytest.param(family, kind, id=f"{family.name}-{kind}")
    for family in FAMILIES.values()
    for kind in family.kinds
    if kind != "spectrogram" or "image" not in family.kinds
]
EVERY_FAMILY_AND_KIND = pytest.mark.parametrize(("family", "kind"), PAIRS)
EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@EVERY_FAMILY_AND_KIND
def test_sizes_equal_keras(family: Family, kind: InputKind) -> None:
    contract.check_sizes(family, kind)


@EVERY_FAMILY_AND_KIND
def test_size_grows_with_depth_and_with_width(family: Family, kind: InputKind) -> None:
    contract.check_growth(family, kind)


@pytest.mark.parametrize(("family", "kind"), TRAINED)
def test_default_knobs_train_one_step(family: Family, kind: InputKind) -> None:
    contract.check_default_trains(family, kind)


@pytest.mark.parametrize(("family", "kind"), TRAINED)
def test_the_smallest_network_trains_in_a_graph(
    family: Family, kind: InputKind
) -> None:
    contract.check_trains_in_a_graph(family, kind)


@EVERY_FAMILY
def test_every_default_is_accepted(family: Family) -> None:
    contract.check_defaults_accepted(family)


@EVERY_FAMILY_AND_KIND
def test_every_value_makes_a_network_or_is_refused(
    family: Family, kind: InputKind
) -> None:
    contract.check_every_value(family, contract.task_for(family, kind))
    if kind == "image":
        contract.check_every_value(family, Task.of("image", (28, 28, 1), classes=10))


@EVERY_FAMILY
def test_a_seed_decides_the_initial_weights(family: Family) -> None:
    contract.check_seeds(family, family.kinds[-1])


@EVERY_FAMILY
def test_keras_layers_are_named_by_paths(family: Family) -> None:
    contract.check_names(family, family.kinds[-1])


def test_families_are_found_by_their_own_names() -> None:
    assert all(find_family(name).name == name for name in FAMILIES)
