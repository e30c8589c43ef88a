"""Folders of images, sounds and texts: which files are examples, and of what."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from contracts.source import CHECKS, Check, Checked
from data.made_files import tone, write_image, write_tree, write_wav

from kscale.data.dataset import Dataset
from kscale.data.load_options import Options
from kscale.data.loading import load_dataset, peek_task
from kscale.data.readers import ImageReader, SoundReader
from kscale.data.readers.file_reader import examples_of
from kscale.data.readers.table_files import TEXTS
from kscale.data.sources.folders import FOLDER_KINDS, raw_data_of_folder
from kscale.errors import DataError


def images(root: Path, *folders: str, count: int = 5, first: int = 0, **looks) -> Path:
    """Images that all differ, `count` in each folder."""
    for number, folder in enumerate(folders):
        for place in range(count):
            seed = first + number * count + place
            path = root / folder / f"{place}.png"
            write_image(path, **{"seed": seed, **looks})
    return root


def sounds(root: Path, *folders: str, count: int = 5, **form) -> Path:
    for number, folder in enumerate(folders):
        for place in range(count):
            wave = tone(200 + 50 * (number * count + place), 0.2 + place / 50)
            write_wav(root / folder / f"{number}_{'ab'[place % 2]}.{place}.wav", wave)
    return root


def raw_of(data: Dataset, root: Path) -> np.ndarray:
    """What the data's reader finds in all files."""
    files = [p for p in sorted(root.rglob("*")) if p.suffix in (".png", ".wav")]
    (raw,) = data.preprocessing[data.task.inputs[0].name].raw_inputs
    examples = [example for path in files for example in data.reader.examples(path)]
    return np.stack([example.raw[raw.name] for example in examples])


MADE = {
    "images in classes": (images, ("ant", "bee", "cow"), ("validation", "test")),
    "images in parts": (images, ("train/a", "train/b", "test/a"), ("validation",)),
    "sounds": (partial(sounds, count=7), ("up", "down"), ("validation", "test")),
}


@pytest.fixture(scope="module", params=MADE)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    make, folders, cut = MADE[request.param]
    root = make(tmp_path_factory.mktemp("folder") / "made", *folders)
    return Checked(str(root), raw_of(load_dataset(root), root), cut)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_folder_keeps_the_contract(made: Checked, check: Check) -> None:
    check(made)


def test_each_example_has_the_label_of_its_folder(tmp_path: Path) -> None:
    for number, name in enumerate(["a", "B", "10", "9"]):
        looks = {"height": 6 + number, "width": 8}
        images(tmp_path, name, count=6, first=10 * number, **looks)
    data = load_dataset(tmp_path, image_size=(6, 8))
    assert data.task.targets[0].class_names == ("10", "9", "B", "a")
    labels = {}
    for part in data.parts.values():
        rows = zip(part.inputs["image"], part.targets["label"], strict=True)
        labels |= {row.tobytes(): int(label) for row, label in rows}
    for path in tmp_path.rglob("*.png"):
        pixels = data.reader.array(path)[None]
        row = data.preprocessing["image"].apply({"image": pixels})[0]
        name = data.task.targets[0].class_names[labels[row.tobytes()]]
        assert name == path.parent.name


@pytest.mark.parametrize("name", ["validation", "val", "valid", "Validation"])
def test_given_parts_stay_as_they_are(tmp_path: Path, name: str) -> None:
    images(tmp_path, "train/a", "train/b", f"{name}/a", f"{name}/b")
    images(tmp_path, "test/a", "test/b", count=2, first=100)
    data = load_dataset(tmp_path)
    assert [len(part) for part in data.parts.values()] == [10, 10, 4]
    assert "Its parts are taken as they are: 10 train, 10 validation, 4 test." in (
        data.notes
    )
    assert not data.warnings


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    images(tmp_path, "train", "bus", "car")
    data = load_dataset(tmp_path)
    assert data.task.targets[0].class_names == ("bus", "car", "train")


