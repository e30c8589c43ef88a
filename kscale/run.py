"""Run: the folder of one search, opened to read its answer."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kscale.data.preprocessing import preprocessings_from_json, raw_inputs_of
from kscale.data.readers import reader_from_json
from kscale.data.sources.arrays import ArrayReader
from kscale.engine.base import BEAMS
from kscale.errors import (
    DataError,
    ExportError,
    KscaleError,
    ResultsError,
    check_least,
    unknown_name,
    writing,
)
from kscale.networks.families import FAMILIES
from kscale.reports.compression_tables import CompressionTable
from kscale.reports.drawings import draw
from kscale.reports.forecast import Forecast, forecast
from kscale.reports.html import report_html
from kscale.reports.network_code import code_of
from kscale.reports.notes import left_out_notes, model_notes, search_notes
from kscale.reports.plots import plot_data
from kscale.reports.report import Report
from kscale.reports.rows import make_report
from kscale.reports.run_tables import (
    report_csv,
    report_json,
    report_markdown,
    report_text,
)
from kscale.runs.entries import Entry
from kscale.runs.folder import RESULTS_FILE, RUN_FILE, RecordedRun, write_atomically
from kscale.ship.compressing.methods import parse_chain
from kscale.ship.formats import FORMATS
from kscale.ship.prediction import Prediction, answer_of, predict_files

if TYPE_CHECKING:
    import keras

_SUFFIXES = (".html", ".png", ".svg")
_WIDTH = 110


class Run(RecordedRun):
    """A search and its answer, read from its folder: reports, models and exports.

    Args:
        folder: A run folder.
        results: Records of the folder, where they have been read already.

    Raises:
        ResultsError: The folder holds no run.
    """

    def report(self, rank_by: str = "knee") -> Report:
        """The rows of the table, with what to say about them."""
        report = make_report(self.description, self.results, rank_by)
        files = {path.name for path in (self.folder / "models").glob("*")}
        notes = (*model_notes(report, files), *report.notes)
        about = self.description
        notes = (*notes, *search_notes(about), *left_out_notes(about))
        return replace(report, notes=notes)

    @classmethod
    def latest(cls, folder: str | Path = "runs") -> "Run":
        """The run in a folder of runs that was changed last.

        Raises:
            ResultsError: There is no run in the folder.
        """
        found = [path.parent for path in Path(folder).glob(f"*/{RUN_FILE}")]
        if not found:
            raise ResultsError(
                f"There is no run in {folder}; name a run folder, or make one with "
                "kscale tune."
            )
        return cls(max(found, key=_changed))

    def to_json(self, rank_by: str = "knee") -> dict[str, Any]:
        """The report as plain data, with raw numbers and stable keys."""
        return {"run": str(self.folder), **report_json(self.report(rank_by))}

    def to_text(
        self, form: str = "table", rank_by: str = "knee", all_rows: bool = False
    ) -> str:
        """The report as text.

        Args:
            form: `table`, `markdown` or `csv`; the last always holds every network.
            rank_by: Order of the front, one of `kscale.reports.ranking.RANKINGS`.
            all_rows: Whether to show every network, or the front and the baselines.

        Raises:
            ResultsError: The form or the order is unknown.
        """
        report = self.report(rank_by)
        forms = {
            "table": lambda: report_text(report, _WIDTH, all_rows),
            "markdown": lambda: report_markdown(report, all_rows),
            "csv": lambda: report_csv(report),
        }
        if form not in forms:
            raise ResultsError(unknown_name("form", form, forms))
        return forms[form]()

    def forecast(
        self,
        params: str | float | Sequence[str | float] = (),
        *,
        score: str | float | None = None,
        double: bool = False,
        examples: str | float | None = None,
        beyond: bool = False,
    ) -> Forecast:
        """What sizes that were not trained would reach, by a law fitted to the run.

        Args:
            params: Numbers of parameters, such as `20e6` or "5M". Without any question,
                the largest size trained, twice and four times as much.
            score: A value to reach, "95%" or a loss: the answer is a size.
            double: Whether to say what twice the recommended size buys.
            examples: How many times the training examples of the run, such as "2x"; for
                a run of `examples_ladder`, which also trains on fewer examples.
            beyond: Whether to answer beyond four times the largest size trained.

        Raises:
            DataError: A size is no count, or the score no number.
            LawError: No law can be fitted, no size reaches the score, or an answer is
                not to be trusted.
        """
        return forecast(
            self, params, score=score, double=double, examples=examples, beyond=beyond
        )

    def to_code(self, which: str | Entry = "recommended") -> str:
        """A network as plain Keras code, for a project without kscale.

        The text is a Python module: `build_model()` gives the network with new weights,
        `compile_model(model)` the optimizer, schedule and loss that it was trained
        with. Nothing is built, and TensorFlow is not loaded.

        Args:
            which: `best`, `recommended`, or an entry of the front.

        Raises:
            ResultsError: There is no such network yet.
        """
        entry = self.answer(which)
        if entry.family not in FAMILIES:
            raise ResultsError(
                f"The code of {entry.family} is your own: build it with {entry.knobs}."
            )
        return code_of(self, entry)

    def write(self, path: str | Path, rank_by: str = "knee") -> Path:
        """Write the report as a picture (.png, .svg) or a self-contained page (.html).

        Raises:
            ResultsError: The suffix is none of these, or the file cannot be written.
        """
        path, report = Path(path), self.report(rank_by)
        if path.suffix.lower() not in _SUFFIXES:
            raise ResultsError(
                f"A report is written as {', '.join(_SUFFIXES)}, not {path.name!r}."
            )
        with writing(path):
            if path.suffix.lower() == ".html":
                page = report_html(report, code=self._code())
                write_atomically(path, page.encode())
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(plot_data(report), path)
        return path

    def write_logs(self) -> Path:
        """Write the logs that are missing, and give the folder for TensorBoard.

        In a notebook: `%tensorboard --logdir runs/NAME/logs`.

        Raises:
            ResultsError: The folder cannot be written.
        """
        from kscale.reports.board_logs import LogWriter

        return LogWriter(self).folder

    def serve_board(self, port: int = 0) -> str:
        """Start TensorBoard on this run, for as long as this process lives.

        TensorBoard listens on this machine only, and shows later trainings, too.

        Args:
            port: Port to listen on; 0 for any that is free.

        Returns:
            The address of TensorBoard.

        Raises:
            ResultsError: The logs cannot be written, or the port cannot be used.
        """
        from kscale.reports.board_server import serve_logs

        return serve_logs(self.write_logs(), port)

    def load_model(
        self,
        which: str | Entry = "recommended",
        custom_objects: Mapping[str, Any] | None = None,
        safe_mode: bool = True,
    ) -> "keras.Model":
        """A trained model with its preprocessing: raw inputs in, probabilities out.

        Args:
            which: `best`, `recommended`, or an entry of the front.
            custom_objects: Your classes and functions that the model uses, by name.
            safe_mode: Whether the code of Lambda layers in the file is refused, or run.

        Raises:
            ExportError: The file or the weights are damaged, or the model needs your
                code; the text says how to open it.
            ResultsError: There is no such model in the folder.
        """
        # Keras is heavy, and reading a report must stay light.
        from kscale.ship.opening import shipped_model

        return shipped_model(
            self.folder, self.description, which, custom_objects, safe_mode
        )

    def predict(
        self,
        paths: str | Path | Iterable[str | Path],
        which: str | Entry = "recommended",
        top: int | None = None,
        temperature: float = 0.0,
        beams: int | None = None,
    ) -> Iterator[Prediction]:
        """Predictions of a trained model for raw files, read as in training.

        Files are read while the predictions are iterated, some examples at a time. An
        example that cannot be read gives a prediction whose `error` says why.

        Args:
            paths: Files, and folders of them.
            which: `best`, `recommended`, or an entry of the front.
            top: Most classes in a ranking; without it, all of them.
            temperature: Of language models, how freely a text goes on; 0 takes the
                likeliest tokens.
            beams: Beginnings of a text that are followed at once: of a translation 4 if
                left out, of a transcript 1, the likeliest answer of each frame.

        Raises:
            DataError: The run was trained on several arrays, which no file holds; or
                there is no text that goes on, or none that beams are of.
            ExportError: The file or the weights are damaged.
            ResultsError: There is no such model in the folder.
            SpecError: `top` or `beams` is below 1, or `temperature` below 0.

        Example: `next(run.predict("seven.png")).classes["label"][0]` is `("7", 0.98)`.
        """
        check_least("top", 1 if top is None else top, 1)
        check_least("temperature", temperature, 0.0)
        check_least("beams", 1 if beams is None else beams, 1)
        if "reader" not in self.description:
            self.load_model(which)  # raises for a project of KerasTuner
        raw = raw_inputs_of(preprocessings_from_json(self.description["preprocessing"]))
        reader = reader_from_json(self.description["reader"])
        names = [item.name for item in raw]
        if isinstance(reader, ArrayReader) and names != [reader.name]:
            raise DataError(
                f"{self.folder} was trained on several arrays, {', '.join(names)}, "
                "which no file holds; the model of `Run.load_model` takes them by name."
            )
        chosen = [paths] if isinstance(paths, str | Path) else paths
        if temperature and not all(item.previous for item in self.task.inputs):
            raise DataError("Only a text that goes on has a temperature.")
        heads = [target.head for target in self.task.targets]
        if beams and not any(h.is_framed or h.compared is not None for h in heads):
            raise DataError(
                "Only translations and transcripts are searched with beams."
            )
        if self.task.is_written:
            from kscale.ship.writing import Writer

            writer = Writer.of(self, which, temperature, beams or BEAMS)
            about = (writer.answer, writer.task, writer.raw_inputs)
            return predict_files(*about, reader, chosen, noted=writer.noted)
        answer = answer_of(self.load_model(which), self.task)
        if beams and beams > 1:
            from kscale.ship.writing import searched

            answer = searched(answer, self.task, beams)
        return predict_files(answer, self.task, raw, reader, chosen, top)

    def export(
        self,
        path: str | Path | None = None,
        format: str = "keras",
        which: str | Entry = "recommended",
        overwrite: bool = False,
        data: Any = None,
    ) -> Path:
        """Write a trained model for use where kscale is not installed.

        The written model is run again in its runtime, on examples of the test part;
        the last of `exports` says how it did.

        Args:
            path: A file with the end that the format has, or the folder of a
                SavedModel; without it, a file or folder in the run folder, which is
                written over.
            format: One of `kscale.ship.formats.FORMATS`: `keras`, `saved-model`,
                `litert` or `onnx`. The last two take numbers only; files beside them
                describe the preprocessing and the outputs.
            which: `best`, `recommended`, or an entry of the front.
            overwrite: Whether a model of this format at the path may be replaced.
            data: The data of the run, or where they are now; by default where they
                were.

        Returns:
            The path.

        Raises:
            DataError: `data` are not those of the run.
            ExportError: The format is unknown, something else is at the path, or the
                model cannot be written, does not run, or differs once it is written.
            MissingPackageError: The format needs packages that are missing.
            ResultsError: There is no such model in the folder.
        """
        if format not in FORMATS:
            raise ExportError(unknown_name("format", format, FORMATS))
        name = which.results[0].key if isinstance(which, Entry) else which
        target = self.folder / "exports" / f"{name}{FORMATS[format].suffix}"
        is_ours = overwrite or path is None
        target = target if path is None else Path(path)
        # Keras is heavy, and reading a report must stay light.
        from kscale.ship.exporting import export

        export(self, which, format, target, is_ours, data)
        return target

    def compress(
        self,
        methods: str | Sequence[str] = (),
        which: str | Entry = "recommended",
        *,
        data: Any = None,
        seeds: int = 3,
        folder: str | Path | None = None,
        overwrite: bool = False,
        note: Callable[[str], None] = lambda text: None,
    ) -> CompressionTable:
        """Make smaller files of a trained network, and score each in its runtime.

        Each file is compared with the same network in float32, on the same examples of
        the validation part. Of the files whose score is worse by at most one standard
        error of the float32 score, the smallest is chosen, and scored on the test part.
        What was made before is not made again.

        Args:
            methods: Names of methods, or one name, as `kscale compress` takes them; by
                default those that suit the network.
            which: `best`, `recommended`, or an entry of the front.
            data: The data of the run, where they cannot be loaded as they were.
            seeds: Networks that each method that trains makes.
            folder: Where to copy the files of the methods, and the chosen one, to.
            overwrite: Whether files in that folder may be replaced.
            note: Is called with a line of text before each step.

        Raises:
            DataError: The data are gone, or are not those of the run.
            ExportError: No float32 file can be made, or a file cannot be written.
            MissingPackageError: A method needs a package that is missing.
            ResultsError: There is no such network in the folder.
            SpecError: A method is unknown, or there is no seed.
        """
        # TensorFlow converts, and reading a report must stay light.
        from kscale.ship.compressing.compressing import FOLDER, compress

        named = [methods] if isinstance(methods, str) else methods
        chains = [parse_chain(method) for method in named]
        check_least("seeds", seeds, 1)
        target = None if folder is None else Path(folder)
        found = compress(self, which, chains, data, seeds, note, target, overwrite)
        return CompressionTable(found, self.folder / FOLDER, target)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {len(self.results)} results)"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return report_html(self.report(), fragment=True, code=self._code())

    def _code(self) -> str:
        """Code of the recommended network; empty where there is none yet."""
        try:
            return self.to_code()
        except KscaleError:
            return ""


def _changed(folder: Path) -> float:
    results = folder / RESULTS_FILE
    return (results if results.exists() else folder).stat().st_mtime
