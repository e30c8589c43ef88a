"""Published networks have their published sizes."""

from math import prod

import keras
import numpy as np
import pytest
from contracts.applications import assert_same_outputs, randomize_weights
from contracts.family import check_size_equals_keras

from kscale.building.models import build_model
from kscale.errors import SpecError
from kscale.networks.families import FAMILIES
from kscale.networks.named import NAMED, find_named
from kscale.networks.sizing import size_of
from kscale.task.tasks import Task


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("VGG16", 138_357_544),
        ("BERT-base", 109_482_240),
        ("VGG19", 143_667_240),
        ("BERT-large", 335_141_888),
        ("DistilBERT-base", 66_362_880),
        ("ALBERT-base", 11_683_584),
        ("ViT-Ti/16", 5_717_416),
        ("ViT-S/16", 22_050_664),
        ("ViT-B/16", 86_567_656),
        ("ViT-L/16", 304_326_632),
        ("GPT-2", 124_439_808),
        ("GPT-2-medium", 354_823_168),
        ("GPT-2-large", 774_030_080),
        ("GPT-2-xl", 1_557_611_200),
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
        ("vgg_19", "VGG19"),
        ("resnet50", "ResNet-50"),
        ("microsoft/resnet-50", "ResNet-50"),
        ("ResNet-50 v1", "ResNet-50"),
        ("resnet-50-v2", "ResNet50V2"),
        ("mobilenetv2", "MobileNetV2"),
        ("google/mobilenet_v2_1.0_224", "MobileNetV2"),
        ("mobilenet_v1", "MobileNetV1"),
        ("efficientnetb7", "EfficientNet-B7"),
        ("efficientnet_b0", "EfficientNet-B0"),
        ("bert_base", "BERT-base"),
        ("google-bert/bert-base-uncased", "BERT-base"),
        ("distilbert_base", "DistilBERT-base"),
        ("albert-base-v2", "ALBERT-base"),
        ("vit-base-16", "ViT-B/16"),
        ("vit_b_16", "ViT-B/16"),
        ("google/vit-base-patch16-224", "ViT-B/16"),
        ("vit_large_patch32_224", "ViT-L/32"),
        ("deit-tiny-patch16-224", "ViT-Ti/16"),
        ("Bert Large", "BERT-large"),
        ("albertbase", "ALBERT-base"),
        ("vit-b/16", "ViT-B/16"),
        ("vitb16", "ViT-B/16"),
        ("distilbert", "DistilBERT-base"),
        ("efficientnet b0", "EfficientNet-B0"),
        ("gpt2", "GPT-2"),
        ("openai-community/gpt2-medium", "GPT-2-medium"),
        ("gpt2-xl", "GPT-2-xl"),
        ("transformer_base", "Transformer-base"),
        ("Transformer big", "Transformer-big"),
    ],
)
def test_names_are_found_in_any_spelling(spelling: str, name: str) -> None:
    assert find_named(spelling) == (name, NAMED[name])


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("vgg-61", "VGG1[69]"),
        ("resnet51", "ResNet-50"),
        ("bert-base-cased", "BERT-base"),  # another vocabulary
        ("effnet-b1", "EfficientNet-B1"),
        ("vit-tiny", "ViT-Ti/16"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(SpecError, match=f"'{name}'. Did you mean '{nearest}'"):
        find_named(name)


def test_a_name_of_several_sizes_is_refused_with_them() -> None:
    with pytest.raises(SpecError) as error:
        find_named("bert", FAMILIES)
    names = "BERT-tiny, BERT-base, BERT-large"
    assert str(error.value) == f"Several networks are called 'bert': {names}."


def test_no_vocabulary_gives_both_published_transformers() -> None:
    """65 and 213 million are published, and a vocabulary of about 37,000."""
    ours = named_params("Transformer-base"), named_params("Transformer-big")
    assert ours == (63_082_496, 214_245_376)
    rows = (37_000 + (65e6 - ours[0]) / 512, 37_000 + (213e6 - ours[1]) / 1024)
    assert round(rows[0]) == 40_745 and round(rows[1]) == 35_784
    assert all(
        "no single vocabulary" in NAMED[f"Transformer-{it}"].source
        for it in ("base", "big")
    )


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


# EfficientNets of keras.applications have 7 weights of a `Normalization` at the start.
EFFICIENTNETS = (5_330_571, 7_856_239, 9_177_569, 12_320_535)
EFFICIENTNETS += (19_466_823, 30_562_527, 43_265_143, 66_658_687)


def named_params(name: str) -> int:
    named = NAMED[name]
    family = FAMILIES[named.family]
    params: int = family.size(family.spec(**named.knobs), named.task).params
    return params


@pytest.mark.parametrize(("number", "theirs"), [*enumerate(EFFICIENTNETS)])
def test_efficientnets_have_keras_weights_but_for_7(number: int, theirs: int) -> None:
    name = f"EfficientNet-B{number}"
    assert named_params(name) + 7 == theirs
    assert f"{theirs:,} in keras.applications, 7 of them" in NAMED[name].source


@pytest.mark.slow
def test_a_small_efficientnet_is_the_size_that_keras_builds() -> None:
    family, named = FAMILIES["mobilenet"], NAMED["EfficientNet-B1"]
    task = Task.of("image", (21, 17, 3), classes=3)
    spec = family.spec(**{**named.knobs, "width": 3, "stem_stride": 1})
    check_size_equals_keras(family.blueprint(spec, task))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        *((f"EfficientNet-B{n}", f"EfficientNetB{n}") for n in range(8)),
        *((name, name) for name in ("VGG16", "VGG19", "MobileNetV2", "NASNetMobile")),
        *((f"ResNet-{n}", f"ResNet{n}") for n in (50, 101, 152)),
        *((name, name) for name in ("ResNet50V2", "DenseNet121")),
        ("MobileNetV1", "MobileNet"),
    ],
)
def test_named_networks_have_the_params_of_keras(name: str, theirs: str) -> None:
    with keras.StatelessScope(initialize_variables=False):
        model = getattr(keras.applications, theirs)(weights=None)
    params = sum(prod(weight.shape) for weight in model.weights)
    assert params - named_params(name) == (7 if "Efficient" in name else 0)


@pytest.mark.slow
def test_the_trunk_computes_what_keras_efficientnet_computes() -> None:
    side, task = 75, Task.of("image", (75, 75, 3))
    theirs = keras.applications.EfficientNetB0(
        weights=None, include_top=False, input_shape=(side, side, 3), pooling="avg"
    )
    family, named = FAMILIES["mobilenet"], NAMED["EfficientNet-B0"]
    ours = build_model(family.blueprint(family.spec(**named.knobs), task))
    # Behind what scales the pixels.
    trunk = keras.Model(theirs.get_layer("stem_conv_pad").input, theirs.output)
    randomize_weights(trunk)
    pairs = zip(trunk.get_weights(), ours.weights, strict=True)
    ours.set_weights([np.reshape(w, weight.shape) for w, weight in pairs])
    assert_same_outputs(trunk, ours, side)
