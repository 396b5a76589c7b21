"""Train one network and keep everything about it in a run folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.config import CUSTOM_CNNS, RunSettings
from core.data.cohort import Cohort, twin_scans
from core.data.leakage import audit_slices
from core.data.leakage_audit import LeakageAudit
from core.data.slice_cache import MOST_CHANGED, prepare_slices
from core.data.slices import SliceSet
from core.data.split import (
    Split,
    split_again,
    split_by,
    split_file_record,
    split_name,
    split_slices,
    split_words,
)
from core.data.subject_facts import facts_rows
from core.disk_space import require_place, require_room
from core.errors import RunError
from core.progress import Notice, Operation, Progress, RunStarted, run_to_end
from core.run_folder import Features, Run, RunWriter, create_run, reopen_run
from core.run_lock import require_free
from core.training import pretrained
from core.training.augmentation import augmentation_of
from core.training.checkpoint import (
    CHECKPOINT_FILE,
    NETWORK_FILE,
    bytes_needed,
    cut_curves_back,
    load_checkpoint,
    load_network,
    put_last_epoch_into,
    save_network,
)
from core.training.dataset import TrainingData
from core.training.devices import passed_over
from core.training.ending import Ending
from core.training.engine import Engine
from core.training.evaluate import accuracy, accuracy_by_subject, extract_features
from core.training.feed import (
    Feed,
    FrozenBackbone,
    FrozenFeed,
    SliceFeed,
    frozen_suffix,
    runs_backbone_once,
)
from core.training.frozen_features import prepare_features
from core.training.loop import train_epochs
from core.training.memory import require_memory
from core.training.network import build_network, fcl_of, input_scaling
from core.training.optimiser import build_optimiser
from core.training.ranks import OtherRanks
from core.training.regime import apply_regime
from core.training.rescue import kept
from core.training.short_memory import AtOnce
from core.training.start import (
    cohort_record,
    read_start,
    run_record,
    split_rows,
    without_place,
)
from core.training.state import Training


def train(
    cohort: Cohort,
    cohort_folder: Path,
    settings: RunSettings,
    runs: Path,
    *,
    place: Mapping[str, Any] | None = None,
) -> Operation[Path]:
    """Train a new run below ``runs``; return its folder.

    Closing the generator stops the training: the run is then ``stopped`` and holds
    everything up to its last whole epoch. ``place`` is given in a process that takes part
    in the training of another one (see :mod:`core.training.ranks`).

    Yields
    ------
    Progress, Notice, RunStarted, BatchDone, EpochMetrics

    Raises
    ------
    CohortError, TrainingError, RunError
        If the cohort is too small, the weights are missing, the loss is no longer
        finite, or the folder cannot be written.
    """
    cohort.require_trainable()
    with OtherRanks(settings, cohort_folder, place=place) as others:
        engine = others.engine
        if place is None and engine.is_first:
            require_place(runs)
        if settings.training.regime != "scratch":
            yield Progress("Opening the weights")
        start = read_start(settings.training)
        if others.must_wait:
            others.after_first()
        slices = yield from prepare_slices(
            cohort, cohort_folder, settings.cut, most_changed=MOST_CHANGED
        )
        if not others.must_wait:
            others.after_first()
        if engine.is_first:
            yield from _tell_of_device(settings, len(cohort.classes), engine)
        split = split_slices(slices, settings.split, settings.training.seed)
        audit = yield from _audit(cohort, slices, split, settings)
        for notice in split.notices:
            yield Notice(notice)
        if audit.leaks:
            yield Notice(audit.sentence())
        data = TrainingData(slices, split)
        others.meet()
        yield Progress("Building the network")
        torch.manual_seed(settings.training.seed)
        network = build_network(
            settings.training, len(cohort.classes), transform_input=start.transform_input
        )
        if start.weights is not None:
            name = settings.training.network
            for said in pretrained.put_weights(network, name, start.weights, start.name):
                yield Notice(said)
        if not engine.is_first:
            training = yield from _begin(
                settings, network, engine, data, RunWriter(Path(), {}), cohort_folder
            )
            return _follow(training)
        needed = bytes_needed(network, settings.training)
        require_room(runs, needed + _bytes_of_epoch_features(settings, network, data))
        writer = create_run(
            runs,
            without_place(settings, start),
            {
                **run_record(cohort, settings, network, engine),
                "transform_input": start.transform_input,
                "weights": start.record(),
                "split": audit.words,
                "split_file": split_file_record(settings.split),
                **audit.record(),
            },
        )
        # From here on, whatever happens, the run does not seem to run for ever.
        with Ending(writer) as ending:
            writer.update(cohort=cohort_record(cohort, cohort_folder, writer.path))
            writer.write_split(split_rows(slices, split))
            writer.write_subjects(facts_rows(cohort))
            training = yield from _begin(settings, network, engine, data, writer, cohort_folder)
            ending.training = training
            training.record_fcl()
            if settings.training.regime == "frozen":
                # Its checkpoints leave the backbone out: it lies here, and never changes.
                save_network(network, writer)
            return (yield from _run(training))


def resume(
    run_folder: Path, cohort: Cohort, *, place: Mapping[str, Any] | None = None
) -> Operation[Path]:
    """Go on with a stopped or crashed run from its last whole epoch.

    Raises
    ------
    RunError
        If it is finished, has no checkpoint, or belongs to another cohort.
    """
    run = Run(run_folder)
    _require_unfinished(run)
    require_free(run_folder)
    _require_same_cohort(run, cohort)
    folder = cohort_folder_of(run)
    with OtherRanks(run.settings, folder, run_folder, place=place) as others:
        if others.must_wait:
            others.after_first()
        data = yield from _data_again(run, cohort)
        if not others.must_wait:
            others.after_first()
        others.meet()
        network = build_network(
            run.settings.training,
            len(cohort.classes),
            transform_input=bool(run.record["transform_input"]),
        )
        if others.engine.is_first:
            halved = int(run.record.get("frozen_at_once", run.record.get("micro_batch", 0)))
            yield from _tell_of_device(
                run.settings, len(run.classes), others.engine, at_once=halved
            )
        if run.settings.training.regime == "frozen":
            load_network(network, run)
        if not others.engine.is_first:
            writer = RunWriter(run_folder, dict(run.record))
            training = yield from _begin(run.settings, network, others.engine, data, writer, folder)
            load_checkpoint(training, run)
            return _follow(training)
        writer = _take_over(run_folder)
        with Ending(writer) as ending:
            run = Run(run_folder)
            training = yield from _begin(run.settings, network, others.engine, data, writer, folder)
            for notice in load_checkpoint(training, run):
                yield Notice(notice)
            require_room(run_folder, _still_needed(training))
            ending.training = training
            writer.update(state="running", error="")
            return (yield from _run(training))


def _tell_of_device(
    settings: RunSettings, n_classes: int, engine: Engine, *, at_once: int = 0
) -> Operation[None]:
    """Say where a GPU is passed over, and refuse what does not fit into memory."""
    said = passed_over(settings.training.device)
    if said:
        yield Notice(said)
    yield from require_memory(settings, n_classes, engine.device, at_once=at_once)


def complete_features(run_folder: Path, cohort: Cohort) -> Operation[Path]:
    """Write features and predictions of a stopped run from its last whole epoch's network.

    Raises
    ------
    RunError
        If the run has no network or belongs to another cohort.
    """
    run = Run(run_folder)
    has_network = (run_folder / NETWORK_FILE).is_file()
    if not has_network and not (run_folder / CHECKPOINT_FILE).is_file():
        raise RunError(
            f"Run '{run.name}' has no network: it ended before its first epoch. Resume it."
        )
    _require_same_cohort(run, cohort)
    data = yield from _data_again(run, cohort)
    network = build_network(
        run.settings.training, len(run.classes), transform_input=bool(run.record["transform_input"])
    )
    if has_network:
        load_network(network, run)
    one = Engine(run.settings.training.on_one_cpu())
    writer = reopen_run(run_folder)
    try:
        try:
            # Curves may be an epoch ahead where the program died or the disk was full.
            cut_curves_back(writer, run, put_last_epoch_into(network, writer))
        except RunError:
            if not has_network:
                raise
        if run.state == "interrupted" or not has_network:
            # Nobody stored the network when the program died: the checkpoint has it.
            save_network(network, writer)
        training = yield from _begin(
            run.settings, network, one, data, writer, cohort_folder_of(run)
        )
        yield from _write_results(training, run.classes)
    except OSError as error:
        raise RunError(
            f"Features of run '{run.name}' cannot be written ({error.strerror}). Free some space, "
            "or copy the folder to a place that can be written."
        ) from error
    finally:
        writer.close()
    return run_folder


def cohort_folder_of(run: Run) -> Path:
    """Return where the cohort of a run lies, as its record says (relative to the run)."""
    folder = run.path / str(run.record["cohort"]["folder"])
    return folder.resolve()


def _require_unfinished(run: Run) -> None:
    if run.state == "finished":
        raise RunError(f"Run '{run.name}' is finished. Train a new one for more epochs.")


def _take_over(run_folder: Path) -> RunWriter:
    """Open a run to go on with it; another program may have ended it just now."""
    writer = reopen_run(run_folder)
    try:
        _require_unfinished(Run(run_folder))
    except RunError:
        writer.close()
        raise
    return writer


def _bytes_of_epoch_features(settings: RunSettings, network: nn.Module, data: TrainingData) -> int:
    """Return the bytes of the features of earlier epochs that are asked for."""
    every = settings.training.features_every
    if not every:
        return 0
    width = fcl_of(network, settings.training.network).in_features
    epochs = (settings.epochs + every - 1) // every
    return 2 * width * len(data.all_rows) * epochs


def _still_needed(training: Training) -> int:
    """Return what a run needs on its disk beside what it has there."""
    there = sum(path.stat().st_size for path in training.writer.path.iterdir() if path.is_file())
    return bytes_needed(training.network, training.settings.training) - there


def _audit(
    cohort: Cohort, slices: SliceSet, split: Split, settings: RunSettings
) -> Operation[LeakageAudit]:
    words = split_words(
        settings.split,
        settings.training.seed,
        by=split_by(slices, split),
        item="scan" if settings.sees_cubes else "slice",
    )
    same_scans = [[scan.key for scan in group] for group in twin_scans(cohort.included_scans)]
    return (
        yield from audit_slices(
            slices, split, split_name(settings.split), words=words, same_scans=same_scans
        )
    )


def _require_same_cohort(run: Run, cohort: Cohort) -> None:
    if run.record["cohort"]["id"] != cohort.identity:
        raise RunError(
            f"Run '{run.name}' was trained on other scans than this cohort holds. "
            "Open the cohort as it was."
        )


def _data_again(run: Run, cohort: Cohort) -> Operation[TrainingData]:
    """Return slices and split of an earlier run."""
    slices = yield from prepare_slices(cohort, cohort_folder_of(run), run.settings.cut)
    settings = run.settings
    split = split_again(slices, settings.split, settings.training.seed, run.path / "split.csv")
    return TrainingData(slices, split)


def _begin(
    settings: RunSettings,
    network: nn.Module,
    engine: Engine,
    data: TrainingData,
    writer: RunWriter,
    cohort_folder: Path,
) -> Operation[Training]:
    """Put network, data and optimiser together on the devices of ``engine``."""
    name = settings.training.network
    network.to(engine.device)
    if name not in CUSTOM_CNNS:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learning = apply_regime(network, settings.training)
    slice_feed = SliceFeed(
        data.pixels, input_scaling(name), engine.device, augmentation_of(settings)
    )
    module: nn.Module = network
    feed: Feed = slice_feed
    live = None
    if runs_backbone_once(settings.training):
        module = frozen_suffix(network, name)
        at_once = int(writer.record.get("frozen_at_once", settings.batch))
        live = FrozenFeed(FrozenBackbone(network, name), slice_feed, at_once)
        feed = yield from prepare_features(live, settings, network, data, engine, cohort_folder)
    optimiser = build_optimiser(learning, settings.training, learning_rate=settings.learning_rate)
    forward, step = engine.set_up(module, optimiser)
    return Training(
        settings=settings,
        network=network,
        module=module,
        forward=forward,
        optimiser=optimiser,
        step=step,
        engine=engine,
        data=data,
        feed=feed,
        slice_feed=slice_feed,
        writer=writer,
        micro_batch=settings.batch,
        evaluated_at_once=AtOnce(int(writer.record.get("evaluated_at_once", settings.batch))),
        # One slice alone has no variance over slices.
        batch_norm_at_once=AtOnce(
            max(2, int(writer.record.get("batch_norm_at_once", settings.batch)))
        ),
        frozen_layers=live,
    )


def _follow(training: Training) -> Path:
    """Take part in a run that another process writes, shows and stops."""
    run_to_end(train_epochs(training))
    run_to_end(_features_of(training))
    return Path()


def _run(training: Training) -> Operation[Path]:
    writer = training.writer
    yield RunStarted(writer.path, training.settings.epochs)
    yield from train_epochs(training)
    yield from kept(training, lambda: save_network(training.network, writer))
    yield from _write_results(training, tuple(writer.record["classes"]))
    yield from kept(training, lambda: writer.update(state="finished", error=""))
    return writer.path


def _features_of(training: Training) -> Operation[Features]:
    return (
        yield from extract_features(
            training.module,
            training.fcl,
            training.feed,
            training.data,
            training.engine,
            batch=training.settings.batch,
            at_once=training.evaluated_at_once,
        )
    )


def _write_results(training: Training, classes: tuple[str, ...]) -> Operation[None]:
    features = yield from _features_of(training)
    yield Progress("Writing results")
    yield from kept(training, lambda: _write_outputs(training.writer, features, classes))
    parts = {part: features.of_part(part) for part in ("train", "validation", "test")}
    measured = {part: accuracy(of.logits, of.label) for part, of in parts.items()}
    measured["test_by_subject"] = accuracy_by_subject(parts["test"])
    yield from kept(
        training, lambda: training.writer.update(accuracy=measured, **training.shortened)
    )


def _write_outputs(writer: RunWriter, features: Features, classes: tuple[str, ...]) -> None:
    writer.write_features(features)
    writer.write_predictions(features, classes)
