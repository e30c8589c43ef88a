"""Artifact: an exported file that knows no texts, with what stands around the file.

Beside `model.tflite` lies `model.tflite.preprocess.json`: how raw inputs become what
the file takes, and what the outputs mean. What programs without kscale need of texts
lies there once more. `model.tflite.vocabulary.txt` has the words: a word a line, with
the ids 2, 3, ...; 0 is padding, 1 any other word. `model.tflite.subwords.model` is what
`sentencepiece.SentencePieceProcessor(model_file=...)` opens; 0 is padding, 1 any other
character, 2 the start and 3 the end of a text.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from kscale.data.examples import Reader
from kscale.data.preprocessing import preprocessings_from_json, raw_inputs_of
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.readers import reader_from_json
from kscale.errors import ExportError, KscaleError
from kscale.naming import input_names
from kscale.ship.formats.saved_model import signature_names
from kscale.ship.prediction import Prediction, predict_files
from kscale.ship.runtimes import RUNTIMES, Arrays, Runtime, open_file
from kscale.task.tasks import Task

_OTHER = (
    "is not the file that lies beside its description; export the model again, or move "
    "both files together"
)
_DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, KscaleError)
"""What is raised where plain data have another form."""


def _digest(path: Path) -> str:
    """Of a file, or of all files of a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    whole = blake2b(digest_size=16)
    for file in filter(Path.is_file, files):
        whole.update(file.read_bytes())
    return whole.hexdigest()


def _files_beside(items: Iterable[Preprocessing]) -> dict[str, bytes]:
    """What lies beside a file, by the end of its name; what differs between raw inputs
    has their name in front."""
    found: dict[str, dict[bytes, str]] = {}
    for item in items:
        for name, content in item.files.items():
            found.setdefault(name, {}).setdefault(content, item.raw_inputs[0].name)
    return {
        f"{raw}.{name}" if len(contents) > 1 else name: content
        for name, contents in found.items()
        for content, raw in contents.items()
    }


def is_artifact(path: Path) -> bool:
    """Whether a path is named like a file that a runtime opens."""
    return path.suffix.lower() in RUNTIMES and not path.is_dir()


@dataclass(frozen=True)
class Artifact:
    """An exported file, and how raw inputs are given to the file.

    Args:
        path: The file.
        task: What the network takes in and predicts.
        preprocessing: By input of the network.
        inside: Inputs whose preprocessing the file does itself.
        reader: Reads raw files as those of training were read.
    """

    path: Path
    task: Task
    preprocessing: Mapping[str, Preprocessing]
    inside: tuple[str, ...]
    reader: Reader

    @property
    def beside(self) -> Path:
        """The file that describes what stands around the artifact."""
        return self.path.with_name(f"{self.path.name}.preprocess.json")

    @property
    def _texts(self) -> dict[Path, bytes]:
        """What programs without kscale need of texts, by the file that has it."""
        found = _files_beside(self.preprocessing.values())
        name = self.path.name
        return {self.path.with_name(f"{name}.{end}"): found[end] for end in found}

    @property
    def all_beside(self) -> tuple[Path, ...]:
        """All files that lie beside the artifact."""
        return (self.beside, *self._texts)

    @property
    def carried(self) -> dict[str, Preprocessing]:
        """By input, the preprocessing that the file does itself."""
        return {name: self.preprocessing[name] for name in self.inside}

    @cached_property
    def _names(self) -> dict[str, str]:
        """Names in the Keras model of what `fed` gives."""
        raw = [item.name for item in raw_inputs_of(self.carried)]
        return input_names(
            [*raw, *(n for n in self.preprocessing if n not in self.inside)]
        )

    @cached_property
    def takes(self) -> dict[str, str]:
        """Names in the file of what `fed` gives."""
        plain = signature_names(self._names.values())
        return {name: plain[keras] for name, keras in self._names.items()}

    @cached_property
    def _gives(self) -> dict[str, str]:
        """Names in the file of targets."""
        return signature_names(target.name for target in self.task.targets)

    def taken(self, raw: Arrays) -> dict[str, NDArray[Any]]:
        """What the file takes, by names in the file, for raw inputs by name."""
        return {self.takes[name]: array for name, array in self.fed(raw).items()}

    def fed(self, raw: Arrays) -> dict[str, NDArray[Any]]:
        """What the file takes, by names of raw inputs, and of inputs that are prepared
        here."""
        found = {
            item.name: np.asarray(raw[item.name], item.dtype)
            for item in raw_inputs_of(self.carried)
        }
        for name, item in self.preprocessing.items():
            if name not in self.inside:
                found[name] = item.apply(raw)
        return found

    def given(self, outputs: Arrays) -> dict[str, NDArray[Any]]:
        """What the file gave, `(examples, outputs)` by target."""
        return {name: outputs[plain] for name, plain in self._gives.items()}

    @cached_property
    def _runtime(self) -> Runtime:
        return open_file(self.path)

    def answer(self, raw: Arrays) -> dict[str, NDArray[Any]]:
        """Probabilities or values by target, `(examples, outputs)`, for raw inputs."""
        runtime = self._runtime
        try:
            return self.given(runtime.run(self.taken(raw)))
        except Exception as error:  # whatever a runtime raises
            raise ExportError(f"{self.path} {_OTHER}.") from error

    def predict(
        self, paths: Iterable[str | Path], top: int | None = None
    ) -> Iterator[Prediction]:
        """What the file says of raw files; see `kscale.Run.predict`."""
        raw = raw_inputs_of(self.preprocessing)
        return predict_files(self.answer, self.task, raw, self.reader, paths, top)

    def contents_beside(self, partial: Path) -> dict[Path, bytes]:
        """What lies beside the file, by path, while the file is at a temporary path."""
        about = {
            "file": _digest(partial),
            "inputs": self.takes,
            "outputs": self._gives,
            "classes": {t.name: t.class_names for t in self.task.targets},
            "inside": self.inside,
            "preprocessing": {n: p.to_json() for n, p in self.preprocessing.items()},
            "reader": self.reader.to_json(),
            "task": self.task.to_json(),
        }
        return {
            **self._texts,
            self.beside: json.dumps(about, indent=2).encode() + b"\n",
        }

    @classmethod
    def open(cls, path: Path) -> "Artifact":
        """The artifact of a file.

        Raises:
            ExportError: There is no such file, or what describes the file is missing or
                damaged.
        """
        empty = cls(path, Task((), ()), {}, (), Reader())
        if not path.is_file():
            raise ExportError(f"There is no file {path}.")
        try:
            about = json.loads(empty.beside.read_text("utf-8"))
            found = cls(
                path,
                Task.from_json(about["task"]),
                preprocessings_from_json(about["preprocessing"]),
                msgspec.convert(about["inside"], tuple[str, ...]),
                reader_from_json(about["reader"]),
            )
            is_whole = (
                {item.name for item in found.task.inputs}
                == {*found.preprocessing}
                >= {*found.inside}
            )
            digest = about["file"]
        except FileNotFoundError as error:
            raise ExportError(
                f"{path} needs {empty.beside.name} beside it, as kscale export wrote "
                "it: move both."
            ) from error
        except _DAMAGED as error:
            raise ExportError(
                f"{empty.beside} is damaged; export the model again."
            ) from error
        if not is_whole or digest != _digest(path):
            raise ExportError(f"{path} {_OTHER}.")
        return found
