"""`kscale compress`: smaller files of a trained model, measured."""

import sys
from typing import Any

import click

from kscale.cli import options
from kscale.cli.output import show, start_tensorflow, tidy_on_sigterm
from kscale.ship.compressing.methods import METHODS, Step, parse_chain
from kscale.ship.extras import check_extra


def _method_list() -> str:
    names = [str(Step(method, method.share or 0.0)) for method in METHODS.values()]
    pairs = zip(names, METHODS.values(), strict=True)
    return "\n".join(f"  {name:<18} {method.purpose}" for name, method in pairs)


@click.command(epilog="\b\nMethods, with usual shares:\n" + _method_list())
@options.run_argument
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="NAME[,NAME...]",
    help="Method, or several joined in one file: narrow:50%+int8; may be repeated.  "
    "[default: what suits the network]",
)
@options.model_option
@options.moved_option
@click.option(
    "--seeds",
    type=options.number(1),
    default=3,
    show_default=True,
    help="Networks of each method that trains, from as many seeds.",
)
@options.output_option(
    "Folder to copy the files of methods, and the chosen one, to.",
    "folder",
    file_okay=False,
)
@options.overwrite_option
@options.json_option
@options.quiet_option
def compress(
    run: str | None, methods: tuple[str, ...], as_json: bool, quiet: bool, **how: Any
) -> None:
    """Make smaller files of a trained model of RUN, and measure each.

    Each method writes a LiteRT file into the run folder, which is scored in its runtime
    beside the same network in float32. Of the files whose validation score is worse by
    at most one standard error of the float32 score, the smallest is chosen, and scored
    on the test part. Without RUN, the run in runs/ that was changed last is taken. What
    was made before is not made again. The exit code is 1 if none of the methods that
    you name works.

    \b
    Examples:
      kscale compress runs/demo
      kscale compress runs/demo --method int8 --method int4,float16
    """
    named = [name for each in methods for name in each.split(",")]
    for name in named:
        parse_chain(name)  # refused before TensorFlow starts
    chosen = options.opened_run(run)
    check_extra("Compressing", "litert")  # before a start of seconds
    start_tensorflow(quiet)
    tidy_on_sigterm()
    note = (lambda text: None) if quiet else (lambda text: click.echo(text, err=True))
    found = chosen.compress(named, note=note, **how)
    show(as_json, found.to_json, found.to_text)
    asked = {str(parse_chain(name)) for name in named}
    if not found.worked(asked):
        sys.exit(1)
