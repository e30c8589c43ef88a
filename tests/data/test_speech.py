"""Sounds with transcripts: of tables and of folders, and what is left out of them."""

from pathlib import Path

import numpy as np
import pytest
from data.made_files import write_wav
from data.made_speech import random_texts, spoken, write_speech

from kscale.data.dataset import Dataset
from kscale.data.describing import dataset_text
from kscale.data.loading import load_dataset, peek_task
from kscale.errors import DataError
from kscale.task.transcripts import text_of

OPTIONS = {"source": "wav", "label": "text"}


def texts_in(data: Dataset, part: str) -> list[str]:
    (target,) = data.task.targets
    labels = data.parts[part].targets[target.name]
    return [text_of(ids, target.class_names) for ids in labels]


def edited(path: Path, *changes: tuple[str, str]) -> Path:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    return path


def test_a_table_of_sounds_becomes_labels_of_characters(tmp_path: Path) -> None:
    texts = random_texts(20)
    path = write_speech(tmp_path, [texts[0].upper() + " ", *texts[1:]])

    data = load_dataset(path, **OPTIONS)

    (target,), (item,) = data.task.targets, data.task.inputs
    assert target == peek_task(path, **OPTIONS).targets[0]
    assert (target.name, target.kind) == ("text", "characters")
    assert target.class_names == ("", " ", "a", "b", "c")
    assert target.length == max(map(len, texts))
    assert item.kind == "spectrogram"
    assert not any("left out" in warning for warning in data.warnings)
    every = [text for part in data.parts for text in texts_in(data, part)]
    assert sorted(every) == sorted(texts)
    assert any("networks write 4 characters" in note for note in data.notes)


def test_frames_after_the_sound_are_padding(tmp_path: Path) -> None:
    data = load_dataset(write_speech(tmp_path, ["a", "abc cba"] * 8), **OPTIONS)
    (mel,) = data.preprocessing.values()

    frames = data.train.inputs["spectrogram"][:]
    held = (frames != 0).any(axis=-1)
    seconds = [0.1 if text == "a" else 0.7 for text in texts_in(data, "train")]

    assert np.abs(held.sum(axis=1) - 100 * np.array(seconds)).max() <= 3
    assert (np.diff(held.astype(int), axis=1) <= 0).all()
    np.testing.assert_array_equal(data.lengths, held.sum(axis=1))
    # Each band of the frames that count has mean 0 and deviation 1.
    np.testing.assert_allclose(frames[held].mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames[held].std(axis=0), 1, atol=1e-3)
    (item,) = data.task.inputs
    wider = mel.variant(item, {"window": 50}, {"sound": np.zeros((1, item.samples))})
    assert wider.is_padded


def test_parts_speakers_and_lengths(tmp_path: Path) -> None:
    write_speech(tmp_path, ["ab"] * 10, "talk_test.csv")
    path = write_speech(tmp_path, random_texts(30), "talk_train.csv")

    given = load_dataset(path, **OPTIONS, split_by="speaker", seconds=3.0)

    assert len(given.test) == 10
    assert given.task.inputs[0].samples == 3 * 8000
    assert given.cut_by == "split_by='speaker'"
    # Rows of one of the seven speakers are in one part.
    sizes = len(given.train), len(given.validation)
    assert sum(sizes) == 30 and sizes[1] in (4, 5)


def test_what_cannot_be_learned_from_is_left_out_with_its_row(tmp_path: Path) -> None:
    path = write_speech(tmp_path, ["ab", "ba", "cc"] * 6)
    edited(
        path,
        ("talk_sounds/1.wav,ba", "talk_sounds/1.wav,"),
        ("talk_sounds/3.wav", "talk_sounds/none.wav"),
        ("talk_sounds/5.wav,cc", "talk_sounds/5.wav,ccccccc"),
        ("talk_sounds/11.wav", ""),
    )
    write_wav(tmp_path / "talk_sounds/7.wav", spoken("ba" * 20))
    (tmp_path / "talk_sounds/9.wav").write_text("no sound")
    short = tmp_path / "talk_sounds/13.wav"
    short.write_bytes(short.read_bytes()[:2000])
    silent = np.concatenate([spoken("a")[:160], np.zeros(2400)])
    write_wav(tmp_path / "talk_sounds/15.wav", silent)

    data = load_dataset(path, **OPTIONS, seconds=0.5)

    assert sum(map(len, data.parts.values())) == 10
    for line, says in [
        (3, "has no transcript; left out."),
        (5, ": There is no file talk_sounds/none.wav; left out."),
        (7, ": talk_sounds/5.wav has 20 frames, too few for a transcript of 7 char"),
        (9, ": talk_sounds/7.wav lasts 4.0 seconds, and 0.5 are read; left out."),
        (11, ": talk_sounds/9.wav cannot be read as a WAV file: it is damaged"),
        (13, "has no sound file; left out."),
        (15, ": talk_sounds/13.wav is cut short: it has 2,000 of"),
        (17, ": talk_sounds/15.wav has 2 frames before its silent end, too few"),
    ]:
        assert any(f"talk.csv:{line}" in w and says in w for w in data.warnings)


def test_more_of_a_kind_are_counted(tmp_path: Path) -> None:
    path = write_speech(tmp_path, ["ab"] * 20)
    edited(path, *((f"{n}.wav,ab", f"{n}.wav,") for n in range(3, 9)))

    data = load_dataset(path, **OPTIONS)

    assert "3 more were left out: without a transcript." in data.warnings


