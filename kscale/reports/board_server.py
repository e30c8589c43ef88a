"""Board: the server that shows the logs of a run; a search needs none."""

import contextlib
import io
from pathlib import Path

from tensorboard import program
from tensorboard.plugins.core.core_plugin import CorePluginLoader
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
from tensorboard.plugins.metrics.metrics_plugin import MetricsPlugin
from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin

from kscale.errors import ResultsError

# The others have nothing to show, and some of them import TensorFlow.
_PLUGINS = [CorePluginLoader(), MetricsPlugin, ScalarsPlugin, HParamsPlugin]


def serve_logs(folder: Path, port: int = 0) -> str:
    """Start TensorBoard in a thread, for this machine only; the address.

    Port 0 stands for any free port.

    Raises:
        ResultsError: The port cannot be used.
    """
    board = program.TensorBoard(_PLUGINS)
    # TensorBoard's messages on its loader help nobody here.
    with contextlib.redirect_stderr(io.StringIO()):
        board.configure(logdir=str(folder), host="127.0.0.1", port=port)
        try:
            return str(board.launch())
        except program.TensorBoardServerException as error:
            raise ResultsError(
                f"TensorBoard cannot listen on port {port}; choose another with "
                "--port, or leave it out."
            ) from error