def test_files_deeper_in_a_class_belong_to_it(tmp_path: Path) -> None:
    images(tmp_path, "a/one", "a/two/three", "b")
    raw = raw_data_of_folder(tmp_path, Options())
    labels = raw.parts["train"].targets["label"].rows[:]
    assert labels.tolist() == ["a"] * 10 + ["b"] * 5


def test_other_files_are_counted_in_a_note(tmp_path: Path) -> None:
    others = ["a/.DS_Store", "b/Thumbs.db", "a/README.txt", "labels.json", ".git/x"]
    write_tree(images(tmp_path, "a", "b"), dict.fromkeys(others, ""))
    write_tree(tmp_path, {"__MACOSX/a/._0.png": ""})
    raw = raw_data_of_folder(tmp_path, Options())
    assert raw.notes[0] == "A folder of 10 images in 2 classes (a, b)."
    assert "6 other files were passed over, the first labels.json." in raw.notes
    assert not raw.warnings


def test_sizes_and_channels_are_noted(tmp_path: Path) -> None:
    images(tmp_path, "a", height=10, width=30)
    images(tmp_path, "b", height=20, width=50, mode="L")
    data = load_dataset(tmp_path)
    assert data.task.inputs[0].shape == (16, 40, 3)
    assert "5 of 10 images are grey." in data.notes
    assert any(
        "from 10 to 20 high and 30 to 50 wide; they are read as 16 x 40" in note
        and "in colour, scaled in proportion and cut in the middle." in note
        for note in data.notes
    )


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(6, 9)] * 3, (6, 9)),
        ([(250, 256)] * 3, (250, 256)),
        ([(300, 600)] * 3, (112, 224)),
        ([(20, 30), (21, 33), (90, 31)], (24, 32)),
        ([(900, 300), (300, 900), (2, 2)], (224, 224)),
        ([(1, 2), (2, 1), (1, 1)], (8, 8)),
    ],
)
def test_one_size_for_all(tmp_path: Path, sizes, expected) -> None:
    for number, (height, width) in enumerate(sizes):
        write_image(tmp_path / "ab"[number % 2] / f"{number}.png", height, width)
    assert peek_task(tmp_path).inputs[0].shape == (*expected, 3)


def test_size_and_channels_may_be_given(tmp_path: Path) -> None:
    images(tmp_path, "a", "b")
    data = load_dataset(tmp_path, image_size=(4, 5), resize="pad", channels=1)
    assert data.task.inputs[0].shape == (4, 5, 1)
    assert data.reader == ImageReader("image", 4, 5, 1, "pad")


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    images(tmp_path, "a", mode="L")
    images(tmp_path, "b", mode="I;16")
    assert peek_task(tmp_path).inputs[0].shape == (6, 8, 1)


def test_rate_and_length_of_sounds_are_noted(tmp_path: Path) -> None:
    sounds(tmp_path, "a", "b", count=20)
    write_wav(tmp_path / "a" / "other.wav", tone(300, 3.0, 16_000), 16_000)
    data = load_dataset(tmp_path)
    # 0.2, 0.22, ... 0.58 twice and 3.0: 95 % do not exceed 0.58.
    assert data.reader == SoundReader("sound", 8000, 4640)
    assert data.task.inputs[0].shape == (59, 40)
    text = " ".join(data.notes)
    assert (
        "from 0.20 to 3.00 seconds; they are brought to 0.58: 1 of 41 are cut" in text
    )
    assert "1 of 41 sounds are resampled to the most frequent rate, 8,000" in text
    assert load_dataset(tmp_path, seconds=0.25).reader.samples == 2000
    assert peek_task(tmp_path, seconds=0.25).inputs[0].shape == (26, 40)


def test_sounds_of_several_minutes_are_cut_to_ten_seconds(tmp_path: Path) -> None:
    write_wav(tmp_path / "a" / "0.wav", tone(300, 130.0, 1000), 1000)
    write_wav(tmp_path / "b" / "0.wav", tone(400, 120.0, 1000), 1000)
    assert peek_task(tmp_path).inputs[0].shape == (1001, 40)


