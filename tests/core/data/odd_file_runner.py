"""Run the child that loads files, and blame the right file when it ends or hangs."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
MAX_SECONDS = 2.0
HANGS_AFTER_SECONDS = 15.0
# Its libraries load first, which on a busy machine takes a while and is no file's fault.
STARTS_WITHIN_SECONDS = 120.0
MAX_EXTRA_BYTES = 200 * 1024**2
REMEDY = re.compile(
    r"(?i)\b(Copy|Export|Choose|Save|Rename|Reconnect|Unpack|Download|Fetch|Put|Add|Change|Take"
    r"|Correct|Scan|Make|Update|Name|Fill|Give|Check|Free|Drop|Restore|Close|needs|Example)\b"
)
# Class names of Python, error numbers and memory addresses say nothing to a person.
PROGRAMMERS_WORDS = re.compile(r"Errno|Traceback|\w(Error|Exception)\b|<class|0x[0-9a-f]{6}")


def strains(result):
    """Tell whether a file took longer or more memory than the program allows itself."""
    return result["seconds"] > MAX_SECONDS or result["memory"] > result["decoded"] + MAX_EXTRA_BYTES


def run_in_child(jobs):
    """Load files in child processes; a file that ends or stops its child gets the blame."""
    results = {}
    while len(results) < len(jobs):
        waiting = [number for number in range(len(jobs)) if number not in results]
        with tempfile.TemporaryFile() as errors:
            _one_child(jobs, waiting, results, errors)
    return [results[number] for number in range(len(jobs))]


def _one_child(jobs, waiting, results, errors):
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.core.data.odd_file_child"],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )
    lines = queue.Queue()
    reader = threading.Thread(target=_pass_on, args=(child.stdout, lines))
    reader.start()
    # A child that fails at its start has closed the pipe already.
    with contextlib.suppress(BrokenPipeError):
        wanted = [(jobs[number][0], os.fsencode(jobs[number][1]).hex()) for number in waiting]
        child.stdin.write(json.dumps(wanted))
        child.stdin.close()
    blamed, fault = None, "ended its process"
    while (line := _next_line(lines, is_started=blamed is not None)) != "":
        if line is None:
            fault = f"took over {HANGS_AFTER_SECONDS} s"
            child.kill()
        elif "begins" in line:
            blamed = waiting[line["begins"]]
        else:
            results[waiting[line["number"]]] = line
    reader.join()
    child.stdout.close()
    errors.seek(0)
    trace = errors.read().decode(errors="replace")
    assert blamed is not None, f"the child did not even start:\n{trace}"
    if child.wait() != 0 or blamed not in results:
        results.setdefault(
            blamed,
            {"outcome": "crash", "text": fault, "codes": [], "seconds": 0, "memory": 0}
            | {"decoded": 0},
        )


def _pass_on(stream, lines):
    for line in stream:
        lines.put(json.loads(line))
    lines.put("")


def _next_line(lines, *, is_started):
    try:
        return lines.get(timeout=HANGS_AFTER_SECONDS if is_started else STARTS_WITHIN_SECONDS)
    except queue.Empty:
        return None
