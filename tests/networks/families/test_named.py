"""Published networks have their published sizes."""

import pytest
from contracts.family import check_size_equals_keras

from kscale.errors import SpecError
from kscale.networks.families import FAMILIES
from kscale.networks.named import NAMED, find_named
from kscale.networks.sizing import size_of


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("VGG16", 138_357_544),
        ("BERT-base", 109_482_240),
        ("BERT-large", 335_141_888),
        ("ALBERT-base", 11_683_584),
        ("ViT-Ti/16", 5_717_416),
        ("ViT-S/16", 22_050_664),
        ("ViT-B/16", 86_567_656),
        ("ViT-L/16", 304_326_632),
    ],
)
def test_published_sizes(name: str, params: int) -> None:
    named = NAMED[name]
    family = FAMILIES[named.family]
    size = family.size(family.spec(**named.knobs), named.task)
    assert size.params == size.trainable == params


def test_vgg16_bert_and_vit_by_hand() -> None:
    def flops(name: str) -> int:
        named = NAMED[name]
        family = FAMILIES[named.family]
        blueprint = family.blueprint(family.spec(**named.knobs), named.task)
        flops: int = size_of(blueprint).flops
        return flops

    # Side, channels read, channels written (Simonyan & Zisserman 2014, table 1, D).
    convolutions = [
        *((224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128)),
        *((56, 128, 256), (56, 256, 256), (56, 256, 256)),
        *((28, 256, 512), (28, 512, 512), (28, 512, 512)),
        *((14, 512, 512), (14, 512, 512), (14, 512, 512)),
    ]
    products = sum(side**2 * 9 * read * wrote for side, read, wrote in convolutions)
    products += 7 * 7 * 512 * 4096 + 4096 * 4096 + 4096 * 1000
    assert flops("VGG16") == 2 * products
    block = 512 * 12 * 768**2 + 2 * 512 * 512 * 768
    assert flops("BERT-base") == 2 * (12 * block + 768 * 768)
    # 14 x 14 patches of 16 x 16 pixels, and the class token.
    block = 197 * 12 * 768**2 + 2 * 197 * 197 * 768
    products = 196 * (16 * 16 * 3 * 768) + 12 * block + 768 * 1000
    assert flops("ViT-B/16") == 2 * products


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("vgg16", "VGG16"),
        ("VGG-16", "VGG16"),
        ("bert_base", "BERT-base"),
        ("Bert Large", "BERT-large"),
        ("albertbase", "ALBERT-base"),
        ("vit-b/16", "ViT-B/16"),
        ("vitb16", "ViT-B/16"),
    ],
)
def test_names_are_found_in_any_spelling(spelling: str, name: str) -> None:
    assert find_named(spelling) == (name, NAMED[name])


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(SpecError, match="'vgg-61'. Did you mean 'VGG16'"):
        find_named("vgg-61")


@pytest.mark.parametrize("name", NAMED)
def test_every_named_network_is_counted_and_has_a_source(name: str) -> None:
    named = NAMED[name]
    family = FAMILIES[named.family]
    assert family.size(family.spec(**named.knobs), named.task).params > 10**6
    assert any(part.isdigit() for part in named.source.replace(",", "").split())


def test_a_small_bert_is_the_size_that_keras_builds() -> None:
    named = NAMED["BERT-tiny"]
    family = FAMILIES[named.family]
    blueprint = family.blueprint(family.spec(**named.knobs), named.task)
    assert check_size_equals_keras(blueprint).count_params() == 4_385_920
