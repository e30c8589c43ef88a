"""Byte-pair merges and a unigram model of SentencePiece, on sentences of two languages.

Command: `python experiments/subwords.py --data ../shared/data` (`--smoke`: one size).

Seconds to learn a vocabulary of the 58,000 English and German sentences of Multi30k
with one thread, and mean ids of a sentence of the validation part (there is no seed:
ids are the same each time):

| vocabulary | bpe: s | en | de | unigram: s | en | de |
|---|---|---|---|---|---|---|
| 500 | 0.4 | 25.6 | 28.7 | 5.1 | 24.9 | 29.0 |
| 1,000 | 0.3 | 20.9 | 23.3 | 4.7 | 20.6 | 23.4 |
| 2,000 | 0.3 | 17.6 | 19.6 | 3.9 | 17.7 | 20.0 |
| 4,000 | 0.3 | 15.7 | 17.0 | 3.3 | 15.8 | 17.4 |
| 8,000 | 0.3 | 14.5 | 15.3 | 2.7 | 15.0 | 15.9 |
| 16,000 | 0.4 | 13.8 | 14.3 | 1.8 | 14.5 | 15.1 |

Merges are shorter from 2,000 ids on, and learned in a tenth of the time; every text
comes back as it was. So `kscale.data.preprocessing.subwords` learns merges.
"""

import argparse
from io import BytesIO
from pathlib import Path
from time import perf_counter

import numpy as np
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from kscale.data.sources.tables.csv_file import CsvFile

SIZES = (500, 1000, 2000, 4000, 8000, 16000)
LANGUAGES = ("en", "de")


def sentences(path: Path) -> list[list[str]]:
    """Sentences of each language, with one space wherever there is any."""
    rows = [[], []]
    for _, cells in CsvFile.of(path).chunks():
        for found, name in zip(rows, LANGUAGES, strict=True):
            found += [" ".join(text.split()) for text in cells[name]]
    return rows


def measured(kind: str, size: int, train: list[str], held: list[list[str]]) -> str:
    """Seconds to learn a model, and mean ids of a held out sentence, as cells."""
    written, start = BytesIO(), perf_counter()
    SentencePieceTrainer.train(
        sentence_iterator=iter(train),
        model_writer=written,
        model_type=kind,
        vocab_size=size,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        normalization_rule_name="identity",
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    seconds = perf_counter() - start
    model = SentencePieceProcessor(model_proto=written.getvalue())
    assert model.decode(model.encode(train)) == train
    means = [np.mean([len(ids) for ids in model.encode(each)]) for each in held]
    return " | ".join(f"{value:.1f}" for value in (seconds, *means))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    paths = (given.data / f"multi30k_{p}.tsv.gz" for p in ("train", "validation"))
    train, held = map(sentences, paths)
    for size in SIZES[: 1 if given.smoke else None]:
        kinds = [measured(k, size, sum(train, []), held) for k in ("bpe", "unigram")]
        print(f"| {size:,} | {' | '.join(kinds)} |", flush=True)


if __name__ == "__main__":
    main()
