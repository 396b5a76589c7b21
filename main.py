"""Start MRI-FCL: the window, or with a sub-command the terminal."""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit status (0 done, 1 failed, 2 wrong usage)."""
    # First, before Qt or torch: a frozen program's child processes enter here too.
    multiprocessing.freeze_support()
    given = sys.argv[1:] if arguments is None else arguments
    from core.child_process import is_child_call, serve_as_child

    if is_child_call(given):
        return serve_as_child(given)
    if given[:1] == ["--training-rank"]:  # its module loads torch
        from core.training.ranks import serve_as_rank

        return serve_as_rank()
    from core.cli import is_command, run_command

    if is_command(given):
        status, window_on = run_command(given, print_page=_print_page)
        if not window_on:
            return status
        given = [str(path) for path in window_on]
    from mrifcl_gui.app import run_window

    return run_window(given)


def _print_page(page: str, path: Path) -> None:
    from mrifcl_gui.report_pdf import print_page

    print_page(page, path)


if __name__ == "__main__":
    sys.exit(main())
