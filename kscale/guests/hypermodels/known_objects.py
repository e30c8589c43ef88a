"""Classes and functions of a user's module, made known to Keras."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import keras

from kscale.guests.hypermodels.user_code import load_hypermodel


@contextmanager
def known_objects(hypermodel: str | None) -> Iterator[None]:
    """A context in which Keras knows the classes and functions of a user's module.

    Args:
        hypermodel: `MODULE:NAME`; None for no module.

    Raises:
        SpecError: The module cannot be imported.
    """
    if hypermodel is None:
        yield
        return
    # Standard output is the result of a command; a user's code may print, too.
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
