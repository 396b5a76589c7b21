"""The errors of MRI-FCL: each text says what happened, to what, and what to do."""

from __future__ import annotations


class MriFclError(Exception):
    """A fault that a person can understand and mend; the text is shown as it is."""


class ScanError(MriFclError, ValueError):
    """A scan or picture cannot be read or must not be used."""


class ScanChangedError(ScanError):
    """A scan's file is no longer the one that was scanned."""


class CohortError(MriFclError, ValueError):
    """A folder, a label table or a cohort file does not describe a usable cohort."""


class SettingsError(MriFclError, ValueError):
    """A setting is out of bounds or unknown."""


class RunError(MriFclError, RuntimeError):
    """A run folder cannot be created, read or continued."""


class TrainingError(MriFclError, RuntimeError):
    """Training cannot start or go on."""


class AnalysisError(MriFclError, ValueError):
    """The arrays of a run do not allow the asked analysis."""
