"""Load the heavy packages ahead of their first use, without holding up a window meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from core.progress import Operation, Progress

logger = logging.getLogger(__name__)

_MODULES = (
    "nibabel",  # the readers of scans first, as the first thing that a user does is to open some
    "PIL.Image",
    "torch",
    "torch.nn.functional",
    "core.training.torchvision_gateway",
    "lightning_fabric",
    "core.training.train",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "core.report",
    "scipy.stats",
    "sklearn.discriminant_analysis",
)
# In torch's own order. The first carries names that the others look for in the whole process.
_LIBRARIES = ("libtorch_global_deps", "libc10", "libtorch_cpu")


def load_packages() -> Operation[None]:
    """Import what training and figures need; an import that fails is met again at its use.

    Two things would stop every other thread of the process meanwhile, each for up to
    0.7 s on a busy computer: the dynamic linker, which python calls with its lock held,
    and the garbage collector, which looks through ever more modules.
    """
    if all(name in sys.modules for name in _MODULES):
        return
    yield Progress("Loading torch")
    _load_libraries()
    with _garbage_kept():
        for number, name in enumerate(_MODULES, start=1):
            try:
                importlib.import_module(name)
            except ImportError:
                logger.warning("%s cannot be loaded ahead of its use", name, exc_info=True)
                if name == "torch":
                    return  # most of the others would look for it again
            yield Progress("Loading torch", number, len(_MODULES))


def _load_libraries() -> None:
    """Link torch's libraries by a foreign call, which gives python's lock back."""
    suffix = {"linux": ".so", "darwin": ".dylib"}.get(sys.platform)
    package = find_spec("torch")
    if suffix is None or package is None or not package.submodule_search_locations:
        return
    folder = Path(package.submodule_search_locations[0]) / "lib"
    link = ctypes.CDLL(None).dlopen
    link.restype, link.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    for number, name in enumerate(_LIBRARIES):
        path = folder / f"{name}{suffix}"
        scope = os.RTLD_GLOBAL if number == 0 else os.RTLD_LOCAL
        # What does not link here is linked, or refused in its own words, by the import.
        if path.is_file() and not link(os.fsencode(path), os.RTLD_NOW | scope):
            return


@contextlib.contextmanager
def _garbage_kept() -> Iterator[None]:
    """Collect no garbage, and leave what lives at the end out of later collections."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
