"""Compressing a trained network of a run: each method makes a file, which is scored.

Files are scored in their runtime, without TensorFlow, on the validation part. The test
part is used once, for the float32 file and for the one that is chosen.
"""

import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from kscale.data.loading import reopened
from kscale.data.parts import PartName
from kscale.errors import (
    ExportError,
    KscaleError,
    MissingPackageError,
    SpecError,
    reason_of,
    sentence_of,
)
from kscale.networks.families import find_family
from kscale.runs.compressions import Compressed, Compressions, compressions_of
from kscale.runs.entries import Entry
from kscale.runs.folder import RecordedRun, RecordsWriter
from kscale.runs.records import Compression, Record
from kscale.ship.comparing import compared
from kscale.ship.compressing.contract import Subject, Trained
from kscale.ship.compressing.methods import Chain, parse_chain
from kscale.ship.compressing.scoring import CALIBRATED, FileScorer
from kscale.ship.compressing.subjects import subject_of, usual_methods
from kscale.ship.exporting import scored_fields, sizes_of
from kscale.ship.extras import check_extra
from kscale.ship.formats import check_free, check_target, litert
from kscale.ship.formats.base import remove_partial, write_whole
from kscale.ship.packaging import bare_model
from kscale.ship.runtimes import Trial
from kscale.task.tasks import Task

FOLDER = "compressed"
"""Folder of a run that files are written to."""


def compress(
    run: RecordedRun,
    which: str | Entry,
    chains: Sequence[Chain],
    data: Any,
    seeds: int,
    note: Callable[[str], None],
    copies: Path | None = None,
    overwrite: bool = False,
) -> Compressions:
    """Try chains on a trained network of a run; as `Run.compress`."""
    check_extra("Compressing", "litert")
    subject = subject_of(run, which, reopened(run.description, data))
    if not chains:
        family = find_family(subject.network.spec.family)
        blueprint = family.blueprint(subject.network.spec, run.task)
        chains = [*map(parse_chain, usual_methods(blueprint))]
    with RecordsWriter(run.folder, run.description) as writer:

        def append(record: Compression) -> None:
            writer.append(record)
            run.results.append(record)

        training, folder = subject.network.weights.stem, run.folder / FOLDER
        remove_partial(folder)
        most = run.budget.max_bytes
        made = Compressor(subject, training, folder, run.results, append, note, most)
        if copies is not None:
            _check_copies(made.names(chains, seeds), copies, overwrite)
        found = made.run(chains, seeds)
    if copies is not None:
        tried = {*map(str, _with_baselines(chains))}
        methods = {"float32", *map(str, chains), *({found.chosen.method} & tried)}
        _copy(found, methods, folder, copies)
    return found


def _check_copies(names: Iterable[str], target: Path, overwrite: bool) -> None:
    """Raise unless files may be copied to a folder, with what stands around each."""
    if target.exists() and not target.is_dir():
        raise ExportError(f"{target} is a file, and files are copied to a folder.")
    for name in names:
        check_target(target / name, litert.FORMAT, overwrite)
        for path in target.glob(f"{name}*") if not overwrite else ():
            check_free(path)


def _copy(found: Compressions, methods: set[str], source: Path, target: Path) -> None:
    """Copy the files of methods, with what stands around each, to another folder.

    Raises:
        ExportError: A file cannot be written.
    """
    for name in [row.best.file for row in found.rows if row.method in methods]:
        for path in source.glob(f"{name}*"):
            write_whole(target / path.name, partial(shutil.copyfile, path))


