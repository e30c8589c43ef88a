"""Numbers are read as people write them, with a note; unclear ones are asked about."""

from pathlib import Path

import numpy as np
import pytest
from data.made_tables import write_csv, write_text

from kscale.data.dataset import Dataset
from kscale.data.loading import load_dataset
from kscale.data.readers import reader_from_json
from kscale.data.sources.tables.cells import readings
from kscale.errors import DataError


def load(folder: Path, cells: list[str], mark: str = ",", **options) -> Dataset:
    """A table of one column and a label of two classes."""
    rows = [f'"{cell}"{mark}{"ab"[i % 2]}' for i, cell in enumerate(cells)]
    path = write_text(folder / "a.csv", "\n".join([f"x{mark}y", *rows, ""]))
    return load_dataset(path, **options)


def numbers(folder: Path, data: Dataset) -> list[float]:
    """The different numbers that the reader makes of the cells of column x."""
    examples = data.reader.examples(folder / "a.csv")
    found = {float(each.raw["x"]) for each in examples if each.raw}
    return sorted(each for each in found if each == each)


WRITTEN = {
    "thousands": (["1,200.5", "300", "12,000.5"] * 9, [300, 1200.5, 12000.5]),
    "only thousands": (["55,440", "25,347", "1,000"] * 9, [1000, 25347, 55440]),
    "lakhs": (["1,23,456", "12,345", "9"] * 9, [9, 12345, 123456]),
    "decimal comma": (["1,5", "2,25", "3"] * 9, [1.5, 2.25, 3]),
    "points between": (["1.234,5", "2.000", "3"] * 9, [3, 1234.5, 2000]),
    "spaces": (["1 234", "2 000 000", "3"] * 9, [3, 1234, 2000000]),
    "thin spaces": (["1\u202f234", "5\u00a0000", "3"] * 9, [3, 1234, 5000]),
    "apostrophes": (["1'234.5", "2’000", "3"] * 9, [3, 1234.5, 2000]),
    "dollars": (["$5.00", "-$3", "$1,000"] * 9, [-3, 5, 1000]),
    "reais": (["R$ 5,00", "R$ 1.000,50", "R$ 7"] * 9, [5, 7, 1000.5]),
    "euros": (["5,50 €", "1.000,25 €", "3 €"] * 9, [3, 5.5, 1000.25]),
    "codes": (["USD 5", "USD 7.5", "USD 9"] * 9, [5, 7.5, 9]),
    "per cent": (["5%", "12.5 %", "100%"] * 9, [5, 12.5, 100]),
    "units": (["12 kg", "7kg", "3.5 KG"] * 9, [3.5, 7, 12]),
    "degrees": (["12°", "-3,5 °", "7°"] * 9, [-3.5, 7, 12]),
    "plurals": (["1 year", "2 years", "30 Years"] * 9, [1, 2, 30]),
    "brackets": (["(5)", "7", "(1,200.5)"] * 9, [-1200.5, -5, 7]),
    "long minus": (["−5.5", "7", "1"] * 9, [-5.5, 1, 7]),
    "exponents": (["1e3", "2E-1", "5"] * 9, [0.2, 5, 1000]),
    "missing": (["-", "7.5", "N.A.", "none", "#N/A", "1"] * 9, [1, 7.5]),
}


@pytest.mark.parametrize("case", WRITTEN)
def test_numbers_are_read_as_they_are_written(case: str, tmp_path: Path) -> None:
    cells, wanted = WRITTEN[case]
    data = load(tmp_path, cells)
    assert numbers(tmp_path, data) == pytest.approx(wanted)
    notes = [note for note in data.notes if "'x' is read as numbers: " in note]
    assert len(notes) == (case != "exponents")


@pytest.mark.parametrize(
    "cells",
    [
        ["5 kg", "7 lb", "9 kg"] * 9,
        ["5%", "0.5", "7%"] * 9,
        ["$5", "€7", "$9"] * 9,
        ["5k", "2M", "7k"] * 9,
        ["1,5", "1.5", "2,5"] * 9,
        ["2024-01-05", "2024-02-06", "2024-03-05"] * 9,
        ["192.168.1.1", "10.0.0.1", "10.0.0.7"] * 9,
        ["12:30", "7:05", "8:15"] * 9,
        ["012 345", "098 765", "017 222"] * 9,
    ],
)
def test_what_is_not_one_kind_of_number_is_not_read_as_numbers(
    cells: list[str], tmp_path: Path
) -> None:
    data = load(tmp_path, cells)
    assert any("Categories: x" in note for note in data.notes)


def test_a_number_in_another_unit_is_named(tmp_path: Path) -> None:
    cells = ["5 kg", "6 kg", "7 kg", "9 lb"] * 9
    (warning,) = [w for w in load(tmp_path, cells).warnings if "'x'" in w]
    assert "it holds numbers such as '5 kg', but '9 lb' in line 5" in warning


