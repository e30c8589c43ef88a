"""Sizes of pretrained networks, and what the family refuses."""

import pytest

from kscale import Budget, Task
from kscale.errors import BudgetError, SpecError
from kscale.networks.backbones import NETWORKS, SIDES
from kscale.networks.families.pretrained import FAMILY
from kscale.search.pool import Pool, Space
from kscale.tuning.request import searched_knobs

PHOTOS = Task.of("image", (100, 80, 3), classes=5)


def test_the_head_is_all_that_is_trained_unless_all_is() -> None:
    head = FAMILY.size(FAMILY.spec(backbone="resnet50"), PHOTOS)
    whole = FAMILY.size(FAMILY.spec(backbone="resnet50", tuned="all"), PHOTOS)
    assert head.params == whole.params == 23_587_712 + 2048 * 5 + 5
    assert head.trainable == 2048 * 5 + 5
    # ResNet-50 has 26,560 channels with a norm, each with a mean and a variance.
    assert whole.trainable == whole.params - 2 * 26_560
    assert head.flops == whole.flops
    assert head.activation_bytes == whole.activation_bytes
    # Nothing inside the backbone waits for a backward pass through it.
    image, features = 100 * 80 * 3, 2048
    assert head.training_activation_bytes == 4 * (image + features + 5)
    assert whole.training_activation_bytes > 20 * head.training_activation_bytes


def test_flops_of_known_networks() -> None:
    task = Task.of("image", (224, 224, 3), classes=1000)
    for name, millions in (("mobilenet_v2_1.0", 300.8), ("efficientnet_b0", 385.8)):
        flops = FAMILY.size(FAMILY.spec(backbone=name), task).flops
        assert flops / 2e6 == pytest.approx(millions, abs=0.1)


def test_every_backbone_and_side_has_a_size_or_is_refused() -> None:
    for name, network in NETWORKS.items():
        for side in SIDES:
            spec = FAMILY.spec(backbone=name, side=side)
            if side in network.costs:
                assert FAMILY.size(spec, PHOTOS).flops > 0
                continue
            with pytest.raises(SpecError, match=f"takes images of .*, not {side}"):
                FAMILY.size(spec, PHOTOS)


def test_the_side_suits_the_image_unless_it_is_set() -> None:
    def flops(name: str, side: int, pixels: int) -> int:
        task = Task.of("image", (pixels, 8, 1), classes=2)
        return int(FAMILY.size(FAMILY.spec(backbone=name, side=side), task).flops)

    assert flops("vgg16", 0, 28) == flops("vgg16", 96, 28)
    assert flops("vgg16", 0, 150) == flops("vgg16", 160, 150)
    assert flops("vgg16", 0, 999) == flops("vgg16", 224, 999)
    assert flops("nasnet_mobile", 0, 28) == flops("nasnet_mobile", 224, 28)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(SpecError, match="an image of 1 or 3 channels, but got .*4"):
        FAMILY.size(FAMILY.spec(), Task.of("image", (32, 32, 4), classes=2))


def test_a_search_varies_the_backbone_within_the_budget() -> None:
    space = Space((FAMILY,), PHOTOS, Budget(max_params=1_000_000))
    names = {spec["backbone"] for spec in Pool(space).specs()}
    # MobileNet, 1 and 2, without the top: 0.2, 0.8 and 0.4, 0.7 million; 3 has 0.6 and
    # 0.9 in its small one.
    assert names == {
        *("mobilenet_0.25", "mobilenet_0.5", "mobilenet_v2_0.35", "mobilenet_v2_0.5"),
        *("mobilenet_v3_small_0.75", "mobilenet_v3_small_1.0"),
    }
    assert searched_knobs(("backbone", "side")) == ("side",)
    with pytest.raises(
        BudgetError,
        match=r"smallest pretrained searched \(backbone=mobilenet_0.25\) has",
    ):
        Pool(Space((FAMILY,), PHOTOS, Budget(max_params=1000)))


def test_weights_may_be_a_file_and_a_backbone_may_not_be_anything() -> None:
    assert FAMILY.spec(weights="some/file.h5")["weights"] == "some/file.h5"
    with pytest.raises(SpecError, match="`backbone` is one of mobilenet_0.25, "):
        FAMILY.spec(backbone="resnet")
