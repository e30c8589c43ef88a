"""Exports are whole or not there, and write over nothing that is not theirs."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from kscale import ExportError, Run
from kscale.cli import main
from kscale.ship.formats import FORMATS, Format, export_model
from kscale.ship.formats.base import remove_partial, write_whole


def test_an_exported_file_is_the_model_of_the_run(
    tiny_run: Run, tmp_path: Path
) -> None:
    path = tiny_run.export(tmp_path / "new" / "digits.keras", which="best")
    x = np.ones((2, 8, 8, 1))
    given, wanted = (
        model.predict(x, verbose=0)["label"]
        for model in (keras.saving.load_model(path), tiny_run.load_model("best"))
    )
    np.testing.assert_array_equal(given, wanted)


def test_what_is_there_stays_unless_it_may_go(tiny_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "digits.keras"
    path.write_text("mine")
    for overwrite, text in ((False, "something else"), (True, "something else")):
        with pytest.raises(ExportError, match=text):
            tiny_run.export(path, overwrite=overwrite)
    with pytest.raises(ExportError, match="something else, which is not written over"):
        tiny_run.export(tmp_path, "saved-model", overwrite=True)
    assert path.read_text() == "mine"
    assert [*tmp_path.iterdir()] == [path]


def test_a_model_that_is_there_may_be_replaced(tiny_run: Run, tmp_path: Path) -> None:
    path = tmp_path / "served"
    tiny_run.export(path, "saved-model")
    (path / "old").touch()
    tiny_run.export(path, "saved-model", overwrite=True)
    assert (path / "saved_model.pb").exists() and not (path / "old").exists()
    assert [*tmp_path.iterdir()] == [path]


def test_a_name_without_the_suffix_and_an_unknown_format_are_refused(
    tiny_run: Run, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=r"must end with \.keras, but got digits\.h5"):
        tiny_run.export(tmp_path / "digits.h5")
    with pytest.raises(ExportError, match="Did you mean 'saved-model'"):
        tiny_run.export(tmp_path / "digits", "saved_model")


def test_a_folder_that_cannot_be_made_is_one_line(tiny_run: Run) -> None:
    """TensorFlow has errors of its own for that."""
    with pytest.raises(ExportError, match=r"/proc/served cannot be written: No such"):
        tiny_run.export("/proc/served", "saved-model")


def test_half_a_folder_is_not_left_and_the_old_one_stays(
    tiny_run: Run, tmp_path: Path
) -> None:
    """A disk that is full while the second file is written."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").touch()

    def write(model: keras.Model, task: object, folder: Path) -> None:
        folder.mkdir()
        (folder / "first").touch()
        raise OSError("No space left on device")

    full = Format("", lambda path: True, write)
    with pytest.raises(ExportError, match="model cannot be written: No space left"):
        export_model(tiny_run.load_model(), tiny_run.task, path, full)
    assert [item.name for item in tmp_path.iterdir()] == ["model"]
    assert (path / "old").exists()


def test_what_stands_around_an_old_file_stays_where_the_new_one_cannot_be_described(
    tmp_path: Path,
) -> None:
    path, words = tmp_path / "a.tflite", tmp_path / "a.tflite.words.txt"
    killed = [tmp_path / f".partial-999999999-{each.name}" for each in (path, words)]
    other = tmp_path / ".partial-999999999-b.tflite"
    for each in (path, words, *killed, other):
        each.write_text("old")
    too_long = tmp_path / f"a.tflite.{300 * 'a'}"

    def beside(partial: Path) -> dict[Path, bytes]:
        return {words: partial.read_bytes(), too_long: b"new"}

    with pytest.raises(ExportError, match="a.tflite cannot be written: File name too"):
        write_whole(path, lambda partial: partial.write_text("new"), beside)
    assert path.read_text() == words.read_text() == "old"
    # Of a killed process, nothing stays.
    assert {*tmp_path.iterdir()} == {path, words, other}
    write_whole(
        path, lambda partial: partial.write_text("new"), lambda _: {words: b"new"}
    )
    assert path.read_text() == words.read_text() == "new"


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_folder_that_a_killed_process_was_replacing_is_there_again(
    tmp_path: Path, is_replaced: bool
) -> None:
    path, old = tmp_path / "saved", tmp_path / ".old-999999999-saved"
    for each in (path, old) if is_replaced else (old,):
        each.mkdir()
        (each / "model").write_text("new" if each == path else "old")
    remove_partial(tmp_path)
    assert [*tmp_path.iterdir()] == [path]
    assert (path / "model").read_text() == ("new" if is_replaced else "old")


def test_an_error_of_a_library_for_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """TensorFlow's is none of Python's."""

    def write(partial: Path) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    with pytest.raises(ExportError, match="saved cannot be written: No space left on"):
        write_whole(tmp_path / "saved", write)


@pytest.mark.parametrize("form", ["keras", "saved-model"])
def test_the_command_prints_the_path(tiny_run: Run, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"digits{FORMATS[form].suffix}"
    words = ["export", str(tiny_run.folder), "--format", form, "-o", str(path), "-q"]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, done.stdout) == (0, f"{path}\n")
    assert FORMATS[form].is_mine(path)
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 1 and "exists already" in again.stderr
