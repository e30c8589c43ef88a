"""Tables of sounds: a column of paths of sound files, and one of transcripts."""

from collections.abc import Iterator
from itertools import islice

from kscale.data.load_options import Options
from kscale.data.raw import RawData
from kscale.data.readers.sound_files import SOUNDS
from kscale.data.sources.speech import Utterance, raw_data_of_speech
from kscale.data.sources.tables.csv_file import CsvFile, Files, parts_notes
from kscale.errors import DataError, unknown_name

_FIRST = 20  # cells that tell what a column holds


def holds_sounds(files: Files, column: str) -> bool:
    """Whether cells of a column are names of sound files."""
    file = CsvFile.of_sentences(files["train"])
    if column not in file.columns:
        raise DataError(unknown_name("column", column, file.columns))
    place = file.columns.index(column)
    some = (row.cells for row in file.rows() if not row.error)
    first = [cells[place] for cells in islice(some, _FIRST)]
    return 2 * sum(map(SOUNDS.is_of, first)) > len(first)


def raw_data_of_speech_table(paths: Files, options: Options) -> RawData:
    """The sounds that a table names, by paths from its folder, with transcripts."""
    usable = ("source", "label", "split_by", "seconds")
    options.refuse_except("a table of sounds", *usable)
    if len(options.label) != 1:
        raise DataError(
            f"Of sounds one column of transcripts is predicted: name it by label=... "
            f"(--label), but got {len(options.label)} of them."
        )
    files = {part: CsvFile.of(path) for part, path in paths.items()}
    label = options.label[0]
    for file in files.values():
        for column in filter(None, (options.source, label, options.split_by)):
            if column not in file.columns:
                name = unknown_name("column", column, file.columns)
                raise DataError(f"{file.path}: {name}")
    given = {part: [*_utterances(file, options, label)] for part, file in files.items()}
    return raw_data_of_speech(given, options, label, [*parts_notes(files)])


def _utterances(file: CsvFile, options: Options, label: str) -> Iterator[Utterance]:
    folder = file.path.parent
    for lines, cells in file.chunks():
        groups = cells[options.split_by] if options.split_by else [""] * len(lines)
        rows = zip(
            lines, cells[options.source or ""], cells[label], groups, strict=True
        )
        for line, path, text, group in rows:
            where = f"{file.path}:{line}"
            yield Utterance(folder / path, path, text, where, group)
