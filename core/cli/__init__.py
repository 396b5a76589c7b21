"""The same tasks from a terminal: one module for each group of commands."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

# To import these makes their commands known.
from core.cli import (
    analysis_commands,  # noqa: F401
    cohort_commands,  # noqa: F401
    sweep_commands,  # noqa: F401
    training_commands,  # noqa: F401
)
from core.cli.command_group import PrintPage, cli
from core.cli.terminal import Interrupted, console
from core.errors import MriFclError

__all__ = ["PrintPage", "cli", "is_command", "run_command"]


def is_command(arguments: list[str]) -> bool:
    """Tell whether the arguments are for the terminal: a sub-command or an option."""
    return bool(arguments) and (arguments[0] in cli.commands or arguments[0].startswith("-"))


def run_command(
    arguments: list[str], *, print_page: PrintPage | None = None
) -> tuple[int, list[Path]]:
    """Run one command; return its exit status and the paths to open a window on, if any.

    ``print_page`` prints an HTML page to a PDF; this package knows no window system.
    0 done, 1 failed with one plain sentence on stderr, 2 wrong usage, 130 stopped.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        window_on = cli.main(arguments, prog_name="mri-fcl", standalone_mode=False, obj=print_page)
    except click.exceptions.Exit as done:
        return done.exit_code, []
    except click.ClickException as error:
        error.show()
        return 2, []
    except MriFclError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1, []
    except (Interrupted, click.Abort):
        console.print("Stopped. What was done so far is kept.")
        return 130, []
    return 0, window_on if isinstance(window_on, list) else []
