"""The group that every command belongs to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import click

import core

PrintPage: TypeAlias = Callable[[str, Path], object]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(core.__version__, prog_name="MRI-FCL")
def cli() -> None:
    """Train networks on brain MRI slices and study their final fully connected layer.

    Without a command the window opens: mri-fcl [FOLDER | COHORT | RUN]. Research use only.

    mri-fcl --self-test [FILE] tries each part of this copy; FILE takes what it says, too.
    """
