"""`kscale node`: this machine as a node of a Ray cluster."""

from typing import Any

import click

from kscale.cli.options import PATH, number
from kscale.cli.output import tidy_on_sigterm


@click.command()
@click.argument("address", required=False, metavar="[HOST:PORT]")
@click.option(
    "--port",
    type=number(1024, 64_535),
    metavar="N",
    default=6379,
    show_default=True,
    help="First of the 1,000 ports that this node may listen on.",
)
@click.option(
    "--host",
    metavar="IP",
    help="Address of this machine for the other ones.  [default: what Ray finds]",
)
@click.option(
    "--workers",
    type=number(1),
    metavar="N",
    help="Trainings at once on this machine.  [default: one a core]",
)
@click.option(
    "--dashboard",
    "has_dashboard",
    is_flag=True,
    help="Serve Ray's dashboard on this machine.",
)
@click.option(
    "--token",
    type=PATH,
    metavar="FILE",
    help="File of the token.  [default: RAY_AUTH_TOKEN, the file of "
    "RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token]",
)
def node(**given: Any) -> None:
    """Let this machine train for kscale tune --cluster, until Ctrl-C.

    Without HOST:PORT, the first node of a cluster is started, and what to run on the
    other machines is printed; with HOST:PORT, the cluster there is joined. All
    machines need the same versions of kscale, Ray and Python, and must see the folder
    of runs under the same path.

    Whoever has the token can run any code on all machines of the cluster. The first
    node makes a token in ~/.ray/auth_token, for its owner only, where there is none;
    copy the file to the other machines (scp -p), and keep its mode of 600.

    A token encrypts nothing: who can read the network between the machines can read
    the token and the data. Use a private network that only the machines are in, or
    TLS: on every machine, set RAY_USE_TLS=1, RAY_TLS_SERVER_CERT, RAY_TLS_SERVER_KEY
    and RAY_TLS_CA_CERT to a certificate of the machine, its key, and the authority
    that signed it.

    \b
    Examples:
      kscale node
      kscale node 10.0.0.5:6379
      kscale node 10.0.0.5:6379 --port 7379 --workers 4
    """
    from kscale.tuning.cluster.node import NodeSettings, run_node

    tidy_on_sigterm()
    try:
        run_node(NodeSettings(**given), click.echo)
    except KeyboardInterrupt:
        click.echo("The node ended.", err=True)
