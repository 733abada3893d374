"""Runs that have nothing to show: a named error, never a success."""

from pathlib import Path

import pytest
from molvae.pipeline.run_dir import RunDir

from .harness import Lab

NAN = "def score(smiles):\n    return [float('nan')] * len(smiles)\n"
RAISES = "def score(smiles):\n    raise RuntimeError('licence expired')\n"
HANGS = "import time\ndef score(smiles):\n    time.sleep(1000)\n"
CRASHES = "import os\ndef score(smiles):\n    os.kill(os.getpid(), 11)\n"
ENDS = "import sys\ndef score(smiles):\n    sys.exit(3)\n"
GOOD = "def score(smiles):\n    return [len(one) for one in smiles]\n"
COMMANDS = {
    "nan": "import sys\nfor line in sys.stdin: print('nan')\n",
    "exits": "import sys\nsys.exit('no licence')\n",
    "hangs": "import time\ntime.sleep(1000)\n",
    "crashes": "import os\nos.kill(os.getpid(), 11)\n",
    "short": "import sys\nlines = list(sys.stdin)\nfor line in lines[1:]: print(len(line))\n",
}
GOOD_COMMAND = "import sys\nfor line in sys.stdin: print(len(line))\n"
CAMPAIGN = """
[molecules]
path = "library.smi"
[codec]
name = "moses"
[search]
budget = 60
proposals = 40
batch_size = 20
[checks]
in_training = false
[objective.terms.mine]
{scorer}
seconds = 0.2
shape = "higher"
low = 0
high = 100
"""


def write(lab: Lab, scorer: str) -> None:
    (lab.folder / "library.smi").write_text("CCO a\nc1ccccc1O b\n")
    (lab.folder / "my.toml").write_text(CAMPAIGN.format(scorer=scorer))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "part"),
    [
        (NAN, "have no value"),
        (RAISES, "raised RuntimeError: licence expired"),
        (HANGS, "stopped after 0.2 s"),
        (CRASHES, "crashed: Segmentation fault"),
        (ENDS, "raised SystemExit"),
    ],
    ids=["nan", "raises", "hangs", "crashes", "ends"],
)
def test_a_function_that_scores_no_molecule(code: str, part: str, lab: Lab) -> None:
    """The run ends with the reason; a mended function gives the candidates of a run that never failed."""
    write(lab, 'python = "scores.py:score"')
    (lab.folder / "scores.py").write_text(code)
    ending = lab.run("design", "my.toml", "--out", "run")
    ending.is_refused("[objective.terms.mine]", "molecules have no value", part, "resume with", code=1)
    assert not (lab.folder / "run" / "candidates.csv").exists()
    assert not (lab.folder / "runs" / "latest").exists()
    assert not lab.processes()
    (lab.folder / "scores.py").write_text(GOOD)
    resumed = lab.run("design", "--resume", "run")
    assert resumed.code == 0, resumed
    assert not list(Path(lab.folder / "run").rglob(".part-*"))
    assert not lab.processes()


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_a_command_that_scores_no_molecule(kind: str, lab: Lab) -> None:
    import sys

    write(lab, f'command = ["{sys.executable}", "scores.py"]')
    (lab.folder / "scores.py").write_text(COMMANDS[kind])
    ending = lab.run("design", "my.toml", "--out", "run")
    ending.is_refused("[objective.terms.mine]", "molecules have no value", "resume with", code=1)
    assert not (lab.folder / "run" / "candidates.csv").exists()
    assert not lab.processes(), "a command is left over"
    (lab.folder / "scores.py").write_text(GOOD_COMMAND)
    resumed = lab.run("design", "--resume", "run")
    assert resumed.code == 0, resumed
    assert not lab.processes()


@pytest.mark.slow
def test_a_search_that_decodes_nothing(lab: Lab) -> None:
    """No molecule has this mass."""
    write(lab, 'property = "qed"')
    text = (lab.folder / "my.toml").read_text().replace("seconds = 0.2\n", "")
    (lab.folder / "my.toml").write_text(text + "[search.constraints.properties]\nmol_weight = [5000, 5001]\n")
    ending = lab.run("design", "my.toml", "--out", "run")
    ending.is_refused("no molecule was scored", "relax the constraints or use another codec", code=1)
    assert not (lab.folder / "run" / "candidates.csv").exists()
    assert not (lab.folder / "runs" / "latest").exists()


@pytest.mark.slow
def test_no_score_at_all_where_failures_are_allowed(lab: Lab) -> None:
    write(lab, 'python = "scores.py:score"\nmax_failed = 1.0')
    (lab.folder / "scores.py").write_text(NAN)
    ending = lab.run("design", "my.toml", "--out", "run")
    ending.is_refused("none of 60 molecules has a score", "mine", code=1)
    assert not (lab.folder / "run" / "candidates.csv").exists()


@pytest.mark.slow
def test_every_score_zero_is_a_run_but_not_the_latest(lab: Lab) -> None:
    write(lab, 'python = "scores.py:score"')
    (lab.folder / "scores.py").write_text(GOOD.replace("len(one)", "-1.0"))
    ending = lab.run("design", "my.toml", "--out", "run")
    assert ending.code == 0, ending
    assert "no molecule has a score above 0" in ending.err
    assert not (lab.folder / "runs" / "latest").exists()


@pytest.mark.slow
def test_a_training_that_diverges(lab: Lab) -> None:
    rows = [f"{'C' * i}{tail}" for i in range(1, 9) for tail in ("O", "N", "(=O)O", "c1ccccc1")]
    (lab.folder / "library.smi").write_text("\n".join(rows))
    (lab.folder / "my.toml").write_text(
        """
[molecules]
path = "library.smi"
[train]
name = "own"
features.vocabulary_size = 30
features.labels = 10
[train.model]
n_latent = 4
[train.training]
n_molecules = 96
batch_size = 8
n_held_out = 4
n_processes = 1
evaluate_every = 32
learning_rate = 1e30
warmup = 0.0
[search]
budget = 12
proposals = 40
[objective.terms.weight]
property = "mol_weight"
shape = "lower"
"""
    )
    ending = lab.run("design", "my.toml", "--out", "run")
    ending.is_refused("training diverged at step", "lower learning_rate", code=1)
    run = RunDir(lab.folder / "run")
    assert not run.codec.exists()
    assert not (run.path / "candidates.csv").exists()
