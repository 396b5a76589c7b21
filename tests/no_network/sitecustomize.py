"""Refuse the network in every Python process that has this folder on its PYTHONPATH."""

import importlib.util
import sys
from pathlib import Path

_FILE = Path(__file__).with_name("refuse.py")
# By the name under which the tests import it, so that both see the same list of refusals.
_NAME = "tests.no_network.refuse"
_SPEC = importlib.util.spec_from_file_location(_NAME, _FILE)
_REFUSE = sys.modules[_NAME] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_REFUSE)
_REFUSE.refuse_network()
