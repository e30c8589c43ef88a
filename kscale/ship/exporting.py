"""Exporting: a model is written, run again in its runtime, and compared on examples.

What differs from the model, or does not run, leaves no file.
"""

import gzip
import logging
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from kscale.data.dataset import Dataset
from kscale.data.example_rows import spaced
from kscale.data.loading import reopened
from kscale.data.parts import PartName
from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import (
    Scaled,
    Scaling,
    scalings_from_json,
    unscaled,
)
from kscale.data.readers import reader_from_json
from kscale.data.views import recorded_preprocessing
from kscale.errors import (
    DataError,
    ExportError,
    KscaleError,
    ResultsError,
    unwritable,
)
from kscale.naming import single_or_named
from kscale.networks.families import FAMILIES
from kscale.runs.entries import Entry
from kscale.runs.folder import RecordedRun, RecordsWriter
from kscale.runs.records import Export
from kscale.runs.stored import METHOD_OF_BITS, compress_command
from kscale.ship.artifacts import Artifact
from kscale.ship.extras import check_extra
from kscale.ship.formats import FORMATS, Format, check_free, check_target
from kscale.ship.formats.base import write_whole
from kscale.ship.opening import shipped_model
from kscale.ship.packaging import bare_model
from kscale.ship.prediction import Answer, answer_of
from kscale.ship.runtimes import Arrays, Trial, in_pieces, tried, tried_apart
from kscale.task.evaluation import Scores, evaluate
from kscale.task.objectives import Objective
from kscale.task.tasks import Target, Task

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of an exported float model: of a probability, or of a value in
standard deviations of the training part."""

_MOST_EXAMPLES = 2000
_DRAWN = 32


@dataclass(frozen=True)
class Examples:
    """Examples on which a model and a file made of the model are compared.

    Args:
        raw: Raw inputs by name, `(examples, ...)`.
        labels: By target; empty for drawn examples.
    """

    raw: Arrays
    labels: Arrays

    @classmethod
    def of(cls, dataset: Dataset, name: PartName) -> "Examples":
        """At most 2,000 examples of a part, evenly spaced."""
        part = dataset.parts[name]
        chosen = spaced(len(part), _MOST_EXAMPLES)
        _, raw = dataset.examples(part, chosen)
        labels = {name: rows[chosen] for name, rows in part.targets.items()}
        return cls(raw, labels)

    @classmethod
    def drawn(
        cls, task: Task, preprocessing: Mapping[str, Preprocessing]
    ) -> "Examples":
        """Examples of no meaning, for data that nobody has any more."""
        random = np.random.default_rng(0)
        vocabularies = {item.name: item.vocabulary for item in task.inputs}
        raw: dict[str, NDArray[Any]] = {}
        for name, item in preprocessing.items():
            for each in item.raw_inputs:
                shape = (_DRAWN, *each.shape)
                if each.dtype == "string":
                    words = getattr(item, "words", ()) or ("a", "b")
                    raw[each.name] = random.choice(words, shape).astype(object)
                elif each.dtype == "int32":
                    ids = random.integers(0, vocabularies[name], shape)
                    raw[each.name] = ids.astype(np.int32)
                else:
                    numbers = random.normal(size=shape).astype(np.float32)
                    if isinstance(item, Scaled):
                        numbers = unscaled(numbers, item.scaling)
                    raw[each.name] = numbers
        return cls(raw, {})


@dataclass(frozen=True)
class Comparison:
    """What a file gives beside what its model gives; see `kscale.runs.records`."""

    agreement: float | None
    difference: float


def compared(
    task: Task, scalings: Mapping[str, Scaling], given: Arrays, wanted: Arrays
) -> Comparison:
    """How near answers are to those of a model.

    Args:
        task: What is predicted.
        scalings: Of real targets, from a network's output to the user's unit.
        given: By target, `(examples, outputs)`.
        wanted: What the model gave for the same examples.
    """
    shares, differences = [], [0.0]
    for target in task.targets:
        mine, theirs = given[target.name], wanted[target.name]
        scaling = scalings.get(target.name)
        unit = np.abs(scaling.scale) if scaling else 1.0
        differences.append(float(np.max(np.abs(mine - theirs) / unit)))
        if target.head.chosen is not None:
            shares.append(_share_of_same(target, mine, theirs))
    agreement = float(np.mean(shares)) if shares else None
    return Comparison(agreement, float(np.max(differences)))  # NaN where one is NaN


def _share_of_same(target: Target, mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    chosen: Any = target.head.chosen
    pairs = zip(mine, theirs, strict=True)
    return float(np.mean([{*chosen(a, 1)} == {*chosen(b, 1)} for a, b in pairs]))


def scored(
    objective: Objective, task: Task, labels: Arrays, given: Arrays
) -> Scores | None:
    """What answers reach; None without labels."""
    if not labels:
        return None
    pairs = {t.name: (labels[t.name], given[t.name]) for t in task.targets}
    return evaluate(objective, task, pairs)


def sizes_of(path: Path) -> tuple[int, int]:
    """Bytes of a file, or of all files of a folder, as they are and compressed."""
    files = (
        [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    )
    contents = [file.read_bytes() for file in files]
    return sum(map(len, contents)), sum(len(gzip.compress(c, 6)) for c in contents)


def _check_same(found: Comparison, what: str) -> None:
    if not found.difference <= TOLERANCE:
        raise ExportError(
            f"{what} does not give what the model gives: probabilities, or values in "
            f"standard deviations, differ by {found.difference:.2g}."
        )


def examples_of(run: RecordedRun, data: Any, part: PartName) -> Examples:
    """Examples of a part of a run's data, or drawn ones where the data are gone."""
    try:
        return Examples.of(reopened(run.description, data), part)
    except DataError as error:
        if data is not None:
            raise
        logger.warning(
            "%s The file was compared on drawn examples; its score is not known.", error
        )
    preprocessing = preprocessings_from_json(run.description["preprocessing"])
    return Examples.drawn(run.task, preprocessing)


