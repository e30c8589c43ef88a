"""The loaders of Keras read small files in the layout of their cache."""

import gzip
import io
import pickle
import tarfile
import urllib.error
from pathlib import Path

import keras
import numpy as np
import pytest

from kscale.data.loading import load_dataset, peek_task
from kscale.data.sources.named import KERAS_DATASETS
from kscale.data.splitting import Indices
from kscale.errors import DataError
from kscale.task.tasks import Input

FILES = keras.src.utils.file_utils
RNG = np.random.default_rng(0)
TEN: Indices = np.arange(60) % 10


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of a machine without internet."""

    def refuse(url: str, *_: object) -> None:
        raise urllib.error.URLError("no internet")

    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path))
    monkeypatch.setattr(FILES, "urlretrieve", refuse)
    (tmp_path / "datasets" / "fashion-mnist").mkdir(parents=True)
    return tmp_path / "datasets"


@pytest.fixture
def trusting(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Such a cache whose files are taken for the published ones."""
    monkeypatch.setattr(FILES, "validate_file", lambda *_, **__: True)
    return home


def write_images(folder: Path, part: str, images: np.ndarray, labels: np.ndarray):
    for kind, header, array in (
        ("images-idx3", 16, images),
        ("labels-idx1", 8, labels),
    ):
        data = bytes(header) + array.astype(np.uint8).tobytes()
        (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(data))


def test_images_are_bytes_with_the_names_of_their_classes(home: Path) -> None:
    train, test = (RNG.integers(0, 256, (60, 28, 28), np.uint8) for _ in range(2))
    write_images(home / "fashion-mnist", "train", train, TEN)
    write_images(home / "fashion-mnist", "t10k", test, 9 - TEN)
    data = load_dataset("fashion_mnist")
    assert data.task == peek_task("fashion_mnist")
    assert data.task.inputs == (Input("x", "image", (28, 28, 1)),)
    assert data.task.targets[0].class_names[:2] == ("T-shirt/top", "Trouser")
    assert [len(part) for part in data.parts.values()] == [50, 10, 60]
    assert (data.test.targets["label"] == 9 - TEN).all()
    raw = data.input_scaling["x"].invert(data.test.inputs["x"])
    np.testing.assert_allclose(raw[..., 0], test, atol=1e-3)


def test_a_list_of_words_is_cut_or_padded_at_its_end(trusting: Path) -> None:
    texts = np.empty(60, object)
    texts[:] = [list(range(1, 2 + row)) for row in range(60)]
    labels = np.arange(60) % 2
    np.savez(
        trusting / "imdb.npz",
        x_train=texts,
        y_train=labels,
        x_test=texts,
        y_test=labels,
    )
    data = load_dataset("imdb", vocabulary=20, length=12)
    assert data.task == peek_task("imdb", vocabulary=20, length=12)
    assert data.task.inputs == (Input("x", "tokens", (12,), 20, 2),)
    assert data.task.targets[0].class_names == ("negative", "positive")
    rows = data.test.inputs["x"]
    for row, label in zip(rows, data.test.targets["label"], strict=True):
        length = np.count_nonzero(row)
        # Text n has the words 1, 2, ..., n + 1, each 3 higher after the start.
        assert row[:length].tolist() == [1, *range(4, 3 + length)]
        assert label == length % 2 or length == 12
    assert load_dataset("imdb", vocabulary=8).test.inputs["x"].max() == 7
    assert "ids, not texts" in data.notes[1]


def test_topics_are_named_by_their_numbers(trusting: Path) -> None:
    texts = np.empty(60, object)
    texts[:] = [[1, 2, 3 + row] for row in range(60)]
    labels = np.where(np.arange(60) % 2, 3, 45)
    np.savez(trusting / "reuters.npz", x=texts, y=labels)
    data = load_dataset("reuters")
    assert data.task.targets[0].class_names == ("earn", "lead")
    assert len(peek_task("reuters").targets[0].class_names) == 46
    assert peek_task("reuters").inputs == data.task.inputs


@pytest.mark.parametrize("name", ["california_housing", "boston_housing"])
def test_houses_have_prices(trusting: Path, name: str) -> None:
    x = RNG.normal(size=(60, *KERAS_DATASETS[name].shape))
    np.savez(trusting / f"{name}.npz", x=x, y=x[:, 0] * 1000.0)
    data = load_dataset(name)
    assert data.task == peek_task(name)
    assert len(data.test) == 12
    assert ("race" in " ".join(data.warnings)) == (name == "boston_housing")


def test_the_same_images_have_fine_and_coarse_classes(trusting: Path) -> None:
    labels = {"fine": np.arange(300) % 100, "coarse": np.arange(300) % 20}
    images = RNG.integers(0, 256, (300, 3072), np.uint8)
    batch = {b"data": images} | {
        f"{mode}_labels".encode(): ids.tolist() for mode, ids in labels.items()
    }
    whole = pickle.dumps(batch, protocol=4)
    path = trusting / "cifar-100-python-target_archive"
    with tarfile.open(path, "w:gz") as archive:
        for part in ("train", "test"):
            info = tarfile.TarInfo(f"cifar-100-python/{part}")
            info.size = len(whole)
            archive.addfile(info, io.BytesIO(whole))
    for name, mode in (("cifar100", "fine"), ("cifar100_coarse", "coarse")):
        data = load_dataset(name)
        assert data.task == peek_task(name)
        assert (data.test.targets["label"] == labels[mode]).all()
    raw = data.input_scaling["x"].invert(data.test.inputs["x"])
    np.testing.assert_allclose(raw[7, 0, 0], images[7, ::1024], atol=1e-3)


def test_class_names_are_as_many_as_published() -> None:
    names = {name: item.target.class_names for name, item in KERAS_DATASETS.items()}
    counts = {name: len(found) for name, found in names.items() if found}
    assert counts == {
        "cifar10": 10,
        "cifar100": 100,
        "cifar100_coarse": 20,
        "fashion_mnist": 10,
        "imdb": 2,
        "mnist": 10,
        "reuters": 46,
    }
    assert names["reuters"] == keras.datasets.reuters.get_label_names()
    assert list(names["cifar100"]) == sorted(set(names["cifar100"]))


@pytest.mark.parametrize("name", KERAS_DATASETS)
def test_what_is_not_there_is_one_line_with_its_place(name: str, home: Path) -> None:
    with pytest.raises(DataError, match="neither read from Keras' cache nor") as found:
        load_dataset(name)
    (line,) = str(found.value).splitlines()
    assert str(home) in line and "https://" in line and "KERAS_HOME" in line


def test_a_damaged_file_is_one_line(trusting: Path) -> None:
    (trusting / "mnist.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"mnist can be neither.*mnist\.npz"):
        load_dataset("mnist")


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("imdb", {"vocabulary": 3}, "`vocabulary >= 4` must hold"),
        ("imdb", {"length": 0}, "`length >= 1` must hold"),
        ("imdb", {"kind": "vector"}, "`kind` is of no use for the data set imdb"),
        ("mnist", {"length": 5}, "`length` is of no use for the data set mnist"),
        ("mnist", {"kind": "vector"}, "of the kind image, not vector"),
        ("fashion_mnst", {}, "Did you mean 'fashion_mnist'"),
    ],
)
def test_options_of_no_use_are_refused(name: str, options: dict, text: str) -> None:
    with pytest.raises(DataError, match=text):
        peek_task(name, **options)
