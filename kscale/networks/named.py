"""Published networks by their usual names, each with its source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kscale.errors import SpecError, unknown_name
from kscale.task.tasks import Input, Task


@dataclass(frozen=True)
class Named:
    """A published network.

    Args:
        family: Family it belongs to.
        knobs: Knobs that differ from the family's defaults.
        task: Inputs and targets it was published with.
        source: Paper and table the setting is from.
    """

    family: str
    task: Task
    source: str
    knobs: Mapping[str, Any] = field(default_factory=dict)


_IMAGENET = Task.of("image", (224, 224, 3), classes=1000)
_VGG = {"width": 64, "norm": "none", "stages": 5, "head_units": 4096}
_VGG_SOURCE = "Simonyan & Zisserman 2014, table 1"
_RESNET = {"norm": "post", "width": 64, "stages": 4, "stem": "imagenet"}
# With the biases that keras.applications gives the convolutions of these.
_BOTTLENECK = {**_RESNET, "depth": 3, "block": "bottleneck", "bias": True}
_RESNET_SOURCE = "He et al. 2015, table 1"


def _encoder(vocabulary: int) -> Task:
    return Task(
        (
            Input("ids", "tokens", (512,), vocabulary),
            Input("types", "tokens", (512,), 2),
        ),
        (),
    )


_BERT = {"norm": "post", "pooling": "first", "heads": 0, "token_dropout": 0.0}
_ALBERT = {**_BERT, "shared": True, "embedding_width": 128}
_BERT_SOURCE = "Devlin et al. 2018, section 3, with pooler"
_ALBERT_SOURCE = "Lan et al. 2019, table 1, with pooler"
_SMALL_BERT_SOURCE = "Turc et al. 2019, with pooler"
_VIT = {"patch": 16, "pooling": "token"}
_VIT_SOURCE = "Dosovitskiy et al. 2020, table 1"
_SMALL_VIT_SOURCE = "Touvron et al. 2020, table 1"

NAMED: dict[str, Named] = {
    "VGG11": Named("cnn", _IMAGENET, f"{_VGG_SOURCE}, A", {**_VGG, "depth": 8}),
    "VGG13": Named("cnn", _IMAGENET, f"{_VGG_SOURCE}, B", {**_VGG, "depth": 10}),
    "VGG16": Named("cnn", _IMAGENET, f"{_VGG_SOURCE}, D", {**_VGG, "depth": 13}),
    "ResNet-18": Named("resnet", _IMAGENET, _RESNET_SOURCE, {**_RESNET, "depth": 2}),
    "ResNet-34": Named(
        "resnet",
        _IMAGENET,
        _RESNET_SOURCE,
        {**_RESNET, "depth": 3, "pattern": "3-4-6-3"},
    ),
    "ResNet-50": Named(
        "resnet",
        _IMAGENET,
        f"{_RESNET_SOURCE}, biases as Keras",
        {**_BOTTLENECK, "pattern": "3-4-6-3"},
    ),
    "ResNet-101": Named(
        "resnet",
        _IMAGENET,
        f"{_RESNET_SOURCE}, biases as Keras",
        {**_BOTTLENECK, "pattern": "3-4-23-3"},
    ),
    "ResNet-152": Named(
        "resnet",
        _IMAGENET,
        f"{_RESNET_SOURCE}, biases as Keras",
        {**_BOTTLENECK, "pattern": "3-8-36-3"},
    ),
    "MobileNetV2": Named(
        "mobilenet",
        _IMAGENET,
        "Sandler et al. 2018, table 2",
        {"layout": "v2", "depth": 1, "width": 16, "stem_stride": 2},
    ),
    "BERT-tiny": Named(
        "transformer",
        _encoder(30522),
        _SMALL_BERT_SOURCE,
        {**_BERT, "depth": 2, "width": 128},
    ),
    "BERT-base": Named(
        "transformer",
        _encoder(30522),
        _BERT_SOURCE,
        {**_BERT, "depth": 12, "width": 768},
    ),
    "BERT-large": Named(
        "transformer",
        _encoder(30522),
        _BERT_SOURCE,
        {**_BERT, "depth": 24, "width": 1024},
    ),
    "ALBERT-base": Named(
        "transformer",
        _encoder(30000),
        _ALBERT_SOURCE,
        {**_ALBERT, "depth": 12, "width": 768},
    ),
    "ALBERT-large": Named(
        "transformer",
        _encoder(30000),
        _ALBERT_SOURCE,
        {**_ALBERT, "depth": 24, "width": 1024},
    ),
    "ViT-Ti/16": Named(
        "vit", _IMAGENET, _SMALL_VIT_SOURCE, {**_VIT, "depth": 12, "width": 192}
    ),
    "ViT-S/16": Named(
        "vit", _IMAGENET, _SMALL_VIT_SOURCE, {**_VIT, "depth": 12, "width": 384}
    ),
    "ViT-B/16": Named(
        "vit", _IMAGENET, _VIT_SOURCE, {**_VIT, "depth": 12, "width": 768}
    ),
    "ViT-L/16": Named(
        "vit", _IMAGENET, _VIT_SOURCE, {**_VIT, "depth": 24, "width": 1024}
    ),
}


def find_named(name: str) -> tuple[str, Named]:
    """A published network by its name in any spelling: `vgg16`, `bert_base`.

    Raises:
        SpecError: No network of that name is known.
    """
    by_letters = {_letters(known): known for known in NAMED}
    if _letters(name) not in by_letters:
        raise SpecError(unknown_name("network", name, NAMED))
    known = by_letters[_letters(name)]
    return known, NAMED[known]


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