def test_texts_are_read_when_they_are_needed(tmp_path: Path) -> None:
    write_tree(tmp_path, {"0.txt": "\ufeffGrüße\n", "1.txt": ""})
    files = [tmp_path / "0.txt", tmp_path / "1.txt"]
    reading = TEXTS.decide({}, Options())
    array = examples_of(reading.reader, files, TEXTS.word, "texts")
    (tmp_path / "1.txt").write_text("later")
    assert array.rows[:].tolist() == ["Grüße", "later"]
    (tmp_path / "1.txt").write_bytes("naïve".encode("latin-1"))
    array = examples_of(reading.reader, files, TEXTS.word, "texts")
    with pytest.raises(DataError, match="1.txt.* is not UTF-8: byte 2 "):
        array.rows[:]


def test_all_files_of_one_match_come_into_one_part(tmp_path: Path) -> None:
    for number, person in enumerate(["ann", "bob", "cy", "dan"]):
        for place, folder in enumerate(["train/a", "train/b", "test/a", "test/b"]):
            for take in range(2):
                seed = 100 * number + 10 * place + take
                write_image(tmp_path / folder / f"{person}-{take}.png", seed=seed)
    data = load_dataset(tmp_path, split_by=r"(\w+)-\d")
    assert [len(part) for part in data.parts.values()] == [16, 8, 8]
    assert data.warnings == (
        f"The parts of {tmp_path} (train, test) were joined, and cut anew by "
        "`split_by`.",
    )
    raw = raw_data_of_folder(tmp_path, Options(split_by=r"(\w+)-\d"))
    assert sorted(set(raw.groups["train"].rows[:])) == ["ann", "bob", "cy", "dan"]
    whole = raw_data_of_folder(tmp_path, Options(split_by=r"\w+-\d"))
    assert len(set(whole.groups["train"].rows[:])) == 8


def test_the_same_image_in_two_parts_is_reported(tmp_path: Path) -> None:
    images(tmp_path, "train/a", "train/b")
    images(tmp_path, "validation/a", "validation/b", "test/a", "test/b", first=50)
    write_image(tmp_path / "test" / "a" / "other name.png", seed=3)
    (warning,) = load_dataset(tmp_path).warnings
    assert warning == "1 of 11 test examples is also in the training part."


