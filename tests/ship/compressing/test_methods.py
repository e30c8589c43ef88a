"""Names of methods: what is understood, and what is refused in one line."""

import pytest

from kscale.errors import SpecError
from kscale.networks.families import find_family
from kscale.runs.stored_bits import METHOD_OF_BITS
from kscale.ship.compressing.methods import METHODS, Chain, parse_chain
from kscale.ship.compressing.subjects import usual_methods
from kscale.task.tasks import Task


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_written_by_its_name(name: str) -> None:
    chain = parse_chain(name)
    method = METHODS[name]
    assert [step.method for step in chain.steps] == [method]
    assert parse_chain(str(chain)) == chain
    assert (method.train is None) != (method.quantize is None)
    assert {*method.baselines} <= METHODS.keys()
    assert (chain.quantized is None) == (method.bits == 32)


def test_without_a_method_the_network_stays_in_float32() -> None:
    assert parse_chain("float32") == Chain()
    assert Chain().bits == 32


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("int9", "Did you mean 'int8'"),
        ("int8:50%", "The method int8 is written int8, but got"),
        ("prune:12", "prune:50% or prune:12.5%, .* with a decimal point"),
        ("int8+int4", "last and once"),
        ("", "Unknown method ''"),
        ("float16+", "Unknown method ''"),
    ],
)
def test_other_texts_are_refused(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_chain(text)


def test_the_bits_of_a_search_are_among_the_usual_methods() -> None:
    family = find_family("mlp")
    task = Task.of("vector", (3,), classes=2)
    usual = usual_methods(family.blueprint(family.spec(), task))
    assert {*METHOD_OF_BITS.values()} <= {*usual, "float32"}
