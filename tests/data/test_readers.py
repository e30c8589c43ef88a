"""Readers: files as raw inputs, with an error for each unreadable example."""

import json
from pathlib import Path

import numpy as np
import pytest
from data.made_tables import sentences, table, write_csv, write_text

from kscale.data.loading import load_dataset
from kscale.data.readers import READERS, ArrayReader, Reader, reader_from_json
from kscale.data.readers.table_files import TableColumn, TableReader, TextReader

TABLE = TableReader(
    (TableColumn("h/week", "h_week", "number"), TableColumn("job", "job", "category"))
)
TEXTS = TextReader(
    (TableColumn("title", "title", "text"), TableColumn("body", "body", "text"))
)


@pytest.mark.parametrize("reader", [ArrayReader("x", (8, 8)), TABLE, TEXTS])
def test_a_reader_is_plain_data(reader: Reader) -> None:
    assert reader_from_json(json.loads(json.dumps(reader.to_json()))) == reader
    assert READERS[reader.kind] is type(reader)


def read(reader: Reader, path: Path) -> list[tuple[str, object]]:
    """The end of the source, and the values or the error."""
    return [
        (
            str(example.source).rpartition("/")[2],
            example.error
            if example.raw is None
            else [array.tolist() for array in example.raw.values()],
        )
        for example in reader.examples(path)
    ]


def test_rows_are_read_by_the_names_of_columns(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.tsv", "job\tother\th/week\n?\tx\t40\nclerk\t\t?\n")
    (first, words), (second, blank) = read(TABLE, path)
    assert (first, words) == ("a.tsv:2", [40.0, ""])
    assert second == "a.tsv:3" and np.isnan(blank[0]) and blank[1] == "clerk"


def test_a_bad_row_does_not_stop_the_others(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "a.csv", ["h/week", "job"], ["many", "a"], [1], [2, "b"]
    )
    bad, short, good = read(TABLE, path)
    assert bad[0] == "a.csv:2" and "must hold a number in h/week" in bad[1]
    assert short[0] == "a.csv:3" and "must have 2 cells" in short[1]
    assert good == ("a.csv:4", [2.0, "b"])


def test_a_row_unlike_all_of_training_has_notes(tmp_path: Path) -> None:
    rows = [[i % 10 + 17, ("clerk", "cook", "")[i % 3], i % 2] for i in range(200)]
    data = load_dataset(write_csv(tmp_path / "a.csv", ["h/week", "job", "y"], *rows))
    reader = reader_from_json(json.loads(json.dumps(data.reader.to_json())))
    assert not any(example.notes for example in reader.examples(tmp_path / "a.csv"))
    new = [[900, "cook"], [20, "pilot"], [16.5, " Cook"], ["?", ""]]
    path = write_csv(tmp_path / "new.csv", ["h/week", "job"], *new)
    notes = [list(example.notes.values()) for example in reader.examples(path)]
    assert notes[0] == [
        f"{path}:2: h/week is 900, and was 17 to 26 in training: out of that range "
        "predictions are guesses."
    ]
    assert "job is 'pilot', which did not occur in training" in notes[1][0]
    assert [len(each) for each in notes] == [1, 1, 2, 0]


def test_a_bad_file_is_one_error(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["job"], ["a"], ["b"])
    ((source, error),) = read(TABLE, path)
    assert source == "a.csv" and "it lacks 'h/week'." in error
    ((_, error),) = read(TABLE, tmp_path / "b.csv")
    assert "b.csv. Did you mean" in error and "a.csv?" in error


def test_a_text_file_is_one_example(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "\ufeffone\ntwo\n")
    assert read(TEXTS, path) == [("a.txt", ["one\ntwo", ""])]
    (tmp_path / "b.txt").write_bytes(b"one\ntw\xf6\n")
    ((_, error),) = read(TEXTS, tmp_path / "b.txt")
    assert "b.txt:2 is not UTF-8: byte 6 of the file" in error


def test_lines_are_examples_and_a_file_of_blank_ones_is_an_error(
    tmp_path: Path,
) -> None:
    reader = TextReader(by_line=True)
    two = write_text(tmp_path / "two.txt", "one two\n\n  three \n")
    found = [(each.source, each.raw) for each in reader.examples(two)]
    assert [source for source, _ in found] == [f"{two}:1", f"{two}:3"]
    blank = write_text(tmp_path / "blank.txt", "\n  \n")
    (example,) = reader.examples(blank)
    assert "blank.txt holds no text: each line of words" in example.error


def test_texts_are_read_of_columns_too(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["body", "title"], ["b", "NA"], ["", "d"])
    assert read(TEXTS, path) == [("a.csv:2", ["NA", "b"]), ("a.csv:3", ["d", ""])]


@pytest.mark.parametrize("make", [table, sentences])
def test_training_and_reading_give_the_same_inputs(make, tmp_path: Path) -> None:
    make(tmp_path / "train.csv", 40), make(tmp_path / "test.csv", 13)
    data = load_dataset(tmp_path)
    ((name, item),) = data.preprocessing.items()
    examples = list(data.reader.examples(tmp_path / "test.csv"))
    raw = {
        each.name: np.stack([e.raw[each.name] for e in examples if e.raw is not None])
        for each in item.raw_inputs
    }
    np.testing.assert_array_equal(item.apply(raw), data.test.inputs[name])