@dataclass(frozen=True, eq=False)
class Compressor:
    """Makes files of one trained network, and scores them.

    What is recorded already, and whose file is there, is not made again.

    Args:
        subject: The network, and what methods that train may use.
        training: Key of the training whose weights the network has.
        folder: Where files are written.
        recorded: What the run holds; it grows.
        append: Takes a new record.
        note: Takes a sentence on what is done now.
        max_bytes: Most bytes of the file to choose; None for no limit.
    """

    subject: Subject
    training: str
    folder: Path
    recorded: Sequence[Record]
    append: Callable[[Compression], None]
    note: Callable[[str], None] = lambda text: None
    max_bytes: int | None = None
    _made: dict[Any, Trained] = field(default_factory=dict)

    def run(self, chains: Iterable[Chain], seeds: int) -> Compressions:
        """Try every chain, and its baselines beside it.

        Args:
            chains: What to try.
            seeds: Networks that a chain that trains makes.

        Raises:
            ExportError: The network has no float32 file, or a file cannot be written.
            MissingPackageError: A method needs a package that is missing.
        """
        possible = [chain for chain in dict.fromkeys(chains) if self._can(chain)]
        with TemporaryDirectory() as scratch:
            for chain in _with_baselines(possible):
                for seed in range(seeds if chain.trained else 1):
                    if not self._is_done(chain, seed):
                        self.note(f"{chain}{f', seed {seed}' * (seed > 0)}")
                        self.append(self._tried(chain, seed, Path(scratch)))
        found = self._found()
        self._test(found.plain)
        if found.chosen is not found.plain:
            self._test(found.chosen)
        return self._found()

    def names(self, chains: Iterable[Chain], seeds: int) -> list[str]:
        """Names of the files of chains, with baselines and the network as it is."""
        return [
            self._path(chain, seed).name
            for chain in _with_baselines(chains)
            for seed in range(seeds if chain.trained else 1)
        ]

    def _can(self, chain: Chain) -> bool:
        """Whether a chain may work; if not, that is recorded."""
        try:
            for step in chain.steps:
                step.method.check(self.subject, step.share)
        except SpecError as error:
            failed = {"status": "failed", "reason": sentence_of(error)}
            self.append(msgspec.structs.replace(self._record(chain, 0), **failed))
            return False
        return True

    def _record(self, chain: Chain, seed: int) -> Compression:
        """The record of a chain of which nothing is known yet."""
        return Compression(
            training=self.training,
            method=str(chain),
            spec=self.subject.network.spec,
            bits=chain.bits,
            seed=seed,
        )

    def _test(self, row: Compressed) -> None:
        """Score a file on the test part, which is done once."""
        path = self.folder / row.best.file
        if row.test is None and path.is_file():
            fields = self._scored(path, "test")
            self.append(msgspec.structs.replace(row.best, part="test", **fields))

    def _found(self) -> Compressions:
        records = [
            item
            for item in self.recorded
            if isinstance(item, Compression) and (not item.file or self._has(item))
        ]
        found = compressions_of(records, self.subject.objective, self.max_bytes)
        return next(each for each in found if each.training == self.training)

    def _has(self, record: Compression) -> bool:
        """Whether the file of a record is there."""
        return bool(record.file) and (self.folder / record.file).is_file()

    def _is_done(self, chain: Chain, seed: int) -> bool:
        return any(
            isinstance(item, Compression)
            and (item.training, item.method, item.seed, item.part, item.status)
            == (self.training, str(chain), seed, "validation", "ok")
            and self._has(item)
            for item in self.recorded
        )

    def _tried(self, chain: Chain, seed: int, scratch: Path) -> Compression:
        """The record of a chain; what a method cannot do is a record with its reason.

        A network without a float32 file has no other file, and that is an error.
        """
        began = time.monotonic()
        record, path = self._record(chain, seed), self._path(chain, seed)
        try:
            trained = self._trained(chain, seed, scratch)
            write_whole(
                path,
                lambda new: self._write(chain, trained, new),
                self._files.artifact(path).contents_beside,
            )
            size = find_family(trained.spec.family).size(trained.spec, self._task)
            found = {"spec": trained.spec, "params": size.params, "file": path.name}
            found |= self._scored(path, "validation")
        except Exception as error:  # a method may fail in any way
            is_end = isinstance(error, MissingPackageError) or not chain.steps
            if is_end or isinstance(error.__cause__ or error, OSError):
                raise
            is_told = isinstance(error, KscaleError)
            reason = sentence_of(error) if is_told else reason_of(error)
            found = {"status": "failed", "reason": reason}
        seconds = round(time.monotonic() - began, 3)
        return msgspec.structs.replace(record, **found, seconds=seconds)

    @property
    def _task(self) -> Task:
        return self.subject.dataset.task

    @cached_property
    def _files(self) -> FileScorer:
        it = self.subject
        return FileScorer(it.dataset, it.network.spec, it.objective)

    def _trained(self, chain: Chain, seed: int, scratch: Path) -> Trained:
        """The network that the steps that train leave."""
        network = self.subject.network
        for number, step in enumerate(chain.trained, start=1):
            key = (*chain.trained[:number], seed)
            if key not in self._made:
                subject = replace(self.subject, network=network, seed=seed)
                path = scratch / f"{len(self._made)}.npz"
                assert step.method.train is not None
                self._made[key] = step.method.train(subject, step.share, path)
            network = self._made[key]
        return network

    def _write(self, chain: Chain, trained: Trained, path: Path) -> None:
        """Write the file of a network, in the bits of a chain."""
        if chain.quantized is None:
            self._convert(trained, path)
            return
        assert chain.quantized.method.quantize is not None
        with TemporaryDirectory() as folder:
            source = self._path(Chain(), 0)
            if chain.trained:
                source = Path(folder, "float32.tflite")
                self._convert(trained, source)
            examples = self._files.inputs("train", CALIBRATED)
            chain.quantized.method.quantize(source, path, examples)

    def _convert(self, trained: Trained, path: Path) -> None:
        data = self.subject.dataset
        about = (self._files.artifact(path).carried, data.target_scaling)
        model = bare_model(trained.spec, self._task, trained.weights, *about)
        litert.convert(model, self._task, path)

    def _path(self, chain: Chain, seed: int) -> Path:
        """Where the file of a chain is."""
        network = self.subject.network.spec.label.replace(" x ", "x")
        words = (network, self.training[-16:][:8], str(chain), f"seed{seed}")
        name = "-".join(words[: 4 if chain.trained else 3])
        return self.folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.tflite"

    @cached_property
    def _plain_answers(self) -> dict[PartName, Trial]:
        return {}

    def _scored(self, path: Path, part: PartName) -> dict[str, Any]:
        """The fields of a record that scoring a file gives."""
        plain = self._plain_answers
        if part not in plain:
            plain[part] = self._files.answers(self._path(Chain(), 0), part)
        trial = plain[part] if path == self._path(Chain(), 0) else None
        trial = trial or self._files.answers(path, part)
        scores = self._files.scores(part, trial)
        scalings = self.subject.dataset.target_scaling
        same = compared(self._task, scalings, trial.outputs, plain[part].outputs)
        size, packed = sizes_of(path)
        return {
            **scored_fields(scores),
            "left_out": scores.left_out,
            "bytes": size,
            "gzip_bytes": packed,
            "agreement": same.agreement,
            "latency_ms": trial.quantile(0.5),
            "latency_high": trial.quantile(0.9),
        }


def _with_baselines(chains: Iterable[Chain]) -> Iterable[Chain]:
    """Every chain with those beside it, each once, the network as it is first."""
    listed = [Chain()]
    for chain in chains:
        listed += [chain, *chain.baselines]
    return dict.fromkeys(listed)
