"""`python -m kscale` is `kscale`."""

from kscale.cli import main

if __name__ == "__main__":
    main(prog_name="kscale")