UNCLEAR = ["1,234", "2,500", "7"] * 9


def test_thousands_or_fractions_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'x': is '1,234' in line 2 1234 or 1.234. Say"):
        load(tmp_path, UNCLEAR, ";")
    data = load(tmp_path, UNCLEAR, ";", decimal=".")
    assert numbers(tmp_path, data) == [7, 1234, 2500]
    data = load(tmp_path, UNCLEAR, ";", decimal=",")
    assert numbers(tmp_path, data) == np.float32([1.234, 2.5, 7]).tolist()
    assert numbers(tmp_path, load(tmp_path, ["0,123", *UNCLEAR], ";"))[0] < 1
    with pytest.raises(DataError, match="'y': is '1,234' in line 2 1234 or 1.234"):
        rows = [f"{i % 7};1,2{i}" for i in range(34, 64)]
        load_dataset(write_text(tmp_path / "b.csv", "\n".join(["x;y", *rows])))


@pytest.mark.parametrize(("other", "wanted"), [("0.5", 1234), ("0,5", 1.234)])
def test_other_columns_show_the_mark(other: str, wanted: float, tmp_path: Path) -> None:
    rows = [f"{cell};{other}{i};{'ab'[i % 2]}" for i, cell in enumerate(UNCLEAR)]
    path = write_text(tmp_path / "a.csv", "\n".join(["x;z;y", *rows, ""]))
    assert np.float32(wanted) in numbers(tmp_path, load_dataset(path))


def test_between_commas_a_note_names_the_other_reading(tmp_path: Path) -> None:
    (note,) = [n for n in load(tmp_path, UNCLEAR).notes if "'x'" in n]
    assert note == (
        "Column 'x' is read as numbers: '1,234' in line 2 is 1234 (with decimal=, "
        "(--decimal ,) it is 1.234)."
    )


def test_between_semicolons_points_may_be_of_thousands(tmp_path: Path) -> None:
    cells = ["2.101", "55.440", "1.000"] * 9
    (note,) = [n for n in load(tmp_path, cells, ";").notes if "'x'" in n]
    assert note == (
        "Column 'x' is read as numbers: '2.101' in line 2 is 2.101 (with decimal=, "
        "(--decimal ,) it is 2101)."
    )
    data = load(tmp_path, cells, ";", decimal=",")
    assert numbers(tmp_path, data) == [1000, 2101, 55440]


@pytest.mark.parametrize(
    ("cells", "mark", "options"),
    [
        (["2.101", "55.440", "1.000"], ",", {}),
        (["2.101", "55.440", "1.000"], ";", {"decimal": "."}),
        (["2.101", "55.440", "0.512"], ";", {}),
        (["2.101", "5.1", "1.000"], ";", {}),
    ],
)
def test_points_that_are_of_fractions_get_no_note(
    cells: list[str], mark: str, options: dict[str, str], tmp_path: Path
) -> None:
    data = load(tmp_path, cells * 9, mark, **options)
    assert not [note for note in data.notes if "'x'" in note]
    assert numbers(tmp_path, data) == sorted(np.float32(cells).tolist())


def test_numbers_to_predict_are_read_likewise(tmp_path: Path) -> None:
    rows = [[i % 7, f'"${i},500.25"'] for i in range(1, 61)]
    path = write_csv(tmp_path / "a.csv", ["x", "price"], *rows)
    data = load_dataset(path,
                        label="price")  # fmt: skip
    (target,) = data.task.targets
    assert target.kind == "real"
    assert data.train.targets["price"].max() > 50_000
    assert any("'$1,500.25' in line 2 is 1500.25" in note for note in data.notes)


def test_classes_keep_what_they_are_called(tmp_path: Path) -> None:
    rows = [[i % 7, ("5 kg", "10 kg")[i % 2]] for i in range(40)]
    data = load_dataset(write_csv(tmp_path / "a.csv", ["x", "y"], *rows))
    assert data.task.targets[0].class_names == ("10 kg", "5 kg")


def test_predictions_read_what_training_read(tmp_path: Path) -> None:
    data = load(tmp_path, ["$1,000.5", "$5", "-"] * 9)
    reader = reader_from_json(data.reader.to_json())
    write_text(tmp_path / "new.csv", 'x\n"$2,000.5"\n-\n7\n')
    found = [*reader.examples(tmp_path / "new.csv")]
    assert found[0].raw["x"] == 2000.5 and np.isnan(found[1].raw["x"])
    assert found[2].error.endswith(
        "must hold a number such as $1.5 in x, but it holds '7'."
    )


def test_an_unknown_mark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="decimal"):
        load(tmp_path, UNCLEAR, decimal=";")


def test_a_cell_has_each_reading() -> None:
    assert [number for _, number in readings("1,234")] == [1234, 1.234]
    for cell in ("", "a", "1.2.3", "(5", "5)", "$5€", "1_000", "12 square feet"):
        assert not [*readings(cell)], cell
