"""Data sets of TensorFlow Datasets, an optional package, by name."""

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from kscale.data.load_options import Options
from kscale.data.parts import PART_NAMES, PartName
from kscale.data.raw import RawData, not_read
from kscale.data.sources.streams import raw_data_of_streams
from kscale.errors import DataError, MissingPackageError, reason_of

PREFIX = "tfds:"
"""What a name begins with: `tfds:mnist`, `tfds:glue/sst2`."""


def is_tfds(source: Any) -> bool:
    """Whether a source is a name of TensorFlow Datasets."""
    return isinstance(source, str) and source.startswith(PREFIX)


def load(source: str, options: Options) -> RawData:
    """The splits of a data set that has a supervised form `(x, y)`.

    `source` is `tfds:` and a name, with configuration and version if needed, whose
    files are downloaded and prepared in `TFDS_DATA_DIR`; or `tfds:` and the folder of a
    data set that has been prepared.
    """
    options.refuse_except(source, "kind", "vocabulary", "length")
    try:
        import tensorflow_datasets as tfds  # optional, and seconds
    except ImportError as error:
        raise MissingPackageError(
            f"{source} needs the package tensorflow-datasets: pip install "
            "'kscale[tfds]'."
        ) from error
    name = source.removeprefix(PREFIX)
    try:
        with redirect_stdout(sys.stderr):  # messages about the download
            if Path(name).is_dir():
                builder = tfds.builder_from_directory(name)
            else:
                builder = tfds.builder(name)
                builder.download_and_prepare()
            streams, names = _supervised(source, builder)
    except DataError:
        raise
    # Data sets are code of many authors, who raise anything.
    except Exception as error:
        raise DataError(
            f"{source} cannot be loaded by TensorFlow Datasets: {reason_of(error)}. "
            "Without internet, give the folder of a prepared data set: tfds:FOLDER."
        ) from error
    return replace(
        raw_data_of_streams(streams, options.memory),
        class_names={"label": names} if names else {},
        notes=not_read(set(map(str, builder.info.splits)) - set(PART_NAMES)),
    )


def _supervised(
    source: str, builder: Any
) -> tuple[dict[PartName, Any], tuple[str, ...]]:
    """A stream of pairs for each part, and the names of the classes."""
    info, keys = builder.info, builder.info.supervised_keys
    if not keys or len(keys) != 2 or not all(isinstance(key, str) for key in keys):
        raise DataError(
            f"{source} does not say what is predicted from what; its features are "
            f"{', '.join(info.features)}. Give (x, y) as a tf.data.Dataset in Python."
        )
    if "train" not in info.splits:
        raise DataError(
            f"{source} has no split named train, only "
            f"{', '.join(info.splits) or 'none'}."
        )
    found = [part for part in PART_NAMES if part in info.splits]
    streams = {p: builder.as_dataset(split=p, as_supervised=True) for p in found}
    return streams, tuple(getattr(info.features[keys[1]], "names", None) or ())
