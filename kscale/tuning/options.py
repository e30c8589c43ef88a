"""The options of a search: each is described once, for Python and the command line."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import wraps
from textwrap import TextWrapper
from typing import Any, TypeVar

from kscale.data.loading import load_dataset
from kscale.errors import unknown_name
from kscale.networks.families import find_family, find_knob
from kscale.text import argument_texts
from kscale.tuning.request import SearchRequest

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS: Mapping[str, Field[Any]] = {item.name: item for item in fields(SearchRequest)}
"""The options of a search by name."""

TEXTS = argument_texts(SearchRequest)
"""What each option is for."""

OF_ONE_NETWORK = (
    *("data", "class_weights", "objective", "epochs", "batch_size", "seed", "seeds"),
    *("precision", "parametrization", "strategy", "workers", "cluster"),
    *("machines", "baseline", "retrain_baseline", "run"),
)
"""The options that training a single network has, too."""


def single_request(
    family: str,
    knobs: Mapping[str, Any] | None = None,
    data: Any = "digits",
    **options: Any,
) -> SearchRequest:
    """A search of one network, within its size; the arguments are those of
    `kscale.train`."""
    chosen = find_family(family)
    dataset = load_dataset(data)
    given = dict(knobs or {})
    rate = given.pop("learning_rate", chosen.learning_rate.default)
    for name in given:
        find_knob(chosen, name)
    spec = chosen.spec(dataset.task, **given)
    return SearchRequest(
        dataset,
        max_params=max(chosen.size(spec, dataset.task).params, 1),
        family=(family,),
        settings={**dict(spec.knobs), "learning_rate": rate},
        searcher="random",  # which trains a network in one piece
        trials=1,
        finalist_seeds=0,
        **options,
    )


def with_options(names: Sequence[str]) -> Callable[[Function], Function]:
    """A decorator that says what the `**options` of a function are.

    Options stand in its signature, and in its docstring in place of `{options}`; an
    unknown option is refused with the nearest name. Parameters of the function that
    have the name of an option stay as they are.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        named = [p for p in signature.parameters.values() if p.kind != p.VAR_KEYWORD]
        allowed = dict.fromkeys([*(p.name for p in named), *names])
        others = [
            inspect.Parameter(
                item.name,
                inspect.Parameter.KEYWORD_ONLY,
                default={} if item.default is MISSING else item.default,
                annotation=item.type,
            )
            for item in map(OPTIONS.__getitem__, [*allowed][len(named) :])
        ]

        @wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            for name in options.keys() - allowed.keys():
                text = unknown_name("option", name, allowed)
                raise TypeError(f"{function.__name__}(): {text}")
            return function(*arguments, **options)

        parameters = sorted([*others, *named], key=lambda each: each.kind)
        checked.__dict__["__signature__"] = signature.replace(parameters=parameters)
        wrapper = TextWrapper(88, 8 * " ", 12 * " ")
        texts = (wrapper.fill(f"{name}: {TEXTS[name]}") for name in names)
        described = "\n".join(texts).strip()
        checked.__doc__ = (function.__doc__ or "").replace("{options}", described)
        return checked  # type: ignore[return-value]

    return decorate
