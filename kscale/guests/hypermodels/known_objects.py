"""Classes and functions of a user's module, made known to Keras."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import keras

from kscale.guests.hypermodels.user_code import load_hypermodel


@contextmanager
def known_objects(hypermodel: str | None) -> Iterator[None]:
    """Import a module, and let Keras know its classes and functions inside.

    Args:
        hypermodel: `MODULE:NAME`; None for no module.

    Raises:
        SpecError: The module cannot be imported.
    """
    if hypermodel is None:
        yield
        return
    # What a user's code prints is no part of an answer.
    with redirect_stdout(sys.stderr):
        code = load_hypermodel(hypermodel)
    known = keras.saving.get_custom_objects()
    before = dict(known)
    known.update(code.objects())
    try:
        with code.importable():
            yield
    finally:
        known.clear()
        known.update(before)
