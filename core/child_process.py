"""Run one piece of work on a foreign file in a child process with a limit of time and memory.

Codecs and readers of weight files are written in C and are fed with files from anywhere: there
they may crash, hang or fill the memory without harm to the program. A child gets JSON and gives
back JSON and plain arrays; nothing that it sends is ever unpickled.

The child is this program once more, with a hidden first argument that ``main.py`` knows, so that
a frozen application needs no Python beside it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import math
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import numpy as np
from numpy.typing import NDArray

from core import array_file, errors
from core.errors import MriFclError
from core.process_start import own_command

logger = logging.getLogger(__name__)

CHILD_ARGUMENT = "--child-task"
# Each task is a function of one payload that returns a ChildResult. A table, not any dotted
# name: the hidden argument must not be a way to call whatever there is.
TASKS: dict[str, str] = {
    "check-gpu": "core.training.gpu_check:check_in_child",
    "embed": "core.analysis.projection_child:embed_in_child",
    "decode-dicom": "core.data.dicom_codecs:decode_in_child",
    "open-weights": "core.training.weights_child:open_in_child",
}
# What the interpreter and its libraries may still map of their own, bytes.
_OVERHEAD_BYTES = 256 * 1024**2
# Where a system does not say how much is mapped at the start.
_ASSUMED_START_BYTES = 4 * 1024**3
_LONGEST_HEAD_BYTES = 64 * 1024**2
_LONGEST_TEXT = 2000
_PLAIN_KINDS = "biuf"
_MAX_AXES = 8

Reason = Literal["timeout", "memory", "crashed"]
_REASON_TEXTS: dict[Reason, str] = {
    "timeout": "It took too long and was stopped.",
    "memory": "It needed more memory than such a file should, and was stopped.",
    "crashed": "The library that reads it stopped without a result.",
}


class ChildError(MriFclError, RuntimeError):
    """A child gave no result.

    The text names no file: who started the child catches this and says which file it was, and
    what to do.

    Parameters
    ----------
    reason : {"timeout", "memory", "crashed"}
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(_REASON_TEXTS[reason])
        self.reason: Reason = reason