def test_links_are_followed_and_bad_ones_are_reported(tmp_path: Path) -> None:
    images(tmp_path / "far", "bees")
    images(tmp_path / "near", "ants", count=9)
    near = tmp_path / "near"
    (near / "bees").symlink_to(tmp_path / "far" / "bees")
    (near / "ants" / "up").symlink_to(near)
    (near / "ants" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (near / "ants" / "self.png").symlink_to("self.png")
    raw = raw_data_of_folder(near, Options())
    assert len(raw.parts["train"]) == 14
    assert raw.warnings == (
        "ants/gone.png (and 1 more) leads to no file, and was left out.",
        "ants/up leads to a folder above, and was left out.",
    )


def test_empty_folders_and_files_beside_classes_are_reported(tmp_path: Path) -> None:
    images(tmp_path, "train/a", "train/b", "test/a")
    images(tmp_path, "extra/a", ".", "train", count=2)
    for name in ("train/none", "train/void/deep", "extra/void"):
        (tmp_path / name).mkdir(parents=True)
    raw = raw_data_of_folder(tmp_path, Options())
    assert [len(part) for part in raw.parts.values()] == [10, 5]
    assert raw.warnings == (
        f"2 images in {tmp_path}, in no folder of a class, were left out.",
        f"2 images in {tmp_path}/train, in no folder of a class, were left out.",
        f"extra in {tmp_path} is no part, and was left out.",
        f"train/none, train/void in {tmp_path} have no images, and were left out.",
        f"{tmp_path}/test has no images of the class 'b'.",
    )


def test_a_test_part_without_classes_is_cut_anew(tmp_path: Path) -> None:
    images(tmp_path, "train/a", "train/b", "test", count=10)
    data = load_dataset(tmp_path)
    assert [len(part) for part in data.parts.values()] == [14, 3, 3]
    assert data.warnings == (
        f"10 images in {tmp_path}/test, in no folder of a class, were left out.",
    )


def test_an_unreadable_folder_is_reported(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is unreadable for this user")
    images(tmp_path, "a", "b")
    (tmp_path / "b").chmod(0)
    with pytest.raises(DataError, match="The folder .*b cannot be read: Permission"):
        peek_task(tmp_path)
    (tmp_path / "b").chmod(0o700)


EXPECTED = "Expected is a folder for each class"
BAD = {
    "nothing": ((), {}, f"has no images .*: it is empty. {EXPECTED}"),
    "no examples": (("a.doc", "b.doc", "c"), {}, "otherwise: 2 .doc, 1 without one"),
    "no classes": (("a.png", "b.png"), {}, f"has 2 images, but none in a .*{EXPECTED}"),
    "one class": (("a/1.png",), {}, "has only the class 'a'; at least two"),
    "extra level": (
        ("__MACOSX/._1.png", "ok/a/1.png", "ok/b/2.png", ".ipynb_checkpoints/a/1.png"),
        {},
        r"only the class 'ok', but .*ok has the folders a, b. Did you mean .*/ok\?",
    ),
    "tables a level below": (
        ("a/train.csv", "a/test.csv"),
        {},
        "files that end otherwise: 2 .csv. Did you mean .*/a",
    ),
    "two extra levels": (
        ("x/ok/train/a/1.png", "x/ok/train/b/2.png", "x/ok/test/a/3.png"),
        {},
        r"has the folders test, train. Did you mean .*/x/ok\?",
    ),
    "extra level in parts": (
        ("train/ok/a/1.png", "train/ok/b/2.png", "test/ok/a/3.png"),
        {},
        "train has only the class 'ok', .*Move them up into .*train",
    ),
    "folders in a class": (("a/x/1.png", "a/2.png"), {}, "has only the class 'a'; at "),
    "parts only": (("train/1.png", "test/2.png"), {}, "train has images, but none in"),
    "no train": (("test/a/1.png", "val/a/2.png"), {}, "parts val, test, but no folder"),
    "two of a part": (
        ("train/a/1.png", "val/a/2.png", "valid/a/3.png"),
        {},
        "has both val and valid for the validation part; join them",
    ),
    "new class": (
        ("train/a/1.png", "train/b/2.png", "test/c/3.png"),
        {},
        "test has the class 'c', which .*train lacks. Add images of it",
    ),
    "mixed": (
        ("a/1.png", "b/2.png", "a/1.txt"),
        {},
        r"holds 2 images \(kind='image'\) and 1 text \(kind='tokens'\); say by `kind`",
    ),
    "kind": (
        ("a/1.png", "b/2.png"),
        {"kind": "vector"},
        "'image' for images, .*vector",
    ),
    "none of kind": (
        ("a/1.png",),
        {"kind": "spectrogram"},
        "has no sounds .*, but .*png",
    ),
    "columns": (("a/1.png",), {"label": "y"}, "`label` is of no use for a folder of"),
    "seconds": (("a/1.png",), {"seconds": 1.0}, "`seconds` is of no use"),
    "size": (("a/1.png",), {"image_size": (0, 4)}, r"got image_size=\(0, 4\)"),
    "resize": (("a/1.png",), {"resize": "padd"}, "Did you mean 'pad'"),
    "channels": (("a/1.png",), {"channels": 4}, "1 for grey or 3 .* channels=4"),
    "pattern": (("a/1.png",), {"split_by": "(a"}, "must be a regular expression, but"),
    "no match": (
        ("a/x1.png", "b/2.png"),
        {"split_by": r"x(\d)"},
        r"'x\(.d\)' finds nothing in b/2.png.$",
    ),
    "few groups": (
        tuple(f"{c}/{n}.png" for c in "ab" for n in range(6)),
        {"split_by": "^(a|b)"},
        r"split_by='.*' must have at least 3 different values, .*, but it has 2",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_folder_of_another_form_is_reported(tmp_path: Path, case: str) -> None:
    files, options, match = BAD[case]
    for seed, name in enumerate(files):
        if name.endswith("png"):
            write_image(tmp_path / name, seed=seed)
        else:
            write_tree(tmp_path, {name: ""})
    with pytest.raises(DataError, match=match) as caught:
        load_dataset(tmp_path, **options)
    assert "\n" not in str(caught.value) and str(caught.value).endswith((".", "?"))


def test_damaged_files_are_counted_and_the_first_three_named(tmp_path: Path) -> None:
    sounds(images(tmp_path / "images", "a", "b").parent / "sounds", "a", "b")
    write_tree(
        tmp_path / "texts", {f"{c}/{i}.txt": "words" for c in "ab" for i in "01234"}
    )
    for path in [*tmp_path.glob("*/b/*.png"), *tmp_path.glob("*/b/*.wav")]:
        path.write_bytes(b"damaged")
    for path in (tmp_path / "texts").glob("b/*.txt"):
        path.write_bytes(b"\xff")
    every = r"^5 of \d+ {} are damaged: .*{}.*{}.*{}"
    match = every.format("images", "b/0.png", "b/1.png", "b/2.png")
    with pytest.raises(DataError, match=match) as caught:
        peek_task(tmp_path / "images")
    assert "b/3.png" not in str(caught.value)
    with pytest.raises(DataError, match=r"^5 of \d+ sounds are damaged: .*1_a.0.wav"):
        peek_task(tmp_path / "sounds")
    with pytest.raises(DataError, match=r"^5 of 10 texts are damaged: .*0.txt:1 is"):
        load_dataset(tmp_path / "texts")


def test_images_that_are_cut_short_are_counted(tmp_path: Path) -> None:
    images(tmp_path, "a", "b")
    for path in tmp_path.glob("b/*.png"):  # their headers can be read
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"^\d+ of \d+ images are damaged: .*b/0.png"):
        load_dataset(tmp_path)


def test_a_truncated_image_is_reported_when_it_is_loaded(tmp_path: Path) -> None:
    images(tmp_path, "a", "b", height=40, width=60)
    path = tmp_path / "b" / "3.jpg"
    write_image(path, 40, 60)
    path.write_bytes(path.read_bytes()[:-200])
    assert peek_task(tmp_path).inputs[0].shape == (40, 60, 3)
    with pytest.raises(
        DataError, match="b/3.jpg cannot be read as an image: it is cut"
    ):
        load_dataset(tmp_path)


@pytest.mark.parametrize("seconds", [0.01, -1.0, float("nan"), float("inf")])
def test_seconds_that_are_no_length_are_reported(
    tmp_path: Path, seconds: float
) -> None:
    sounds(tmp_path, "a", "b")
    with pytest.raises(DataError, match=r"`seconds >= 0.032` must hold at 8,000 "):
        peek_task(tmp_path, seconds=seconds)


def test_folders_larger_than_memory_are_held_on_disk(tmp_path: Path) -> None:
    images(tmp_path, "a", "b", count=8)
    held, streamed = load_dataset(tmp_path), load_dataset(tmp_path, memory=1)
    assert streamed.fingerprint == held.fingerprint
    assert not isinstance(streamed.train.inputs["image"], np.ndarray)
    whole = streamed.train.inputs["image"][:]
    np.testing.assert_allclose(whole, held.train.inputs["image"], atol=1e-6)


def test_every_kind_has_its_files() -> None:
    suffixes = [suffix for row in FOLDER_KINDS.values() for suffix in row.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all("split_by" in row.options for row in FOLDER_KINDS.values())


def test_a_folder_of_texts_becomes_ids_of_words(tmp_path: Path) -> None:
    for label, word in (("good", "fine"), ("bad", "dull")):
        for number in range(8):
            write_tree(tmp_path, {f"train/{label}/{number}.txt": f"a {word} {number}"})
    data = load_dataset(tmp_path, vocabulary=5, length=2)
    assert data.task.inputs[0].shape == (2,)
    assert data.task.targets[0].class_names == ("bad", "good")
    assert data.preprocessing["tokens"].words == ("a", "dull", "fine")
    (example,) = data.reader.examples(tmp_path / "train" / "good" / "3.txt")
    assert example.raw["text"] == "a fine 3"
    assert data.notes[0] == "A folder of 16 texts in 2 classes (bad, good)."
