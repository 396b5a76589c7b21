"""However a training ends, its run says so, and others may write to the run again."""

from __future__ import annotations

import contextlib
import logging
from types import TracebackType

from core import disk_space
from core.errors import MriFclError, RunError, TrainingError
from core.run_folder import RunWriter
from core.training.checkpoint import bytes_needed, put_last_epoch_back, save_network
from core.training.devices import is_device_fault
from core.training.memory import is_out_of_memory
from core.training.state import Training

logger = logging.getLogger(__name__)


class Ending:
    """As a context: what leaves it early is written into the run as a state and a sentence.

    A stop (the generator is closed, or the process is asked to end) leaves the run
    ``stopped``, and so does a full disk; any other fault leaves it ``failed``.

    Parameters
    ----------
    writer : RunWriter
        The run's; it is closed at the end.

    Attributes
    ----------
    training : Training or None
        Set as soon as there is one: its last whole epoch's network is then stored.

    Raises
    ------
    TrainingError
        In place of an error that is not in plain words.
    """

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer
        self.training: Training | None = None

    def __enter__(self) -> Ending:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                self._tell(error)
        finally:
            self.writer.close()

    def _tell(self, error: BaseException) -> None:
        if isinstance(error, MriFclError):
            self._mark("failed", str(error))
        elif isinstance(error, Exception):
            # What a disk says is in the sentence already; the rest is for whoever mends it.
            level = logging.INFO if isinstance(error, OSError) else logging.ERROR
            logger.log(level, "training ended early", exc_info=error)
            is_full = isinstance(error, OSError) and disk_space.is_full(error)
            text = self._sentence(error)
            self._mark("stopped" if is_full else "failed", text)
            raise TrainingError(text) from error
        else:
            self._mark("stopped", "")

    def _sentence(self, error: Exception) -> str:
        name = self.writer.path.name
        if is_out_of_memory(error):
            return (
                f"Training of run '{name}' ran out of memory. Everything up to its last whole "
                "epoch is kept. Close other programs and resume the run, or train anew with a "
                "smaller batch or a smaller network."
            )
        if is_device_fault(error):
            return (
                f"The GPU stopped working while run '{name}' was trained. Everything up to its "
                "last whole epoch is kept. Close this program, start it again, and resume the run."
            )
        if not isinstance(error, OSError):
            # torch's own: a device that went away, another process that died.
            first = (str(error).strip().splitlines() or ["no reason was given"])[0].rstrip(".")
            return (
                f"Training of run '{name}' broke off: {first}. Resume the run; if it breaks off "
                "again, the log says more."
            )
        if disk_space.is_full(error):
            needed = 0
            if self.training is not None:
                needed = bytes_needed(self.training.network, self.training.settings.training)
            return disk_space.full_disk_sentence(self.writer.path, needed)
        return (
            f"The run folder '{name}' cannot be written ({error.strerror or 'no reason given'}). "
            "Free some space or reconnect the drive, then resume the run."
        )

    def _mark(self, state: str, error: str) -> None:
        """Write the state first: it is small, and a network may no longer fit on the disk."""
        with contextlib.suppress(OSError):
            self.writer.update(state=state, error=error)
        if self.training is None or not self.training.epoch:
            return
        try:
            # The network is then that of the last whole epoch, not of half of one.
            put_last_epoch_back(self.training)
            save_network(self.training.network, self.writer)
        except (OSError, RunError) as fault:
            logger.warning("the network of the last epoch was not stored: %s", fault)
