"""Whatever the language of the desktop: typed numbers are read, and files written, alike (U8)."""

from __future__ import annotations

import contextlib
import locale

import click
import pytest
from PySide6.QtCore import QLocale, Qt
from PySide6.QtWidgets import QLineEdit

from core.cli.options import NumberRange
from core.errors import SettingsError
from core.figure import Table
from mrifcl_gui.config_form import ConfigForm
from mrifcl_gui.export import ExportButton, rows_as_text
from mrifcl_gui.table_view import cell_text
from tests.gui.keyboard import type_letters
from tests.tiny_cohort import wait_until_idle

LOCALES = ("C", "de_DE", "fr_FR", "en_US", "ar_EG", "fa_IR")
TABLE = Table("t", "T", ("word", "number"), (("a", 1234.5), ("b", 1e-7), ("c", 1234567)))


@pytest.fixture(params=LOCALES)
def desktop(request):
    """Qt's locale, and that of C libraries where the computer knows it."""
    before, of_c = QLocale(), locale.setlocale(locale.LC_ALL)
    QLocale.setDefault(QLocale(request.param))
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, f"{request.param}.UTF-8")
    yield request.param
    QLocale.setDefault(before)
    locale.setlocale(locale.LC_ALL, of_c)


@pytest.fixture
def form(qtbot, desktop):
    form = ConfigForm()
    qtbot.addWidget(form)
    form.show()
    return form


def type_into(qtbot, form, name, text):
    editor = form.editor(name)
    line = editor if isinstance(editor, QLineEdit) else editor.findChild(QLineEdit)
    line.selectAll()
    type_letters(line, text)
    qtbot.keyClick(line, Qt.Key.Key_Tab)


@pytest.mark.parametrize("text", ["0.001", "0,001", "1e-3", "٠٫٠٠١", "۰٫۰۰۱"])
def test_that_the_form_reads_a_learning_rate_alike_on_every_desktop(qtbot, form, text):
    type_into(qtbot, form, "learning_rate", text)
    assert form.settings().training.learning_rate == 0.001


@pytest.mark.parametrize("text", ["1.000", "1,000", "1 000", "1.000,5"])
def test_that_the_form_asks_again_where_a_whole_number_could_be_two(qtbot, form, text):
    type_into(qtbot, form, "batch", text)
    with pytest.raises(SettingsError, match="cannot be used"):
        form.settings()
    assert text in form.fault("batch")


def test_that_what_is_shown_copied_and_exported_does_not_follow_the_desktop(
    qtbot, desktop, tmp_path
):
    assert cell_text(0.25) == "0.25"
    assert rows_as_text([TABLE.rows[0]]) == "a\t1234.5"
    button = ExportButton()
    qtbot.addWidget(button)
    button.set_source(lambda: TABLE)
    with qtbot.waitSignal(button.saved, timeout=20_000):
        button.save_to(tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b"word,number\na,1234.5\nb,1e-07\nc,1234567\n"
    with qtbot.waitSignal(button.saved, timeout=20_000):
        button.exporter.save_with_commas_to(tmp_path / "c.csv")
    assert (tmp_path / "c.csv").read_bytes() == (
        b"\xef\xbb\xbfword;number\na;1234,5\nb;1e-07\nc;1234567\n"
    )
    wait_until_idle(qtbot)


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("0,5", 0.5), ("٠٫٥", 0.5), (2, 2.0)])
def test_that_an_option_of_a_command_takes_comma_and_point(desktop, text, value):
    assert NumberRange(0.1, 1024).convert(text, None, None) == value


@pytest.mark.parametrize("text", ["1.000,5", "1_000", "nan", "inf", "half", "2000"])
def test_that_an_option_of_a_command_refuses_what_it_cannot_be_sure_of(text):
    with pytest.raises(click.BadParameter):
        NumberRange(0.1, 1024).convert(text, None, None)
