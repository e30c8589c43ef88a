"""Options of loading: what a user may add that the data itself does not show."""

from dataclasses import dataclass
from typing import Literal

from kscale.errors import DataError
from kscale.task.tasks import InputKind

Resize = Literal["crop", "pad", "stretch"]

OF_WORDS = ("vocabulary", "length", "vectors")
"""Options that texts of words have."""


@dataclass(frozen=True)
class Options:
    """How a source is read; each source refuses the options it has no use for.

    Args:
        kind: Kind of the inputs, where the guess is wrong: vector, image, tokens,
            sequence or spectrogram.
        vocabulary: Most token ids, padding and unknown tokens included.
        label: Column to predict, as a name or with what it holds: NAME:classes,
            NAME:numbers, NAME:labels if several may be true; A,B,C:labels are columns
            of 0 and 1 that are one target. With `source`, its translations or
            transcripts.
        source: Column of sentences that are translated, or of paths of sound files
            that are transcribed.
        next: Column of texts whose next token is predicted.
        text: Column of text, read word by word.
        ignore: Column to leave out.
        decimal: Mark before fractions, a point (.) or a comma (,), where a table leaves
            open what 1,234 is.
        split_by: Column whose equal values stay in one part; for files, a regular
            expression whose first group, or whole match, in their paths is that value.
        image_size: Size that images are loaded in: 32, or 32x48 for height and width;
            the knob of this name shows a network smaller ones.
        resize: How images are brought to the size: `crop` cuts off what is too much,
            `pad` adds black, `stretch` changes proportions.
        channels: 1 for grey images, 3 for colour.
        seconds: Length that sounds are cut or padded to, as 1s; transcribed sounds that
            are longer are left out.
        length: Tokens of a text that are read.
        vectors: File of word vectors, as GloVe and fastText write them (.txt, .vec,
            .gz), that embeddings of words start from.
        memory: Most bytes of data to hold in memory; what is larger is streamed.
    """

    kind: InputKind | None = None
    vocabulary: int | None = None
    label: tuple[str, ...] = ()
    source: str | None = None
    next: str | None = None
    text: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    decimal: Literal[".", ","] | None = None
    split_by: str | None = None
    image_size: tuple[int, int] | None = None
    resize: Resize | None = None
    channels: int | None = None
    seconds: float | None = None
    length: int | None = None
    vectors: str | None = None
    memory: int | None = None

    def refuse_except(self, what: str, *usable: str) -> None:
        """Raise if an option is given that data of this form has no use for."""
        for name, default in vars(Options()).items():
            if getattr(self, name) != default and name not in (*usable, "memory"):
                raise DataError(
                    f"`{name}` is of no use for {what}; leave it out. Of use are: "
                    f"{', '.join(usable) or 'none'}."
                )


def at_least(least: int, name: str, value: int | None) -> None:
    """Raise a DataError where a number is given that is too small."""
    if value is not None and value < least:
        raise DataError(f"`{name} >= {least}` must hold, but got {name}={value}.")
