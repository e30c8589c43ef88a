"""The table of families: a new family is a file and a row here."""

from kscale.errors import SpecError, unknown_name
from kscale.networks.families import (
    cnn,
    gpt,
    linear,
    mlp,
    mobilenet,
    pretrained,
    resnet,
    rnn,
    seq2seq,
    transformer,
    vit,
)
from kscale.networks.families.base import Family, Knob, Spec
from kscale.networks.views import view_of
from kscale.task.tasks import Task

FAMILIES: dict[str, Family] = {
    "linear": linear.FAMILY,
    "mlp": mlp.FAMILY,
    "cnn": cnn.FAMILY,
    "resnet": resnet.FAMILY,
    "mobilenet": mobilenet.FAMILY,
    "rnn": rnn.FAMILY,
    "transformer": transformer.FAMILY,
    "vit": vit.FAMILY,
    "seq2seq": seq2seq.FAMILY,
    "gpt": gpt.FAMILY,
    "pretrained": pretrained.FAMILY,
}


def find_family(name: str) -> Family:
    """A family by name, in capitals or not.

    Raises:
        SpecError: There is no such family; the text names the nearest.
    """
    if str(name).lower() not in FAMILIES:
        raise SpecError(unknown_name("family", str(name), FAMILIES))
    return FAMILIES[str(name).lower()]


def find_knob(family: Family, name: str) -> Knob:
    """A knob of a family, the learning rate included.

    Raises:
        SpecError: The family has no such knob; the text names families that have it, or
            the nearest knob.
    """
    having = [other.name for other in FAMILIES.values() if name in other.all_knobs]
    if having and name not in family.all_knobs:
        others = ", ".join(having)
        raise SpecError(f"`{name}` is a knob of {others}, not of {family.name}.")
    return family.knob(name)


def view_of_spec(spec: Spec, task: Task) -> dict[str, int]:
    """What the network of a spec sees else than the data have, by knob; nothing for a
    user's network, whose hyperparameters may have any names."""
    return view_of(dict(spec.knobs), task) if spec.family in FAMILIES else {}
