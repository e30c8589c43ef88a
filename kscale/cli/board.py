"""`kscale board`: TensorBoard on a run."""

from threading import Event

import click

from kscale.cli.options import number, opened_run, run_argument
from kscale.engine.tensorflow.starting import quiet_start


@click.command()
@run_argument
@click.option(
    "--port",
    type=number(0, 65535),
    metavar="N",
    default=0,
    help="Port on this machine to listen on; by default any that is free.",
)
def board(run: str | None, port: int) -> None:
    """Show RUN in TensorBoard until Ctrl-C: HParams of every training, and curves.

    Without RUN, the run in runs/ that was changed last is shown. The address is
    printed; it can be opened on this machine only.

    \b
    Examples:
      kscale board
      kscale board runs/demo --port 6006
    """
    chosen = opened_run(run)
    with quiet_start():
        address = chosen.serve_board(port)
    click.echo(address)
    try:
        Event().wait()
    except KeyboardInterrupt:
        click.echo("TensorBoard ended.", err=True)
