"""The log of a run in sentences, for people: shown while it runs, and kept as ``log.txt``."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path

from core.config import NETWORK_TITLES, REGIME_TITLES, RunSettings
from core.data.split import split_words
from core.errors import MriFclError
from core.progress import EpochMetrics, Event, Logged, Notice, Operation, RunMoved, RunStarted
from core.run_folder import Run, is_run

LOG_FILE = "log.txt"
STOPPED = "Stopped. Everything up to the last whole epoch is kept; the run can be resumed."
# Shorter names are parts of ordinary words and numbers.
_LEAST_HIDDEN = 4
_HIDDEN = "(name left out)"
logger = logging.getLogger(__name__)


def with_log(
    operation: Operation[Path],
    settings: RunSettings,
    *,
    resumed: Run | None = None,
    hidden: Collection[str] = (),
) -> Operation[Path]:
    """Pass on a training's events, and write what happens into its ``log.txt``.

    Each new line is yielded too, as :class:`~core.progress.Logged`. A log that cannot be
    written stops no training: what the run folder itself lacks is told by the training.

    Parameters
    ----------
    operation : Operation
        The training.
    settings : RunSettings
    resumed : Run, optional
        The run that goes on, as it was before.
    hidden : collection of str
        Names of subjects and scans; they are left out of the log.
    """
    log = _RunLog(settings, resumed, hidden)
    try:
        while True:
            try:
                event = next(operation)
            except StopIteration as stop:
                path: Path = stop.value
                # Of several processes of one training, the first alone has the run.
                if is_run(path):
                    yield from log.write(_finished_sentence(path))
                return path
            yield event
            yield from log.write(*log.sentences_of(event))
    except MriFclError as error:
        yield from log.write(f"Broken off: {error}")
        raise
    except (GeneratorExit, KeyboardInterrupt):
        # The run is marked as stopped first: that matters more.
        operation.close()
        log.add(STOPPED)
        raise
    finally:
        operation.close()


def read_log(run: Path) -> list[str]:
    """Return the lines of a run's log; none where it has none that can be read."""
    try:
        return (run / LOG_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def started_sentence(settings: RunSettings) -> str:
    """Say what is trained, and how."""
    training = settings.training
    words = [
        NETWORK_TITLES[training.network],
        REGIME_TITLES[training.regime].lower(),
        f"{settings.epochs} {'epoch' if settings.epochs == 1 else 'epochs'}",
        f"batches of {settings.batch}",
        f"learning rate {settings.learning_rate:g}",
        f"split {split_words(settings.split, training.seed)}",
    ]
    if training.precision != "32":
        words.append(f"half precision ({training.precision})")
    return f"Training: {', '.join(words)}."


def epoch_sentence(event: EpochMetrics, epochs: int, *, best: float) -> str:
    """Say what an epoch gave; ``best`` is the best validation accuracy before it, or NaN."""
    is_best = event.validation_accuracy > (best if math.isfinite(best) else -1.0)
    return (
        f"Epoch {event.epoch} of {epochs}: training accuracy {_per_cent(event.train_accuracy)}, "
        f"validation {_per_cent(event.validation_accuracy)}, {_duration(event.seconds)}"
        f"{'; best so far' if is_best else ''}."
    )


def dated(sentence: str) -> str:
    """Return a line of a log: the time of day, then ``sentence``."""
    return f"{datetime.now():%Y-%m-%d %H:%M:%S}  {sentence}"


class _RunLog:
    """Lines of one run; those before its folder exists wait for it."""

    def __init__(self, settings: RunSettings, resumed: Run | None, hidden: Collection[str]) -> None:
        self._settings = settings
        self._hidden = sorted(filter(_is_telling, hidden), key=len, reverse=True)
        self._path = resumed.path / LOG_FILE if resumed is not None else None
        self._waiting: list[str] = []
        self._epoch, self._best = 0, math.nan
        self._was_resumed = resumed is not None
        if resumed is not None and len(resumed.history.epoch):
            self._epoch = int(resumed.history.epoch[-1])
            for accuracy in resumed.history.validation_accuracy:
                self._best = _larger(self._best, float(accuracy))

    def sentences_of(self, event: Event) -> list[str]:
        """Return what there is to say about an event."""
        match event:
            case RunStarted(path=path):
                self._path = path / LOG_FILE
                return [self._first_sentence()]
            case RunMoved(path=path):
                self._path = path / LOG_FILE
            case Notice(text=text):
                return [text]
            case EpochMetrics(epoch=epoch) if epoch > 0:
                sentence = epoch_sentence(event, self._settings.epochs, best=self._best)
                self._best = _larger(self._best, event.validation_accuracy)
                return [sentence]
        return []

    def _first_sentence(self) -> str:
        if self._was_resumed:
            return f"Resumed after epoch {self._epoch} of {self._settings.epochs}."
        return started_sentence(self._settings)

    def write(self, *sentences: str) -> Iterator[Logged]:
        """Add sentences; yield them as lines."""
        for sentence in sentences:
            yield Logged(self.add(sentence))

    def add(self, sentence: str) -> str:
        """Add a sentence to the file; return its line."""
        line = dated(self._without_names(sentence))
        self._waiting.append(line)
        if self._path is not None:
            try:
                with self._path.open("a", encoding="utf-8", newline="\n") as file:
                    file.write("".join(f"{waiting}\n" for waiting in self._waiting))
                self._waiting.clear()
            except OSError as error:
                logger.warning("the run's log cannot be written: %s", error.strerror)
        return line

    def _without_names(self, sentence: str) -> str:
        text = " ".join(sentence.split())
        for name in self._hidden:
            if name in text:
                text = text.replace(name, _HIDDEN)
        with contextlib.suppress(RuntimeError):  # somebody without a home
            text = text.replace(str(Path.home()), "~")
        return text


def _is_telling(name: str) -> bool:
    return len(name) >= _LEAST_HIDDEN


def _finished_sentence(path: Path) -> str:
    measured = Run(path).record.get("accuracy", {})
    return (
        f"Finished: {_per_cent(measured.get('test'))} of the test slices and "
        f"{_per_cent(measured.get('test_by_subject'))} of the test subjects are right."
    )


def _larger(one: float, other: float) -> float:
    return other if not one >= other and math.isfinite(other) else one


def _per_cent(share: float | None) -> str:
    return f"{100 * share:.0f} %" if share is not None and math.isfinite(share) else "–"


def _duration(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
