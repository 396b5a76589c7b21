"""The form of settings: what is typed is what a run gets."""

import pytest
from PySide6.QtCore import QLocale, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget

from core import config
from core.config import RunSettings, change, setting_fields
from core.errors import SettingsError
from mrifcl_gui.config_form import ConfigForm, alert_colour, value_text


@pytest.fixture
def form(qtbot):
    widget = ConfigForm()
    qtbot.addWidget(widget)
    widget.show()
    return widget


@pytest.fixture(params=["de_DE", "ar_EG", "C"])
def locale(request):
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


def type_into(qtbot, form, name, text):
    editor = form.editor(name)
    editor.clear()
    qtbot.keyClicks(editor, text)
    qtbot.keyClick(editor, Qt.Key.Key_Return)


def choose(form, name, choice):
    box = form.editor(name)
    box.setCurrentIndex(box.findData(choice))


def test_that_every_setting_has_a_named_control_with_help(form):
    for field in setting_fields():
        editor = form.editor(field.name)
        assert field.title in editor.accessibleName()
        assert field.help in editor.toolTip()
        assert editor.focusPolicy() != Qt.FocusPolicy.NoFocus or editor.focusProxy() is not None


def test_that_an_untouched_form_gives_the_defaults(form):
    assert form.settings() == RunSettings()


def test_that_settings_come_back_as_they_were_shown(form):
    settings = change(
        RunSettings(),
        {
            "network": "vgg19",
            "regime": "frozen",
            "plane": "coronal",
            "learning_rate": 1e-5,
            "epochs": 7,
            "mode": "kfold",
            "fold": 2,
            "weight_decay": 0.00012,
            "shuffled_labels": True,
            "weights": "nets/vgg19.pth",
            "seed": 12345,
        },
    )
    form.set_settings(settings)
    assert form.settings() == settings


def test_that_showing_settings_says_nothing_changed(form, qtbot):
    with qtbot.assertNotEmitted(form.settings_changed):
        form.set_settings(change(RunSettings(), {"mode": "slice", "seed": 3}))


def test_that_a_decimal_comma_is_a_point_in_every_locale(locale, qtbot):
    form = ConfigForm()
    qtbot.addWidget(form)
    for text in ("0,001", "0.001"):
        type_into(qtbot, form, "learning_rate", text)
        assert form.settings().training.learning_rate == 0.001
    assert value_text(0.001) == "0.001"


def test_that_a_grouped_number_is_refused_in_red(locale, qtbot):
    form = ConfigForm()
    qtbot.addWidget(form)
    form.show()
    type_into(qtbot, form, "learning_rate", "1.000,5")
    assert "1.000,5" in form.fault("learning_rate")
    with pytest.raises(SettingsError, match="Learning rate"):
        form.settings()


def test_that_a_half_typed_number_is_not_scolded(form, qtbot):
    form.editor("learning_rate").clear()
    qtbot.keyClicks(form.editor("learning_rate"), "0,")
    assert form.fault("learning_rate") == ""
    qtbot.keyClicks(form.editor("learning_rate"), "01")
    assert form.settings().training.learning_rate == 0.01


def test_that_red_goes_as_soon_as_the_value_is_right(form, qtbot):
    type_into(qtbot, form, "batch", "0")
    assert form.fault("batch")
    form.editor("batch").clear()
    qtbot.keyClicks(form.editor("batch"), "8")
    assert form.fault("batch") == ""


def test_that_settings_against_each_other_are_refused(form, qtbot):
    choose(form, "mode", "kfold")
    type_into(qtbot, form, "fold", "9")
    with pytest.raises(SettingsError, match="fold 9"):
        form.settings()


def test_that_empty_fields_show_the_papers_value_of_the_network(form):
    form.set_settings(change(RunSettings(), {"network": "resnet101"}))
    assert form.editor("epochs").placeholderText() == "20 (paper)"
    form.show_for(["resnet101", "vgg19"], ["scratch"])
    assert form.editor("epochs").placeholderText() == "20 / 30 (paper)"
    assert form.editor("learning_rate").placeholderText() == "0.0001 / 0.001 (paper)"
    assert form.settings().training.epochs is None


