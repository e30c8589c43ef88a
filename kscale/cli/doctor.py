"""`kscale doctor`: what is installed, and what it runs on."""

import click

from kscale.cli import options
from kscale.cli.output import show, start_tensorflow


@click.command()
@options.json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Show versions, devices and memory, and what is missing.

    The exit code is 1 if anything is missing.

    \b
    Example:
      kscale doctor
    """
    start_tensorflow(quiet=True)
    from kscale.engine.environment import check_environment

    found = check_environment()
    show(as_json, found.to_json, lambda width: f"{found}\n")
    ctx.exit(0 if found.is_ready else 1)
