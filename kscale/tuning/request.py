"""SearchRequest: what a user asks of a search, each option described once."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from functools import wraps
from pathlib import Path
from textwrap import fill
from typing import Any, TypeVar

import numpy as np

from kscale.data.loading import load_dataset
from kscale.engine.base import STRATEGIES
from kscale.errors import BudgetError, ResultsError, SpecError, unknown_name
from kscale.networks.budget import Budget
from kscale.networks.families import find_family
from kscale.search import SEARCHERS
from kscale.search.pool import ALWAYS_SEARCHED

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = "        {options}\n"
_WIDTH = 88


def option(
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    choices: Mapping[str, Any] | Sequence[str] = (),
    accepts: Any = None,
    of_one: bool = False,
) -> Any:
    """A field of a request.

    Args:
        default: Its value where none is given.
        doc: What it is for, in sentences.
        least: Smallest value of a number.
        choices: The names it may be.
        accepts: Type of what may be given, where the field holds it in another form.
        of_one: Whether it is an option of training a single network, too.
    """
    about = {
        "doc": doc,
        "least": least,
        "choices": choices,
        "accepts": accepts,
        "of_one": of_one,
    }
    return field(default=default, metadata=about)


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """What a search is asked to do: the options of `kscale.tune`, checked.

    `OPTIONS` describes each of them.

    Raises:
        BudgetError: There is no limit, or one is no number above 0.
        ResultsError: The name of the run folder is empty.
        SpecError: A number is too small or of a wrong type, or a name is unknown.
    """

    data: Any = option("digits", "Anything `kscale.load_dataset` takes.", of_one=True)
    max_params: float | None = option(None, "Most weights.")
    max_flops: float | None = option(None, "Most FLOPs of one example forward.")
    max_bytes: float | None = option(None, "Most bytes of the float32 weights.")
    max_memory: float | None = option(
        None,
        "Most bytes that training holds, predicted before the network is built; see "
        "`Size.training_bytes`.",
    )
    max_latency_ms: float | None = option(
        None,
        "Most milliseconds of a forward pass, measured on this device before a network "
        "is trained.",
    )
    latency_batch: int = option(1, "Examples of that forward pass.")
    family: tuple[str, ...] = option(
        "auto",
        "Name of a family or several; `auto` takes what suits the data.",
        accepts=str | Sequence[str],
    )
    search: tuple[str, ...] = option(
        (),
        "Knobs to vary besides depth, width and learning rate.",
        accepts=str | Sequence[str],
    )
    settings: Mapping[str, Any] = option(
        None,
        "Values of knobs that are not to be varied, `learning_rate` included.",
        accepts=Mapping[str, Any] | None,
    )
    class_weights: str = option(
        "none",
        "`balanced` for every class to count the same in the loss, however rare it is, "
        "or `none`.",
        of_one=True,
    )
    objective: str | None = option(
        None,
        "A metric by its Keras name; without one accuracy, or the root mean squared "
        "error of real values. Of several targets it is the mean of that metric over "
        "them; without one, and for `mean`, of accuracy for classes and R2 for real "
        "values.",
        of_one=True,
    )
    searcher: str = option(
        "random",
        f"How networks are proposed: {', '.join(SEARCHERS)}.",
        choices=SEARCHERS,
    )
    trials: int = option(20, "Most specs to try, before the finalists.", least=1)
    time_limit: float | None = option(
        None, "Most seconds; planning and the finalists are part of it.", least=1e-3
    )
    epochs: int | None = option(
        None,
        "Epochs of each training; without it enough for about 1,600 steps.",
        least=1,
        of_one=True,
    )
    batch_size: int | None = option(
        None,
        "Examples a step; without it 32, 64 or 128, as suits the data.",
        least=1,
        of_one=True,
    )
    seed: int = option(
        0, "Decides every proposal and every training.", least=0, of_one=True
    )
    seeds: int = option(1, "Trainings of each spec tried.", least=1, of_one=True)
    finalist_seeds: int = option(
        3, "New trainings of each finalist; 0 leaves finalists out.", least=0
    )
    most_finalists: int = option(5, "Most finalists.", least=2)
    hypermodel: Any = option(
        None,
        "Your own `keras_tuner.HyperModel` or function `build(hp)` to search instead "
        "of a family, or `module:name` of one, which is imported. It is given the data "
        "as it is: images and numbers unscaled, class ids, values in their unit. "
        "Models that it compiles are trained by its own `fit`.",
    )
    depth_knob: str | None = option(
        None,
        "Whole hyperparameter of the hypermodel that reports show as depth; without it "
        "the one named depth.",
    )
    width_knob: str | None = option(
        None,
        "Whole hyperparameter of the hypermodel that reports show as width; without it "
        "the one named width.",
    )
    strategy: str = option(
        "auto",
        "`auto`, `one`, `mirrored` or `none`; see `make_strategy`.",
        choices=STRATEGIES,
        of_one=True,
    )
    baseline: Any = option(
        None,
        "Your present model to compare with, a `keras.Model` or the path of a `.keras` "
        "file: it is counted, and scored as it is on the same validation and test "
        "parts. It gets the raw inputs or, where it scores clearly better with them, "
        "inputs divided by their largest value or as networks read them; a note says "
        "which. Its classes must be in the order of the data's, its values in your "
        "unit.",
        of_one=True,
    )
    retrain_baseline: bool = option(
        False,
        "Whether the present model is also trained anew with the same recipe, at a "
        "learning rate of 0.001 unless `settings` has another.",
        of_one=True,
    )
    run: str | Path | None = option(
        None,
        "Folder of the run; without it `runs/` and a name made from the options.",
        of_one=True,
    )
    checkpoint_seconds: float = option(
        15.0, "Least time between two checkpoints of one training."
    )

    def __post_init__(self) -> None:
        family, search = self.family, self.search
        for name, value in {
            "family": (family,) if isinstance(family, str) else tuple(family),
            "search": searched_knobs(search),
            "settings": dict(self.settings or {}),
        }.items():
            object.__setattr__(self, name, value)
        for item in fields(self):
            _check(item, getattr(self, item.name))
        if not self.family:
            raise SpecError("A search needs a family; give a name, or 'auto'.")
        if self.run is not None and not str(self.run).strip():
            raise ResultsError("The name of the run folder is empty; give another one.")
        if not self.budget().is_limited:
            raise BudgetError(
                "A search needs a limit; give one or more of max_params, max_flops, "
                "max_bytes, max_memory and max_latency_ms, for example --max-params 1m."
            )

    def budget(self, memory_batch: int = 32) -> Budget:
        """The limits.

        Args:
            memory_batch: Examples of a training step.
        """
        names = [item.name for item in fields(Budget) if item.name in OPTIONS]
        limits = {name: getattr(self, name) for name in names}
        return Budget(**limits, memory_batch=memory_batch)


OPTIONS: Mapping[str, Field[Any]] = {item.name: item for item in fields(SearchRequest)}
"""The options of a search by name; `metadata["doc"]` says what each is for."""

OPTIONS_OF_ONE = tuple(n for n, item in OPTIONS.items() if item.metadata["of_one"])
"""Names of the options that training a single network has, too."""


def _check(item: Field[Any], value: Any) -> None:
    """Refuse a number that is too small or of a wrong type, and an unknown name."""
    name, least, choices = item.name, item.metadata["least"], item.metadata["choices"]
    if choices and value not in choices:
        raise SpecError(unknown_name(name, value, choices))
    if least is None or (value is None and item.default is None):
        return
    is_whole = isinstance(least, int)
    kind: Any = (int, np.integer) if is_whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kind):
        what = "whole" if is_whole else "a number of seconds"
        raise SpecError(f"`{name}` must be {what}, but got {value!r}.")
    if not value >= least:
        raise SpecError(f"`{name} >= {least}` must hold, but got {name}={value}.")


def searched_knobs(names: str | Sequence[str]) -> tuple[str, ...]:
    """Knobs to vary, each once and in one order, without those that always are."""
    named = {names} if isinstance(names, str) else set(names)
    return tuple(sorted(named - {*ALWAYS_SEARCHED, "learning_rate"}))


def single_request(
    family: str,
    knobs: Mapping[str, Any] | None = None,
    data: Any = "digits",
    **options: Any,
) -> SearchRequest:
    """A search whose space is one network, and whose budget is the size of that one.

    Args:
        family: Name of a family.
        knobs: Values of its knobs, `learning_rate` included; the others keep their
            defaults.
        data: Anything `kscale.load_dataset` takes.
        options: Further options, by name.

    Raises:
        DataError: The data cannot be read, or cannot be trained on.
        SpecError: The family or a knob is unknown, or does not suit the data.
    """
    chosen = find_family(family)
    dataset = load_dataset(data)
    given = dict(knobs or {})
    rate = given.pop("learning_rate", chosen.learning_rate.default)
    spec = chosen.spec(**given)
    return SearchRequest(
        dataset,
        max_params=max(chosen.size(spec, dataset.task).params, 1),
        family=(family,),
        settings={**dict(spec.knobs), "learning_rate": rate},
        trials=1,
        finalist_seeds=0,
        **options,
    )


def with_options(names: Sequence[str]) -> Callable[[Function], Function]:
    """A decorator that describes the `**options` of a function.

    The options stand in its signature, and in its docstring in place of `{options}`.
    Others are refused with the nearest name.

    Args:
        names: Options of a request; those that are parameters of the function already
            stay as they are.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        named = [p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD]
        known = [parameter.name for parameter in named]
        rest = [_parameter(OPTIONS[name]) for name in names if name not in known]

        @wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            for name in options:
                if name not in (*known, *names):
                    text = unknown_name("option", name, {*known, *names})
                    raise TypeError(f"{function.__name__}(): {text}")
            return function(*arguments, **options)

        order = sorted([*named, *rest], key=lambda parameter: parameter.kind)
        checked.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=order
        )
        text = "".join(map(_described, names))
        checked.__doc__ = (function.__doc__ or "").replace(_OPTIONS, text)
        return checked  # type: ignore[return-value]

    return decorate


def _parameter(item: Field[Any]) -> inspect.Parameter:
    return inspect.Parameter(
        item.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=item.default,
        annotation=item.metadata["accepts"] or item.type,
    )


def _described(name: str) -> str:
    """An option as an entry of `Args:`."""
    text = f"{name}: {OPTIONS[name].metadata['doc']}"
    margin, hanging = 8 * " ", 12 * " "
    lines = fill(text, _WIDTH, initial_indent=margin, subsequent_indent=hanging)
    return f"{lines}\n"
