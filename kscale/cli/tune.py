"""`kscale tune`: search depth and width within a budget.

Training a single network shares the options, which are made of the fields of a request,
and how a request is run.
"""

import os
import sys
import time
from dataclasses import replace
from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import show_answer, start_tensorflow, user_code
from kscale.cli.progress import progress_listener
from kscale.engine.base import PRECISIONS
from kscale.errors import WorkerLostError
from kscale.networks.families import FAMILIES
from kscale.networks.parametrization import PARAMETRIZATIONS
from kscale.search import SEARCHERS
from kscale.search.effort import EFFORTS
from kscale.searches import SearchFollowed, SearchInterrupted, plan_search, search
from kscale.tuning.auto_families import AUTO
from kscale.tuning.options import OPTIONS, TEXTS
from kscale.tuning.places import check_asked_cluster
from kscale.tuning.plan import Plan
from kscale.tuning.request import BITS, LEAST, SearchRequest

_FAMILY_OR_AUTO = options.Parsed(
    "family", lambda name: name if name == AUTO else options.FAMILY.parse(name)
)


def asked(name: str, *flags: str, **more: Any) -> options.Decorator:
    """The option of a field of a request, with its default and its help."""
    default, least = OPTIONS[name].default, LEAST.get(name)
    about: dict[str, Any] = {}
    if isinstance(least, int):
        about |= {"type": options.number(least), "metavar": "N"}
    if isinstance(default, int | str) and not isinstance(default, bool):
        about |= {"default": default, "show_default": True}
    return options.described(name, *flags, texts=TEXTS, **about | more)


weights_option = click.option(
    "--weights",
    metavar="imagenet|none|FILE",
    help="Weights that pretrained networks start from.  [default: imagenet]",
)

training_options = options.option_group(
    asked("objective", metavar="METRIC"),
    asked("class_weights", type=click.Choice(["none", "balanced"])),
    asked("epochs"),
    asked("batch_size"),
    asked("seed"),
    asked("precision", type=click.Choice(PRECISIONS)),
    asked("parametrization", type=click.Choice(PARAMETRIZATIONS)),
    asked("strategy", metavar="NAME"),
    asked("workers"),
    asked("cluster", metavar="HOST:PORT"),
    asked("machines"),
)

outcome_options = options.option_group(
    asked(
        "baseline",
        type=options.PATH,
        metavar="FILE",
        help="Your present model (.keras), to compare with on the same data.",
    ),
    asked(
        "retrain_baseline",
        is_flag=True,
        help="Also train that model anew, once, with the same recipe.",
    ),
    asked("run", type=options.PATH, metavar="FOLDER"),
)


search_options = options.option_group(
    options.budget_options,
    asked("bits", type=click.Choice(list(BITS))),
    asked("max_latency_ms", type=options.number(1e-9), metavar="MS"),
    asked("latency_batch", type=options.number(1), metavar="N"),
    options.data_option,
    options.data_options,
    asked(
        "family",
        type=_FAMILY_OR_AUTO,
        multiple=True,
        default=("auto",),
        help=f"{', '.join(FAMILIES)}, or 'auto' for those that suit the data.",
    ),
    asked("search", multiple=True, metavar="KNOB"),
    options.settings_option,
    weights_option,
    asked(
        "hypermodel",
        metavar="MODULE:NAME",
        help="Search your own keras_tuner.HyperModel or function build(hp) instead of "
        "a family.",
    ),
    asked("depth_knob", metavar="NAME"),
    asked("width_knob", metavar="NAME"),
    asked("searcher", type=click.Choice(list(SEARCHERS))),
    asked("for_law", is_flag=True),
    asked("examples_ladder", is_flag=True),
    asked("effort", type=click.Choice(list(EFFORTS))),
    asked("stop_when_flat", "--stop-when-flat/--no-stop-when-flat", default=None),
    asked("trials"),
    asked(
        "time_limit",
        "--time",
        type=options.SECONDS,
        help="Most time, finalists included: 90s, 10m, 2h.  [default: no limit]",
    ),
    training_options,
    asked("seeds"),
    asked("finalist_seeds"),
    asked("most_finalists", "--finalists"),
    outcome_options,
)


def search_request(given: dict[str, Any], quiet: bool) -> SearchRequest:
    """The request that `search_options` make."""
    for what in ("depth", "width"):
        options.refuse_if(
            given[f"{what}_knob"] is not None and given["hypermodel"] is None,
            f"--{what}-knob names a hyperparameter of --hypermodel, which is not "
            f"given; the {what} of a family is set with --set {what}=N.",
        )
    given["settings"] = options.knobs_of(given, "weights")
    given["data"] = options.load_asked(given["data"], given, quiet)
    return SearchRequest(**given)


def planned(request: SearchRequest, quiet: bool, start: bool = True) -> Plan:
    """The plan of a search, whose time began with the command.

    A search of families is planned, or refused, before TensorFlow takes its seconds.
    """
    if request.hypermodel is not None:
        start_tensorflow(quiet, request.machines == 1)
    with user_code():
        plan = plan_search(request)
    if request.hypermodel is None and start:
        start_tensorflow(quiet, request.machines == 1)
    began = click.get_current_context().find_root().obj
    return replace(plan, seconds=time.monotonic() - began)


def run_search(request: SearchRequest, as_json: bool, quiet: bool) -> None:
    """Plan a search, run it, and print its answer."""
    check_asked_cluster(request)
    plan = planned(request, quiet)
    try:
        with user_code():
            run = search(plan, progress_listener(quiet))
    except SearchFollowed:
        click.echo("Done; worker 0 has the run.", err=True)
        return
    except WorkerLostError as lost:
        click.echo(
            f"{lost} Starting again, as soon as all workers are there.", err=True
        )
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    except SearchInterrupted as interrupted:
        click.echo("Interrupted; the same command goes on from here.", err=True)
        show_answer(interrupted.run, as_json)
        click.get_current_context().exit(130)
    show_answer(run, as_json)


@click.command(short_help="Search depth and width within a budget.")
@search_options
@options.json_option
@options.quiet_option
def tune(as_json: bool, quiet: bool, **given: Any) -> None:
    """Search how deep and how wide a network should be within a budget.

    Give a limit, or several. Ends with the front of score against size, the best and
    the recommended network, and their trained models. The same command goes on where it
    was stopped.

    \b
    Examples:
      kscale tune --max-params 5e6
      kscale tune --max-params 50k --data mnist.npz --family cnn --time 10m
      kscale tune --max-params 50k --data people.csv --label income
      kscale tune --max-params 50k --data mnist.npz --baseline my_model.keras
    """
    run_search(search_request(given, quiet), as_json, quiet)
