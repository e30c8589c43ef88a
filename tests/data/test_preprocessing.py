"""The contract of `tests/contracts/preprocessing.py` over all preprocessings."""

from pathlib import Path

import numpy as np
import pytest
from contracts.preprocessing import CHECKS, Check, Checked

from kscale.data.preprocessing import PREPROCESSINGS, RawInput
from kscale.data.preprocessing.log_mel import LogMelFit
from kscale.data.preprocessing.scaled import Averaged, Scaled, Scaling, Unchanged
from kscale.data.preprocessing.table_columns import (
    Category,
    Number,
    TableColumns,
    TableFit,
)
from kscale.data.preprocessing.text_tokens import TextFit, TextTokens, words_of
from kscale.errors import DataError

RNG = np.random.default_rng(1)


def texts(*values: str):
    return np.array(values, np.dtypes.StringDType())


TABLE = TableColumns(
    (
        Number("age", 0.1, -4.0),
        Number("gain", 0.5, -1.0, unit=700.0, tells_blanks=True),
        Number("years", 2.0, 0.25, tells_blanks=True),
    ),
    (
        Category("job", ("clerk", "", "a\nb", "[UNK]"), has_others=True),
        Category("town", ("New York", "Ötz")),
        Category("flag", ("", "yes")),
    ),
)
ROWS = {
    "age": np.array([40.0, np.nan, 17.0, -3e4, 0.0], np.float32),
    "gain": np.array([0.0, 1e5, np.nan, -20.0, 699.5], np.float32),
    "years": np.array([1.0, 2.0, np.nan, np.nan, 0.5], np.float32),
    "job": texts("clerk", "", "a\nb", "[UNK]", "baker"),
    "town": texts("Ötz", "New York", "new york", "", "Ötz"),
    "flag": texts("", "yes", "no", "yes", ""),
}
SENTENCES = {
    "title": texts("It's GOOD, really", "", "ÄPFEL äpfel", "one two", "\ta\x0bb\x00 c"),
    "body": texts("so-so good", "", "nb\u00a0sp \u3000 good", "three four five", "?!"),
}
SOUNDS = {"sound": RNG.normal(0, 0.1, (5, 800)).astype(np.float32)}
PIXELS = RawInput("x", (6, 8, 3))
IMAGES = {"x": RNG.integers(0, 256, (4, 6, 8, 3)).astype(np.float32)}
COLOURS = Scaling((0.02, 0.01, 0.03), (-1.0, 0.5, 0.0))
CHECKED = {
    "averaged": Checked(Averaged(PIXELS, COLOURS, 3, 4), IMAGES),
    "averaged by parts of pixels": Checked(Averaged(PIXELS, COLOURS, 4, 5), IMAGES),
    "log mel": Checked(
        LogMelFit("x", "sound", 8000, 800).fit(SOUNDS)[1], SOUNDS, tolerance=1e-3
    ),
    "log mel in steps that are not whole": Checked(
        LogMelFit("x", "sound", 8000, 800, window=32, bands=10).fit(SOUNDS)[1],
        SOUNDS,
        tolerance=1e-3,
    ),
    "scaled": Checked(
        Scaled(RawInput("x", (2,)), Scaling((2.0, 0.5), (1.0, -1.0))),
        {"x": RNG.normal(size=(5, 2)).astype(np.float32)},
    ),
    "unchanged": Checked(
        Unchanged(RawInput("x", (3,), "int32")), {"x": RNG.integers(0, 9, (5, 3))}
    ),
    "columns": Checked(TABLE, ROWS),
    "only numbers": Checked(TableColumns(TABLE.numbers[:1]), ROWS),
    "only categories": Checked(TableColumns((), TABLE.categories[1:]), ROWS),
    "text": Checked(TextTokens(("title",), ("good", "äpfel", "b"), 4), SENTENCES),
    "joined texts": Checked(
        TextTokens(("title", "body"), ("good", "soso", "one", "a"), 4), SENTENCES
    ),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CHECKED)
def test_preprocessing_keeps_the_contract(
    name: str, check: Check, tmp_path: Path
) -> None:
    check(CHECKED[name], tmp_path)


def test_every_preprocessing_is_under_contract() -> None:
    known = {item.kind for item in (checked.item for checked in CHECKED.values())}
    # Sub-words are no layer of Keras: their model lies beside what ships.
    assert known == PREPROCESSINGS.keys() - {"subwords"}


def test_a_table_is_numbers_then_blanks_then_categories() -> None:
    row = TABLE.apply({name: values[2:3] for name, values in ROWS.items()})[0]
    numbers, blanks, job, town = row[:3], row[3:5], row[5:10], row[10:12]
    np.testing.assert_allclose(numbers, [17 * 0.1 - 4, 0, 0], rtol=1e-6)
    assert blanks.tolist() == [1, 1]
    assert job.tolist() == [0, 0, 0, 1, 0]  # others come first
    assert town.tolist() == [0, 0]  # a word that training does not know
    assert row[12:].tolist() == [0, 0]


def test_numbers_are_standardized_with_what_is_there() -> None:
    values = np.array([1, 2, 3, np.nan], np.float32)
    item, fitted = TableFit(("a",), ()).fit({"a": values})
    assert item.shape == (2,)
    spread = np.sqrt(2 / 3)
    expected = [[-1 / spread, 0], [0, 0], [1 / spread, 0], [0, 1]]
    np.testing.assert_allclose(fitted.apply({"a": values}), expected, atol=1e-6)


