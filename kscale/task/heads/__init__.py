"""Kinds of targets: one record each. A new kind is a new file and a row here."""

from kscale.task.heads.base import Head
from kscale.task.heads.characters import CHARACTERS
from kscale.task.heads.classes import CLASSES
from kscale.task.heads.labels import LABELS
from kscale.task.heads.real import REAL
from kscale.task.heads.tokens import NEXT, TOKENS

__all__ = ["HEADS", "Head"]

HEADS: dict[str, Head] = {
    head.kind: head for head in (CLASSES, LABELS, REAL, TOKENS, NEXT, CHARACTERS)
}
