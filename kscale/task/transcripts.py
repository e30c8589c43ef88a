"""Transcripts: what a network that answers for every frame of a sound has written.

An answer for a frame is a character, or the blank, 0. Of a path, the answers of all
frames, the transcript is what is left when repeated answers are one and blanks are gone
(connectionist temporal classification, Graves et al. 2006). Ids are padded with 0.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLANK, SPACE = 0, 1
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def is_written(paths: Array) -> NDArray[np.bool_]:
    """True where a frame of paths `(paths, frames)` begins a character."""
    before = np.pad(paths[:, :-1], ((0, 0), (1, 0)))
    return np.asarray((paths != BLANK) & (paths != before))


def collapsed(paths: Array) -> NDArray[np.int32]:
    """Ids that paths write, `(paths, longest)`.

    Example:

    >>> collapsed(np.array([[2, 2, 0, 2, 0], [0, 0, 0, 3, 1]])).tolist()
    [[2, 2], [3, 1]]
    """
    begins = is_written(paths)
    found = np.zeros((len(paths), int(begins.sum(axis=1).max(initial=0))), np.int32)
    rows, frames = np.nonzero(begins)
    found[rows, np.cumsum(begins, axis=1)[rows, frames] - 1] = paths[rows, frames]
    return found


def text_of(ids: Iterable[int], names: Sequence[str]) -> str:
    """The text of a transcript's ids; an unknown character is a replacement sign.

    Example:

    >>> text_of([3, 2, 1, 9, 0, 0], ["", " ", "a", "b"])
    'ba \\ufffd'
    """
    known = len(names)
    return "".join(names[i] if i < known else "\ufffd" for i in ids if i != BLANK)


def needed_frames(ids: Array) -> NDArray[np.int64]:
    """Frames that transcripts `(transcripts, length)` need at least: a frame for each
    character, and one for the blank between two that are the same.

    Example:

    >>> needed_frames(np.array([[2, 2, 3, 0], [2, 3, 2, 4], [0, 0, 0, 0]])).tolist()
    [4, 4, 0]
    """
    doubled = (ids[:, 1:] == ids[:, :-1]) & (ids[:, 1:] != BLANK)
    return np.asarray((ids != BLANK).sum(axis=1) + doubled.sum(axis=1))


def edit_distances(wanted: Array, given: Array) -> NDArray[np.int64]:
    """Levenshtein's distance of each pair of rows, all pairs at once.

    Insertions, deletions and replacements count 1. A column of the table of distances
    follows from the one before; the running minimum along a column is that over the
    numbers of characters which are left out (Wagner & Fischer 1974).
    """
    lengths = (wanted != 0).sum(axis=1)
    places = np.arange(wanted.shape[1] + 1)
    distances = np.tile(places, (len(wanted), 1))
    for ids in given.T:
        is_there = np.flatnonzero(ids)
        before = distances[is_there]
        after = before + 1
        unlike = wanted[is_there] != ids[is_there, None]
        after[:, 1:] = np.minimum(after[:, 1:], before[:, :-1] + unlike)
        after = np.minimum.accumulate(after - places, axis=1) + places
        distances[is_there] = after
    return np.asarray(distances[np.arange(len(wanted)), lengths], np.int64)


def words_of(ids: Array) -> NDArray[np.uint64]:
    """A number for each word of transcripts `(transcripts, length)`, padded with 0.

    Example:

    >>> words = words_of(np.array([[2, 3, 1, 1, 2, 3, 0], [1, 3, 2, 0, 0, 0, 0]]))
    >>> (words[0, 0] == words[0, 1]).tolist(), (words[1] != 0).tolist()
    (True, [True, False])
    """
    count = len(ids)
    rows, written = np.arange(count), np.zeros(count, np.int64)
    found = np.zeros((count, ids.shape[1] // 2 + 2), np.uint64)
    word = np.zeros(count, np.uint64)
    for column in (*ids.T, np.zeros(count, np.int64)):
        is_end = (column <= SPACE) & (word != 0)
        found[rows[is_end], written[is_end]] = word[is_end]
        written += is_end
        mixed = (word + np.asarray(column, np.uint64)) * _FACTOR
        word = np.where(column <= SPACE, np.uint64(0), mixed ^ (mixed >> np.uint64(29)))
    return found[:, : max(1, int(written.max(initial=0)))]
