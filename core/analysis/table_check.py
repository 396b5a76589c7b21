"""Whether a printed percentage is a possible k of n: which k, and what is near it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.analysis.comparison import PAPER_TABLE_2
from core.config import NETWORK_TITLES
from core.errors import AnalysisError
from core.figure import Table

# Khagi & Kwon (2022), Table 1: slices of both classes together.
PAPER_SLICES = {"train": 840, "validation": 336, "test": 504}
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class PercentageCheck:
    """What is known of a percentage that is said to be of ``n`` cases.

    Attributes
    ----------
    printed : str
        As it was typed, with a point.
    n : int
    rounded, cut : tuple of int
        Every k whose percentage is printed so when rounded, and when decimals are cut off.
    below, above : tuple of int and str, or None
        The nearest k on either side with its percentage (rounded as printed); only where no k
        gives the printed one.
    """

    printed: str
    n: int
    rounded: tuple[int, ...]
    cut: tuple[int, ...]
    below: tuple[int, str] | None
    above: tuple[int, str] | None

    @property
    def is_possible(self) -> bool:
        """Whether some k of n is printed so, rounded or cut off."""
        return bool(self.rounded or self.cut)

    def sentence(self) -> str:
        """Say it in words."""
        what = f"{self.printed} % of {self.n}"
        if self.rounded:
            return f"{what} is possible: {_counts(self.rounded, self.n)}."
        if self.cut:
            return (
                f"{what} is possible only with decimals cut off, not rounded: "
                f"{_counts(self.cut, self.n)}."
            )
        near = [f"{k} ({text} %)" for k, text in filter(None, (self.below, self.above))]
        return f"{what} is not possible: no whole number gives it. Nearest: {' and '.join(near)}."


def check_percentage(text: str, n: int) -> PercentageCheck:
    """Check a percentage as it is printed, such as ``"93.2"``, ``"93,2 %"`` or ``"100"``.

    Its decimals say how it was rounded.

    Raises
    ------
    AnalysisError
        If the text is no percentage from 0 to 100, or ``n`` is below 1.
    """
    printed, number, decimals = _read(text)
    if n < 1:
        raise AnalysisError(f"{n} cases cannot be: give how many there were, such as 504.")
    counts = range(*_near(number, n, decimals))
    rounded = tuple(k for k in counts if _rounded(k, n, decimals) == number)
    cut = tuple(k for k in counts if _cut(k, n, decimals) == number)
    below = above = None
    if not rounded and not cut:
        scale = 100 * 10**decimals
        k = number * n // scale
        below = (k, _text(_rounded(k, n, decimals), decimals))
        above = (k + 1, _text(_rounded(k + 1, n, decimals), decimals)) if k < n else None
    return PercentageCheck(printed, n, rounded, cut, below, above)


def is_possible_percentage(percent: float, n: int, *, decimals: int) -> bool:
    """Tell whether some k of n cases, as a percentage, is printed as ``percent``.

    Parameters
    ----------
    percent : float
        As printed, such as 98.1.
    n : int
        Cases, such as 504 test slices.
    decimals : int
        Decimals printed.

    Notes
    -----
    Rounded and cut-off decimals both count as printed: 93.2 of 504 is possible only when cut
    off (470/504 = 93.254 %, which is 93.3 % rounded).
    """
    return percent <= 100 and check_percentage(f"{percent:.{decimals}f}", n).is_possible


def table_of_checks(checks: Sequence[PercentageCheck]) -> Table:
    """Return the checks as a table, one row a percentage."""
    return Table(
        name="table_check",
        title="Are the percentages possible?",
        columns=("percentage", "n", "verdict", "k", "nearest"),
        rows=tuple((check.printed, check.n, *_verdict(check)) for check in checks),
        caption=_CAPTION,
    )


def paper_check() -> Table:
    """Return the check of every percentage of Khagi & Kwon (2022), Table 2."""
    rows = []
    for network, regime, part, text in _paper_percentages():
        check = check_percentage(text, PAPER_SLICES[part])
        rows.append((network, regime, part, text, check.n, *_verdict(check)))
    n_odd = sum(row[5] == "not possible" for row in rows)
    return Table(
        name="paper_table_check",
        title="Table 2 of Khagi & Kwon (2022): are its percentages possible?",
        columns=("network", "regime", "part", "percentage", "n", "verdict", "k", "nearest"),
        rows=tuple(rows),
        caption=f"{n_odd} of {len(rows)} percentages cannot be a whole number of the slices that "
        f"Table 1 gives (840, 336 and 504). {_CAPTION}",
    )


_CAPTION = (
    "k is how many of n cases are right. A percentage that no k gives was rounded otherwise, "
    "counted on other cases, or is a misprint; it says nothing about intent."
)


def _paper_percentages() -> Iterator[tuple[str, str, str, str]]:
    for row in PAPER_TABLE_2:
        for part, share in (
            ("train", row.train),
            ("validation", row.validation),
            ("test", row.test),
        ):
            # As printed: whole training percentages, two decimals for VGG-19, else one.
            decimals = 0 if part == "train" else 2 if row.network == "vgg19" else 1
            yield NETWORK_TITLES[row.network], row.regime, part, f"{100 * share:.{decimals}f}"


def _verdict(check: PercentageCheck) -> tuple[str, str, str]:
    if check.rounded:
        return "possible", _list(check.rounded), ""
    if check.cut:
        return "only cut off", _list(check.cut), ""
    near = [f"{k} = {text} %" for k, text in filter(None, (check.below, check.above))]
    return "not possible", "", ", ".join(near)


def _read(text: str) -> tuple[str, int, int]:
    """Return the text tidied, its digits as one whole number, and its decimals."""
    printed = text.strip().removesuffix("%").strip().replace(",", ".")
    whole, _, decimals = printed.partition(".")
    digits = whole + decimals
    if not (digits.isascii() and digits.isdecimal()) or len(decimals) > _MOST_DECIMALS:
        raise AnalysisError(f"'{text}' is no percentage. Type it as it is printed, such as 93.2.")
    number = int(digits)
    if number > 100 * 10 ** len(decimals):
        raise AnalysisError(f"{printed} % is more than 100 %. Type a percentage from 0 to 100.")
    return printed, number, len(decimals)


def _near(number: int, n: int, decimals: int) -> tuple[int, int]:
    """Return the range of k that can be printed so: within one unit of the last decimal."""
    scale = 100 * 10**decimals
    return max(0, (number - 1) * n // scale), min(n, (number + 1) * n // scale + 1) + 1


# Whole numbers throughout: 98.1 has no exact binary fraction.
def _rounded(k: int, n: int, decimals: int) -> int:
    scale: int = 100 * 10**decimals
    return (2 * k * scale + n) // (2 * n)


def _cut(k: int, n: int, decimals: int) -> int:
    scale: int = 100 * 10**decimals
    return k * scale // n


def _text(number: int, decimals: int) -> str:
    if not decimals:
        return str(number)
    whole, rest = divmod(number, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def _counts(counts: Sequence[int], n: int) -> str:
    return f"{_list(counts)} of {n}"


def _list(counts: Sequence[int]) -> str:
    if len(counts) > 3:
        return f"{counts[0]} to {counts[-1]}"
    return " or ".join(map(str, counts))
