"""Prefect in the test process, without network access and without files in the home folder."""

import atexit
import os
import shutil
import tempfile

_home = tempfile.mkdtemp(prefix="molvae-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)
os.environ.setdefault("PREFECT_HOME", _home)
os.environ["DO_NOT_TRACK"] = "1"
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
