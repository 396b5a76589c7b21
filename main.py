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
    from core.process_start import prepare_process

    prepare_process()
    is_program = arguments is None
    if not given:
        return _window([], is_program=is_program)
    from core.child_process import is_child_call, serve_as_child

    if is_child_call(given):
        return serve_as_child(given)
    _keep_memory(is_program=is_program)  # not of a child: it has a limit of its own
    if given[:1] == ["--training-rank"]:  # its module loads torch
        from core.training.ranks import serve_as_rank

        return serve_as_rank()
    if given[:1] == ["--self-test"]:
        return _self_test(given[1:])
    if given[:1] == ["--self-test-window"]:  # started by the self-test
        from mrifcl_gui.self_test_window import show_once

        return show_once(given[1:])
    from core.cli import is_command, run_command

    if is_command(given):
        status, window_on = run_command(given, print_page=_print_page)
        if not window_on:
            return status
        given = [str(path) for path in window_on]
    return _window(given, is_program=is_program)


def _window(paths: list[str], *, is_program: bool) -> int:
    """Open the window; as a program, end the process with it."""
    _keep_memory(is_program=is_program)
    from mrifcl_gui.app import leave, run_window

    status = run_window(paths, leaves=is_program)
    if is_program:
        leave(status)
    return status


def _keep_memory(*, is_program: bool) -> None:
    """Say what this process does with memory that it has freed; before any thread of it."""
    if is_program:
        from core.allocator import keep_freed_memory

        keep_freed_memory()


def _self_test(arguments: list[str]) -> int:
    """Try each part of this copy; a file that is named takes what is said, too."""
    from core.self_test import run_self_test

    def say(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    return run_self_test(say, report=Path(arguments[0]) if arguments else None)


def _print_page(page: str, path: Path) -> None:
    from mrifcl_gui.report_pdf import print_page

    print_page(page, path)


if __name__ == "__main__":
    sys.exit(main())