def test_that_adam_is_chosen_under_advanced_and_has_its_own_learning_rate(form, qtbot):
    form.set_settings(change(RunSettings(), {"network": "cnn2d"}))
    assert not form.editor("optimiser").isVisible()
    assert form.editor("optimiser").currentText() == "SGD"
    assert form.editor("learning_rate").placeholderText() == "0.01 (default)"
    with qtbot.waitSignal(form.settings_changed):
        choose(form, "optimiser", "adam")
    assert form.editor("learning_rate").placeholderText() == "0.001 (default)"
    assert form.settings().training.optimiser == "adam"
    assert form.settings().learning_rate == 1e-3
    form.findChild(QWidget, "paper").click()
    assert form.settings().training.optimiser == "sgd"
    assert form.editor("learning_rate").placeholderText() == "0.01 (default)"


def test_that_the_paper_preset_sets_its_values_and_back(form, qtbot):
    chips = form.findChildren(QWidget, "paper") + form.findChildren(QWidget, "recommended")
    paper, recommended = chips
    assert recommended.isChecked()
    with qtbot.waitSignal(form.settings_changed):
        paper.click()
    training = form.settings().training
    assert (training.batch, training.weight_decay, training.shuffle) == (128, 1e-4, "once")
    assert paper.isChecked()
    assert not recommended.isChecked()
    type_into(qtbot, form, "batch", "64")
    assert not paper.isChecked()
    recommended.click()
    assert form.settings() == RunSettings()


def test_that_a_split_by_slice_is_warned_of_in_red(form):
    choose(form, "mode", "slice")
    message = form._rows["mode"].message
    assert "Leaking" in message.text()
    assert message.isVisible()
    assert message.palette().windowText().color() == alert_colour(message)
    choose(form, "mode", "subject")
    assert not message.isVisible()


def test_that_folds_are_open_only_where_the_split_has_folds(form):
    assert not form.editor("folds").isEnabled()
    choose(form, "mode", "kfold")
    assert form.editor("folds").isEnabled()
    assert not form.editor("test_share").isEnabled()


def test_that_advanced_settings_are_folded_until_asked_or_wrong(form, qtbot):
    assert not form.editor("momentum").isVisible()
    form.editor("momentum").setText("2")
    with pytest.raises(SettingsError):
        form.settings()
    form.focus_first_fault()
    assert form.editor("momentum").isVisible()


def test_that_hidden_settings_keep_their_value(qtbot):
    form = ConfigForm(hidden=("network", "regime"))
    qtbot.addWidget(form)
    settings = change(RunSettings(), {"network": "vgg19", "regime": "frozen"})
    form.set_settings(settings)
    assert form.settings() == settings


def test_that_a_dropped_file_becomes_its_path(form, tmp_path):
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "netz ü.pth"))])
    line = form.editor("weights").line
    enter = QDragEnterEvent(
        QPoint(1, 1),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    line.dragEnterEvent(enter)
    assert enter.isAccepted()
    line.dropEvent(
        QDropEvent(
            QPointF(1, 1),
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )
    assert form.settings().training.weights == str(tmp_path / "netz ü.pth")


def test_that_a_browsed_file_is_taken_and_a_dismissed_dialog_changes_nothing(form, monkeypatch):
    answers = iter([("a.safetensors", ""), ("", "")])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: next(answers))
    form.editor("weights")._on_browse_file()
    form.editor("weights")._on_browse_file()
    assert form.settings().training.weights == "a.safetensors"


def test_that_the_wheel_scrolls_past_a_choice_without_changing_it(form):
    box = form.editor("plane")
    box.clearFocus()
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(0, -120),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box, event)
    assert form.settings().slices.plane == "axial"


def test_that_every_preset_has_a_chip(form):
    for name in config.PRESETS:
        assert form.findChild(QWidget, name) is not None
