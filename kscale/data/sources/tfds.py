"""Data sets of TensorFlow Datasets, an optional package, by name."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from kscale.data.load_options import Options
from kscale.data.parts import PART_NAMES
from kscale.data.raw import RawData
from kscale.data.sources.streams import parts_of_streams
from kscale.errors import DataError, MissingPackageError, reason_of

PREFIX = "tfds:"
"""What a name begins with: `tfds:mnist`, `tfds:glue/sst2`."""


def is_tfds(source: Any) -> bool:
    """Whether a source is a name of TensorFlow Datasets."""
    return isinstance(source, str) and source.startswith(PREFIX)


def load(source: str, options: Options) -> RawData:
    """The splits of a data set that has a supervised form `(x, y)`.

    TensorFlow Datasets downloads and prepares the files in `TFDS_DATA_DIR`.

    Args:
        source: `tfds:` and a name, with configuration and version if needed; or
            `tfds:` and the folder of a data set that has been prepared.
        options: `kind`, `vocabulary` and `memory` are of use.

    Raises:
        MissingPackageError: TensorFlow Datasets is not installed.
        DataError: The data set is unknown, cannot be downloaded, or has no supervised
            form or no training part.
    """
    options.refuse_except(source, "kind", "vocabulary")
    try:
        with redirect_stdout(sys.stderr):  # messages about the download
            builder = _builder(source, source.removeprefix(PREFIX))
            names = _class_names(source, builder.info)
            streams = _streams(source, builder)
    except (DataError, MissingPackageError):
        raise
    # Data sets are code of many authors, who raise anything.
    except Exception as error:
        raise DataError(
            f"{source} cannot be loaded by TensorFlow Datasets: {reason_of(error)}. "
            "Without internet, give the folder of a prepared data set: tfds:FOLDER."
        ) from error
    left_out = sorted(map(str, builder.info.splits.keys() - set(PART_NAMES)))
    return RawData(
        parts_of_streams(streams, options.memory),
        class_names={"label": names} if names else {},
        notes=(f"Not read: {', '.join(left_out)}.",) if left_out else (),
    )


def _builder(source: str, name: str) -> Any:
    try:
        import tensorflow_datasets as tfds  # optional, and seconds
    except ImportError as error:
        raise MissingPackageError(
            f"{source} needs the package tensorflow-datasets: pip install "
            "'kscale[tfds]'."
        ) from error
    if Path(name).is_dir():
        return tfds.builder_from_directory(name)
    builder = tfds.builder(name)
    builder.download_and_prepare()
    return builder


def _class_names(source: str, info: Any) -> tuple[str, ...]:
    keys = info.supervised_keys
    if not keys or len(keys) != 2 or not all(isinstance(key, str) for key in keys):
        raise DataError(
            f"{source} does not say what is predicted from what; its features are "
            f"{', '.join(info.features)}. Give (x, y) as a tf.data.Dataset in Python."
        )
    return tuple(getattr(info.features[keys[1]], "names", None) or ())


def _streams(source: str, builder: Any) -> dict[str, Any]:
    found = [part for part in PART_NAMES if part in builder.info.splits]
    if "train" not in found:
        raise DataError(
            f"{source} has no split named train, only "
            f"{', '.join(builder.info.splits) or 'none'}."
        )
    return {part: builder.as_dataset(split=part, as_supervised=True) for part in found}