def test_unknown_characters_of_other_parts_are_errors(tmp_path: Path) -> None:
    path = write_speech(tmp_path, ["ab", "bab"] * 6, "talk_train.csv")
    test = write_speech(tmp_path, ["ab", "cab"] * 6, "talk_test.csv")

    data = load_dataset(path, **OPTIONS)

    assert texts_in(data, "test")[:2] == ["ab", "\ufffdab"]
    (warning,) = (w for w in data.warnings if "no training transcript" in w)
    assert warning.startswith(f"{test}:3: 'c' is in no training transcript")
    assert "6 transcripts of the test part" in warning


def test_bad_tables_are_refused_in_one_line(tmp_path: Path) -> None:
    path = write_speech(tmp_path, ["ab"] * 12)
    for options, says in [
        ({"source": "wave", "label": "text"}, "Did you mean 'wav'"),
        ({"source": "wav", "label": "txt"}, "Did you mean 'text'"),
        ({"source": "wav"}, "one column of transcripts"),
        ({**OPTIONS, "vocabulary": 9}, "`vocabulary` is of no use"),
        ({**OPTIONS, "split_by": "who"}, "speaker"),
    ]:
        with pytest.raises(DataError, match=says) as caught:
            load_dataset(path, **options)
        assert "\n" not in str(caught.value)
    text = path.read_text()
    path.write_text(text.replace("talk_sounds", "gone"))
    with pytest.raises(DataError, match="no sound with a transcript. .*talk.csv:2"):
        load_dataset(path, **OPTIONS)


def write_folder(root: Path, texts: list[str], lines: bool = False) -> None:
    for number, text in enumerate(texts):
        write_wav(root / f"{number}.wav", spoken(text))
        if not lines:
            (root / f"{number}.txt").write_text(f"{text.upper()}\n")
    if lines:
        rows = (f"{number} {text}\n" for number, text in enumerate(texts))
        (root / "all.trans.txt").write_text("".join(rows))


def test_texts_beside_sounds_are_their_transcripts(tmp_path: Path) -> None:
    texts = random_texts(14)
    write_folder(tmp_path / "train/anna", texts)
    write_folder(tmp_path / "test/otto", ["ab", "cc"])
    write_folder(tmp_path / "val/emma", ["ba", "cc", "c"])
    (tmp_path / "train/anna/3.txt").unlink()

    data = load_dataset(tmp_path)

    assert data.task.targets[0].name == "transcript"
    assert texts_in(data, "train") == [
        text
        for n, text in sorted(enumerate(texts), key=lambda it: str(it[0]))
        if n != 3
    ]
    assert texts_in(data, "validation") == ["ba", "cc", "c"]
    assert texts_in(data, "test") == ["ab", "cc"]
    (warning,) = (w for w in data.warnings if "3.wav" in w)
    assert warning.endswith("3.wav has no transcript; left out.")


def test_lines_of_transcripts_and_speakers_of_paths(tmp_path: Path) -> None:
    for speaker in ("anna", "emma", "otto", "paul"):
        write_folder(tmp_path / speaker, ["ab", "cc", "abc"], lines=True)

    data = load_dataset(tmp_path, split_by="^[^/]+")

    assert texts_in(data, "test") == ["ab", "cc", "abc"]
    assert len(data.train) == 6


def test_a_sound_that_is_longer_than_all_is_cut_and_told(tmp_path: Path) -> None:
    data = load_dataset(write_speech(tmp_path, ["ab", "ba"] * 8), **OPTIONS)
    path = write_wav(tmp_path / "long.wav", spoken("ab" * 9))

    (long,) = data.reader.examples(path)
    (usual,) = data.reader.examples(tmp_path / "talk_sounds/0.wav")

    assert long.notes["sound"].endswith("lasts 1.8 seconds, of which 0.2 are read.")
    assert usual.notes == {}
    path.write_bytes((tmp_path / "talk_sounds/0.wav").read_bytes()[:2000])
    (cut,) = data.reader.examples(path)
    assert "long.wav is cut short: it has 2,000 of" in cut.notes["sound"]


def test_the_longest_training_sound_of_30_seconds_at_most_is_the_length(
    tmp_path: Path,
) -> None:
    write_speech(tmp_path, ["abc"] * 12, "talk_test.csv")
    path = write_speech(tmp_path, ["ab", "ba"] * 8, "talk_train.csv")
    silence = np.zeros(31 * 8000)
    write_wav(tmp_path / "talk_train_sounds/3.wav", silence)
    write_wav(tmp_path / "talk_test_sounds/1.wav", silence[:8000])
    write_wav(tmp_path / "talk_train_sounds/4.wav", silence[:6400])

    data = load_dataset(path, **OPTIONS)

    assert data.task.inputs[0].samples == 6400
    for says in (
        "talk_train_sounds/3.wav lasts 31.0 seconds, and 0.8 are read; left out.",
        "talk_test_sounds/1.wav lasts 1.0 seconds, and 0.8 are read; left out.",
        "talk_train.csv:6: talk_train_sounds/4.wav lasts 0.8 seconds, 99 % of the",
    ):
        assert any(says in warning for warning in data.warnings)
    shown = dataset_text(data.describe())
    assert "padded with silence to 0.80." in shown and "cut at the end" not in shown
    assert "Target text: a transcript; 3 different characters" in shown
    assert "\n  ' ' " in shown

    (example,) = data.reader.examples(path)
    assert "is a table, but files of sounds, or folders" in example.error
