"""Fetch torchvision's pretrained weights when the user asks: progress, cancel, resume, checksum.

A download goes into ``NAME.part`` beside its place and moves there once its SHA-256 fits, so a
reader sees the whole file or none; a part that was cancelled or cut off is gone on with.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import core
from core.errors import TrainingError
from core.progress import Operation, Progress
from core.training.weights_entry import MEGABYTE, WeightsEntry

_BLOCK_BYTES = 256 * 1024
_SPARE_BYTES = 100 * MEGABYTE
# A server that sends a log-in page or another file is told by its size.
_MOST_DIFFERENCE = 0.01


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, seconds; ``tries`` in a row may bring nothing.

    A cancel waits for one timeout at most, so that is short: what has come is kept anyway.
    """

    timeout: float = 4.0
    pause: float = 1.0
    tries: int = 4


class _Lost(Exception):
    """The connection was lost or did not come about; the text says how, for the log."""


def part_file(entry: WeightsEntry, folder: Path) -> Path:
    """Return where a download is kept until it is whole."""
    return folder / f"{entry.file_name}.part"


def by_hand(entry: WeightsEntry, folder: Path) -> str:
    """Return how to get the file without this program's help."""
    return (
        f"Fetch {entry.url} with a browser, on another computer if need be, and put it into "
        f"'{folder}' under the name {entry.file_name}."
    )


def download(
    entry: WeightsEntry, folder: Path, *, patience: Patience | None = None
) -> Operation[Path]:
    """Fetch the file of ``entry`` into ``folder``; return its path.

    Closing the generator cancels; what has come is kept and gone on with next time.

    Raises
    ------
    TrainingError
        If there is no connection, no room, or what came is not the file that was wanted.
    """
    target, part = folder / entry.file_name, part_file(entry, folder)
    if target.is_file():
        return target
    patience = patience or Patience()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        was_begun = part.is_file()
        yield from _fetch(entry, part, patience)
        is_whole = yield from _is_whole(entry, part)
        if was_begun and not is_whole:
            part.unlink()  # what had come before may have been damaged
            yield from _fetch(entry, part, patience)
            is_whole = yield from _is_whole(entry, part)
        if not is_whole:
            part.unlink()
            raise TrainingError(
                f"What {entry.host} sent is not the {entry.title} weights: the checksum does not "
                f"match. It was deleted. Try again later, or do it by hand: "
                f"{by_hand(entry, folder)}"
            )
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise _cannot_write(error, entry, folder) from error
    return target


def _fetch(entry: WeightsEntry, part: Path, patience: Patience) -> Operation[None]:
    """Fetch until the part is complete, over as many connections as it takes."""
    furthest, fruitless = _size_of(part), 0
    while True:
        try:
            yield from _fetch_once(entry, part, patience.timeout)
            return
        except _Lost as lost:
            done = _size_of(part)
            fruitless = 0 if done > furthest else fruitless + 1
            furthest = max(furthest, done)
            if fruitless >= patience.tries:
                raise _no_connection(entry, part) from lost
        yield Progress(f"Waiting for {entry.host}")
        time.sleep(patience.pause)


