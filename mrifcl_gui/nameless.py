"""Leave names out of technical text: what a log or a crash report shows of a foreign value."""

from __future__ import annotations

import re

# Values stand in quotes, in our texts and in python's own; what is in them may be a header's.
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
# A name as DICOM writes it, and numbers as long as a patient's or a date of birth.
_PERSON = re.compile(r"(?<!\S)[^\s^]*\^\S*|\b\d{4}-\d{2}-\d{2}\b|\b\d{6,}\b")
_FRAME = re.compile(r'^(\s*File )"[^"\n]*?([^"\\/\n]*[\\/])?([^"\\/\n]*)"(, line)', re.MULTILINE)
# The last line of a traceback. Texts of these kinds say what the program did, others what it
# was given: of those the kind must do.
_LAST_LINE = re.compile(r"^([A-Za-z_][\w.]*): .*$", re.MULTILINE)
_OF_THE_PROGRAM = {
    *("AssertionError", "AttributeError", "ImportError", "IndexError", "MemoryError"),
    *(
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
        "QtFault",
        "RecursionError",
        "RuntimeError",
    ),
    *("TypeError", "UnboundLocalError", "ValueError", "ZeroDivisionError"),
}
_MARKED = re.compile("\x00([^\x00]*)\x00")


def without_names(text: str) -> str:
    """Return a traceback or a line of a log without values, names and folders of the user."""
    marked = _FRAME.sub("\\1\x00\\2\\3\x00\\4", text)
    told = _LAST_LINE.sub(_kind_only, marked)
    masked = _PERSON.sub("…", _QUOTED.sub("'…'", told))
    return _MARKED.sub(r'"\1"', masked)


def _kind_only(line: re.Match[str]) -> str:
    kind = line[1].rpartition(".")[2]
    return line[0] if kind in _OF_THE_PROGRAM else f"{line[1]}: (its text is left out)"
