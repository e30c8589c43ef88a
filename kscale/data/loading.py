"""Data of any source as a data set: each form of data has a row or a line here."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from kscale.data.assembling import dataset_of, peeked_task
from kscale.data.dataset import Dataset
from kscale.data.load_options import OF_WORDS, Options
from kscale.data.raw import RawData
from kscale.data.sources import tfds
from kscale.data.sources.arrays import raw_data_of_arrays, raw_data_of_npz
from kscale.data.sources.folders import raw_data_of_folder
from kscale.data.sources.named import KERAS_DATASETS, SOURCES, Embedded, KerasDataset
from kscale.data.sources.streams import are_streams, raw_data_of_streams
from kscale.data.sources.tables.csv_file import Files, csv_parts, is_table, table_name
from kscale.data.sources.tables.sequences import raw_data_of_next, raw_data_of_pairs
from kscale.data.sources.tables.speech_table import (
    holds_sounds,
    raw_data_of_speech_table,
)
from kscale.data.sources.tables.table import raw_data_of_tables
from kscale.data.sources.texts import is_prose, raw_data_of_text
from kscale.errors import DataError, missing_path, unknown_name
from kscale.task.tasks import Task
from kscale.text import argument_texts

_OTHER_TABLES = (".xlsx", ".xls", ".ods", ".parquet", ".feather", ".json", ".arff")
_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_NAMED: dict[str, Embedded | KerasDataset] = {**SOURCES, **KERAS_DATASETS}


def load_dataset(
    source: Any, /, *, name: str | None = None, split_seed: int = 0, **options: Any
) -> Dataset:
    """A data set, ready to train on.

    Parts the source lacks are cut from its training part, 15 % each (a validation part
    at most 10,000 examples), with the same share of each class. Images, vectors and
    sequences are standardized with the training part's mean and standard deviation.

    Args:
        source: A name of `SOURCES` or of `KERAS_DATASETS`; `tfds:NAME` of TensorFlow
            Datasets; path of an NPZ or CSV file, of a folder with `train.csv` and
            perhaps `validation.csv` and `test.csv`, or of a folder of images, sounds or
            texts with a sub-folder a class, or of texts alone, whose next tokens are
            predicted, as those of a text file are; `(x, y)` of numbers or texts, or
            `(x_train, y_train), (x_test, y_test)`; a dict with the keys of an NPZ file
            (`x_train`, `y_train`, `x_test`, ... or `x`, `y`); a finite
            `tf.data.Dataset` of `(x, y)`, which is read once (one that shuffles gives
            other parts each time), or a dict, tuple or list of them by part, see
            `raw_data_of_streams`; or a `Dataset`, returned as it is.
        name: Name of the data set, where it should not be `dataset_name(source)`.
        split_seed: Decides which examples go to which part.
        options: What the data itself does not show, see `Options`.

    Raises:
        DataError: The data cannot be read, or cannot be trained on.

    Example:

    >>> import numpy as np
    >>> x = np.arange(40.0).reshape(20, 2)
    >>> data = load_dataset((x, x[:, 0] > 19))
    >>> len(data.train), len(data.validation), len(data.test)
    (14, 3, 3)
    """
    if isinstance(source, Dataset):
        return source
    chosen = options_of(options)
    raw = _raw_data(source, chosen)
    found = dataset_of(name or dataset_name(source), raw, chosen, split_seed)
    return replace(found, origin=_origin(source, chosen, split_seed))


def _origin(source: Any, options: Options, split_seed: int) -> dict[str, Any] | None:
    """What `reopened` loads the same data by; a path does not depend on the folder."""
    if not isinstance(source, str | Path):
        return None
    text, named = str(source), str(source) in _NAMED or tfds.is_tfds(source)
    usual = vars(Options())
    others = {k: v for k, v in vars(options).items() if v != usual[k]}
    return {
        "source": text if named else str(Path(text).absolute()),
        "split_seed": split_seed,
        "options": others,
    }


def reopened(description: Mapping[str, Any], data: Any = None) -> Dataset:
    """The data set of a run, loaded again.

    Args:
        description: What `run.json` holds.
        data: A data set, or where the data are now; without it, where they were.

    Raises:
        DataError: The run's data were in memory or are gone, or are others.
    """
    about = description["data"]
    origin = about.get("origin")
    if isinstance(data, Dataset):
        found = data
    elif origin is None and data is None:
        raise DataError(
            f"The data of this run, {about['name']}, are not known any more: say where "
            "they are (--data), or give them as `data` in Python."
        )
    else:
        known = origin or {}
        found = load_dataset(
            known.get("source") if data is None else data,
            name=about["name"],
            split_seed=known.get("split_seed", 0),
            **known.get("options", {}),
        )
    if found.fingerprint != description["identity"]["data_fingerprint"]:
        raise DataError(
            f"{found.name} is not the data of this run, or its parts are others: the "
            "run was trained on other examples."
        )
    return found


def options_of(given: Mapping[str, Any]) -> Options:
    """Options by name; a single column may be given as text."""
    chosen, known = {}, get_type_hints(Options)
    for name, value in given.items():
        if name not in known:
            raise DataError(unknown_name("option of loading", name, known))
        if name in ("label", "text", "ignore") and isinstance(value, str):
            value = (value,)
        try:
            if value is not None:
                chosen[name] = msgspec.convert(value, known[name])
        except msgspec.ValidationError as error:
            forms = [each for kind in get_args(known[name]) for each in get_args(kind)]
            choices = [each for each in forms if isinstance(each, str)]
            says = f"`{name}` cannot be {value!r}. {argument_texts(Options)[name]}"
            if choices and isinstance(value, str):
                says = unknown_name(name, value, choices)
            raise DataError(says) from error
    return Options(**chosen)


def peek_task(source: Any, /, **options: Any) -> Task:
    """The task of a source as `load_dataset` takes it; no more is loaded than needed.

    Of an NPZ file only headers and labels are read, and token ids for their vocabulary;
    of images and sounds only headers.

    Example:

    >>> peek_task("digits").inputs[0].shape
    (8, 8, 1)
    """
    if isinstance(source, Dataset):
        return source.task
    chosen = options_of(options)
    if isinstance(source, str) and source in _NAMED:
        return _NAMED[source].task(chosen)
    raw = _raw_data(source, chosen)
    return peeked_task(raw, chosen) or dataset_of("peeked", raw, chosen, 0).task


def dataset_name(source: Any) -> str:
    """A short name for reports and folders.

    Example:

    >>> dataset_name("digits"), dataset_name("data/mnist.npz"), dataset_name(([], []))
    ('digits', 'mnist', 'arrays')
    """
    if isinstance(source, Dataset):
        return source.name
    if isinstance(source, str | Path):
        path = Path(source)
        stem = table_name(path) if is_table(path) else path.stem
        name = str(source) if tfds.is_tfds(source) else stem
        return re.sub(r"[^\w.-]+", "-", name) or "arrays"
    return "arrays"


def _raw_data(source: Any, options: Options) -> RawData:
    if isinstance(source, str) and source in _NAMED:
        return _NAMED[source].load(options)
    if tfds.is_tfds(source):
        return tfds.load(source, options)
    if isinstance(source, str | Path):
        return _raw_data_of_path(_path_of(source), options)
    if are_streams(source):
        options.refuse_except("a tf.data.Dataset", "kind", *OF_WORDS)
        return raw_data_of_streams(source, options.memory)
    if isinstance(source, Mapping) or (isinstance(source, tuple) and len(source) == 2):
        options.refuse_except("arrays", "kind", *OF_WORDS)
        return raw_data_of_arrays(source)
    raise DataError(
        "Data is a name, a path, a pair (x, y), a dict of arrays or a "
        f"tf.data.Dataset, not {type(source).__name__}."
    )


def _raw_data_of_source(tables: Files, options: Options) -> RawData:
    """Sentences that are translated, or sounds that are transcribed."""
    is_speech = holds_sounds(tables, str(options.source))
    read = raw_data_of_speech_table if is_speech else raw_data_of_pairs
    return read(tables, options)


def _raw_data_of_path(path: Path, options: Options) -> RawData:
    columns = (*options.label, *options.text, options.source, options.next)
    if is_prose(path, has_columns=any(columns)):
        return raw_data_of_text(path, options)
    tables = csv_parts(path)
    if tables is not None:
        asked = (options.source, _raw_data_of_source), (options.next, raw_data_of_next)
        reads = (read for column, read in asked if column is not None)
        return next(reads, raw_data_of_tables)(tables, options)
    if path.is_dir():
        return raw_data_of_folder(path, options)
    if path.suffix.lower() in _OTHER_TABLES:
        raise DataError(f"{path} is no table that kscale reads: save it as CSV.")
    if path.suffix.lower() in _PACKED:
        raise DataError(f"{path} must be unpacked first: give what is inside.")
    raw = raw_data_of_npz(path)
    options.refuse_except("an NPZ file", "kind", *OF_WORDS)
    return raw


def _path_of(source: str | Path) -> Path:
    """The path; a bare word that is no file is taken for an unknown name."""
    path = Path(source)
    if isinstance(source, str) and not source.strip():
        raise DataError("The name of the data is empty; give a name or a path.")
    if isinstance(source, str) and path.name == source and not path.suffix:
        known = unknown_name("data set", source, _NAMED)
        if not path.exists():
            near = missing_path(path).removeprefix(f"There is no file {path}.")
            raise DataError(f"{known} Or give the path of a file or folder.{near}")
    return path
