"""`kscale board`: TensorBoard on a run."""

from threading import Event

import click

from kscale.cli.output import quiet_start
from kscale.run import Run


@click.command()
@click.argument("run", type=click.Path(file_okay=False), required=False)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    default=0,
    show_default="any that is free",
    help="Port on this machine to listen on.",
)
def board(run: str | None, port: int) -> None:
    """Show RUN in TensorBoard until Ctrl-C: HParams of every training, and curves.

    Without RUN it is the run in runs/ that was changed last. The address is printed; it
    can be opened on this machine only.

    \b
    Examples:
      kscale board
      kscale board runs/demo --port 6006
    """
    opened = Run(run) if run is not None else Run.latest()
    with quiet_start():
        address = opened.serve_board(port)
    click.echo(address)
    try:
        Event().wait()
    except KeyboardInterrupt:
        click.echo("TensorBoard ended.", err=True)
