"""CSV files as rows: what is read, and where it stands if it cannot be."""

from pathlib import Path

import pytest
from data.made_tables import table, write_text

from kscale.data.loading import load_dataset
from kscale.data.sources.tables.cells import is_number
from kscale.data.sources.tables.csv_file import CsvFile
from kscale.errors import DataError


def cells(path: Path) -> list[tuple[str, ...]]:
    return [row.cells for row in CsvFile.of(path).rows()]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, mark: str) -> None:
    path = write_text(tmp_path / "a.csv", f"a b{mark}c\n1{mark} x \n")
    file = CsvFile.of(path)
    assert (file.delimiter, file.columns) == (mark, ("a b", "c"))
    assert cells(path) == [("1", "x")]


def test_a_line_that_names_the_delimiter_is_no_row(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", "sep=;\na;b\n1;2\n")
    file = CsvFile.of(path)
    assert file.columns == ("a", "b")
    assert [(row.line, row.cells) for row in file.rows()] == [(3, ("1", "2"))]


def test_quotes_after_a_space_are_quotes(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", 'a, b\n1, "x, y"\n')
    assert cells(path) == [("1", "x, y")]


def test_quotes_do_not_hide_the_delimiter(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", '"a, b";"c"\n"1";"x;y"\n')
    assert CsvFile.of(path).columns == ("a, b", "c")
    assert cells(path) == [("1", "x;y")]


def test_a_tsv_file_has_tabs_whatever_else_it_holds(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.tsv.gz", "a,b,c\td\n1,2\t3\n")
    assert CsvFile.of(path).columns == ("a,b,c", "d") and cells(path) == [("1,2", "3")]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv"])
def test_gzip_is_seen_in_the_file_and_not_in_its_name(
    tmp_path: Path, name: str
) -> None:
    packed = write_text(tmp_path / "b.gz", "a,b\n1,2\n")
    assert cells(packed.rename(tmp_path / name)) == [("1", "2")]


def test_rows_know_their_line_though_cells_have_several(tmp_path: Path) -> None:
    text = '\ufeffa,b\r\n\r\n"1\n2","say ""ä"""\r\n3,4\r\n'
    rows = list(CsvFile.of(write_text(tmp_path / "a.csv", text)).rows())
    assert [(row.line, row.cells) for row in rows] == [
        (3, ("1\n2", 'say "ä"')),
        (5, ("3", "4")),
    ]


def test_columns_without_a_name_have_their_place(tmp_path: Path) -> None:
    file = CsvFile.of(write_text(tmp_path / "a.csv", ",b,\n0,1,2\n"))
    assert file.columns == ("column1", "b", "column3")
    numbered = CsvFile.of(write_text(tmp_path / "b.csv", "0,1,2\n5,6,7\n"))
    assert numbered.columns == ("0", "1", "2")


def test_numbers_differ_from_words() -> None:
    assert all(map(is_number, ["1", "-2.5", "1e3", ".5", "+7"]))
    assert not any(map(is_number, ["", "NaN", "?", "inf", "1_000", "1e400", "1,5"]))


@pytest.mark.parametrize("name", ["data", "iris.data", "a.txt", "packed"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_is_known_by_its_lines(tmp_path: Path, name: str, mark: str) -> None:
    text = table(tmp_path / "a.csv").read_text().replace(",", mark)
    path = write_text(tmp_path / ("b.gz" if name == "packed" else "b"), text)
    data = load_dataset(path.rename(tmp_path / name))
    assert data.task.targets[0].class_names == ("no", "yes")
    assert data.name == Path(name).stem


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("note", "hello world\nfoo bar\n", "no NPZ file, .* and no table, whose lines"),
        ("spaces.dat", "a b label\n1 2 x\n" * 9, "no table, whose lines have"),
        ("junk", "\0\1,\n\0\2,\n", "no NPZ file"),
        ("empty", "", "no NPZ file"),
        ("a.xlsx", "PK", "save it as CSV"),
        ("a.csv.zip", "PK", "must be unpacked first"),
        ("a.tar.gz", "\0", "must be unpacked first"),
        ("a.json", '{"a": 1}', "save it as CSV"),
        ("iris.data", "5.1,3.5,a\n4.9,3.0,b\n" * 9, "5.1, 3.5, a. If these are values"),
        ("b.data", "5.1,q,label\n4.9,q,b\n" * 9, "holds values: 5.1, q, label. Write"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, name: str, text: str, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        load_dataset(write_text(tmp_path / name, text))


def test_names_may_be_numbers_that_are_no_values(tmp_path: Path) -> None:
    rows = "".join(f"0.{i},{i % 2},{'ab'[i % 2]}\n" for i in range(40))
    for names in ("400.5,401,label\n", "0,1,label\n", "2019,2020.5,label\n"):
        assert load_dataset(write_text(tmp_path / "a.csv", names + rows))


def test_options_of_tables_do_not_make_other_files_arrays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no NPZ file, .* and no table"):
        load_dataset(write_text(tmp_path / "note", "hello\n"), label="a")


HEAD = "size,label\n"
ROWS = "1,a\n2,b\n" * 10
BAD = {
    "empty": (b"", "a.csv is empty; its first line must name the columns"),
    "header only": (HEAD.encode(), "a.csv has no rows below the names of its columns"),
    "few cells": ((HEAD + "1,a\n2\n").encode(), "a.csv:3 must have 2 cells, .* has 1"),
    "many cells": (
        (HEAD + "1,a,\n").encode(),
        "has 3. Cells that hold ',' must be quoted",
    ),
    "twice": (b"a,b,a\n1,2,3\n", "a.csv names the column 'a' twice"),
    "no header": (
        b"5.1,3.5,1\n4.9,3,0\n",
        "must name the columns, .* holds values: 5",
    ),
    "latin-1": (
        (HEAD + "1,a\n2,b").encode() + b"\xe4\n",
        "a.csv:3 is not UTF-8: byte 18 of the file .* 0xe4. Save",
    ),
    "utf-16": ((HEAD + ROWS).encode("utf-16"), "a.csv:1 is not UTF-8: byte 0 "),
    "open quote": ((HEAD + '1,"a\n2,b\n').encode(), "a.csv:2 cannot be read: .* quote"),
    "stray quote": ((HEAD + '1,"a"b\n').encode(), "a.csv:2 cannot be read: .* quote"),
    "old line ends": (b"a,label\r1,x\r2,y\r", "a.csv:1 cannot be read: .* CR alone"),
    "cut gzip": (b"\x1f\x8b\x08\x00\x00", "a.csv cannot be read: .*end"),
    "wrong gzip": (b"\x1f\x8bno gzip at all", "a.csv cannot be read: "),
    "no label": (
        b"a,b\n1,x\n",
        "none called label, class, .* .--label.; .* are: a, b.",
    ),
    "two labels": (b"y,class\n1,x\n", "but it has y and class. Name one with"),
    "blank label": ((HEAD + ROWS + "3,?\n4,\n").encode(), "2 of 22 rows .line 22, 23"),
    "rare label": ((HEAD + ROWS + "3,c\n").encode(), "at least 3 .* 'c' has 1"),
    "only a label": (b"label\n" + b"a\nb\n" * 9, "has no column to learn from besides"),
    "only constants": (
        b"x,label\n" + b"1,a\n1,b\n" * 9,
        "'x' is left out: .* only '1'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_gives_an_error_with_its_place(case: str, tmp_path: Path) -> None:
    data, match = BAD[case]
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(DataError, match=match) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_a_missing_file_and_a_folder_without_parts_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file .*b.csv"):
        load_dataset(tmp_path / "b.csv")
    table(tmp_path / "train.csv"), table(tmp_path / "train.tsv")
    with pytest.raises(DataError, match="one file for the train part, .* train.tsv"):
        load_dataset(tmp_path)


def test_a_folder_of_tables_without_a_training_part_is_reported(tmp_path: Path) -> None:
    table(tmp_path / "2023.csv"), table(tmp_path / "test.csv")
    with pytest.raises(DataError, match="holds 2023.csv, test.csv, but no train.csv"):
        load_dataset(tmp_path)
