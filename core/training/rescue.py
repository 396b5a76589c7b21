"""Go on in the user's own data folder where a run's folder is no longer to be written.

A virus scanner, a cloud drive or a changed permission may refuse what was allowed a minute
ago. The state of a training is in memory: it is written elsewhere, and the run goes on there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from core.progress import Event, Notice, RunMoved
from core.run_folder import RunWriter, free_run_folder
from core.run_heartbeat import HEARTBEAT_FILE
from core.run_lock import LOCK_FILE
from core.training.checkpoint import NETWORK_FILE, save_network
from core.training.state import Training
from core.user_folder import rescued_runs

logger = logging.getLogger(__name__)

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def kept(training: Training, write: Callable[[], object]) -> tuple[Event, ...]:
    """Do ``write``, which adds to the run folder; where it is refused for good, do it elsewhere.

    ``write`` may be done twice. Returns what there is to tell of it.

    Raises
    ------
    OSError
        Of ``write``, where the reason is another one, or no other place can be written either.
    """
    try:
        write()
    except OSError as error:
        if not is_refused(error):
            raise
        events = _move(training, error)
        write()
        return events
    return ()


def is_refused(error: OSError) -> bool:
    """Tell whether a file or folder must not be written, rather than cannot be."""
    return isinstance(error, PermissionError) or error.errno in _REFUSED


def _move(training: Training, refusal: OSError) -> tuple[Event, ...]:
    writer, old = training.writer, training.writer.path
    logger.info("a run goes on elsewhere: %s", refusal.strerror)
    try:
        new = free_run_folder(rescued_runs(), old.name)
        _copy(old, new)
        writer.move_to(new)
        writer.update(cohort=_cohort_seen_from(writer, old, new))
        writer.keep_history_until(training.epoch - 1)
        if training.settings.training.regime == "frozen" and not (new / NETWORK_FILE).is_file():
            # Checkpoints leave the backbone out.
            save_network(training.network, writer)
    except OSError as error:
        raise refusal from error
    reason = refusal.strerror or "no reason given"
    text = (
        f"The folder of run '{old.name}' can no longer be written ({reason}): the run goes on in "
        f"'{new}', with all that it had. The old folder is left as it was."
    )
    # In this order, so that the log of the new place tells it too.
    return RunMoved(new), Notice(text)


def _copy(old: Path, new: Path) -> None:
    """Copy what can be read; what is missing then is written again from memory, or lacks."""
    leave = shutil.ignore_patterns(LOCK_FILE, HEARTBEAT_FILE, ".*.part")
    with contextlib.suppress(shutil.Error):
        shutil.copytree(old, new, ignore=leave, copy_function=shutil.copyfile, dirs_exist_ok=True)


def _cohort_seen_from(writer: RunWriter, old: Path, new: Path) -> dict[str, object]:
    """Return the record of the cohort with its folder as it lies from the new place."""
    record = dict(writer.record["cohort"])
    folder = (old / str(record["folder"])).resolve()
    try:
        record["folder"] = Path(os.path.relpath(folder, new.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        record["folder"] = folder.as_posix()
    return record
