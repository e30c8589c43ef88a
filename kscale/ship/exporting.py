"""Exporting: a model is written, run again in its runtime, and compared on examples.

What differs from the model, or does not run, leaves no file.
"""

import gzip
import logging
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kscale.data.loading import reopened
from kscale.data.parts import PartName
from kscale.data.preprocessing import preprocessings_from_json
from kscale.data.preprocessing.base import Preprocessing
from kscale.data.preprocessing.scaled import scalings_from_json
from kscale.data.readers import reader_from_json
from kscale.data.views import recorded_preprocessing
from kscale.errors import DataError, ExportError, ResultsError
from kscale.naming import single_or_named
from kscale.networks.families import FAMILIES
from kscale.networks.families.base import Spec
from kscale.runs.entries import Entry
from kscale.runs.folder import RecordedRun, RecordsWriter
from kscale.runs.records import Export
from kscale.runs.stored_bits import METHOD_OF_BITS, compress_command
from kscale.ship.artifacts import Artifact
from kscale.ship.comparing import DRAWN, Comparison, Examples, compared, scored
from kscale.ship.extras import check_extra
from kscale.ship.formats import FORMATS, Format, check_free, check_target
from kscale.ship.formats.base import write_whole
from kscale.ship.opening import shipped_model
from kscale.ship.packaging import bare_model
from kscale.ship.prediction import Answer, answer_of
from kscale.ship.runtimes import Arrays, Trial, in_pieces, tried, tried_apart
from kscale.ship.writing import Writer
from kscale.task.evaluation import Scores
from kscale.task.tasks import Task

logger = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of an exported float model: of a probability, or of a value in
standard deviations of the training part."""


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


def examples_of(
    run: RecordedRun, data: Any, part: PartName, spec: Spec | None = None
) -> Examples:
    """Examples of a part of a run's data, or drawn ones where the data are gone; see
    `Examples.of`."""
    try:
        return Examples.of(reopened(run.description, data), part, spec)
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
    """A model as a form takes it, with options of writing, and how the model and its
    file answer raw inputs; the task and the spec where labels are the network's."""

    model: keras.Model
    wanted: Answer
    tried: Callable[[Path, Arrays], Trial]
    options: Mapping[str, Any] = field(default_factory=dict)
    task: Task | None = None
    spec: Spec | None = None
    check: Callable[[Path], None] = lambda path: None
    beside: Callable[[Path, Path], dict[Path, bytes]] = lambda path, partial: {}


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
    examples = examples_of(run, data, "test", written.spec)
    task = written.task or run.task
    found: list[Export] = []
    began = time.monotonic()

    def write(partial: Path) -> None:
        wanted = in_pieces(written.wanted, examples.raw)  # a form may change the model
        form.write(written.model, task, partial, **written.options)
        trial = written.tried(partial, examples.raw)
        scalings = scalings_from_json(run.description["target_scaling"])
        same = compared(task, scalings, trial.outputs, wanted)
        _check_same(same, f"A file of the form {form_name}")
        score = scored(run.objective, task, examples.labels, trial.outputs)
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

    write_whole(path, write, lambda partial: written.beside(path, partial))
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
    if run.task.is_written:
        return _of_writer(run, which, form)
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

    def tried_file(path: Path, raw: Arrays) -> Trial:
        trial = tried_apart(path, artifact.taken(raw))
        return replace(trial, outputs=artifact.given(trial.outputs))

    return _beside(artifact, model, tried_file)


def _beside(
    artifact: Artifact,
    model: keras.Model,
    tried: Callable[[Path, Arrays], Trial],
    **more: Any,
) -> _Written:
    """A model of what an artifact takes, beside which the artifact's files lie; `more`
    are further fields."""
    answer = answer_of(model, artifact.task)

    def placed(path: Path) -> Artifact:
        return replace(artifact, path=path)

    return _Written(
        model,
        lambda raw: answer(artifact.fed(raw)),
        tried,
        check=lambda path: check_free(*placed(path).all_beside),
        beside=lambda path, partial: placed(path).contents_beside(partial),
        **more,
    )


def _of_writer(run: RecordedRun, which: str | Entry, form: Format) -> _Written:
    """A network that writes texts: a model of ids, and what decodes where a form can
    hold that; what makes the ids lies beside."""
    if form.answer is None:
        raise ExportError(
            "A network that writes texts token by token can be exported to keras and "
            "saved-model only."
        )
    writer, opened = Writer.of(run, which), form.answer
    reader = reader_from_json(run.description["reader"])
    artifact = Artifact(Path(), writer.task, writer.preprocessing, (), reader)

    def tried_here(path: Path, raw: Arrays) -> Trial:
        if form.decodes:
            _check_texts(writer, form.decodes(path, writer.task), raw)
        return tried(opened(path, writer.task), artifact.fed(raw))

    return _beside(
        artifact,
        writer.model("writer"),
        tried_here,
        options={"decode": writer.decode} if form.decodes else {},
        task=writer.task,
        spec=run.shipped(which).spec,
    )


def _check_texts(
    writer: Writer, decode: Callable[[Mapping[str, Any]], Any], raw: Arrays
) -> None:
    """Raise unless a file writes the texts that its network writes."""
    ids = {
        it.name: writer.preprocessing[it.name].apply(raw)[:DRAWN]
        for it in writer.task.given_inputs
    }
    if not np.array_equal(np.asarray(decode(ids)), np.asarray(writer.decode(ids))):
        raise ExportError("The file does not write the texts that the model writes.")


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