@dataclass(frozen=True)
class _Written:
    """A model as a form takes it, and how the model and its file answer raw inputs."""

    model: keras.Model
    wanted: Answer
    tried: Callable[[Path, Arrays], Trial]
    check: Callable[[Path], None] = lambda path: None
    finish: Callable[[Path], None] = lambda path: None


def export(
    run: RecordedRun,
    which: str | Entry,
    form_name: str,
    path: Path,
    overwrite: bool = False,
    data: Any = None,
) -> Export:
    """Write a trained model of a run, and record what the file gives.

    Args:
        run: The run.
        which: `best`, `recommended`, or an entry of the front.
        form_name: A key of `FORMATS`.
        path: Where to write.
        overwrite: Whether a model of this form at the path may go.
        data: Where the data of the run are now; without it, where they were.

    Raises:
        DataError: `data` are not those of the run.
        ExportError: The model cannot be written, does not run, or differs.
        MissingPackageError: The form needs packages that are missing.
        ResultsError: There is no such model in the run.
    """
    form = FORMATS[form_name]
    check_target(path, form, overwrite)
    check_extra(f"The format {form_name}", form.extra)
    written = _written(run, which, form)
    if not overwrite:
        written.check(path)
    examples = examples_of(run, data, "test")
    found: list[Export] = []
    began = time.monotonic()

    def write(partial: Path) -> None:
        wanted = in_pieces(written.wanted, examples.raw)  # a form may change the model
        form.write(written.model, run.task, partial)
        trial = written.tried(partial, examples.raw)
        scalings = scalings_from_json(run.description["target_scaling"])
        same = compared(run.task, scalings, trial.outputs, wanted)
        _check_same(same, f"A file of the form {form_name}")
        score = scored(run.objective, run.task, examples.labels, trial.outputs)
        size, packed = sizes_of(partial)
        found.append(
            Export(
                format=form_name,
                model=which.results[0].key if isinstance(which, Entry) else which,
                path=str(path.absolute()),
                bytes=size,
                gzip_bytes=packed,
                agreement=same.agreement,
                difference=same.difference,
                latency_ms=trial.quantile(0.5),
                latency_high=trial.quantile(0.9),
                seconds=round(time.monotonic() - began, 3),
                **scored_fields(score),
            )
        )

    try:
        write_whole(path, write)
    except KscaleError:
        raise
    except Exception as error:  # libraries have errors of their own for a full disk
        raise ExportError(unwritable(path, error)) from error
    try:
        written.finish(path)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ExportError(unwritable(path, error)) from error
    record(run, found[0])
    _warn_of_bits(run, which)
    return found[0]


