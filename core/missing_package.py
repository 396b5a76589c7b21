"""How to get a package that is not here: one sentence, which suits this copy of the program."""

from __future__ import annotations

import sys


def is_packaged() -> bool:
    """Tell whether this is the packaged application, to which nothing can be added."""
    return bool(getattr(sys, "frozen", False))


def how_to_add(requirements: str, *, otherwise: str = "") -> str:
    """Return what to do about a package that is missing, as one sentence.

    Parameters
    ----------
    requirements : str
        What pip installs, as in ``mri-fcl[umap]``; several with blanks between.
    otherwise : str
        What helps without the package, in words that go on after "or".
    """
    needed = " ".join(f'"{name}"' if "[" in name else name for name in requirements.split())
    if not is_packaged():
        way_out = f", or {otherwise}" if otherwise else ""
        return f"Add it with 'pip install {needed}'{way_out}."
    # A packaged program has no pip, and takes no package from the Python of the computer.
    first = f"{_capital(otherwise)}, or use" if otherwise else "Use"
    return (
        "This packaged copy of the program does not hold it, and nothing can be added to it. "
        f"{first} MRI-FCL from its source, with Python and 'pip install {needed}'."
    )


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
