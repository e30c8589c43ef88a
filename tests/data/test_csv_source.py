"""CSV files as data sets: roles of columns, labels, parts, groups."""

from pathlib import Path

import numpy as np
import pytest
from contracts.source import (
    Checked,
    check_another_process_gives_the_same_parts,
    check_cut_parts_have_the_same_share_of_each_class,
    check_labels_are_in_range,
    check_parts_agree_with_task,
    check_target_scaling_is_fitted_on_the_training_part,
)
from data.made_tables import sentences, table, write_csv, write_text
from shared_data import SHARED, needs

from kscale.data.dataset import Dataset
from kscale.data.loading import dataset_name, load_dataset
from kscale.data.preprocessing.table_columns import TableColumns
from kscale.data.preprocessing.text_tokens import TextTokens
from kscale.errors import DataError

CHECKS = [
    check_parts_agree_with_task,
    check_labels_are_in_range,
    check_cut_parts_have_the_same_share_of_each_class,
    check_target_scaling_is_fitted_on_the_training_part,
    check_another_process_gives_the_same_parts,
]


def load(folder: Path, columns, *rows, **options) -> Dataset:
    return load_dataset(write_csv(folder / "a.csv", columns, *rows), **options)


def names(data: Dataset) -> list[str]:
    (item,) = data.preprocessing.values()
    return [raw.name for raw in item.raw_inputs]


def sentence(data: Dataset, part: str) -> str:
    (found,) = [line for line in (*data.warnings, *data.notes) if part in line]
    return found


@pytest.mark.parametrize("make", [table, sentences])
def test_a_csv_file_keeps_the_contract(make, tmp_path: Path) -> None:
    path = make(tmp_path / "a.csv", 200)
    together = np.concatenate(
        [next(iter(p.inputs.values())) for p in load_dataset(path).parts.values()]
    )
    checked = Checked(str(path), together)
    for check in CHECKS:
        check(checked)
    assert len(together) == 200


def test_columns_have_roles(tmp_path: Path) -> None:
    rows = [
        [i % 5, "?" if i % 9 else 2.5, "ab"[i % 2], f"X{i}", 1, f"2024-01-{i % 28 + 1}",
         i, i + 7, ("no", "yes")[i % 3 == 0]]
        for i in range(100)
    ]  # fmt: skip
    columns = ["n", "holes", "kind", "code", "same", "day", "id", "seven", "y"]
    data = load(tmp_path, columns, *rows)
    assert names(data) == ["n", "holes", "seven", "kind", "day"]
    assert data.task.inputs[0].kind == "vector"
    assert "left out: most of its values occur once" in sentence(data, "'code'")
    assert "left out: it holds only '1'" in sentence(data, "'same'")
    assert "dates" in sentence(data, "'day'")
    assert "left out: it counts the rows" in sentence(data, "'id'")
    assert sentence(data, "Numbers") == "Numbers: n, holes, seven."
    assert any("'code'" in line for line in data.warnings)
    assert any("'same'" in line for line in data.notes)


def test_a_column_of_nearly_all_numbers_has_a_warning(tmp_path: Path) -> None:
    rows = [[i, "n/s" if i == 17 else i % 40, "ab"[i % 2]] for i in range(100)]
    data = load(tmp_path, ["i", "age", "y"], *rows)
    assert sentence(data, "'age'") == (
        "Column 'age' is read as categories; it holds numbers, but 'n/s' in line 19."
    )


def test_a_number_too_large_for_a_network_is_reported(tmp_path: Path) -> None:
    rows = [[i, f"{i}e300" if i > 7 else i, "ab"[i % 2]] for i in range(100)]
    assert sentence(load(tmp_path, ["i", "mass", "y"], *rows), "'mass'") == (
        "Column 'mass' is left out: networks read numbers up to 3.4e38 (float32), and "
        "it holds 8e300 in line 10. Give it in another unit, or its logarithm."
    )


def test_a_column_without_a_name_is_called_unnamed(tmp_path: Path) -> None:
    rows = [[i, i % 7, f"X{i}", "ab"[i % 2]] for i in range(60)]
    data = load(tmp_path, ["", "n", "", "y"], *rows)
    assert sentence(data, "unnamed column 1") == (
        "The unnamed column 1 is left out: it counts the rows."
    )
    assert sentence(data, "unnamed column 3").endswith("most of its values occur once.")
    assert sentence(data, "without a name").endswith(" are called column1, column3.")
    named = load_dataset(table(tmp_path / "b.csv"))
    assert not any("without a name" in note for note in named.notes)


