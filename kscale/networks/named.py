"""Published networks by their usual names, each with its source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kscale.errors import SpecError, unknown_name
from kscale.naming import letters_of
from kscale.task.tasks import Input, Task

_Common = tuple[str, Task, Mapping[str, Any]]


@dataclass(frozen=True)
class Named:
    """A published network.

    Args:
        family: Family of the network.
        task: Inputs and targets that the network was published with.
        source: Paper and table of the setting.
        knobs: Knobs that differ from the defaults of the family.
    """

    family: str
    task: Task
    source: str
    knobs: Mapping[str, Any] = field(default_factory=dict)


def _tokens(vocabulary: int) -> Task:
    ids = Input("ids", "tokens", (512,), vocabulary)
    return Task((ids, Input("types", "tokens", (512,), 2)), ())


_IMAGENET = Task.of("image", (224, 224, 3), classes=1000)
_RESIDUAL = {"norm": "post", "width": 64, "stages": 4, "stem": "imagenet"}
_ENCODER = {"norm": "post", "pooling": "first", "heads": 0, "token_dropout": 0.0}

# Family, task and knobs that several networks share.
_VGG = (
    "cnn",
    _IMAGENET,
    {"width": 64, "norm": "none", "stages": 5, "head_units": 4096},
)
_RESNET = ("resnet", _IMAGENET, _RESIDUAL)
# With the biases that keras.applications gives the convolutions of these.
_BOTTLENECK = (
    "resnet",
    _IMAGENET,
    {**_RESIDUAL, "depth": 3, "block": "bottleneck", "bias": True},
)
_MOBILENET = ("mobilenet", _IMAGENET, {"layout": "v2", "stem_stride": 2})
_BERT = ("transformer", _tokens(30522), _ENCODER)
_ALBERT = (
    "transformer",
    _tokens(30000),
    {**_ENCODER, "shared": True, "embedding_width": 128},
)
_VIT = ("vit", _IMAGENET, {"patch": 16, "pooling": "token"})

_VGG_TABLE = "Simonyan & Zisserman 2014, table 1"
_RESNET_TABLE = "He et al. 2015, table 1"
_WITH_BIASES = f"{_RESNET_TABLE}, biases as Keras"
_MOBILENET_TABLE = "Sandler et al. 2018, table 2"
_BERT_TEXT = "Devlin et al. 2018, section 3, with pooler"
_SMALL_BERT_TEXT = "Turc et al. 2019, with pooler"
_ALBERT_TABLE = "Lan et al. 2019, table 1, with pooler"
_VIT_TABLE = "Dosovitskiy et al. 2020, table 1"
_SMALL_VIT_TABLE = "Touvron et al. 2020, table 1"

_ROWS: dict[str, tuple[_Common, str, dict[str, Any]]] = {
    "VGG11": (_VGG, f"{_VGG_TABLE}, A", {"depth": 8}),
    "VGG13": (_VGG, f"{_VGG_TABLE}, B", {"depth": 10}),
    "VGG16": (_VGG, f"{_VGG_TABLE}, D", {"depth": 13}),
    "ResNet-18": (_RESNET, _RESNET_TABLE, {"depth": 2}),
    "ResNet-34": (_RESNET, _RESNET_TABLE, {"depth": 3, "pattern": "3-4-6-3"}),
    "ResNet-50": (_BOTTLENECK, _WITH_BIASES, {"pattern": "3-4-6-3"}),
    "ResNet-101": (_BOTTLENECK, _WITH_BIASES, {"pattern": "3-4-23-3"}),
    "ResNet-152": (_BOTTLENECK, _WITH_BIASES, {"pattern": "3-8-36-3"}),
    "MobileNetV2": (_MOBILENET, _MOBILENET_TABLE, {"depth": 1, "width": 16}),
    "BERT-tiny": (_BERT, _SMALL_BERT_TEXT, {"depth": 2, "width": 128}),
    "BERT-base": (_BERT, _BERT_TEXT, {"depth": 12, "width": 768}),
    "BERT-large": (_BERT, _BERT_TEXT, {"depth": 24, "width": 1024}),
    "ALBERT-base": (_ALBERT, _ALBERT_TABLE, {"depth": 12, "width": 768}),
    "ALBERT-large": (_ALBERT, _ALBERT_TABLE, {"depth": 24, "width": 1024}),
    "ViT-Ti/16": (_VIT, _SMALL_VIT_TABLE, {"depth": 12, "width": 192}),
    "ViT-S/16": (_VIT, _SMALL_VIT_TABLE, {"depth": 12, "width": 384}),
    "ViT-B/16": (_VIT, _VIT_TABLE, {"depth": 12, "width": 768}),
    "ViT-L/16": (_VIT, _VIT_TABLE, {"depth": 24, "width": 1024}),
}

NAMED: dict[str, Named] = {
    name: Named(family, task, source, {**shared, **knobs})
    for name, ((family, task, shared), source, knobs) in _ROWS.items()
}


def find_named(name: str) -> tuple[str, Named]:
    """The name and the record of a network, by any spelling: `vgg16`, `bert_base`.

    Raises:
        SpecError: No network of that name is known.
    """
    by_letters = {letters_of(known): known for known in NAMED}
    if letters_of(name) not in by_letters:
        raise SpecError(unknown_name("network", name, NAMED))
    known = by_letters[letters_of(name)]
    return known, NAMED[known]
