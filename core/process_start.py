"""How a process of this program starts: what it needs first, and how it starts another one.

A windowed program on Windows, and one whose streams somebody closed, has no standard streams:
``print``, progress bars and warnings would each end it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

_LIBRARIES = "LD_LIBRARY_PATH"
# Left by PyInstaller's starter where the user had a value of his own.
_USERS_LIBRARIES = "LD_LIBRARY_PATH_ORIG"
_CERTIFICATES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Arch
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, RHEL
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
    Path("/etc/ssl/cert.pem"),  # macOS, Alpine
)


def prepare_process() -> None:
    """Make this process fit to print and to start other programs; called once, at its start."""
    _take_numbers()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, _stream(number))
    _print_any_letter()
    if getattr(sys, "frozen", False):
        _give_back_libraries()
        _know_certificates()


def own_command(*arguments: str) -> list[str]:
    """Return the command that starts this program once more, with ``arguments``.

    A packaged program is its own interpreter: there is no Python and no script to name.
    """
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    return [sys.executable, "-B", str(main_file()), *arguments]


def main_file() -> Path:
    """Return the script that starts the program where it runs from its source."""
    return Path(__file__).resolve().parents[1] / "main.py"


def _take_numbers() -> None:
    """Fill the numbers of closed streams.

    Else the first files of ours get them, and a C library's complaint, which goes to number 2,
    would be written into a scan's cache or a run.
    """
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            return
        # Children's too: their numbers 0 to 2 are always handed on.
        os.set_inheritable(number, True)


def _stream(number: int) -> Any:  # noqa: ANN401 - a stream of text
    """Return a stream on what the system has under ``number``, such as a pipe; else on nothing."""
    mode = "r" if number == 0 else "w"
    with contextlib.suppress(OSError):
        os.fstat(number)
        return open(number, mode, encoding="utf-8", errors="replace", closefd=False)
    return open(os.devnull, mode, encoding="utf-8")  # noqa: PTH123


def _print_any_letter() -> None:
    """Let no letter that a console does not know end a command, as on Windows it would."""
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict":
            with contextlib.suppress(AttributeError, ValueError, OSError):
                stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def _know_certificates() -> None:
    """Say where this system keeps the certificates that a download of weights is checked with.

    A packaged program looks where the system that it was built on keeps them.
    """
    if sys.platform == "win32" or "SSL_CERT_FILE" in os.environ:
        return
    own = Path(getattr(sys, "_MEIPASS", "")) / "certifi" / "cacert.pem"
    for path in (*_CERTIFICATES, own):
        if path.is_file():
            os.environ["SSL_CERT_FILE"] = str(path)
            return


def _give_back_libraries() -> None:
    """Take our libraries from the environment, for a browser or ffmpeg brings its own.

    This process has found what it needs of them, and our own children set it anew.
    """
    users = os.environ.pop(_USERS_LIBRARIES, None)
    if users is not None:
        os.environ[_LIBRARIES] = users
    else:
        os.environ.pop(_LIBRARIES, None)
