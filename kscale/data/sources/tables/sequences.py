"""Tables of texts: sentences with their translations, and texts to be continued."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kscale.data.example_rows import TEXT
from kscale.data.load_options import Options
from kscale.data.parts import PART_NAMES, PartName
from kscale.data.preprocessing.subwords import SharedTexts, SubwordFit, SubwordLabels
from kscale.data.raw import RawArray, RawData, RawPart
from kscale.data.readers.table_files import TableColumn, TextReader, check_columns
from kscale.data.sources.tables.csv_file import CsvFile, Files, parts_notes
from kscale.data.sources.tables.table import safe_names
from kscale.errors import DataError, unknown_name
from kscale.text import counted

_USABLE = ("split_by", "vocabulary", "length")


class TextRows(NamedTuple):
    """Rows of a file, all of whose texts hold something.

    Args:
        texts: By column, a text a row.
        keys: A key a row; rows with equal keys stay in one part.
        left_out: Places of the rows with an empty text, or cells too many or too few.
    """

    texts: Mapping[str, list[str]]
    keys: list[str]
    left_out: list[str]

    @classmethod
    def of(cls, file: CsvFile, columns: Sequence[str], key: str) -> "TextRows":
        """The rows of a file."""
        texts: dict[str, list[str]] = {name: [] for name in columns}
        keys, left_out = list[str](), list[str]()
        for row in file.rows():
            cells = dict(zip(file.columns, row.cells, strict=False))
            if row.error or not all(cells[name] for name in columns):
                left_out.append(f"{file.path}:{row.line}")
                continue
            keys.append(cells[key])
            for name in columns:
                texts[name].append(cells[name])
        return cls(texts, keys, left_out)

    def __len__(self) -> int:
        return len(self.keys)


def raw_data_of_pairs(paths: Files, options: Options) -> RawData:
    """Sentences and their translations: the columns that `source` and `label` name.

    Rows of equal sentences stay in one part, or rows of an equal `split_by`.
    """
    options.refuse_except("sentence pairs", "source", "label", *_USABLE)
    if options.source is None or len(options.label) != 1:
        raise DataError(
            "Pairs need the column of sentences and that of their translations: "
            "source=... and label=... (--source, --label)."
        )
    columns = (options.source, *options.label)
    if len({*columns}) == 1:
        raise DataError(
            f"`source` and `label` must be two columns, but both are {columns[0]!r}."
        )
    key = options.split_by or options.source
    names = dict(zip(columns, safe_names(columns), strict=True))
    files, rows = _read(paths, columns, key, names)
    texts = SharedTexts([*names.values()], options.vocabulary, options.length)
    source, target = names.values()
    return RawData(
        {
            part: RawPart(_arrays(files[part], each, names), {})
            for part, each in rows.items()
        },
        fits=(SubwordFit(source, texts), SubwordFit(target, texts, target)),
        labelling={target: SubwordLabels(target, texts, "tokens")},
        reader=TextReader((TableColumn(columns[0], source, "text"),), by_line=True),
        groups=_groups(rows, f"Column {key!r}"),
        warnings=tuple(_left_out(rows, "pair", "an empty side or no two sides")),
        notes=(
            *parts_notes(files),
            f"Sentences of {columns[0]} are translated to {columns[1]}; both are read "
            "by one vocabulary of sub-words, which is learned of the training part.",
        ),
    )


def raw_data_of_next(paths: Files, options: Options) -> RawData:
    """Texts whose next tokens are predicted: the column that `next` names."""
    options.refuse_except("texts of a language model", "next", *_USABLE)
    assert options.next is not None
    key, (name,) = options.split_by or options.next, safe_names([options.next])
    files, rows = _read(paths, (options.next,), key, {options.next: name})
    return language_data(
        {p: _arrays(files[p], each, {options.next: name}) for p, each in rows.items()},
        rows,
        options,
        TextReader((TableColumn(options.next, name, "text"),), by_line=True),
        key=f"Column {key!r}",
        notes=tuple(parts_notes(files)),
    )


def language_data(
    texts: Mapping[PartName, Mapping[str, RawArray]],
    rows: Mapping[PartName, TextRows],
    options: Options,
    reader: TextReader,
    key: str,
    notes: tuple[str, ...],
) -> RawData:
    """Raw data of texts whose next tokens are predicted.

    Args:
        texts: By part, the texts by their raw name.
        rows: By part, the rows that the texts are of.
        options: Vocabulary and length.
        reader: Reads texts to continue.
        key: What the keys of rows are.
        notes: What was understood of files.
    """
    shared = SharedTexts([reader.name], options.vocabulary, options.length, is_cut=True)
    return RawData(
        {part: RawPart(each, {}) for part, each in texts.items()},
        fits=(SubwordFit(reader.name, shared, reader.name),),
        labelling={reader.name: SubwordLabels(reader.name, shared, "next")},
        reader=reader,
        groups=_groups(rows, key),
        warnings=tuple(_left_out(rows, "text", "nothing in it")),
        notes=(
            *notes,
            "The next sub-word of a text is predicted; longer texts are cut into "
            "examples, all of one text in one part.",
        ),
    )


def _read(
    paths: Files, columns: Sequence[str], key: str, names: Mapping[str, str]
) -> tuple[dict[PartName, CsvFile], dict[PartName, TextRows]]:
    files = {part: CsvFile.of_sentences(path) for part, path in paths.items()}
    known = files["train"].columns
    for name in (*columns, key):
        if name not in known:
            raise DataError(unknown_name("column", name, known))
    read = [TableColumn(name, name, "text") for name in {**names, key: ""}]
    for part, file in files.items():
        check_columns(read if part == "train" else read[: len(columns)], file)
    rows = {
        part: TextRows.of(file, columns, key if part == "train" else columns[0])
        for part, file in files.items()
    }
    for part, each in rows.items():
        if not len(each):
            what = (
                "no row has a text" if len(columns) == 1 else "no pair has both sides"
            )
            raise DataError(f"{files[part].path} holds nothing to learn: {what}.")
    return files, rows


def _arrays(
    file: CsvFile, rows: TextRows, names: Mapping[str, str]
) -> dict[str, RawArray]:
    return {
        names[column]: RawArray(f"{file.path.name}: {column}", np.array(texts, TEXT))
        for column, texts in rows.texts.items()
    }


def _groups(rows: Mapping[PartName, TextRows], key: str) -> dict[PartName, RawArray]:
    """Numbers of the keys of the training part, where parts are cut from it."""
    if len(rows) == len(PART_NAMES):
        return {}
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(each, len(numbers)) for each in rows["train"].keys]
    return {"train": RawArray.of(key, places)}


def _left_out(rows: Mapping[PartName, TextRows], noun: str, what: str) -> Iterator[str]:
    """A sentence on rows that were left out."""
    places = [place for each in rows.values() for place in each.left_out]
    if places:
        total = len(places) + sum(map(len, rows.values()))
        verbs = ("has", "was") if len(places) == 1 else ("have", "were")
        yield (
            f"{len(places):,} of {counted(total, noun)} {verbs[0]} {what} and "
            f"{verbs[1]} left out, the first in {places[0]}."
        )
