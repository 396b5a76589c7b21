"""Keep the computer from going to sleep while a network is trained, where it can be asked to.

A sleep loses nothing, but a run that was to be done by the morning then is not. Where no such
wish can be made nothing is done, and nothing is said: training does not need it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

# Each ends with us, also when we are killed: "cat" when its input is closed, "caffeinate -w"
# when the process of that number has gone.
_TOOLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "linux": (
        (
            "systemd-inhibit",
            "--what=sleep:idle",
            "--mode=block",
            "--who=MRI-FCL",
            "--why=A network is being trained",
            "cat",
        ),
        (
            "gnome-session-inhibit",
            "--inhibit",
            "suspend:idle",
            "--reason",
            "A network is being trained",
            "cat",
        ),
    ),
    "darwin": (("caffeinate", "-i", "-w", str(os.getpid())),),
}
_WINDOWS_SYSTEM_REQUIRED = 0x00000001
_WINDOWS_CONTINUOUS = 0x80000000
_SECONDS_TO_END = 2.0


@contextlib.contextmanager
def kept_awake(*, wanted: bool = True) -> Iterator[None]:
    """Ask the system not to sleep by itself as long as the block lasts.

    The screen may go dark, and the user may still send the computer to sleep. To be entered
    and left in the same thread: Windows takes the wish of a thread.
    """
    if not wanted:
        yield
    elif sys.platform == "win32":
        with _windows_awake():
            yield
    else:
        with _tool_running(find_tool()):
            yield


def find_tool() -> Sequence[str] | None:
    """Return the command that keeps this computer awake; None where there is none."""
    for command in _TOOLS.get(sys.platform, ()):
        path = shutil.which(command[0])
        if path is not None:
            return (path, *command[1:])
    return None


@contextlib.contextmanager
def _tool_running(command: Sequence[str] | None) -> Iterator[None]:
    process = None if command is None else _start(command)
    try:
        yield
    finally:
        if process is not None:
            _end(process)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl+C in a terminal is for the training, which then ends this in its time.
            start_new_session=True,
        )
    except OSError as error:
        logger.info("the computer is not kept awake: %s", error.strerror)
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _windows_awake() -> Iterator[None]:
    if sys.platform == "win32":
        import ctypes

        set_state = ctypes.windll.kernel32.SetThreadExecutionState
        set_state(_WINDOWS_CONTINUOUS | _WINDOWS_SYSTEM_REQUIRED)
        try:
            yield
        finally:
            set_state(_WINDOWS_CONTINUOUS)
    else:
        yield
