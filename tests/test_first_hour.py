"""docs/first-hour.md: its commands are run in their order, with smaller searches, and answer its questions."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")
SMALLER = ["--set", "search.budget=160", "--set", "controls.methods=[]", "--set", "starts.n=60"]
"""What the runs of this test change."""


def commands() -> list[list[str]]:
    """The molvae commands of the page, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = re.sub(r"\n  +", " ", "".join(blocks)).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("molvae ")]


@pytest.mark.slow
def test_the_five_questions_are_answered(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    shutil.copytree(ROOT / "pipeline" / "campaigns", tmp_path / "pipeline" / "campaigns")
    shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("moses_*"))
    shutil.copy(ROOT / "pipeline" / "campaigns" / "default.toml", tmp_path / "my.toml")

    def run(arguments: list[str]) -> str:
        line = [*arguments, *(SMALLER if arguments[0] == "design" else [])]
        done = subprocess.run(
            [sys.executable, "-m", "molvae.pipeline.cli", *line], capture_output=True, text=True, cwd=tmp_path, env=env
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    run(["design"])
    started = time.monotonic()
    answers = {}
    for arguments in commands():
        if arguments[:2] == ["qsar", "fit"] or "my.toml" in arguments:
            continue  # the question of the user's own; other tests fit models and run campaigns
        answers[arguments[0], len([key for key in answers if key[0] == arguments[0]])] = run(arguments)
    assert time.monotonic() - started < 10 * 60

    potent, near = answers["query", 0].splitlines(), answers["query", 1].splitlines()
    assert potent[0].startswith("candidate_id,smiles,score,passed")
    assert len(potent) == 11
    assert len(near) > 1, "no molecule on another scaffold"
    assert "1c[nH]c2ccccc12)CC1" not in "".join(line.split(",")[1] for line in near[1:])
    assert "rank 1 of" in answers["why", 0]
    assert "potency" in answers["why", 0]
    assert "did not" in answers["diff", 0]
    roles = [line.split(",")[1] for line in (tmp_path / "picks.csv").read_text(encoding="utf-8").splitlines()[1:]]
    assert roles.count("pick") == 24
    assert roles.count("alternate") > 0
    for page in ("why.html", "diff.html", "plate.html", "runs/latest/report.html"):
        assert "<svg" in (tmp_path / page).read_text(encoding="utf-8"), page
