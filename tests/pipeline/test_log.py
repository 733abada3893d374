"""run.log keeps its lines when Prefect sets up its own logging."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from molvae.pipeline.log import log, logging_to
with logging_to(Path(sys.argv[1])):
    from prefect.logging.configuration import setup_logging
    setup_logging()
    log.info("a line of the run")
"""


def test_prefect_keeps_the_log_of_a_run(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", CODE, str(tmp_path / "run.log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    assert (tmp_path / "run.log").read_text().endswith("pipeline: a line of the run\n")
    assert "a line of the run" not in done.stdout + done.stderr
