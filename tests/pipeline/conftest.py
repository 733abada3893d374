"""Prefect in the tests' own process: no network, and nothing in anybody's home."""

import atexit
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="molvae-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.setdefault("PREFECT_HOME", _home)
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
