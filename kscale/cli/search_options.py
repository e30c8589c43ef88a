"""What searching and training share: options, made of the fields of a request, and
how a request is run."""

from typing import Any

import click

from kscale.cli.options import Decorator, described, together
from kscale.cli.output import show_run, start_tensorflow, user_code
from kscale.cli.progress import progress_listener
from kscale.searches import SearchInterrupted, plan_search, search
from kscale.tuning.request import LEAST, OPTIONS, TEXTS, SearchRequest


def asked(name: str, flag: str = "", **more: Any) -> Decorator:
    """The option of a field of a request, with its default and its help.

    Args:
        name: Name of the field.
        flag: Name of the option, if it is another.
        more: What `click.option` takes and the field does not say.
    """
    default, least = OPTIONS[name].default, LEAST.get(name)
    about: dict[str, Any] = {}
    if isinstance(least, int):
        about |= {"type": click.IntRange(least), "metavar": "N"}
    if isinstance(default, int | str) and not isinstance(default, bool):
        about |= {"default": default, "show_default": True}
    return described(name, TEXTS, flag, **about | more)


weights_option = click.option(
    "--weights",
    metavar="imagenet|none|FILE",
    help="Where pretrained networks start: --set weights=...  [default: imagenet]",
)

training_options = together(
    asked("objective", metavar="METRIC"),
    asked("class_weights", type=click.Choice(["none", "balanced"])),
    asked("epochs"),
    asked("batch_size"),
    asked("seed"),
    asked("strategy", metavar="NAME"),
)

outcome_options = together(
    asked(
        "baseline",
        metavar="FILE",
        help="Your present model (.keras), to compare with on the same data.",
    ),
    asked(
        "retrain_baseline",
        is_flag=True,
        help="Also train that model anew, once, with the same recipe.",
    ),
    asked("run", type=click.Path(file_okay=False)),
)


def run_search(
    request: SearchRequest, as_json: bool, quiet: bool, all_rows: bool = False
) -> None:
    """Plan a search, run it, and print its answer.

    A search of families is planned, or refused, before TensorFlow takes its seconds.
    """
    if request.hypermodel is not None:
        start_tensorflow(quiet)
    with user_code():
        plan = plan_search(request)
    if request.hypermodel is None:
        start_tensorflow(quiet)
    try:
        with user_code():
            run = search(plan, progress_listener(quiet))
    except SearchInterrupted as interrupted:
        click.echo("Interrupted; the same command goes on from here.", err=True)
        show_run(interrupted.run, as_json, all_rows=all_rows)
        click.get_current_context().exit(130)
    show_run(run, as_json, all_rows=all_rows)