def test_strongly_skewed_numbers_have_their_logarithm_taken() -> None:
    skewed = np.exp(RNG.normal(0, 2, 500)).astype(np.float32)
    normal = RNG.normal(0, 2, 500).astype(np.float32)
    _, fitted = TableFit(("a", "b"), ()).fit({"a": skewed, "b": normal})
    a, b = fitted.numbers
    assert a.unit == np.median(skewed) and b.unit == 0
    features = fitted.apply({"a": skewed, "b": normal})
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-5)


def test_the_unit_of_a_column_does_not_change_its_features() -> None:
    small = np.exp(RNG.normal(0, 2, 500)).astype(np.float32)
    _, fitted = TableFit(("a", "b"), ()).fit({"a": small, "b": small * 1024})
    features = fitted.apply({"a": small, "b": small * 1024})
    np.testing.assert_allclose(features[:, 0], features[:, 1], atol=1e-4)


def test_a_column_of_one_number_is_not_blown_up() -> None:
    values = np.full(30, 7.3, np.float32)
    _, fitted = TableFit(("a",), ()).fit({"a": values})
    assert np.abs(fitted.apply({"a": values})).max() < 1e-5


@pytest.mark.parametrize(("rows", "rare"), [(1000, 9), (300, 2)])
def test_rare_categories_are_one(rows: int, rare: int) -> None:
    words = texts(*["b"] * (rows - 2 * rare - 20), *["a"] * 20, *["c", "d"] * rare)
    _, fitted = TableFit((), ("job",)).fit({"job": words})
    assert fitted.categories == (Category("job", ("b", "a"), has_others=True),)
    shown = fitted.apply({"job": texts("b", "a", "c", "never seen")})
    assert shown.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_columns_without_a_feature_are_reported() -> None:
    with pytest.raises(DataError, match="no column"):
        TableFit((), ()).fit({})


def test_words_are_ordered_by_frequency_and_rare_ones_are_unknown() -> None:
    rows = texts("b a b", "b a once", "b, A!")
    item, fitted = TextFit(("text",)).fit({"text": rows})
    assert fitted.words == ("b", "a")
    assert (item.vocabulary, item.unknown, item.shape) == (4, 1, (3,))
    encoded = fitted.apply({"text": texts("a b once more", "A")})
    assert encoded.tolist() == [[3, 2, 1], [3, 0, 0]]


def test_equally_frequent_words_are_in_one_order() -> None:
    _, one = TextFit(("text",)).fit({"text": texts("c b a", "a b c")})
    _, other = TextFit(("text",)).fit({"text": texts("a b c", "b c a")})
    assert one == other and one.words == ("a", "b", "c")


@pytest.mark.parametrize(
    "text",
    [
        "这部电影很好看",
        "この映画は面白い",
        "ภาพยนตร์เรื่องนี้ดี",
        "ຮູບເງົາດີ",
        "ភាពយន្តល្អណាស់",
        "ရုပ်ရှင်ကောင်းတယ်",
        "iPhone 12 很好用",
    ],
)
def test_scripts_without_spaces_are_read_by_characters(text: str) -> None:
    _, fitted = TextFit(("text",)).fit({"text": texts(text, text, "OK!")})
    assert fitted.by_characters and set("".join(fitted.words)) <= {*text.lower()}
    assert (fitted.apply({"text": texts(text)}) > 1).all()
    model = Checked(fitted, {"text": texts(text, "OK, 好", "")})
    model.assert_same(model.model(model.fed))


def test_some_texts_without_spaces_do_not_split_the_others() -> None:
    others = [
        "좋은 영화 정말",
        "eine gute Sache war das",
        "the film of 张艺谋 was fine",
    ]
    _, fitted = TextFit(("text",)).fit({"text": texts(*others * 3, "这部电影很好")})
    assert not fitted.by_characters and fitted.words[0] == "das"
    assert fitted.unsplit == 1


def test_vocabulary_and_length_may_be_given() -> None:
    item, fitted = TextFit(("text",), 4, 2).fit({"text": texts("b b a a c d d d")})
    assert fitted.words == ("d", "a") and item.vocabulary == 4 and item.shape == (2,)


def test_most_texts_are_read_to_their_end_but_no_book() -> None:
    lengths = [3] * 90 + [5] * 7 + [1000] * 3
    _, fitted = TextFit(("text",)).fit({"text": texts(*("a " * n for n in lengths))})
    assert fitted.length == 5
    _, fitted = TextFit(("text",)).fit({"text": texts(*["a " * 1000] * 9)})
    assert fitted.length == 256


@pytest.mark.parametrize(
    ("fit", "match"),
    [
        (
            lambda: TextFit(("t",), vocabulary=2),
            "`vocabulary >= 3` .* got vocabulary=2",
        ),
        (
            lambda: TextFit(("t",), length=0),
            "`length >= 1` must hold, but got length=0",
        ),
        (lambda: TextFit(("t",)).fit({"t": texts("", "?!")}), "hold no words"),
    ],
)
def test_what_cannot_be_fitted_is_reported(fit, match: str) -> None:
    with pytest.raises(DataError, match=match):
        fit()


def test_words_of_any_character_are_those_of_tensorflow() -> None:
    import tensorflow as tf

    every = (chr(code) for code in range(1, 0x3100) if not 0xD800 <= code < 0xE000)
    lines = [f"A{character}B c" for character in every]
    lowered = tf.strings.lower(tf.constant(lines))
    # The expression in keras.layers.TextVectorization.
    signs = r'[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']'
    split = tf.strings.split(tf.strings.regex_replace(lowered, signs, "")).to_list()
    assert split == [words_of(line) for line in lines]