def _fetch_once(entry: WeightsEntry, part: Path, timeout: float) -> Operation[None]:
    have = _size_of(part)
    yield Progress(f"Connecting to {entry.host}")
    try:
        response = _open(entry, have, timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                # All is here already, or more than there is.
                if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
                    return
                part.unlink()
                raise _Lost("the part was longer than the file") from None
            raise TrainingError(
                f"{entry.host} did not give the {entry.title} weights (answer {error.code}). "
                f"Try again later, or do it by hand: {by_hand(entry, part.parent)}"
            ) from error
    except (OSError, http.client.HTTPException) as error:
        if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
            raise TrainingError(
                f"The connection to {entry.host} is not safe: its certificate is not known here, "
                f"perhaps because a proxy reads along. Do it by hand: {by_hand(entry, part.parent)}"
            ) from error
        raise _Lost(type(error).__name__) from error
    with response:
        start, total = _extent(response, have)
        _check_size(entry, total, part.parent)
        _check_room(part, entry, (total or int(entry.megabytes * MEGABYTE)) - start)
        # Without its rest the server sends the whole file: start over.
        with part.open("ab" if start else "wb") as file:
            done = start
            while block := _next_block(response):
                file.write(block)
                done += len(block)
                yield _progress(entry, "Downloading", done, total)
    if total is not None and done != total:
        raise _Lost(f"cut after {done} of {total} bytes")


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows no redirection from https to http."""

    def redirect_request(self, req: urllib.request.Request, *args: Any) -> Any:  # noqa: ANN401
        """Return the next request, or None where it is not followed."""
        new_url = args[-1]
        if req.full_url.startswith("https:") and not new_url.startswith("https:"):
            return None
        return super().redirect_request(req, *args)


def _open(entry: WeightsEntry, have: int, timeout: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": f"MRI-FCL/{core.__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(entry.url, headers=headers)
    opener = urllib.request.build_opener(_NoDowngrade)
    response: http.client.HTTPResponse = opener.open(request, timeout=timeout)
    return response


def _extent(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return the first byte that comes and the size of the whole file, None if not told."""
    if response.status == http.client.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != have:
            raise _Lost("the server sent another part than asked for")
        return have, int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _next_block(response: http.client.HTTPResponse) -> bytes:
    try:
        # What is there now, however little: a slow line must not hold up a cancel.
        return response.read1(_BLOCK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _Lost(type(error).__name__) from error


def _check_size(entry: WeightsEntry, total: int | None, folder: Path) -> None:
    wanted = entry.megabytes * MEGABYTE
    if total is not None and abs(total - wanted) > _MOST_DIFFERENCE * wanted:
        raise TrainingError(
            f"{entry.host} answered with something else than the {entry.title} weights "
            f"({_megabytes(total)} rather than {_megabytes(wanted)} MB): perhaps a log-in page. "
            f"Open a web page once to log in, then try again, or do it by hand: "
            f"{by_hand(entry, folder)}"
        )


def _check_room(part: Path, entry: WeightsEntry, n_bytes: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < n_bytes + _SPARE_BYTES:
        needed = (n_bytes + _SPARE_BYTES - free) / MEGABYTE
        raise TrainingError(
            f"There is too little room for the {entry.title} weights in '{part.parent}': free "
            f"{needed:.0f} MB more, then download again."
        )


def _is_whole(entry: WeightsEntry, part: Path) -> Operation[bool]:
    """Tell whether the SHA-256 of the part is the one in the file's name."""
    digest, total = hashlib.sha256(), _size_of(part)
    with part.open("rb") as file:
        while block := file.read(16 * _BLOCK_BYTES):
            digest.update(block)
            yield _progress(entry, "Checking", file.tell(), total)
    return digest.hexdigest().startswith(entry.sha256_start)


def _progress(entry: WeightsEntry, doing: str, done: int, total: int | None) -> Progress:
    whole = total if total is not None else entry.megabytes * MEGABYTE
    return Progress(
        f"{doing} {entry.title} weights (MB)", round(done / MEGABYTE), round(whole / MEGABYTE)
    )


def _no_connection(entry: WeightsEntry, part: Path) -> TrainingError:
    done = _size_of(part)
    if done:
        return TrainingError(
            f"The connection to {entry.host} was lost after {_megabytes(done)} of "
            f"{entry.megabytes:.0f} MB. Download again: it goes on from there. Or do it by hand: "
            f"{by_hand(entry, part.parent)}"
        )
    return TrainingError(
        f"There is no connection to {entry.host}. Connect to the internet and try again, or do "
        f"it by hand: {by_hand(entry, part.parent)}"
    )


def _cannot_write(error: OSError, entry: WeightsEntry, folder: Path) -> TrainingError:
    if error.errno == errno.ENOSPC:
        return TrainingError(
            f"The disk became full while the {entry.title} weights came. Free "
            f"{entry.megabytes:.0f} MB in '{folder}', then download again: it goes on."
        )
    return TrainingError(
        f"The {entry.title} weights cannot be written to '{folder}': {error.strerror}. Make the "
        "folder writable, or set TORCH_HOME to one that is, and download again."
    )


def _megabytes(n_bytes: float) -> str:
    megabytes = n_bytes / MEGABYTE
    return f"{megabytes:.0f}" if megabytes >= 10 else f"{megabytes:.2g}"


def _size_of(part: Path) -> int:
    with contextlib.suppress(OSError):
        return part.stat().st_size
    return 0
