"""Watches, in tests and where it is asked for, that nothing of the window runs in another thread.

Qt calls a lambda, a plain function or a method of a plain object in the thread that emits, and
a widget that is touched there ends the process, but not always and not there (faults U2). Once
:func:`watch` was called, each slot of our objects and each method of our widgets looks first in
which thread it is, and refuses all but the window's. Not called, nothing of this costs anything.
"""

from __future__ import annotations

import functools
import importlib.abc
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

from PySide6.QtCore import QObject

logger = logging.getLogger(__name__)

SWITCH = "MRI_FCL_CHECK_THREADS"  # environment variable; any value but an empty one
_OURS = "mrifcl_gui."
_SLOTS = ("_on_", "on_")

wrong: list[str] = []
"""What ran in a wrong thread so far, in words."""


class WrongThreadError(RuntimeError):
    """Something of the window was called in another thread than the window's."""


def watch() -> None:
    """Check from now on all modules of the window, those that are loaded later too."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    for name, module in list(sys.modules.items()):
        if name.startswith(_OURS):
            watch_module(module)


def watch_module(module: ModuleType) -> None:
    """Check the classes of QObjects that ``module`` defines."""
    for kind in list(vars(module).values()):
        is_own = isinstance(kind, type) and kind.__module__ == module.__name__
        if is_own and issubclass(kind, QObject):
            watch_class(kind)


def watch_class(kind: type[QObject]) -> None:
    """Let the slots of a class, and all of a widget's own methods, look for their thread."""
    for name, member in list(vars(kind).items()):
        if isinstance(member, FunctionType) and _is_watched(kind, name, member):
            setattr(kind, name, _watched(member, f"{kind.__module__}.{member.__qualname__}"))


class _Finder(importlib.abc.MetaPathFinder):
    """Lets the others find a module of ours, and looks at it when it is loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith(_OURS):
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((found for found in specs if found is not None), None)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_watch(module: ModuleType) -> None:
                load(module)
                watch_module(module)

            spec.loader.exec_module = load_and_watch
        return spec


def _is_watched(kind: type[QObject], name: str, member: FunctionType) -> bool:
    # A generator is made in one thread and driven in another, and touches nothing when made.
    if inspect.isgeneratorfunction(member) or hasattr(member, "__wrapped__"):
        return False
    if name.startswith(_SLOTS):
        return True
    # What overrides a method of Qt is called by Qt alone: in the window's thread, and often.
    qt = [base for base in kind.__mro__ if base.__module__.startswith("PySide6.")]
    is_widget = any(base.__name__ == "QWidget" for base in qt)
    return is_widget and not name.startswith("__") and not any(hasattr(b, name) for b in qt)


def _watched(member: FunctionType, label: str) -> Callable[..., Any]:
    """Return ``member`` with a look at the thread before it.

    It is made from source with the same parameters: Qt counts them to know how many values of
    a signal a slot takes.
    """
    code = member.__code__
    n, n_named = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    named = names[n : n + n_named]
    rest = iter(names[n + n_named :])
    stars = f"*{next(rest)}" if code.co_flags & inspect.CO_VARARGS else ""
    all_named = f"**{next(rest)}" if code.co_flags & inspect.CO_VARKEYWORDS else ""
    bare = stars or ("*" if named else "")
    taken = ", ".join(part for part in (*names[:n], bare, *named, all_named) if part)
    handed_on = ", ".join(
        part for part in (*names[:n], stars, *(f"{key}={key}" for key in named), all_named) if part
    )
    made: dict[str, Any] = {"look_": _require_window_thread, "member_": member, "label_": label}
    source = f"def watched({taken}):\n    look_(label_)\n    return member_({handed_on})\n"
    exec(compile(source, "<looks for its thread>", "exec"), made)
    watched = made["watched"]
    watched.__defaults__, watched.__kwdefaults__ = member.__defaults__, member.__kwdefaults__
    return functools.update_wrapper(watched, member)


def _require_window_thread(label: str) -> None:
    if threading.current_thread() is threading.main_thread():
        return
    words = f"{label} was called in the thread '{threading.current_thread().name}'"
    wrong.append(words)
    logger.critical("%s, not in the window's", words)
    raise WrongThreadError(words)
