"""Text as ids of sub-words, with one SentencePiece vocabulary for all texts of a task.

The sub-words are byte-pair merges (Sennrich et al. 2016), not those of a unigram model:
on Multi30k they are learned in 0.3 s and not in 3 s, texts are as short or shorter
(17.0 and 17.4 ids of a German sentence with 4,000 ids), and the first merges of a large
vocabulary are those of a small one, so that every smaller vocabulary is known at once.
"""

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from io import BytesIO
from itertools import chain
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kscale.data.example_rows import TEXT, Rows, spaced
from kscale.data.load_options import at_least
from kscale.data.preprocessing.base import Fit, LabelFit, OfOneInput, RawInput
from kscale.errors import DataError
from kscale.networks.views import length_of
from kscale.task.tasks import Input, Target
from kscale.task.tokens import (
    END,
    PADDING,
    SPACE,
    START,
    UNKNOWN,
    kept_ids,
    single_characters,
)

_SPECIAL = 4  # ids of no text, which come first
_OTHER = "\ufffd"  # name of characters that no training text has
_SIZES = (500, 1000, 2000, 4000, 8000, 16000)
_WORDS_AN_ID = 50  # of the training texts; with fewer, rare ids are hardly trained
_SHARE = 0.99  # of the training examples that are read to their end
_MOST_LENGTH = 128
_MOST_CHARACTERS = 30_000_000  # that a vocabulary is learned of
_MOST_MEASURED = 10_000  # examples whose ids are counted


@dataclass(frozen=True)
class Subwords(OfOneInput):
    """Ids of the sub-words of a text: 0 padding, 1 unknown, 2 the start, 3 the end.

    White space counts as one space. A text that is longer is cut, and has no end; nor
    has a text with U+2581 after its last word, which goes on in the next example.

    Args:
        model: The SentencePiece model: its bytes compressed by zlib, in base64.
        length: Ids of a text, the end included; shorter ones are padded.
        is_previous: Whether the ids are those before each id of a label: the start, and
            all but the last.
        unread: Training examples whose end is cut.
    """

    kind: ClassVar[str] = "subwords"

    model: str
    length: int
    is_previous: bool = False
    unread: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        if not self.unread:
            return ()
        what = f"{self.unread:,} training examples have" if self.unread > 1 else ""
        return (
            f"{what or 'One training example has'} more than {self.length} sub-words; "
            "what is beyond is not read (--length).",
        )

    @property
    def files(self) -> Mapping[str, bytes]:
        return {"subwords.model": _unpacked(self.model)}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The piece of a text of each id, with U+2581 for a space."""
        return names_of(self.model)

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts, each with its end, however long."""
        found = _encoded(self.model, [text.removesuffix(SPACE) for text in texts])
        for ids, text in zip(found, texts, strict=True):
            if not text.endswith(SPACE):
                ids.append(END)
        return found

    def apply(self, raw: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        texts = raw[self.raw.name].reshape(-1).tolist()
        found = np.zeros((len(texts), self.length), np.int32)
        for row, ids in zip(found, self.encoded(texts), strict=True):
            row[: len(ids)] = ids[: self.length]
        return before(found) if self.is_previous else found

    def variant(
        self, seen: Input | Target, view: Mapping[str, int], train: Mapping[str, Rows]
    ) -> "Subwords":
        size = view["subwords"]
        model = smaller_model(self.model, size)
        return replace(self, model=model, length=length_of(seen, size))


def before(labels: NDArray[Any]) -> NDArray[Any]:
    """The ids before those of labels: a start, and all but the last.

    Example:

    >>> before(np.array([[7, 8, 3, 0]]))
    array([[2, 7, 8, 0]])
    """
    moved = np.roll(labels, 1, axis=1)
    moved[:, 0] = START
    return np.where(labels == PADDING, PADDING, moved)


@lru_cache(maxsize=16)
def _processor(model: str) -> Any:
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_proto=_unpacked(model))


@lru_cache(maxsize=16)
def names_of(model: str) -> tuple[str, ...]:
    """As `Subwords.names`."""
    processor = _processor(model)
    pieces = processor.id_to_piece([*range(processor.get_piece_size())])
    return ("", _OTHER, "", "", *pieces[_SPECIAL:])