@dataclass(frozen=True)
class ChildResult:
    """What a task gives back.

    Attributes
    ----------
    values : mapping
        Plain JSON values.
    arrays : mapping of str to ndarray
        Of whole numbers, floats or booleans, in their order.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def run_in_child(
    task_name: str,
    payload: Mapping[str, Any],
    *,
    seconds: float,
    memory_bytes: int,
    is_foreign: bool = True,
    on_start: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> ChildResult:
    """Run a task of :data:`TASKS` in a child process and return its result.

    Parameters
    ----------
    task_name : str
    payload : mapping
        Plain JSON values; paths as strings.
    seconds : float
        After this time the child is killed.
    memory_bytes : int
        What the task may take on top of a started child (where the system can limit that), and
        the most that its arrays may hold together.
    is_foreign : bool
        Whether the work is on a foreign file; our own numbers need no limits, and their
        libraries may write files for themselves.
    on_start : callable, optional
        Is given the child, so that it can be ended early.

    Raises
    ------
    ChildError
        If the child took too long, ran out of memory or crashed.
    MriFclError
        Whatever error of :mod:`core.errors` the task itself raised, as the same class.
    """
    if task_name not in TASKS:
        raise KeyError(task_name)
    request = {
        "seconds": seconds,
        "memory_bytes": memory_bytes,
        "is_foreign": is_foreign,
        "payload": dict(payload),
    }
    with _started_child(task_name) as child:
        has_expired = threading.Event()
        timer = threading.Timer(seconds, _end_child, (child, has_expired))
        timer.daemon = True
        timer.start()
        if on_start is not None:
            on_start(child)
        try:
            return _talk(child, json.dumps(request).encode("ascii"), memory_bytes)
        except MriFclError:
            # Some of ours are ValueErrors as well.
            raise
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            status = child.poll()
            logger.info("a child for %s ended (%s): %s", task_name, status, type(error).__name__)
            raise ChildError("timeout" if has_expired.is_set() else "crashed") from None
        except MemoryError:
            raise ChildError("memory") from None
        finally:
            timer.cancel()


class ChildCall:
    """A task that works in a child process while the caller does something else.

    Parameters
    ----------
    task_name, payload, seconds, memory_bytes
        As of :func:`run_in_child`, of our own numbers.
    """

    def __init__(
        self, task_name: str, payload: Mapping[str, Any], *, seconds: float, memory_bytes: int
    ) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._waiter = ThreadPoolExecutor(1, thread_name_prefix="child")
        self._answer = self._waiter.submit(
            run_in_child,
            task_name,
            payload,
            seconds=seconds,
            memory_bytes=memory_bytes,
            is_foreign=False,
            on_start=self._on_start,
        )

    def wait(self, seconds: float) -> bool:
        """Wait for the answer for so long; tell whether it has come."""
        return bool(futures.wait([self._answer], seconds).done)

    def result(self) -> ChildResult:
        """Return the answer, or raise as :func:`run_in_child` does."""
        return self._answer.result()

    def close(self) -> None:
        """End the child if it still works; nothing of it is left afterwards."""
        self._is_closed = True
        if self._child is not None:
            self._child.kill()
        self._waiter.shutdown(wait=True)

    def _on_start(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        if self._is_closed:
            child.kill()


@contextlib.contextmanager
def _started_child(task_name: str) -> Iterator[subprocess.Popen[bytes]]:
    # One thread: each further one maps address space that counts against the limit.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    child = subprocess.Popen(
        own_command(CHILD_ARGUMENT, task_name),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # What a library complains about may quote the header: it goes nowhere.
        stderr=subprocess.DEVNULL,
        env=os.environ | threads,
        # On Windows a console would flash up.
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    try:
        yield child
    finally:
        child.kill()
        for stream in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):
                cast(BinaryIO, stream).close()
        child.wait()


def _end_child(child: subprocess.Popen[bytes], has_expired: threading.Event) -> None:
    has_expired.set()
    child.kill()


def _talk(child: subprocess.Popen[bytes], request: bytes, memory_bytes: int) -> ChildResult:
    stdin, stdout = cast(BinaryIO, child.stdin), cast(BinaryIO, child.stdout)
    stdin.write(request)
    stdin.close()
    head = _read_head(stdout)
    if "refusal" in head:
        raise _refusal(head["refusal"])
    if "fault" in head:
        logger.info("a task in a child failed: %.200s", head["fault"])
        raise ChildError("memory" if head["fault"] == "MemoryError" else "crashed")
    values = head["values"]
    if not isinstance(values, dict):
        raise ValueError("a child's values are no mapping")
    return ChildResult(values, _read_arrays(stdout, head["arrays"], memory_bytes))


def _refusal(record: object) -> MriFclError:
    if not isinstance(record, dict):
        raise ValueError("a child's refusal is no mapping")
    kind = getattr(errors, str(record.get("kind")), None)
    is_ours = isinstance(kind, type) and issubclass(kind, MriFclError)
    text = str(record.get("text"))[:_LONGEST_TEXT]
    return kind(text) if is_ours else MriFclError(text)  # type: ignore[misc]


def _read_head(stream: BinaryIO) -> dict[str, Any]:
    length = int.from_bytes(_read_exactly(stream, 8), "little")
    if length > _LONGEST_HEAD_BYTES:
        raise ValueError("a child's answer is too long")
    try:
        head = json.loads(_read_exactly(stream, length))
    except RecursionError:
        raise ValueError("a child's answer is nested too deep") from None
    if not isinstance(head, dict) or not {"refusal", "fault", "values"} & head.keys():
        raise ValueError("a child's answer is not understood")
    return head


def _read_exactly(stream: BinaryIO, n_bytes: int) -> bytes:
    content = stream.read(n_bytes)
    if len(content) < n_bytes:
        raise EOFError("a child ended before its answer did")
    return content


def _read_arrays(
    stream: BinaryIO, records: list[Any], memory_bytes: int
) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    bytes_left = memory_bytes
    for name, type_name, shape in records:
        dtype = np.dtype(str(type_name))
        sizes = [int(size) for size in shape]
        if dtype.kind not in _PLAIN_KINDS or len(sizes) > _MAX_AXES or min(sizes, default=0) < 0:
            raise ValueError("a child's array is of a kind that is not taken")
        bytes_left -= math.prod(sizes) * dtype.itemsize
        if bytes_left < 0:
            raise MemoryError
        array = np.empty(sizes, dtype=dtype)
        array_file.fill(stream, array)
        arrays[str(name)] = array
    return arrays


def is_child_call(arguments: list[str]) -> bool:
    """Tell whether the program was started as a child."""
    return arguments[:1] == [CHILD_ARGUMENT]


def serve_as_child(arguments: list[str]) -> int:
    """Do the task that the parent asks for and write its result; return the exit status."""
    # By number: a windowed program has no sys.stdin and sys.stdout.
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b", buffering=0) as nowhere:  # noqa: PTH123 - no path of ours
        # Whatever a library prints would be taken for the answer.
        os.dup2(nowhere.fileno(), 1)
    with answers, open(0, "rb", closefd=False) as requests:
        if len(arguments) != 2 or arguments[1] not in TASKS:
            return 2
        request = json.load(requests)
        task = _task(arguments[1])
        if request.get("is_foreign", True):
            _limit(float(request["seconds"]), int(request["memory_bytes"]))
        _answer(answers, task, request["payload"])
    return 0


def _task(task_name: str) -> Callable[[Any], ChildResult]:
    module, function = TASKS[task_name].split(":")
    task: Callable[[Any], ChildResult] = getattr(importlib.import_module(module), function)
    return task


def _answer(stream: BinaryIO, task: Callable[[Any], ChildResult], payload: object) -> None:
    try:
        result = task(payload)
        arrays = {name: np.asarray(array, order="C") for name, array in result.arrays.items()}
    except MriFclError as error:
        _write_head(stream, {"refusal": {"kind": type(error).__name__, "text": str(error)}})
        return
    except BaseException as error:  # noqa: BLE001 - its kind is told, its text may quote a header
        _write_head(stream, {"fault": type(error).__name__})
        return
    shapes = [(name, array.dtype.str, list(array.shape)) for name, array in arrays.items()]
    _write_head(stream, {"values": dict(result.values), "arrays": shapes})
    for array in arrays.values():
        if array.size:
            stream.write(array.reshape(-1).view(np.uint8).data)


def _write_head(stream: BinaryIO, head: Mapping[str, Any]) -> None:
    content = json.dumps(head).encode("ascii")
    stream.write(len(content).to_bytes(8, "little") + content)


def _limit(seconds: float, memory_bytes: int) -> None:
    """Limit this process, where the system can; called when the task's module is loaded."""
    try:
        import resource
    except ImportError:  # Windows
        return
    top = _mapped_bytes() + memory_bytes + _OVERHEAD_BYTES
    wanted = {
        resource.RLIMIT_AS: top,
        # A child whose parent was killed must not run for ever.
        resource.RLIMIT_CPU: math.ceil(seconds) + 5,
        # No file is written, and no memory image with somebody's scan in it.
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
    }
    for kind, value in wanted.items():
        # A system may know a limit and refuse to set it; time is kept by the parent anyway.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def _mapped_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _ASSUMED_START_BYTES
    return pages * os.sysconf("SC_PAGE_SIZE")
