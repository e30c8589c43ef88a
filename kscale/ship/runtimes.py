"""Runtimes: what runs an exported file where TensorFlow is not installed.

As a program, `python -m kscale.ship.runtimes FILE INPUTS OUTPUTS` runs a file on the
arrays of one NPZ file, and writes what it gives, and times, to another one.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kscale.engine.tensorflow.starting import quiet_start
from kscale.errors import ExportError, sentence_of
from kscale.ship.extras import check_modules
from kscale.ship.programs import last_words, run_program

Arrays = Mapping[str, NDArray[Any]]

_PIECE = 256  # examples at once, whose activations are held
_WARM_PASSES = 5
_FEWEST_PASSES, _MOST_PASSES = 30, 300
_MOST_SECONDS = 1.0
_TIMES = "times of single passes"


class Runtime(Protocol):
    """Runs one file, on one thread."""

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs `(examples, ...)` by name, for inputs of the same form."""


class LiteRTRuntime:
    """Runs a file of LiteRT, an example at a time.

    Numbers that the file takes or gives as small integers are scaled here.
    """

    def __init__(self, path: Path) -> None:
        with quiet_start():
            from ai_edge_litert.interpreter import Interpreter

            self._interpreter = Interpreter(str(path), num_threads=1)
            self._interpreter.allocate_tensors()
            self._runner = self._interpreter.get_signature_runner()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        takes = self._runner.get_input_details()
        gives = self._runner.get_output_details()
        rows = {name: _quantized(array, takes[name]) for name, array in inputs.items()}
        count = len(next(iter(rows.values())))
        found: dict[str, list[NDArray[Any]]] = {name: [] for name in gives}
        for place in range(count):
            one = {name: array[place : place + 1] for name, array in rows.items()}
            for name, array in self._runner(**one).items():
                found[name].append(array)
        return {
            name: _restored(np.concatenate(arrays), gives[name])
            for name, arrays in found.items()
        }


def _quantized(array: NDArray[Any], about: Mapping[str, Any]) -> NDArray[Any]:
    """What a file takes for numbers."""
    scale, zero = about["quantization"]
    if not scale:
        return array.astype(about["dtype"], copy=False)
    limits = np.iinfo(about["dtype"])
    steps = np.round(array / scale) + zero
    return np.clip(steps, limits.min, limits.max).astype(about["dtype"])


def _restored(array: NDArray[Any], about: Mapping[str, Any]) -> NDArray[Any]:
    """The numbers that a file means."""
    scale, zero = about["quantization"]
    return array if not scale else (array.astype(np.float32) - zero) * scale


class OnnxRuntime:
    """Runs a file of ONNX."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        names = [item.name for item in self._session.get_outputs()]
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))


RUNTIMES: dict[str, tuple[Callable[[Path], Runtime], str, str]] = {
    ".tflite": (LiteRTRuntime, "ai_edge_litert", "litert"),
    ".onnx": (OnnxRuntime, "onnxruntime", "onnx"),
}
"""By the end of a file's name the runtime, its module, and the extra that has the
module."""


def open_file(path: Path) -> Runtime:
    """The runtime of a file.

    Raises:
        ExportError: The file is damaged, or needs what the runtime lacks.
        MissingPackageError: The runtime is not installed.
    """
    runtime, module, extra = RUNTIMES[path.suffix.lower()]
    check_modules(str(path), (module,), extra)
    try:
        return runtime(path)
    except Exception as error:  # whatever a runtime raises
        raise ExportError(f"{path} does not run: {sentence_of(error)}.") from error


@dataclass(frozen=True)
class TimedOutputs:
    """What a model gave for some examples, and how long single ones took.

    Args:
        outputs: By name, `(examples, ...)`.
        milliseconds: Of passes of one example.
    """

    outputs: Arrays
    milliseconds: NDArray[Any]

    def quantile(self, share: float) -> float:
        """The time that a share of the passes took at most, in milliseconds."""
        return float(np.quantile(self.milliseconds, share))


def in_pieces(run: Callable[[Arrays], Arrays], inputs: Arrays) -> Arrays:
    """What a function gives for all examples, of which it gets some at a time."""
    count = len(next(iter(inputs.values())))
    pieces = [
        run({name: array[at : at + _PIECE] for name, array in inputs.items()})
        for at in range(0, count, _PIECE)
    ]
    return {name: np.concatenate([p[name] for p in pieces]) for name in pieces[0]}


def tried(run: Callable[[Arrays], Arrays], inputs: Arrays) -> TimedOutputs:
    """What a function gives for all examples, timed on the first one."""
    outputs = in_pieces(run, inputs)
    first = {name: array[:1] for name, array in inputs.items()}
    times: list[float] = []
    began = time.perf_counter()
    for turn in range(_WARM_PASSES + _MOST_PASSES):
        start = time.perf_counter()
        run(first)
        end = time.perf_counter()
        if turn >= _WARM_PASSES:
            times.append(1e3 * (end - start))
        if len(times) >= _FEWEST_PASSES and end - began > _MOST_SECONDS:
            break
    return TimedOutputs(outputs, np.array(times))


def tried_apart(path: Path, inputs: Arrays) -> TimedOutputs:
    """As `tried`, of a file in a process of its own, without TensorFlow.

    Raises:
        ExportError: The file does not run.
    """
    with TemporaryDirectory() as folder:
        asked, answers = Path(folder, "asked.npz"), Path(folder, "answers.npz")
        save_arrays(asked, inputs)
        done = run_program(__name__, [path, asked, answers])
        if done.returncode or not answers.exists():
            why = last_words(done).removeprefix(f"{path} does not run: ")
            raise ExportError(f"The {path.suffix} file does not run: {why}.")
        outputs = load_arrays(answers)
        return TimedOutputs(outputs, outputs.pop(_TIMES))


# A keyword of `numpy.savez` may not be the name of its first parameter.
_BEFORE = "="


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays by any names to one NPZ file."""
    named: dict[str, Any] = {_BEFORE + name: array for name, array in arrays.items()}
    np.savez(path, **named)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """What `save_arrays` wrote."""
    with np.load(path, allow_pickle=False) as found:
        return {name.removeprefix(_BEFORE): found[name] for name in found}


def _main(path: str, asked: str, answers: str) -> None:
    timed = tried(open_file(Path(path)).run, load_arrays(Path(asked)))
    assert "tensorflow" not in sys.modules
    save_arrays(Path(answers), {**timed.outputs, _TIMES: timed.milliseconds})


if __name__ == "__main__":
    _main(*sys.argv[1:])
