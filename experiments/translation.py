"""What a translation is worth without a network: two baselines of sentence pairs.

`copy` gives the source as it is. `dictionary` replaces each word by its likeliest
translation in IBM model 1 (Brown et al. 1993), learned in five rounds of expectation
and maximization on the training pairs; words that were never seen stay as they are.
Scores are those of sacrebleu, whose signature is printed.

    python experiments/translation.py ../shared/data/multi30k_train.tsv.gz \
        --source en --label de

Figures stand in `experiments/results/translation.md`, beside those of networks.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

import kscale
from kscale.data.parts import Part
from kscale.task.heads.tokens import compared
from kscale.task.objectives import shown_metrics, task_objective
from kscale.task.tokens import text_of

_ROUNDS = 5
_WORD = re.compile(r"\w+|[^\w\s]")

Pairs = Sequence[tuple[str, str]]


def dictionary_of(pairs: Pairs) -> dict[str, str]:
    """By source word the likeliest target word, by IBM model 1."""
    words = [(_WORD.findall(s), _WORD.findall(t)) for s, t in pairs]
    chances: dict[str, dict[str, float]] = {}
    for source, target in words:
        for word in source:
            chances.setdefault(word, {}).update(dict.fromkeys(target, 1.0))
    for _ in range(_ROUNDS):
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for source, target in words:
            for other in target:
                total = sum(chances[word][other] for word in source)
                for word in source:
                    counts[word][other] += chances[word][other] / total
        chances = {
            word: {other: n / sum(found.values()) for other, n in found.items()}
            for word, found in ((w, dict(c)) for w, c in counts.items())
        }
    return {word: max(found, key=found.__getitem__) for word, found in chances.items()}


def written(words: Sequence[str]) -> str:
    """A sentence of words and marks, as people space them."""
    return re.sub(r" ([.,!?;:])", r"\1", " ".join(words))


def read(data: kscale.Dataset, part: Part) -> Pairs:
    """Sentences of a part, as the sub-words of the data spell them."""
    (target,) = data.task.targets
    source = next(item for item in data.task.inputs if not item.previous)
    rows = part.inputs[source.name][:], part.targets[target.name]
    texts = ([text_of(row, target.class_names) for row in ids] for ids in rows)
    return [*zip(*texts, strict=True)]


def scores(
    data: kscale.Dataset, pairs: Pairs, answers: Sequence[str]
) -> dict[str, float]:
    """BLEU and chrF of answers, with standard errors over the sentences."""
    from kscale.task.evaluation import evaluate_test

    (target,) = data.task.targets
    given = np.concatenate(
        [np.ones((len(pairs), 4)), compared([t for _, t in pairs], answers)], axis=1
    )
    labels = np.ones((len(pairs), target.length), np.int32)
    objective = task_objective(None, data.task)
    found = evaluate_test(objective, data.task, {target.name: (labels, given)})
    names = [
        name for name in shown_metrics(data.task, objective) if name in ("bleu", "chrf")
    ]
    return {n: found.metrics[n] for n in names} | {
        f"{n}_error": found.metric_errors[n] for n in names
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--source", default="en")
    parser.add_argument("--label", default="de")
    asked = parser.parse_args()
    data = kscale.load_dataset(asked.data, source=asked.source, label=(asked.label,))
    known = dictionary_of(read(data, data.train))
    for name in ("validation", "test"):
        pairs = read(data, data.parts[name])
        words = [_WORD.findall(source) for source, _ in pairs]
        answers = {
            "copy": [source for source, _ in pairs],
            "dictionary": [written([known.get(w, w) for w in row]) for row in words],
        }
        for baseline, texts in answers.items():
            found = scores(data, pairs, texts)
            print(json.dumps({"part": name, "baseline": baseline, **found}))
    known = data.task.targets[0].head.objectives
    print(json.dumps({name: known[name].signature for name in ("bleu", "chrf")}))


if __name__ == "__main__":
    main()
