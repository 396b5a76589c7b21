"""Write the slices of a cohort as pictures in class folders, as the paper made them."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from core import atomic_file, text_file
from core.config import SliceSettings
from core.data.cohort import Cohort
from core.data.slice_cache import prepare_slices
from core.data.slices import SliceSet
from core.errors import CohortError
from core.progress import Operation, Progress


def export_slices(
    cohort: Cohort,
    cohort_folder: Path,
    settings: SliceSettings,
    out: Path,
    *,
    picture_format: str = "png",
) -> Operation[int]:
    """Write every slice as a picture into class folders, with ``manifest.csv``; return how many.

    Raises
    ------
    CohortError
        If no scan could be read, or ``out`` cannot be written.
    """
    slices = yield from prepare_slices(cohort, cohort_folder, settings)
    try:
        yield from _write_pictures(slices, out, picture_format)
    except OSError as error:
        raise CohortError(
            f"The slices cannot be written to '{out}': {error.strerror}. Choose another folder."
        ) from error
    return len(slices)


def _write_pictures(slices: SliceSet, out: Path, picture_format: str) -> Operation[None]:
    rows = []
    for i in range(len(slices)):
        if i % 20 == 0:
            yield Progress("Writing slices", i, len(slices))
        label = slices.classes[slices.label[i]]
        stem = f"{_safe_name(slices.scan[i])}_s{slices.number[i]:03d}"
        name = f"{_safe_name(label)}/{stem}.{picture_format}"
        with atomic_file.replacing(out / name) as temporary:
            Image.fromarray(slices.pixels[i]).save(
                temporary, format="PNG" if picture_format == "png" else "JPEG", quality=95
            )
        rows.append((name, slices.subject[i], slices.session[i], slices.number[i], label))
    text_file.write_csv(
        out / "manifest.csv", ("file", "subject", "session", "slice", "label"), rows
    )


def _safe_name(text: str) -> str:
    # Classes come from tables too: "AD/MCI" or "../AD" must not choose the folder.
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", text).strip(" .") or "_"
