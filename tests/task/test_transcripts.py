from itertools import groupby, product

import numpy as np

from kscale.task.transcripts import (
    collapsed,
    edit_distances,
    needed_frames,
    text_of,
    words_of,
)


def _plain_distance(left, right):
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row = row, [i]
        for j, b in enumerate(right, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def _padded(rows, length):
    return np.array([row + [0] * (length - len(row)) for row in rows], np.int32)


def _written(path):
    return tuple(output for output, _ in groupby(path) if output)


def test_distances_of_many_pairs_are_those_of_the_plain_table():
    draw = np.random.default_rng(0)
    wanted = [draw.integers(1, 4, draw.integers(0, 9)).tolist() for _ in range(300)]
    given = [draw.integers(1, 4, draw.integers(0, 12)).tolist() for _ in range(300)]

    found = edit_distances(_padded(wanted, 9), _padded(given, 13))

    assert found.tolist() == list(map(_plain_distance, wanted, given))


def test_a_path_writes_what_is_left_without_repeats_and_blanks():
    paths = np.random.default_rng(1).integers(0, 3, (200, 9))

    for row, path in zip(collapsed(paths).tolist(), paths.tolist(), strict=True):
        assert tuple(output for output in row if output) == _written(path)


def test_needed_frames_are_those_of_the_shortest_path():
    for ids in product(range(1, 3), repeat=4):
        shortest = next(
            frames
            for frames in range(4, 9)
            if any(_written(p) == ids for p in product(range(3), repeat=frames))
        )
        assert needed_frames(np.array([ids])) == shortest


def test_words_are_alike_only_if_their_characters_are():
    texts = ["ab ba", "ba  ab", " ab", "abc ab", "", "a b"]
    names = ["", " ", "a", "b", "c"]
    ids = _padded([[names.index(c) for c in text] for text in texts], 6)
    words = words_of(ids)
    spelled = [text.split() for text in texts]

    for mine, text in zip(words, spelled, strict=True):
        assert np.count_nonzero(mine) == len(text)
    numbers = {
        word: number
        for mine, text in zip(words.tolist(), spelled, strict=True)
        for number, word in zip(mine, text, strict=False)
    }
    assert len({*numbers.values()}) == len(numbers) == 5
    assert words[0, 0] == words[1, 1] == words[2, 0] == words[3, 1]
    assert text_of(ids[0], names) == "ab ba"
