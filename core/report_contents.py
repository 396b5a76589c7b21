"""What goes into a report, and what has a time-lapse; light, for forms and options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportContents:
    """What goes into a report beside its title and its limits.

    Attributes
    ----------
    names_scans : bool
        Whether figures and tables that name single scans or subjects go in too.
    """

    settings: bool = True
    split: bool = True
    versions: bool = True
    figures: bool = True
    tables: bool = True
    names_scans: bool = False


USUAL = ReportContents()
# Name of each part of ReportContents, for check boxes and options.
CONTENT_TITLES = {
    "settings": "Settings",
    "split": "Split and leakage",
    "versions": "Library versions",
    "figures": "Figures",
    "tables": "Tables",
    "names_scans": "Figures and tables that name scans",
}

# Figures that a time-lapse can be made of from the terminal.
TIME_LAPSES = ("scatter", "null", "rows", "correlation", "cloud", "curves")
