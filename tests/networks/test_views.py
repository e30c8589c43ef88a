"""Views: networks whose inputs are smaller than the data have, by knobs."""

import pytest
from contracts.family import check_size_equals_keras, small_spec

from kscale import Budget, as_hypermodel
from kscale.errors import SpecError
from kscale.networks.families import FAMILIES, find_family, view_of_spec
from kscale.networks.families.base import Spec
from kscale.networks.views import bands_for, image_sizes_for, windows_for
from kscale.runs.records import training_key
from kscale.search.pool import Pool, Space
from kscale.task.tasks import Input, Target, Task

LABEL = (Target("label", "classes", 3),)
IMAGES = Task((Input("x", "image", (10, 14, 2)),), LABEL)
SOUND = Input("x", "spectrogram", (11, 40), samples=800, rate=8000)
SOUNDS = Task((SOUND,), LABEL)
SPECTROGRAMS = Task.of("spectrogram", (11, 40), classes=3)
BUDGET = Budget(max_params=100_000)


@pytest.mark.parametrize(
    ("task", "knobs", "shape"),
    [
        (IMAGES, {"image_size": 5}, (5, 7, 2)),
        (IMAGES, {"image_size": 7}, (7, 10, 2)),
        (IMAGES, {"image_size": 10}, (10, 14, 2)),
        (SOUNDS, {"mel_bands": 10}, (11, 10)),
        (SOUNDS, {"window": 50}, (6, 40)),
        (SOUNDS, {"window": 32, "mel_bands": 20}, (8, 20)),
    ],
)
def test_every_family_is_sized_in_a_view(task: Task, knobs, shape) -> None:
    kind = task.inputs[0].kind
    families = [it for it in FAMILIES.values() if kind in it.kinds]
    assert len(families) > 5
    for family in families:
        if family.name != "pretrained":
            blueprint = family.blueprint(small_spec(family, **knobs), task)
            assert blueprint.inputs[0].shape == shape
            check_size_equals_keras(blueprint)


def test_a_search_tries_parts_of_what_the_data_have() -> None:
    assert image_sizes_for(Task.of("image", (28, 28, 1))) == (7, 10, 14, 21, 28)
    assert image_sizes_for(Task.of("image", (8, 9, 1))) == (4, 6, 8)
    assert image_sizes_for(Task.of("image", (3, 3, 1))) == (3,)
    assert bands_for(SOUNDS) == (10, 20, 40)
    assert windows_for(SOUNDS) == (25, 32, 50, 64)
    short = Task((Input("x", "spectrogram", (4, 40), samples=300, rate=8000),), LABEL)
    assert windows_for(short) == (25, 32)


def test_what_the_data_have_is_no_view() -> None:
    cnn = find_family("cnn")
    whole = cnn.spec(window=25, mel_bands=40)
    assert view_of_spec(whole, SOUNDS) == {}
    assert cnn.size(whole, SOUNDS) == cnn.size(cnn.spec(), SOUNDS)
    users = Spec("models:build", (("image_size", 5),))
    assert view_of_spec(users, IMAGES) == {}


def test_networks_that_see_all_have_the_names_that_they_had() -> None:
    spec = find_family("cnn").spec(depth=2, width=16, image_size=0)
    assert "image_size" not in dict(spec.knobs)
    assert training_key("search", spec, 0.003, 1, 20) == "search-8c9655d742d09a65"
    pool = Pool(Space((find_family("cnn"),), IMAGES, BUDGET))
    assert all("image_size" not in dict(each.knobs) for each in pool.specs())


def test_views_are_searched_only_when_they_are_named() -> None:
    space = Space((find_family("cnn"),), IMAGES, BUDGET, searched=("image_size",))
    pool = Pool(space)
    assert {spec["image_size"] for spec in pool.specs()} == {4, 5, 8, 10}
    plain = Pool(Space((find_family("cnn"),), IMAGES, BUDGET))
    assert [*plain.params] == [
        n
        for n, s in zip(pool.params, pool.specs(), strict=True)
        if s["image_size"] == 10
    ]
    assert pool.flops.min() < plain.flops.min() / 4


@pytest.mark.parametrize(
    ("task", "knobs", "text"),
    [
        (IMAGES, {"image_size": 40}, "`4 <= image_size <= 10`, the shorter side"),
        (IMAGES, {"image_size": 3}, "must hold, but got image_size=3"),
        (IMAGES, {"image_size": -1}, "`4 <= image_size <= 1e\\+09`, or 0, must hold"),
        (SOUNDS, {"window": 1}, "`10 <= window <= 1e\\+09`, or 0, must hold"),
        (IMAGES, {"mel_bands": 20}, "for inputs of kind spectrogram: it must be 0 for"),
        (SOUNDS, {"image_size": 20}, "for inputs of kind image: it must be 0 for"),
        (SOUNDS, {"window": 500}, "`window` must be shorter than the sounds of 800"),
        (SOUNDS, {"mel_bands": 200}, "`mel_bands <= 128` must hold for a window of 25"),
        (SPECTROGRAMS, {"window": 50}, "these data are spectrograms without their"),
    ],
)
def test_what_cannot_be_seen_is_refused_in_a_line(task, knobs, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        find_family("cnn").size(find_family("cnn").spec(**knobs), task)


def test_a_search_of_what_cannot_be_seen_is_refused() -> None:
    for task, name in ((IMAGES, "window"), (SPECTROGRAMS, "mel_bands")):
        with pytest.raises(SpecError, match=f"`{name}` is"):
            Pool(Space((find_family("cnn"),), task, BUDGET, searched=(name,)))


def test_a_hypermodel_has_no_views() -> None:
    with pytest.raises(SpecError, match=r"so `image_size` cannot be varied; use ksca"):
        as_hypermodel("cnn", IMAGES, search="image_size")
