"""TensorFlow Datasets by name, where the optional package is installed."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kscale.data.loading import dataset_name, load_dataset
from kscale.errors import DataError, MissingPackageError
from kscale.task.tasks import Input

PIXELS = np.random.default_rng(0).integers(0, 256, (90, 6, 5, 3), np.uint8)
NAMES = ["cat", "ant", "bee"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small data set, written by the package."""
    tfds = pytest.importorskip("tensorflow_datasets")
    cuts = {"train": range(60), "test": range(60, 80), "extra": range(80, 90)}

    class TinyPictures(tfds.core.GeneratorBasedBuilder):  # type: ignore[misc]
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            pictures = tfds.features.Image(shape=PIXELS.shape[1:])
            labels = tfds.features.ClassLabel(names=NAMES)
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {"image": pictures, "kind": labels}
                ),
                supervised_keys=("image", "kind"),
            )

        def _split_generators(self, manager: Any) -> Any:
            return {name: self._generate_examples(rows) for name, rows in cuts.items()}

        def _generate_examples(self, rows: Any) -> Any:
            for row in rows:
                yield row, {"image": PIXELS[row], "kind": row % 3}

    builder = TinyPictures(data_dir=str(tmp_path_factory.mktemp("tfds")))
    builder.download_and_prepare()
    return Path(builder.data_dir)


def test_splits_are_parts_and_classes_have_their_names(prepared: Path) -> None:
    for memory in (None, 0):
        data = load_dataset(f"tfds:{prepared}", memory=memory)
        assert data.task.inputs == (Input("x", "image", (6, 5, 3)),)
        assert data.task.targets[0].class_names == tuple(NAMES)
        assert [len(part) for part in data.parts.values()] == [51, 9, 20]
        assert data.notes == ("Not read: extra.",)
        raw = data.input_scaling["x"].invert(data.test.inputs["x"][:])
        order = np.rint(raw).astype(np.uint8).reshape(20, -1).tolist()
        rows = [PIXELS.reshape(90, -1).tolist().index(row) for row in order]
        assert sorted(rows) == list(range(60, 80))
        assert data.test.targets["label"].tolist() == [row % 3 for row in rows]


def test_what_the_package_does_not_know_is_one_line(prepared: Path) -> None:
    with pytest.raises(DataError, match=r"tfds:no_such.*no_such not found\.") as found:
        load_dataset("tfds:no_such")
    assert len(str(found.value).splitlines()) == 1


def test_without_the_package_the_error_names_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'kscale\[tfds\]'"):
        load_dataset("tfds:mnist")


def test_options_of_no_use_are_refused() -> None:
    with pytest.raises(DataError, match="`label` is of no use for tfds:mnist"):
        load_dataset("tfds:mnist", label="kind")


def test_its_names_make_names_of_folders() -> None:
    assert dataset_name("tfds:mnist") == "tfds-mnist"
    assert dataset_name("tfds:glue/sst2:1.0.0") == "tfds-glue-sst2-1.0.0"
