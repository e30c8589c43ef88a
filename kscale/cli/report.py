"""`kscale report`: the answer of a run, in the form asked for."""

from pathlib import Path
from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import show_run, start_tensorflow, user_code
from kscale.reports.counting import task_of_shape
from kscale.reports.ranking import RANKINGS
from kscale.task.tasks import Task


@click.command()
@options.run_argument
@options.choice_option("--rank-by", "rank_by", RANKINGS, "Order of the front.")
@click.option("--all", "all_rows", is_flag=True, help="Show every network tried.")
@options.choice_option(
    "--format", "form", ("table", "markdown", "csv"), "Form of the table."
)
@click.option("--code", is_flag=True, help="Print a network as plain Keras code.")
@options.model_option
@options.json_option
@options.output_option(
    "Also write a picture (.png, .svg) or a page (.html).", dir_okay=False
)
@click.option(
    "--keras-tuner",
    "project",
    metavar="FOLDER",
    help="A finished KerasTuner project to report on; needs --hypermodel.",
)
@click.option(
    "--hypermodel",
    metavar="MODULE:NAME",
    help="Your code that built the models of --keras-tuner.",
)
@click.option(
    "--input",
    "shape",
    type=options.SHAPE,
    help="Shape of an example, 32x32x3, for models of --keras-tuner without inputs.  "
    "[default: as KerasTuner kept it]",
)
def report(
    run: str | None,
    code: bool,
    which: str,
    as_json: bool,
    output: Path | None,
    project: str | None,
    hypermodel: str | None,
    shape: tuple[int, ...] | None,
    **how: Any,
) -> None:
    """Show the front, the best and the recommended network of RUN.

    Without RUN, the run in runs/ that was changed last is shown. CSV and JSON hold
    every network. --code prints a Python module that makes the recommended network, or
    with --model the best, without kscale.

    With --keras-tuner, a search that KerasTuner made is shown: each of its models is
    counted without being built, and RUN, or a new folder in runs/, keeps the answer for
    kscale board.

    \b
    Examples:
      kscale report
      kscale report runs/demo --rank-by density -o front.svg
      kscale report runs/demo --code > network.py
      kscale report --keras-tuner my_dir/my_project --hypermodel my_models:build
    """
    form, rank_by = how["form"], how["rank_by"]
    options.refuse_json_and_form(as_json, form)
    is_other = as_json or form != "table"
    options.refuse_if(code and is_other, "--code excludes --json and --format.")
    half = (project is None) != (hypermodel is None)
    options.refuse_if(half, "--keras-tuner and --hypermodel need each other.")
    options.refuse_if(shape and not project, "--input is for --keras-tuner.")
    if project is None:
        chosen = options.opened_run(run)
    else:
        start_tensorflow(quiet=True)
        from kscale.searches import read_keras_tuner

        task = Task(task_of_shape(shape).inputs, ()) if shape else None
        with user_code():
            chosen = read_keras_tuner(project, hypermodel, run, task=task)
    if output is not None:
        chosen.write(output, rank_by)
    if code:
        click.echo(chosen.to_code(which), nl=False)
    elif form == "table":
        show_run(chosen, as_json, rank_by, how["all_rows"])
    else:
        click.echo(chosen.to_text(**how), nl=False)