def _encoded(model: str, texts: Sequence[str]) -> list[list[int]]:
    # No sub-word has a space in it, so words are encoded once, however frequent: on
    # Multi30k in half the time that whole texts take.
    words = [text.split() for text in texts]
    known = [*{word: 0 for each in words for word in each}]
    ids = dict(zip(known, _processor(model).encode(known, num_threads=1), strict=True))
    return [[*chain.from_iterable(map(ids.__getitem__, each))] for each in words]


def windows_of(model: str, text: str, length: int) -> Iterator[str]:
    """A text in pieces of whole words that have at most so many ids, the end included;
    of a word that is longer, parts. All but the last piece end with U+2581."""
    taken, count = list[str](), 1
    for part, number in _parts(model, text.split(), length - 1):
        if taken and count + number > length:
            yield " ".join(taken) + SPACE
            taken, count = [], 1
        taken.append(part)
        count += number
    yield " ".join(taken)


def _parts(model: str, words: list[str], most: int) -> Iterator[tuple[str, int]]:
    """Words, those of more ids than that in parts, with the number of their ids."""
    pieces = _processor(model).encode(words, out_type=str, num_threads=1)
    for word, each in zip(words, pieces, strict=True):
        if len(each) <= most:
            yield word, len(each)
            continue
        step = max(1, most - 1)  # a part begins with a space, as a word does
        for start in range(0, len(each), step):
            part = each[start : start + step]
            yield "".join(part).removeprefix(SPACE), len(part) + 1


def smaller_model(model: str, vocabulary: int) -> str:
    """The model with so many of its ids: the first merges, and all characters."""
    from sentencepiece import sentencepiece_model_pb2 as messages

    proto: Any = vars(messages)["ModelProto"]()
    proto.ParseFromString(_unpacked(model))
    kept = [proto.pieces[place] for place in kept_ids(names_of(model), vocabulary)]
    del proto.pieces[:]
    proto.pieces.extend(kept)
    proto.trainer_spec.vocab_size = vocabulary
    return _packed(proto.SerializeToString())


def _packed(model: bytes) -> str:
    return base64.b64encode(zlib.compress(model, 9)).decode()


def _unpacked(model: str) -> bytes:
    return zlib.decompress(base64.b64decode(model))


def learned_model(texts: Sequence[str], vocabulary: int) -> str:
    """A model of at most so many ids, the same for the same texts.

    Of large texts some are read, evenly spaced. Every character that is read has an id.

    Raises:
        DataError: The texts hold nothing, or more characters than ids.
    """
    from sentencepiece import SentencePieceTrainer

    step = -(-sum(map(len, texts)) // _MOST_CHARACTERS) or 1
    read = [plain for text in texts[::step] if (plain := " ".join(text.split()))]
    characters = {*"".join(read)}
    if not characters:
        raise DataError("The texts of the training part hold nothing.")
    at_least(_SPECIAL + len(characters) + 1, "vocabulary", vocabulary)
    written = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(read),
        model_writer=written,
        model_type="bpe",
        vocab_size=vocabulary,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        pad_id=PADDING,
        unk_id=UNKNOWN,
        bos_id=START,
        eos_id=END,
        max_sentence_length=2**30,
        num_threads=1,
        minloglevel=2,
    )
    return _packed(written.getvalue())


class Learned(NamedTuple):
    """What was learned of training texts.

    Args:
        model: The largest model.
        sizes: Vocabularies, the largest last, with the length that texts have in each.
        unread: Training examples that are longer.
    """

    model: str
    sizes: tuple[tuple[int, int], ...]
    unread: int

    @property
    def views(self) -> tuple[tuple[int, int], ...]:
        """The sizes that networks may see; empty where there is one only."""
        return self.sizes if len(self.sizes) > 1 else ()