def test_ignored_columns_are_not_read(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv")
    assert names(load_dataset(path, ignore=["size", "kind"])) == ["weight"]
    with pytest.raises(DataError, match="Unknown column 'sise'. Did you mean 'size'"):
        load_dataset(path, ignore="sise")
    with pytest.raises(DataError, match="`vocabulary` is of no use for a table"):
        load_dataset(path, vocabulary=100)


def test_names_of_inputs_are_those_that_a_model_takes(tmp_path: Path) -> None:
    columns = ["per-week/h", "native country", "y"]
    rows = [[i % 7, "ab"[i % 2], i % 2] for i in range(40)]
    data = load(tmp_path, columns, *rows)
    assert names(data) == ["per_week_h", "native_country"]
    assert "'per-week/h' is per_week_h" in sentence(data, "plainer names")


LABELS = {
    "words": (lambda i: ("a", "b")[i % 2], "label", "classes", 2),
    "few whole": (lambda i: i % 7 + 3, "label", "classes", 7),
    "whole floats": (lambda i: f"{i % 3}.0", "label", "classes", 3),
    "many ids": (lambda i: i % 30, "label", "classes", 30),
    "ages": (lambda i: i % 30 + 17, "label", "real", 1),
    "prices": (lambda i: f"{i * 100 + 14000}.0", "label", "real", 1),
    "fractions": (lambda i: i / 7, "label", "real", 1),
    "asked numbers": (lambda i: i % 7, "label:numbers", "real", 1),
    "asked classes": (lambda i: i % 30 + 17, "label:classes", "classes", 30),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_are_classes_or_numbers(case: str, tmp_path: Path) -> None:
    value, asked, kind, outputs = LABELS[case]
    rows = [[i % 11, value(i)] for i in range(360)]
    data = load(tmp_path, ["x", "label"], *rows, label=asked)
    (target,) = data.task.targets
    assert (target.name, target.kind, target.outputs) == ("label", kind, outputs)
    note = sentence(data, "label holds")
    assert ("numbers" in note.partition(".")[0]) == (kind == "real")


def test_a_note_names_the_other_choice(tmp_path: Path) -> None:
    data = load(tmp_path, ["x", "y"], *([i, i % 4] for i in range(40)))
    assert sentence(data, "y holds") == (
        "y holds 4 classes. With the label y:numbers it is predicted as a number."
    )


def test_a_word_among_numbers_to_predict_is_reported(tmp_path: Path) -> None:
    rows = [[i, "big" if i == 3 else i / 7] for i in range(40)]
    with pytest.raises(DataError, match=r"a.csv:5 must hold a number in y, .* 'big'"):
        load(tmp_path, ["x", "y"], *rows, label="y:numbers")


@pytest.mark.parametrize("rare", [7, 6])
def test_parts_have_the_same_share_of_classes_of_several_labels(
    rare: int, tmp_path: Path
) -> None:
    pairs = [("a", "x")] * 100 + [("a", "y")] * rare + [("b", "x")] * 40
    pairs += [("b", "y")] * 60
    rows = [[i % 13, *pair] for i, pair in enumerate(pairs)]
    data = load(tmp_path, ["n", "u", "v"], *rows, label=("u", "v"))
    notes = [
        note for note in data.notes if "the same share of u only, of each class" in note
    ]
    assert len(notes) == (rare == 6)
    for part in (data.validation, data.test):
        both = 2 * part.targets["u"] + part.targets["v"]
        is_even = (np.bincount(both, minlength=4) >= (15, 1, 6, 9)).all()
        assert is_even or rare == 6
        assert np.bincount(part.targets["u"]).tolist() in ([16, 15], [15, 15])


def test_several_labels_are_several_targets(tmp_path: Path) -> None:
    rows = [[i, "ab"[i % 2], i / 7] for i in range(60)]
    data = load(tmp_path, ["x", "kind", "price"], *rows, label=["kind", "price"])
    assert [(t.name, t.kind) for t in data.task.targets] == [
        ("kind", "classes"),
        ("price", "real"),
    ]
    assert names(data) == ["x"]


def test_a_file_for_training_brings_its_siblings(tmp_path: Path) -> None:
    for name, rows in (("train", 40), ("val", 12), ("test", 14)):
        table(tmp_path / f"ships_{name}.csv", rows)
    table(tmp_path / "other_test.csv", 20)
    data = load_dataset(tmp_path / "ships_train.csv")
    assert [len(part) for part in data.parts.values()] == [40, 12, 14]
    assert "ships_val.csv (validation), ships_test.csv (test)" in sentence(
        data, "parts"
    )
    assert data.name == "ships"
    single = load_dataset(tmp_path / "ships_val.csv")
    assert sum(map(len, single.parts.values())) == 12


def test_a_folder_of_parts_is_one_data_set(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", 60)
    write_text(tmp_path / "notes.txt", "not read")
    write_text(tmp_path / "test.csv.gz", table(tmp_path / "b.csv", 20).read_text())
    data = load_dataset(tmp_path)
    assert [len(part) for part in data.parts.values()] == [51, 9, 20]
    assert data.name == dataset_name(tmp_path) == tmp_path.name


def test_a_test_part_without_labels_is_not_used(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", 60)
    write_csv(tmp_path / "test.csv", ["size", "weight", "kind"], [1, 2, "a"])
    data = load_dataset(tmp_path)
    assert sum(map(len, data.parts.values())) == 60
    assert "test.csv is not used as the test part" in data.warnings[0]


PARTS = {
    "column": (["size", "kind", "label"], [1, "a", "no"], "it lacks 'weight'"),
    "number": (
        ["size", "weight", "kind", "label"],
        [1, "big", "a", "no"],
        r"test.csv:2 must hold a number in weight, but it holds 'big'",
    ),
    "class": (
        ["size", "weight", "kind", "label"],
        [1, 2, "a", "maybe"],
        "test.csv: label has the class 'maybe'",
    ),
    "label": (
        ["size", "weight", "kind", "label"],
        [1, 2, "a", ""],
        r"test.csv has no label in 1 of 1 rows .line 2",
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_a_part_must_go_with_the_training_part(case: str, tmp_path: Path) -> None:
    columns, row, match = PARTS[case]
    table(tmp_path / "train.csv")
    write_csv(tmp_path / "test.csv", columns, row)
    with pytest.raises(DataError, match=match):
        load_dataset(tmp_path)


def test_rows_of_one_group_stay_in_one_part(tmp_path: Path) -> None:
    rows = [[i, f"p{i // 10}", i % 2] for i in range(200)]
    data = load(tmp_path, ["x", "patient", "y"], *rows, split_by="patient")
    assert names(data) == ["x"]
    (item,) = data.preprocessing.values()
    assert isinstance(item, TableColumns)
    (x,) = item.numbers
    groups = [
        set(np.rint((p.inputs["columns"][:, 0] - x.offset) / x.scale).astype(int) // 10)
        for p in data.parts.values()
    ]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 20


def test_a_test_part_may_lack_the_column_of_groups(tmp_path: Path) -> None:
    rows = [[i % 9, f"p{i // 10}", i % 2] for i in range(200)]
    write_csv(tmp_path / "train.csv", ["x", "patient", "y"], *rows)
    write_csv(tmp_path / "test.csv", ["x", "y"], *([i, i % 2] for i in range(9)))
    data = load_dataset(tmp_path, split_by="patient")
    assert len(data.test) == 9 and len(data.validation) % 10 == 0


def test_sentences_are_text(tmp_path: Path) -> None:
    data = load_dataset(sentences(tmp_path / "a.csv"))
    (item,) = data.task.inputs
    assert (item.kind, item.unknown, item.shape) == ("tokens", 1, (7,))
    (tokens,) = data.preprocessing.values()
    assert isinstance(tokens, TextTokens)
    assert tokens.words == ("is", "lines", "many", "of", "the", "this")
    assert data.train.inputs["tokens"].max() == item.vocabulary - 1 == 7


def test_vocabulary_and_length_are_options_of_text(tmp_path: Path) -> None:
    path = sentences(tmp_path / "a.csv")
    (item,) = load_dataset(path, vocabulary=4, length=3).task.inputs
    assert (item.vocabulary, item.shape) == (4, (3,))


def test_columns_named_as_text_are_joined(tmp_path: Path) -> None:
    rows = [[f"w{i % 5}", f"v{i % 3}", i % 2] for i in range(40)]
    data = load(tmp_path, ["b", "a", "y"], *rows, text=["a", "b"])
    assert names(data) == ["b", "a"] and data.task.inputs[0].shape == (2,)
    assert sentence(data, "Text") == "Text: b, a, joined in this order."


def test_columns_that_are_not_named_as_text_are_left_out(tmp_path: Path) -> None:
    rows = [[f"v{i}", f"this is the {i}th of lines", i % 2] for i in range(60)]
    data = load(tmp_path, ["title", "body", "y"], *rows, text="title")
    assert names(data) == ["title"] and "not body:" in data.warnings[0]


def test_short_texts_that_are_not_named_are_reported(tmp_path: Path) -> None:
    rows = [[f"very good {i}", i % 7, i % 2] for i in range(60)]
    data = load(tmp_path, ["title", "x", "y"], *rows)
    assert "if it is text, say text=title (--text title)." in sentence(data, "'title'")


def test_texts_of_one_word_are_reported(tmp_path: Path) -> None:
    rows = [[("good", "bad")[i % 2], i % 2] for i in range(60)]
    data = load(tmp_path, ["title", "y"], *rows, text="title")
    assert "'title' has 1.0 words a text" in data.warnings[0]


def test_a_column_in_a_script_without_spaces_is_text(tmp_path: Path) -> None:
    rows = [
        [f"这部电影{'很好' if i % 2 else '很差'}{chr(0x4E00 + i)}", "abc"[i % 3], i % 2]
        for i in range(60)
    ]
    data = load(tmp_path, ["title", "town", "y"], *rows, ignore="town")
    assert data.preprocessing["tokens"].by_characters
    assert "Texts are read by characters" in " ".join(data.notes)


@pytest.mark.parametrize("make", [table, sentences])
def test_what_is_larger_than_memory_is_the_same(make, tmp_path: Path) -> None:
    path = make(tmp_path / "a.csv")
    held, streamed = load_dataset(path), load_dataset(path, memory=0)
    (name,) = held.train.inputs
    assert not isinstance(streamed.train.inputs[name], np.ndarray)
    rows = streamed.train.inputs[name][: len(streamed.train)]
    np.testing.assert_array_equal(rows, held.train.inputs[name])
    assert held.fingerprint == streamed.fingerprint


def test_text_beside_a_table_is_read_without_the_table(tmp_path: Path) -> None:
    rows = [[f"this is the {i}th of lines", i % 7, i % 2] for i in range(60)]
    data = load(tmp_path, ["text", "stars", "y"], *rows)
    assert names(data) == ["text"]
    assert "Only the text of text is read, and not stars" in data.warnings[0]
    table_alone = load_dataset(tmp_path / "a.csv", ignore="text")
    assert names(table_alone) == ["stars"]


@needs("data")
def test_real_tables_are_understood() -> None:
    adult = load_dataset(SHARED / "data" / "adult_train.csv.gz", label="income")
    assert len(adult.test) == 16_281 and len(names(adult)) == 14
    housing = load_dataset(
        SHARED / "data" / "california_housing.csv.gz", label="median_house_value"
    )
    assert housing.task.targets[0].kind == "real" and len(names(housing)) == 9
    reviews = load_dataset(SHARED / "data" / "sst2_train.csv.gz")
    assert [len(part) for part in reviews.parts.values()] == [6920, 872, 1821]


def test_texts_without_words_are_counted(tmp_path: Path) -> None:
    texts = [f"this is the {i}th of many lines" for i in range(60)]
    texts[3] = texts[10] = ""
    texts[20] = "?!"
    rows = [[text, "ab"[i % 2]] for i, text in enumerate(texts)]
    data = load(tmp_path, ["text", "y"], *rows)
    assert sentence(data, "no words").startswith("3 of 60 texts hold no words")
    whole = load_dataset(sentences(tmp_path / "whole.csv"))
    assert not any("no words" in line for line in whole.warnings)
