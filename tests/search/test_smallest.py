"""Nothing that a search may try is smaller than what an error names as the smallest."""

import re
from typing import Any

import pytest

from kscale.errors import BudgetError, SpecError
from kscale.networks.budget import Budget
from kscale.networks.families import FAMILIES, find_family
from kscale.search import pool as pools
from kscale.search.pool import Pool, Space, way_to_fewer_flops
from kscale.task.tasks import Input, InputKind, Task

MNIST = Task.of("image", (28, 28, 1), classes=10)
TEXT = Input("x", "tokens", (9,), 3000, unknown=1)
TASKS: dict[InputKind, Task] = {
    "vector": Task.of("vector", (7,), classes=3),
    "image": Task.of("image", (12, 10, 1), classes=3),
    "tokens": Task((TEXT,), Task.of("vector", (1,), classes=2).targets),
    "sequence": Task.of("sequence", (6, 3), classes=3),
}
LIMITS = ("max_params", "max_flops", "max_bytes", "max_memory")


def refusal(space: Space) -> str:
    with pytest.raises(BudgetError) as caught:
        Pool(space)
    return str(caught.value)


def figure(text: str, start: str) -> int:
    """The number behind the first `=` after a text, which names one limit."""
    found = re.search(rf"{start}.*? has \w+=([\d,]+)", text)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def test_what_makes_a_resnet_smaller_is_named_with_its_option() -> None:
    space = Space((find_family("resnet"),), MNIST, Budget(2000))
    assert refusal(space) == (
        "No resnet fits max_params=2,000: the smallest resnet searched (depth=1, "
        "width=8) has params=19,954. With --set stages=1 the smallest resnet has "
        "params=1,410. Otherwise raise the limit or choose another family."
    )


@pytest.mark.parametrize("number", range(len(FAMILIES)))
@pytest.mark.parametrize("kind", TASKS)
def test_no_spec_of_the_space_is_smaller_than_the_smallest(
    number: int, kind: InputKind
) -> None:
    family, limit = [*FAMILIES.values()][number], LIMITS[number % 4]
    if not family.takes(TASKS[kind]):
        return
    space = Space((family,), TASKS[kind], Budget(**{limit: 10**15}))  # type: ignore[arg-type]
    listed = [family.size(spec, TASKS[kind]) for spec in Pool(space).specs()]
    least = min(space.budget.used(size)[limit] for size in listed)
    tight = Budget(**{limit: least - 1})
    text = refusal(Space((family,), TASKS[kind], tight))
    assert figure(text, "searched") == least
    options = dict(re.findall(r"--set (\w+)=(\w+)", text))
    if not options:
        return
    assert figure(text, "With") < least
    fixed = tuple(options.items())
    wider = Space((family,), TASKS[kind], tight, fixed=fixed)
    if "Otherwise" in text:
        used = [tight.used(family.size(s, TASKS[kind])) for s in Pool(wider).specs()]
        assert min(each[limit] for each in used) == figure(text, "With")
    else:
        assert figure(refusal(wider), "searched") == figure(text, "With")


def test_a_value_that_is_set_may_be_what_is_too_large() -> None:
    families = (find_family("resnet"), find_family("vit"))
    space = Space(families, MNIST, Budget(2000), fixed=(("width", 64),))
    text = refusal(space)
    assert "smallest vit searched (depth=1, width=64)" in text
    assert "With --set width=8 the smallest vit has params=1,506. Other" in text


def test_of_a_space_too_large_to_list_the_smallest_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cnn, searched = find_family("cnn"), ("stages", "norm")
    whole = figure(refusal(Space((cnn,), MNIST, Budget(5), searched)), "searched")
    monkeypatch.setattr(pools, "MOST_SPECS", 100)
    some = refusal(Space((cnn,), MNIST, Budget(5), searched))
    assert figure(some, "searched") == whole
    assert len(Pool(Space((cnn,), MNIST, Budget(whole), searched))) > 0


def test_a_network_of_fewer_flops_is_named_where_latency_is_the_limit() -> None:
    family: Any = find_family("resnet")
    space = Space((family,), MNIST, Budget(max_latency_ms=1))
    text = way_to_fewer_flops(space, family.spec(depth=1, width=8), 0.3)
    assert text == "With --set stem=imagenet it has 267k FLOPs instead of 4.73M. "
    linear: Any = find_family("linear")
    space = Space((linear,), MNIST, Budget(max_latency_ms=1))
    assert way_to_fewer_flops(space, linear.spec(), 0.3) == ""


def test_families_that_no_device_runs_are_no_advice() -> None:
    text = Task.of("tokens", (20,), classes=2, vocabulary=100)
    families = tuple(map(find_family, ("mlp", "rnn", "transformer")))
    with pytest.raises(SpecError, match="No mlp or rnn or transformer runs on a micro"):
        Pool(Space(families, text, Budget(max_ram=1000)))
    images = tuple(f for f in FAMILIES.values() if "image" in f.kinds)
    with pytest.raises(BudgetError) as caught:
        Pool(Space(images, MNIST, Budget(max_flash=1)))
    assert " vit" not in str(caught.value)
    assert str(caught.value).endswith("Raise the limit.")
