"""What is doubtful about a scan or a cohort: a sentence for people with a code for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Finding(str):
    """A warning in plain words; ``code`` names its kind, the same in every version.

    Parameters
    ----------
    text : str
        What is doubtful, and what to do.
    code : str
        Short name such as ``frame_used`` or ``duplicate_scan``.
    """

    code: str

    __slots__ = ("code",)

    def __new__(cls, text: str, code: str = "") -> Finding:
        """Make a finding."""
        made = super().__new__(cls, text)
        made.code = code
        return made


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in 1 scan and 2 scans."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def finding_record(item: str) -> dict[str, str]:
    """Return a finding, or a bare sentence, as plain JSON values."""
    return {"code": code_of(item), "text": str(item)}


def code_of(item: str) -> str:
    """Return the code of a finding; empty for a bare sentence."""
    return item.code if isinstance(item, Finding) else ""


def finding_from_record(item: Any) -> Finding:  # noqa: ANN401 - parsed JSON
    """Return a finding from :func:`finding_record`, or from a bare sentence."""
    if isinstance(item, Mapping):
        return Finding(str(item["text"]), str(item.get("code", "")))
    return Finding(str(item))
