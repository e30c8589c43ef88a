"""Sizes of models that a user's code builds, counted without allocating a weight.

The code runs as it is, in a place where Keras makes variables that have shapes only.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from math import prod
from typing import Any

import keras

from kscale.errors import SpecError, reason_of
from kscale.guests.sizes.model_size import ModelSize, count_model, stored_bytes
from kscale.networks.sizing import Size, SizeRow
from kscale.ship.traces import no_trace
from kscale.task.tasks import Task

Build = Callable[[], Any]

_MOST_VALUES = 10**5  # that a weight may have where it is computed with


def size_of_build(build: Build, task: Task | None = None) -> Size:
    """Exact size of the model that some code builds, as `count_build` counts it.

    FLOPs and activations of layers that nobody knows are missing: `count_build` says
    of which.
    """
    return count_build(build, task).size


def count_build(build: Build, task: Task | None = None) -> ModelSize:
    """Count the model that some code builds, layer by layer, without its weights.

    The code runs where Keras' variables have no values; if it fails there (it calls a
    large model on numbers), it runs in a TensorFlow graph, where a number is a promise;
    if it fails there too in another way, it runs for real. Keras' names, its seeds and
    those of Python and NumPy are then as they were before.

    Args:
        build: Returns a Keras model, compiled or not. It may run up to three times.
        task: Inputs for a model that has no shapes until it is called, or leaves sides
            of an input open.

    Raises:
        SpecError: The code fails, or gives no model, or one without any weight or
            without a shape.

    Example:

    >>> def build():
    ...     inputs = keras.Input((100_000,))
    ...     return keras.Model(inputs, keras.layers.Dense(100_000)(inputs))
    >>> size_of_build(build).params
    10000100000
    """
    errors: list[Exception] = []
    for place in _places():
        try:
            with no_trace(), place():
                return _count(build(), task)
        except SpecError:
            raise
        except Exception as error:  # a user's code may fail in any way
            if any(_same(error, other) for other in errors):
                break
            errors.append(error)
    reason = reason_of(errors[-1])
    raise SpecError(f"The model cannot be built: {reason}.") from errors[-1]


def _places() -> list[Callable[[], AbstractContextManager[Any]]]:
    """Where to build, the fastest first; the last one allocates."""
    if keras.backend.backend() == "tensorflow":
        return [_shapes_only, _graph, ExitStack]
    return [_shapes_only, ExitStack]


def _graph() -> AbstractContextManager[Any]:
    import tensorflow as tf

    context: AbstractContextManager[Any] = tf.Graph().as_default()
    return context


@contextmanager
def _shapes_only() -> Iterator[None]:
    """Where no variable gets a value, those of optimizers and metrics included."""
    usual = keras.Variable.__init__
    keras.Variable.__init__ = _promising(usual)
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        keras.Variable.__init__ = usual


def _promising(usual: Callable[..., None]) -> Callable[..., None]:
    """How to make a variable, also one from a value, which Keras refuses in a scope."""

    @wraps(usual)
    def init(self: Any, initializer: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(initializer, str):
            initializer = keras.initializers.get(initializer)
        if callable(initializer):
            usual(self, _on_paper(initializer), *args, **kwargs)
            return
        value = keras.ops.convert_to_tensor(initializer, kwargs.get("dtype"))
        kwargs.setdefault("dtype", keras.backend.standardize_dtype(value.dtype))
        kwargs["shape"] = value.shape
        usual(self, lambda shape, dtype: value, *args[1:], **kwargs)

    return init


def _on_paper(initializer: Callable[..., Any]) -> Callable[..., Any]:
    """An initializer that makes large values for a graph only."""

    def initialize(shape: Any, *args: Any, **kwargs: Any) -> Any:
        if prod(shape) > _MOST_VALUES and _is_eager():
            raise RuntimeError(f"a weight of {prod(shape):,} values is computed with")
        return initializer(shape, *args, **kwargs)

    return initialize


def _is_eager() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return bool(tf.executing_eagerly())


def _same(error: Exception, other: Exception) -> bool:
    """Whether the user's code itself fails, wherever it runs."""
    return type(error) is type(other) and str(error) == str(other)


def _count(model: Any, task: Task | None) -> ModelSize:
    if not isinstance(model, keras.Model):
        raise SpecError(
            f"A Keras model must be returned, but got {type(model).__name__}: end the "
            "function with `return model`."
        )
    if not model.built or not all(layer.built for layer in _inside(model)):
        _call(model, task)
    try:
        counted = count_model(model)
    except SpecError:
        counted = _filled(model, task) or _only_weights(model)
    if counted.size.params == 0:
        raise SpecError(
            f"Model {model.name!r} has no weights until it is called: give the task, "
            "or end with `model.build(...)` that builds every layer."
        )
    return counted


def _inside(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if layer is not model]


def _call(model: keras.Model, task: Task | None) -> None:
    """Let a model build itself, as its first batch would."""
    if task is not None:
        model(_given(_inputs(task)))
    elif not model.built:
        raise SpecError(
            f"Model {model.name!r} has no shapes until it is called: give the task, or "
            "begin it with keras.Input."
        )


def _filled(model: keras.Model, task: Task | None) -> ModelSize | None:
    """A model that leaves sides open, on the inputs of a task that suit it."""
    inputs = _inputs(task) if task is not None else []
    if len(inputs) != len(model.inputs):
        return None
    if {item.name for item in model.inputs} == {item.name for item in inputs}:
        return count_model(keras.Model(inputs, model(_given(inputs))))
    return count_model(keras.Model(inputs, model(inputs)))


def _inputs(task: Task) -> list[Any]:
    return [
        keras.Input(item.shape, dtype=item.dtype, name=item.name)
        for item in task.inputs
    ]


def _given(inputs: list[Any]) -> Any:
    if len(inputs) == 1:
        return inputs[0]
    return {item.name: item for item in inputs}


def _only_weights(model: keras.Model) -> ModelSize:
    """Its weights, which do not depend on the sides that its inputs leave open."""
    weights = {id(weight): weight for weight in model.weights}
    trainable = {id(weight): weight for weight in model.trainable_weights}
    params = sum(prod(weight.shape) for weight in weights.values())
    kept = sum(prod(weight.shape) for weight in trainable.values())
    row = SizeRow(model.name, type(model).__name__, (), params, None, 1)
    title, size = f"{model.name}: Keras model", Size(params, kept, 0, 0, 0)
    return ModelSize(title, size, (row,), stored_bytes(model))
