"""One tree of errors, and the sentence for a name that nobody knows."""

from pathlib import Path

import pytest

from kscale import errors
from kscale.errors import (
    KscaleError,
    TrialError,
    missing_path,
    reason_of,
    unknown_name,
    unwritable,
)


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("SpecError", ValueError),
        ("BudgetError", ValueError),
        ("DataError", ValueError),
        ("TrialError", RuntimeError),
        ("ResultsError", ValueError),
        ("ExportError", RuntimeError),
        ("MissingPackageError", ImportError),
    ],
)
def test_errors_are_kscales_and_pythons(name: str, base: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), (KscaleError))
    assert issubclass(getattr(errors, name), base)
    assert name in (errors.__doc__ or "")


def test_an_unknown_name_gets_the_nearest_in_any_case() -> None:
    text = unknown_name("network", "vgg-61", ["VGG16", "BERT-base"])
    assert text == (
        "Unknown network 'vgg-61'. Did you mean 'VGG16'? Known: BERT-base, VGG16."
    )


def test_a_name_near_to_none_gets_the_list_alone() -> None:
    assert unknown_name("x", "zzz", ["b", "a"]) == "Unknown x 'zzz'. Known: a, b."


def test_of_many_names_the_nearest_are_listed() -> None:
    text = unknown_name("x", "berd", ["bert", *(f"{i:03}" for i in range(30))])
    assert text == "Unknown x 'berd'. Did you mean 'bert'? Known: bert, and 30 others."


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "Exception encountered when calling Net.call().\n\n"
            "\x1b[1mInput 0 is wrong.\x1b[0m\n\nArguments received by Net.call():\n x",
            "Input 0 is wrong",
        ),
        (
            "Graph execution error:\n\nDetected at node x defined at:\n\n"
            '  File "b.py"\n\nA label of [[9]]\n\t [[{{node x}}]] [Op:run]',
            "A label of [[9]]",
        ),
        ("\nNet was\nmade of x.\n\nExample:\n", "Net was made of x"),
        (
            "Could not automatically infer the output shape of x:\n\n9 is odd",
            "9 is odd",
        ),
        ("A check failed:\n\nx is odd.", "A check failed: x is odd"),
        ("10 for '{{node a/b}} = AddV2[T=F](c, d)' with [3]", "10 for AddV2 with [3]"),
        (f"First. {'second ' * 99}.", "First"),
        ("word " * 99, "word " * 59 + "..."),
    ],
)
def test_a_reason_is_the_whole_sentence_that_says_it(text: str, sentence: str) -> None:
    assert reason_of(ValueError(text)) == f"ValueError: {sentence}"
    assert reason_of(TrialError(text)) == sentence


def test_an_error_without_words_is_named() -> None:
    assert reason_of(ValueError()) == "ValueError"
    assert reason_of(MemoryError("for 9 GB")) == "memory ran out: for 9 GB"


_HINT = "\n\t [[{{node a}}]]\nHint: If you want to see a list of allocated tensors"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "Graph execution error:\n\nDetected at node a/Conv2D defined at (most "
            'recent call last):\n  File "epochs.py", line 9, in step\n\nOOM when '
            "allocating tensor with shape[128,512,64] and type float on /job:localhost/"
            f"replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc{_HINT}",
            "OOM when allocating tensor with shape[128,512,64]",
        ),
        (
            "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 34359738368 "
            "bytes.\nBufferAssignment OOM Debugging.\nPeak buffers:\n\tBuffer 1:",
            "Out of memory while trying to allocate 34359738368 bytes",
        ),
    ],
)
def test_of_full_memory_the_reason_is_what_was_too_large(text: str, cause: str) -> None:
    assert reason_of(RuntimeError(f"RESOURCE_EXHAUSTED: {text}")) == (
        f"memory ran out: {cause}"
    )


def test_a_missing_path_names_the_nearest_there_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").touch()
    for wrong in ("data/trian.csv", "dat/train.csv", "data/TRAIN.CSV", "dtaa/train"):
        near = f"Did you mean {tmp_path / 'data' / 'train.csv'}?"
        assert near in missing_path(tmp_path / wrong)
    assert missing_path(tmp_path / "x/y.npz").endswith("y.npz.")


def test_the_system_says_why_without_a_number_or_another_path(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        (tmp_path / "nowhere" / ".partial").touch()
    text = unwritable("front.svg", caught.value)
    assert text == "front.svg cannot be written: No such file or directory."
