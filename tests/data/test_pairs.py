"""Sentences and their translations: what is read of tables, and as which ids."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from contracts.preprocessing import (
    Checked,
    check_each_example_counts_for_itself,
    check_json_gives_the_same_back,
)
from data.made_pairs import pair, pairs
from data.made_tables import write_text

from kscale import load_dataset
from kscale.data.dataset import Dataset
from kscale.data.preprocessing.subwords import Subwords
from kscale.data.stored import open_dataset, store_dataset
from kscale.errors import DataError
from kscale.task.tokens import END, PADDING, START, UNKNOWN, text_of


def loaded(path: Path, **options: object) -> Dataset:
    return load_dataset(path, source="en", label="de", **options)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return loaded(pairs(tmp_path_factory.mktemp("pairs") / "pairs.tsv", 120))


def test_a_network_reads_a_sentence_and_the_tokens_before_each_label(
    data: Dataset,
) -> None:
    (target,) = data.task.targets
    source, previous = data.task.inputs
    assert (source.name, previous.name) == ("en", "de/previous")
    assert (source.previous, previous.previous) == ("", "de")
    assert (target.kind, target.outputs) == ("tokens", source.vocabulary)
    assert source.sizes == previous.sizes == target.sizes == ()
    assert source.shape == previous.shape == (target.length,)
    for part in data.parts.values():
        labels = part.targets["de"]
        before = part.inputs["de/previous"]
        assert (before[:, 0] == START).all()
        kept = labels[:, 1:] != PADDING
        np.testing.assert_array_equal(before[:, 1:], np.where(kept, labels[:, :-1], 0))
        for ids in (*labels, *part.inputs["en"]):
            if len(tokens := ids[ids != PADDING]) < target.length:
                assert tokens[-1] == END and END not in tokens[:-1]
            assert not np.isin(tokens, (START, UNKNOWN)).any()


def test_the_ids_of_labels_are_the_sentences(data: Dataset) -> None:
    names = data.task.targets[0].class_names
    english = {pair(row)[0]: pair(row)[1] for row in range(120)}
    for part in data.parts.values():
        for ids, given, labels in zip(
            part.inputs["en"], part.raw["en"][:], part.targets["de"], strict=True
        ):
            if END in ids and END in labels:
                assert text_of(ids, names) == given
                assert text_of(labels, names) == english[given]


def test_equal_sentences_stay_in_one_part(tmp_path: Path) -> None:
    text = pairs(tmp_path / "a.tsv", 40).read_text().splitlines()
    lines = [text[0], *text[1:], *(f"{line} Ja." for line in text[1:])]
    data = loaded(write_text(tmp_path / "b.tsv", "\n".join(lines)))
    sentences = [{*part.raw["en"][:].tolist()} for part in data.parts.values()]
    assert sum(map(len, sentences)) == len({*chain(*sentences)}) == 40
    assert sum(map(len, data.parts.values())) == 80
    assert data.cut_by == "Column 'en'"


def test_parts_beside_the_file_are_taken_as_they_are(tmp_path: Path) -> None:
    train = pairs(tmp_path / "p_train.tsv.gz", 60)
    pairs(tmp_path / "p_validation.tsv.gz", 20, 60)
    pairs(tmp_path / "p_test.tsv.gz", 12, 80)
    data = loaded(train)
    assert [*map(len, data.parts.values())] == [60, 20, 12]
    assert data.test.raw["en"][0] == pair(80)[0] and not data.cut


def test_another_load_gives_the_same_and_other_options_do_not(tmp_path: Path) -> None:
    path = pairs(tmp_path / "pairs.tsv")
    first = loaded(path)
    assert loaded(path).fingerprint == first.fingerprint
    assert loaded(path).preprocessing == first.preprocessing
    small = loaded(path, vocabulary=50, length=9)
    assert small.fingerprint != first.fingerprint
    assert (small.task.inputs[0].vocabulary, small.task.inputs[0].shape) == (50, (9,))


def test_what_is_longer_is_cut_and_has_no_end(tmp_path: Path) -> None:
    data = loaded(pairs(tmp_path / "pairs.tsv"), length=5)
    assert (data.train.targets["de"] != PADDING).all()
    assert not (data.train.targets["de"] == END).any()
    assert (
        f"{len(data.train)} training examples have more than 5 sub-words"
        in " ".join(data.notes)
    )


def test_lengths_are_those_of_the_longer_side(data: Dataset) -> None:
    found = data.lengths
    assert found is not None and found.dtype == np.int32
    sides = data.train.inputs["en"], data.train.targets["de"]
    longest = np.maximum(*[np.count_nonzero(side, axis=1) for side in sides])
    np.testing.assert_array_equal(found, longest)


def test_another_process_opens_the_same(data: Dataset, tmp_path: Path) -> None:
    store_dataset(data, tmp_path)
    found = open_dataset(tmp_path)
    assert found.task == data.task and found.labelling == data.labelling
    assert found.preprocessing == data.preprocessing
    for name, part in data.parts.items():
        again = found.parts[name]
        np.testing.assert_array_equal(again.targets["de"], part.targets["de"])
        for key, rows in part.inputs.items():
            np.testing.assert_array_equal(again.inputs[key][:], rows[:])
        assert {*again.raw} == {*part.raw} == {"en", "de"}


def test_lines_of_a_file_are_sentences_to_translate(
    data: Dataset, tmp_path: Path
) -> None:
    path = write_text(tmp_path / "a.txt", "One, two.\n\n  Three, four. \n")
    found = [(it.source, it.raw["en"].item()) for it in data.reader.examples(path)]
    assert found == [(f"{path}:1", "One, two."), (f"{path}:3", "Three, four.")]
    table = write_text(tmp_path / "b.tsv", "id\ten\n7\tSix cats\n")
    (example,) = data.reader.examples(table)
    assert example.raw["en"].item() == "Six cats"


def with_lines(path: Path, *lines: str) -> Path:
    return write_text(path, pairs(path).read_text() + "\n".join(lines) + "\n")


def test_a_pair_with_an_empty_side_is_left_out(tmp_path: Path) -> None:
    path = with_lines(tmp_path / "a.tsv", "Hello\t", "\tHallo", "Bye\tTschüss")
    data = loaded(path)
    assert sum(map(len, data.parts.values())) == 61
    assert any(
        each.startswith(
            "2 of 63 pairs have an empty side or no two sides and were left out, "
            "the first "
        )
        and each.endswith("a.tsv:62.")
        for each in data.warnings
    )


@pytest.mark.parametrize(
    ("lines", "options", "text"),
    [
        ([], {"source": "eng"}, r"Unknown column 'eng'\. Did you mean 'en'\?"),
        ([], {"label": "fr"}, r"Unknown column 'fr'\..* Known: de, en\."),
        ([], {"label": "en"}, r"must be two columns, but both are 'en'\."),
        ([], {"label": ()}, r"need the column of sentences and that of their"),
        ([], {"vocabulary": 9}, r"`vocabulary >= \d+` must hold, but got vocabulary=9"),
        ([], {"text": "en"}, r"`text` is of no use for sentence pairs"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, lines: list[str], options: dict[str, object], text: str
) -> None:
    path = with_lines(tmp_path / "a.tsv", *lines)
    with pytest.raises(DataError, match=text):
        load_dataset(path, **{"source": "en", "label": "de", **options})


def test_too_few_pairs_and_empty_sides_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"At least 10 examples .* a.tsv: en has 4\."):
        loaded(pairs(tmp_path / "a.tsv", 4))
    path = write_text(tmp_path / "b.tsv", "en\tde\n" + "a\t\n" * 20)
    with pytest.raises(
        DataError, match="b.tsv holds nothing to learn: no pair has bot"
    ):
        loaded(path)


def test_sentencepiece_alone_gives_the_same_ids(data: Dataset, tmp_path: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    item = data.preprocessing["en"]
    assert isinstance(item, Subwords)
    path = tmp_path / "subwords.model"
    path.write_bytes(item.files["subwords.model"])
    plain = SentencePieceProcessor(model_file=str(path))
    assert plain.get_piece_size() == data.task.inputs[0].vocabulary
    texts = [*data.test.raw["en"][:].tolist(), "x-ray  of\tsix cats", "♥", ""]
    assert [plain.encode(" ".join(text.split())) + [END] for text in texts] == (
        item.encoded(texts)
    )
    assert item.encoded(["♥"]) == [[*plain.encode("♥"), END]]
    assert plain.decode(plain.encode("Six cats.")) == "Six cats."


def test_the_record_is_plain_data(data: Dataset, tmp_path: Path) -> None:
    raw = {name: rows[:] for name, rows in data.test.raw.items()}
    for item in (*data.preprocessing.values(), *data.labelling.values()):
        check_json_gives_the_same_back(Checked(item, raw), tmp_path)
        check_each_example_counts_for_itself(Checked(item, raw), tmp_path)


def test_the_text_says_how_many_sub_words_there_are(data: Dataset) -> None:
    described = data.describe()
    counts = np.count_nonzero(data.train.inputs["en"], axis=1)
    tokens = described["inputs"][0]["tokens"]["train"]
    assert tokens == {"of_a_text": counts.mean(), "unknown": 0}
    first = {name: str(rows[0]) for name, rows in data.train.raw.items()}
    assert described["example"] == first
    assert f"Example: {first['en']} -> {first['de']}\n" in str(data)
    assert "so scores on it are uncertain.\n" in str(data)


def test_quotes_of_tab_separated_sentences_are_characters(tmp_path: Path) -> None:
    lines = [f"word {n} here\tWort {n} da" for n in range(60)]
    lines[7] = '"Hello, he said\tHallo'
    lines[9], lines[20] = "no translation", 'bye"\t"so" war es'
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(["en\tde", *lines]) + "\n")
    data = loaded(path)
    assert sum(map(len, data.parts.values())) == 59
    (warning,) = [each for each in data.warnings if "left out" in each]
    assert "pairs.tsv:11" in warning