def _warn_of_bits(run: RecordedRun, which: str | Entry) -> None:
    """Say how the file of an answer in fewer bits is made, which this one is not."""
    if not run.budget.are_bits_open or (bits := run.answer(which).bits) == 32:
        return
    if isinstance(which, Entry):
        command = f"Run.compress([{METHOD_OF_BITS[bits]!r}], entry)"
    else:
        command = compress_command(shlex.quote(str(run.folder)), which, bits)
    logger.warning(
        "The network is an answer in %d bits, and this file stores float32: "
        "%s writes the file of %d bits.",
        *(bits, command, bits),
    )


def scored_fields(scores: Scores | None) -> dict[str, Any]:
    """The fields of a record that a score has."""
    if scores is None:
        return {}
    return {
        "score": scores.score,
        "stderr": scores.stderr,
        "examples": scores.examples,
        "metrics": dict(scores.metrics),
    }


def record(run: RecordedRun, found: Any) -> None:
    """Append a record to a run, whose folder may be in use or not be written."""
    run.results.append(found)
    try:
        with RecordsWriter(run.folder, run.description) as writer:
            writer.append(found)
    except ResultsError as error:
        logger.warning("What was measured is not recorded: %s", error)


def _written(run: RecordedRun, which: str | Entry, form: Format) -> _Written:
    if form.carries is None:
        model = shipped_model(run.folder, run.description, which)
        opened: Any = form.answer

        def tried_here(path: Path, raw: Arrays) -> Trial:
            return tried(opened(path, run.task), raw)

        return _Written(model, answer_of(model, run.task), tried_here)
    about = run.description
    preprocessing = recorded_preprocessing(about, run.shipped(which).spec)
    inside = tuple(n for n, item in preprocessing.items() if form.carries(item))
    reader = reader_from_json(about["reader"])
    artifact = Artifact(Path(), run.task, preprocessing, inside, reader)
    model = numeric_model(run, which, artifact.carried)

    answer = answer_of(model, run.task)

    def tried_file(path: Path, raw: Arrays) -> Trial:
        trial = tried_apart(path, artifact.taken(raw))
        return replace(trial, outputs=artifact.given(trial.outputs))

    def placed(path: Path) -> Artifact:
        return replace(artifact, path=path)

    return _Written(
        model,
        lambda raw: answer(artifact.fed(raw)),
        tried_file,
        check=lambda path: check_free(placed(path).beside),
        finish=lambda path: placed(path).write_beside(),
    )


def numeric_model(
    run: RecordedRun, which: str | Entry, inside: Mapping[str, Preprocessing]
) -> keras.Model:
    """A trained model of numbers in and out, as `bare_model` makes it.

    Args:
        run: The run.
        which: `best`, `recommended`, or an entry of the front.
        inside: By input, what the model does itself.
    """
    about, task = run.description, run.task
    if any(family not in FAMILIES for family in about["identity"]["families"]):
        model = shipped_model(run.folder, about, which)
        if len(inside) < len(task.inputs):
            raise ExportError(
                "A model of your own that reads texts can be exported to keras and "
                "saved-model only."
            )
        given = model.output
        named = {t.name: given[t.name] for t in task.targets}
        return keras.Model(model.input, single_or_named(named))
    training = run.shipped(which)
    return bare_model(
        training.spec,
        task,
        run.folder / "models" / f"{training.key}.npz",
        inside,
        scalings_from_json(about["target_scaling"]),
    )