class SharedTexts:
    """Texts of an example that share a vocabulary, which is learned once.

    Args:
        names: Raw texts.
        vocabulary: Most ids; without a number, an id for 50 words of the texts, from
            500 to 16,000.
        length: Most ids of a text; without a number, 99 % of the training examples are
            read to their end, and 128 ids at most.
        is_cut: Whether texts are cut into several examples of that length, and read to
            their end: then 128 ids without a number.
    """

    def __init__(
        self,
        names: Sequence[str],
        vocabulary: int | None,
        length: int | None,
        is_cut: bool = False,
    ) -> None:
        at_least(_SPECIAL + 1, "vocabulary", vocabulary)
        at_least(2 if is_cut else 1, "length", length)
        self.names = tuple(names)
        self.vocabulary = vocabulary
        self.length = length
        self.is_cut = is_cut
        self._learned: Learned | None = None

    def learned(self, train: Mapping[str, Rows]) -> Learned:
        """What the training part teaches; later calls give the same."""
        if self._learned is None:
            columns = [train[name][:].tolist() for name in self.names]
            self._learned = self._learn(columns)
        return self._learned

    def _learn(self, columns: Sequence[list[str]]) -> Learned:
        every = [text for column in columns for text in column]
        words = sum(len(text.split()) for text in every)
        suited = [size for size in _SIZES if size * _WORDS_AN_ID <= words]
        most = self.vocabulary or max(suited, default=_SIZES[0])
        model = learned_model(every, most)
        if self.is_cut:
            columns = [self._windows(model, columns[0])]
        names = names_of(model)
        least = _SPECIAL + 2 * single_characters(names)
        smaller = [size for size in _SIZES if least <= size < len(names)]
        some = spaced(len(columns[0]), _MOST_MEASURED).tolist()
        read = [[column[place] for place in some] for column in columns]
        lengths = {size: _lengths(smaller_model(model, size), read) for size in smaller}
        lengths[len(names)] = whole = _lengths(model, read)
        sizes = tuple((size, self._length(each)) for size, each in lengths.items())
        unread = int((whole > sizes[-1][1]).sum())
        return Learned(model, sizes, unread * len(columns[0]) // len(some))

    def examples(self, raw: Mapping[str, Rows]) -> Mapping[str, Rows]:
        """As `LabelFit.examples`."""
        if self._learned is None or not self.is_cut:
            return raw
        (name,) = self.names
        windows = self._windows(self._learned.model, raw[name][:].tolist())
        return {name: np.array(windows, TEXT)}

    def _windows(self, model: str, texts: Sequence[str]) -> list[str]:
        length = self.length or _MOST_LENGTH
        return [each for text in texts for each in windows_of(model, text, length)]

    def _length(self, lengths: NDArray[Any]) -> int:
        if self.is_cut:
            return int(lengths.max())
        enough = int(np.quantile(lengths, _SHARE, method="inverted_cdf"))
        return self.length or min(enough, _MOST_LENGTH)


def _lengths(model: str, columns: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """The ids of the longest text of each example, with its end."""
    counts = [[len(ids) + 1 for ids in _encoded(model, each)] for each in columns]
    found: NDArray[np.int64] = np.array(counts).max(axis=0)
    return found


@dataclass(frozen=True, eq=False)
class SubwordFit(Fit):
    """How a text becomes an input of sub-words.

    Args:
        raw: The text.
        texts: All texts of the vocabulary.
        previous: Name of the target whose earlier tokens are the input; empty for a
            text that is read as a whole.
    """

    raw: str
    texts: SharedTexts
    previous: str = ""

    def fit(self, train: Mapping[str, Rows]) -> tuple[Input, Subwords]:
        found = self.texts.learned(train)
        vocabulary, length = found.sizes[-1]
        item = Input(
            f"{self.previous}/previous" if self.previous else self.raw,
            "tokens",
            (length,),
            vocabulary,
            previous=self.previous,
            sizes=found.views,
        )
        raw = RawInput(self.raw, (), "string")
        return item, Subwords(raw, found.model, length, bool(self.previous))


@dataclass(frozen=True, eq=False)
class SubwordLabels(LabelFit):
    """How a text becomes labels of sub-words: a target of a kind."""

    raw: str
    texts: SharedTexts
    kind: str

    def fit(self, train: Mapping[str, Rows]) -> tuple[Target, Subwords]:
        found = self.texts.learned(train)
        vocabulary, length = found.sizes[-1]
        names = names_of(found.model)
        target = Target(self.raw, self.kind, vocabulary, names, length, found.views)
        raw = RawInput(self.raw, (), "string")
        return target, Subwords(raw, found.model, length, unread=found.unread)

    def examples(self, raw: Mapping[str, Rows]) -> Mapping[str, Rows]:
        return self.texts.examples(raw)
