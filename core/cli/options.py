"""Options of commands: made from the settings, or shared by several commands."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from core import config
from core.config import RunSettings, SettingField, setting_fields
from core.errors import MriFclError
from core.typed_number import read_number

Command = Callable[..., Any]
# What the 3-D CNN sees of a scan depends on these beside those of slices.
CUBE_SETTINGS = ("network", "cube_size", "cube_mm")
# What the rows of the paper's Table 2 say themselves.
ROW_SETTINGS = ("network", "regime", "epochs", "learning_rate")


def settings_options(*names: str, but: Collection[str] = ()) -> Callable[[Command], Command]:
    """Add an option for every setting named, or in a group that is named, ``but`` for some.

    The fields say type, bounds and help.
    """
    wanted = [f for f in setting_fields() if {f.group, f.name} & set(names) and f.name not in but]

    def decorate(command: Command) -> Command:
        for field in reversed(wanted):
            command = _option_of(field)(command)
        return command

    return decorate


def _option_of(field: SettingField) -> Callable[[Command], Command]:
    def parse(_context: click.Context, parameter: click.Parameter, value: str | None) -> Any:  # noqa: ANN401
        if value is None:
            return None
        try:
            return field.parse(value)
        except MriFclError as error:
            raise click.BadParameter(str(error), param=parameter) from error

    unit = f" [{field.unit}]" if field.unit else ""
    shown = "" if field.default in (None, "") else f" Default {field.default}."
    return click.option(
        f"--{field.option}",
        field.name,
        callback=parse,
        default=None,
        metavar="|".join(field.choices) or field.kind.__name__.upper(),
        help=f"{field.help}{unit}{shown}",
    )


def chosen_settings(options: dict[str, Any], preset: str = "recommended") -> RunSettings:
    """Return the preset's settings, changed by the options that were given."""
    base = config.change(RunSettings(), config.PRESETS[preset])
    return config.change(base, {key: value for key, value in options.items() if value is not None})


class NumberRange(click.FloatRange):
    """A number within bounds, typed with comma or point as in the settings."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - text, or the default
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Return ``value`` as a number; click tells the user where it is none."""
        if isinstance(value, str):
            try:
                value = read_number(value)
            except ValueError:
                self.fail(f"'{value}' is no number. Write it as 0.5 or 0,5.", param, ctx)
        return float(super().convert(value, param, ctx))


path_type = click.Path(path_type=Path)
json_option = click.option(
    "--json", is_flag=True, help="Print the result as one JSON object on the last line."
)
runs_option = click.option(
    "--out",
    "runs",
    type=path_type,
    default=Path("runs"),
    show_default=True,
    help="Folder that the run folder is made in.",
)
preset_option = click.option(
    "--preset",
    type=click.Choice(list(config.PRESETS)),
    default="recommended",
    show_default=True,
    help="Starting values; single options change them.",
)
seed_option = click.option("--seed", default=0, show_default=True, help="Rules the split.")
