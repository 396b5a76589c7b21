"""Does the GPU answer? Asked in a child process, as a driver that hangs would hang this one."""

from __future__ import annotations

import functools
import logging
import os

from core.child_process import ChildError, ChildResult, run_in_child

logger = logging.getLogger(__name__)

TASK = "check-gpu"
SECONDS = 20.0
NO_GPU = "torch found no NVIDIA GPU with a working driver."
_SIDE = 64


def why_not_cuda() -> str:
    """Return why no GPU can be used, as the end of a sentence; empty where one works.

    The GPU is asked once for each list of GPUs that the environment shows.
    """
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is not None and shown.strip() in ("", "-1", "NoDevFiles"):
        return "the environment hides it (CUDA_VISIBLE_DEVICES is empty)."
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return "this is a CPU build of torch."
    return _ask(shown)


def is_worth_telling(reason: str) -> bool:
    """Tell whether a GPU that is there was passed over, so that the user should know."""
    return reason.startswith(("it ", "its "))


@functools.cache
def _ask(shown: str | None) -> str:
    del shown  # the child reads the environment itself; another list is another question
    try:
        # Our own numbers: CUDA maps more addresses than any limit would grant.
        result = run_in_child(TASK, {}, seconds=SECONDS, memory_bytes=0, is_foreign=False)
    except ChildError as error:
        if error.reason == "timeout":
            return f"it did not answer within {SECONDS:.0f} s. Restart the computer."
        return "its driver crashed. Restart the computer, or install the driver again."
    return str(result.values.get("fault", NO_GPU))


def check_in_child(_payload: object) -> ChildResult:
    """Multiply two matrices on the GPU and look at the result."""
    import torch

    try:
        if not torch.cuda.is_available():
            return ChildResult({"fault": NO_GPU})
        ones = torch.ones(_SIDE, _SIDE, device="cuda")
        total = float((ones @ ones).sum())
    except (RuntimeError, AssertionError) as error:
        first = (str(error).strip().splitlines() or ["no reason was given"])[0].rstrip(".")
        return ChildResult({"fault": f"it cannot be used ({first[:200]})."})
    if total != float(_SIDE**3):
        return ChildResult({"fault": "it calculates wrongly. Restart the computer."})
    return ChildResult({"fault": ""})
