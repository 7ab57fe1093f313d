"""`python -m wsl`: the same as the `wsl` command, for systems whose scripts folder is not on PATH."""

from wsl.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
