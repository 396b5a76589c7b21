"""Settings: one value whatever the locale, and none that cannot be used."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import config
from core.config import (
    PAPER_PRESET,
    PRESETS,
    CubeSettings,
    RunSettings,
    change,
    find_field,
    setting_fields,
)
from core.errors import SettingsError

NUMBERS = [field for field in setting_fields() if field.kind in (int, float)]
NAMES = [field.name for field in setting_fields()]


def default_of(field):
    return getattr(getattr(RunSettings(), field.group), field.name)


# ------------------------------------------------------------------ parse


@given(value=st.floats(1e-8, 10), comma=st.booleans())
def test_that_point_and_comma_give_the_same_learning_rate(value, comma):
    text = repr(value).replace(".", ",") if comma else repr(value)
    assert find_field("learning_rate").parse(f" {text} ") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.001", 0.001), ("0,001", 0.001), ("1e-3", 0.001), ("1.000", 1.0), ("1,000", 1.0)],
)
def test_that_no_separator_makes_a_number_a_thousand_times_bigger(text, value):
    assert find_field("learning_rate").parse(text) == value


@pytest.mark.parametrize(
    "text", ["1.000,5", "1,000.5", "1.000.000", "1_000", "1 000", "1'000", "0,,1", ".", ",", "1e"]
)
@pytest.mark.parametrize("name", ["learning_rate", "batch", "train_share"])
def test_that_grouped_and_broken_numbers_are_refused(name, text):
    with pytest.raises(SettingsError, match="cannot be used"):
        find_field(name).parse(text)


@pytest.mark.parametrize("text", ["1.000", "1,000", "-12,345", "١٬٠٠٠"])
def test_that_a_whole_number_that_may_be_grouped_is_refused(text):
    with pytest.raises(SettingsError, match="cannot be used"):
        find_field("batch").parse(text)


@pytest.mark.parametrize("text", ["٠٫٠٠١", "۰٫۰۰۱", "\u200f٠.٠٠١", "٠,٠٠١", " 0,001 "])
def test_that_the_digits_of_any_script_are_the_same_number(text):
    assert find_field("learning_rate").parse(text) == 0.001
    assert find_field("epochs").parse("١٢") == find_field("epochs").parse("۱۲") == 12


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999", math.inf, math.nan, 10**400])
@pytest.mark.parametrize("field", NUMBERS, ids=lambda field: field.name)
def test_that_infinite_and_undefined_numbers_are_refused(field, value):
    with pytest.raises(SettingsError, match="Give"):
        field.parse(value)


@pytest.mark.parametrize("field", NUMBERS, ids=lambda field: field.name)
def test_that_bounds_are_kept(field):
    assert field.parse(field.high) == field.high
    with pytest.raises(SettingsError, match="is not allowed"):
        field.parse(field.high + 1)
    with pytest.raises(SettingsError, match="is not allowed"):
        field.parse(field.low - 1)
    if field.low_open:
        with pytest.raises(SettingsError, match="above"):
            field.parse(field.low)
    else:
        assert field.parse(field.low) == field.low


@pytest.mark.parametrize("value", [3, 3.0, "3", "3,0", np.int64(3), np.float32(3)])
def test_that_a_whole_number_is_one_in_any_form(value):
    parsed = find_field("epochs").parse(value)
    assert parsed == 3
    assert type(parsed) is int


@pytest.mark.parametrize("value", ["3.5", 3.5, True, "three", [], {}, object()])
def test_that_what_is_no_whole_number_is_refused(value):
    with pytest.raises(SettingsError, match="Epochs"):
        find_field("epochs").parse(value)


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_that_empty_stands_for_the_papers_choice_where_there_is_one(empty):
    assert find_field("epochs").parse(empty) is None
    assert find_field("learning_rate").parse(empty) is None
    with pytest.raises(SettingsError):
        find_field("drop_every").parse(empty)


@pytest.mark.parametrize("yes", [True, "true", "Yes", " on ", "1", 1])
@pytest.mark.parametrize("no", [False, "false", "NO", "off", "0", 0])
def test_that_yes_and_no_are_understood(yes, no):
    field = find_field("shuffled_labels")
    assert field.parse(yes) is True
    assert field.parse(no) is False
    with pytest.raises(SettingsError, match="true or false"):
        field.parse("perhaps")


def test_that_an_unknown_choice_is_refused_with_the_choices():
    with pytest.raises(SettingsError, match="resnet101, googlenet, vgg19, cnn2d"):
        find_field("network").parse("alexnet")


def test_that_a_free_text_is_kept_as_it_is():
    assert find_field("weights").parse("a b/c.pth") == "a b/c.pth"
    with pytest.raises(SettingsError, match="Give a text"):
        find_field("weights").parse(None)


@given(name=st.sampled_from(NAMES), value=st.text(max_size=12) | st.floats() | st.integers())
def test_that_any_value_is_taken_or_refused_in_plain_words(name, value):
    field = find_field(name)
    try:
        parsed = field.parse(value)
    except SettingsError as error:
        text = str(error)
    else:
        assert parsed is None or type(parsed) is field.kind
        assert field.parse(parsed) == parsed
        return
    assert field.title in text
    assert "Give" in text


# ------------------------------------------------------------------ the fields


@pytest.mark.parametrize("field", setting_fields(), ids=lambda field: field.name)
def test_that_each_setting_has_words_and_an_allowed_default(field):
    assert field.title
    assert field.help.endswith(".")
    assert field.parse(field.default) == field.default == default_of(field)
    if field.kind in (int, float):
        assert field.low is not None
        assert field.high is not None


def test_that_names_and_terminal_options_are_unique():
    fields = setting_fields()
    assert len({field.name for field in fields}) == len(fields)
    assert len({field.option for field in fields}) == len(fields)
    assert find_field("mode").option == "split"
    assert find_field("learning_rate").option == "learning-rate"


def test_that_an_unknown_setting_is_refused_by_name():
    with pytest.raises(SettingsError, match="no setting called 'speed'"):
        change(RunSettings(), {"speed": 1})


# ------------------------------------------------------------------ whole settings


def test_that_an_empty_batch_is_smaller_for_whole_volumes():
    assert change(RunSettings(), {"network": "googlenet"}).batch == 32
    cubes = change(RunSettings(), {"network": "cnn3d"})
    assert cubes.batch == 8
    assert change(cubes, {"batch": 3}).batch == 3


def test_that_only_the_3d_cnn_cuts_cubes():
    slices = change(RunSettings(), {"network": "cnn2d", "cube_size": 32})
    assert slices.cut == slices.slices
    values = {"network": "cnn3d", "cube_size": 32, "cube_mm": 180, "low_percentile": 2}
    assert change(slices, values).cut == CubeSettings(32, 180.0, "brain", 2.0, 99.0)


def test_that_each_setting_counts_for_the_networks_and_regimes_it_says():
    def counts(name, network, regime):
        return find_field(name).counts_for([network], [regime])

    assert counts("cube_size", "cnn3d", "scratch")
    assert not counts("cube_size", "cnn2d", "scratch")
    assert not counts("plane", "cnn3d", "scratch")
    assert counts("cnn_blocks", "cnn2d", "scratch")
    assert not counts("cnn_blocks", "vgg19", "scratch")
    assert not counts("adapt_batch_norm", "vgg19", "frozen")
    assert counts("adapt_batch_norm", "resnet101", "frozen")
    assert not counts("adapt_batch_norm", "resnet101", "scratch")
    assert find_field("cube_size").counts_for(["vgg19", "cnn3d"], ["frozen"])
    assert all(field.counts_for([], []) for field in setting_fields())


@pytest.mark.parametrize("preset", ["paper", "recommended"])
def test_that_no_preset_augments_or_balances(preset):
    training = change(RunSettings(), PRESETS[preset]).training
    assert training.augment_flip is False
    assert training.augment_degrees == training.augment_shift == training.augment_intensity == 0
    assert training.balance == "none"


@pytest.mark.parametrize(
    ("network", "epochs", "learning_rate"),
    # Khagi & Kwon (2022), Table 2; the custom CNN: 50 epochs (their abstract), 1e-2 is ours.
    [
        ("resnet101", 20, 1e-3),
        ("googlenet", 30, 1e-3),
        ("vgg19", 30, 1e-4),
        ("cnn2d", 50, 1e-2),
        ("cnn3d", 50, 1e-2),
    ],
)
def test_that_empty_epochs_and_learning_rate_are_the_papers(network, epochs, learning_rate):
    settings = change(RunSettings(), {"network": network})
    assert (settings.epochs, settings.learning_rate) == (epochs, learning_rate)
    settings = change(settings, {"epochs": "7", "learning_rate": "0,5"})
    assert (settings.epochs, settings.learning_rate) == (7, 0.5)


def test_that_the_paper_preset_is_the_authors_tools_defaults():
    settings = change(RunSettings(), PRESETS["paper"]).training
    assert (settings.batch, settings.momentum, settings.weight_decay) == (128, 0.9, 1e-4)
    assert (settings.shuffle, settings.fc_init) == ("once", "glorot")
    assert PRESETS["paper"] is PAPER_PRESET
    assert change(RunSettings(), PRESETS["recommended"]) == RunSettings()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"low_percentile": 50, "high_percentile": 50}, "Black at must lie below White at"),
        ({"fold": 6}, "Test fold 6 does not exist: there are 5 folds"),
        ({"network": "cnn2d", "regime": "frozen"}, "no ImageNet weights"),
        ({"network": "cnn2d", "regime": "fine-tuned"}, "no ImageNet weights"),
        ({"network": "cnn3d", "regime": "frozen"}, "no ImageNet weights"),
        ({"network": "cnn3d", "centre": "mm", "centre_mm": 0}, "Centred on mm is for slices"),
        ({"network": "cnn3d", "cube_size": 16, "cnn_blocks": 5}, "Cube size of at least 32"),
        ({"network": "cnn2d", "size": 16, "cnn_blocks": 5}, "Slice size of at least 32"),
        ({"plane": "sagittal", "augment_flip": True}, "front to back"),
    ],
)
def test_that_settings_that_contradict_each_other_are_refused(values, text):
    with pytest.raises(SettingsError, match=text):
        change(RunSettings(), values)


def test_that_a_cube_may_be_flipped_whatever_the_plane_of_slices():
    change(RunSettings(), {"network": "cnn3d", "plane": "sagittal", "augment_flip": True})


def test_that_the_custom_cnn_may_start_from_an_earlier_run():
    values = {"network": "cnn2d", "regime": "frozen", "weights": "runs/one"}
    assert change(RunSettings(), values).training.regime == "frozen"


def test_that_a_refused_change_leaves_the_settings_alone():
    settings = RunSettings()
    with pytest.raises(SettingsError):
        change(settings, {"batch": 8, "fold": 50})
    assert settings == RunSettings()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "batch": st.integers(1, 4096),
            "learning_rate": st.none() | st.floats(1e-9, 10),
            "network": st.sampled_from(["resnet101", "googlenet", "vgg19"]),
            "mode": st.sampled_from(["subject", "slice", "kfold"]),
            "weights": st.text(max_size=9),
            "shuffled_labels": st.booleans(),
        },
    )
)
def test_that_settings_read_back_equal_through_json(values):
    settings = change(RunSettings(), values)
    record = json.loads(json.dumps(config.to_record(settings)))
    assert config.from_record(record) == settings


def test_that_unknown_entries_of_another_version_are_passed_over():
    record = config.to_record(RunSettings())
    record["training"]["new"] = 1
    record["later"] = {"x": 1}
    record["version"] = 3
    assert config.from_record(record) == RunSettings()


def test_that_a_record_with_a_forbidden_value_is_refused():
    record = config.to_record(RunSettings())
    record["training"]["batch"] = -1
    with pytest.raises(SettingsError, match="Batch"):
        config.from_record(record)


def test_that_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunSettings().training.batch = 1
