"""The README's generated blocks: written again, or checked to be fresh.

A fenced block after `<!-- run: kscale ... -->` is the output of that command. Run as
`python -m tests.readme`, with `--check` to compare only.
"""

import re
import shlex
import sys
from pathlib import Path

from click.testing import CliRunner

from kscale.cli import main

README = Path(__file__).parents[1] / "README.md"
_BLOCK = re.compile(r"(<!-- run: kscale (.*?) -->\n```\w*\n)(.*?)(```)", re.DOTALL)


def command_output(arguments: str) -> str:
    """What a command prints, with the command itself on the first line."""
    done = CliRunner().invoke(main, shlex.split(arguments), prog_name="kscale")
    if done.exit_code:
        raise SystemExit(f"kscale {arguments} failed: {done.output}")
    return f"$ kscale {arguments}\n{done.output}"


def fresh_readme(text: str) -> str:
    """The README with its generated blocks written again."""
    return _BLOCK.sub(
        lambda found: found[1] + command_output(found[2]) + found[4], text
    )


def run(check: bool) -> int:
    """Write the README again, or say whether it is fresh; an exit code."""
    text = README.read_text()
    fresh = fresh_readme(text)
    if check and fresh != text:
        print("README.md is out of date; run `make readme`.", file=sys.stderr)
        return 1
    if not check:
        README.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(run(check="--check" in sys.argv))
