"""The commands that work on files: what they write, and how bad input ends."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from molvae.pipeline import cli
from molvae.pipeline.manifest import Manifest

import molvae
from molvae.chem.fingerprints import morgan_bits
from molvae.chem.properties import compute
from molvae.datasets import is_held_out
from molvae.features.store import FeatureStore
from molvae.features.tokens import TokenFeaturizer

ROOT = Path(__file__).parents[2]
DRUGS = {
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "ibuprofen": "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def library() -> Path:
    """Four drugs, one salt, one word that is no molecule, one that the codec has no letters for, one again."""
    rows = [
        *DRUGS.items(),
        ("salt", "CC(=O)Nc1ccc(O)cc1.Cl"),
        ("word", "=cmd"),
        ("arsane", "C[As](C)C"),
        ("none", ""),
    ]
    path = Path("library.csv")
    path.write_text("compound;SMILES\n" + "".join(f"{name};{smiles}\n" for name, smiles in rows))
    return path


def run(*arguments: str) -> int:
    return cli._run(list(arguments))


def test_encode_gives_a_row_for_every_row(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("encode", str(library), "--id-column", "compound", "-o", "points.parquet") == 0
    table = pd.read_parquet("points.parquet")
    codec = molvae.load_codec()
    assert list(table)[:4] == ["id", "smiles", "ok", "reason"]
    assert list(table)[4:] == [f"z_{i:03d}" for i in range(codec.n_latent)]
    assert table["id"].tolist() == [*DRUGS, "salt", "word", "arsane", "none"]
    assert table["ok"].tolist() == [True] * 5 + [False] * 3
    assert table["smiles"][4] == DRUGS["paracetamol"], "as encoded: without the salt"
    z = table.filter(like="z_").to_numpy()
    np.testing.assert_allclose(z[:4], codec.encode(list(DRUGS.values())).z, atol=1e-5)
    assert np.isnan(z[5:]).all()
    assert table["reason"].isna().tolist() == [True] * 5 + [False] * 3
    assert "[As]" in table["reason"][6]
    said = capsys.readouterr().err
    assert "8 rows, 5 encoded: points.parquet" in said
    assert "1 not: not a SMILES" in said
    assert "1 with a warning: salt or solvent stripped" in said


def test_a_doubtful_cell_is_counted_once_with_its_warning(capsys: pytest.CaptureFixture[str]) -> None:
    Path("doubtful.csv").write_text("smiles\nNO\nC[C@H](N)C(=O)O\nCCO\n")
    assert run("encode", "doubtful.csv", "-o", "points.csv", "--remove-stereo") == 0
    said = capsys.readouterr().err
    assert "1 with a warning: a word, perhaps" in said
    assert "1 with a warning: stereo dropped" in said


def test_novelty_gives_a_row_for_every_row_and_counts_them(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with library.open("a") as file:
        file.write("chain;CC(=O)Nc1ccc(OOOO)cc1\n")
    Path("known.smi").write_text("CC(=O)Nc1ccccc1\n")
    arguments = ["novelty", str(library), "--id-column", "compound", "--codec", "moses", "-o"]
    assert run(*arguments, "novelty.parquet", "--reference", "known.smi") == 0
    table = pd.read_parquet("novelty.parquet")
    assert table["id"].tolist() == [*DRUGS, "salt", "word", "arsane", "none", "chain"]
    assert table["is_out"].tolist()[2] is False  # the lighter drugs are below what the codec learnt
    assert table["is_out"].tolist()[5:] == [None, True, None, True]
    assert table["novelty"].isna().tolist() == [False] * 5 + [True, False, True, False]
    assert "nearest training molecule 0.48" in table["reason"][8]
    said = capsys.readouterr().err
    n_out = int(table["is_out"][:5].sum()) + 1
    assert f"9 rows, {6 - n_out} in the domain, {n_out} stranger than 99 %: novelty.parquet" in said
    assert "1 not read: not in the codec's vocabulary" in said
    assert run(*arguments, "novelty.csv", "--percentile", "50") == 0
    again = pd.read_csv("novelty.csv")
    assert "nearest_training" not in again
    np.testing.assert_allclose(again["novelty"], table["novelty"], rtol=1e-4)
    assert run(*arguments, "more.csv", "--percentile", "100") == 2
    assert "percentile: expected a number between 0 and 100" in capsys.readouterr().err
    assert not Path("more.csv").exists()


def test_encode_and_decode_go_round(library: Path) -> None:
    assert run("encode", str(library), "--id-column", "compound", "-o", "points.csv") == 0
    assert run("decode", "points.csv", "-o", "back.csv") == 0
    table = pd.read_csv("back.csv")
    assert list(table) == ["id", "raw_smiles", "smiles", "reason"]
    assert len(table) == 8
    codec = molvae.load_codec()
    direct = codec.decode(codec.encode(list(DRUGS.values())).z)
    assert table["smiles"][:4].where(table["smiles"][:4].notna(), None).tolist() == [row.smiles for row in direct]
    assert run("decode", "points.csv", "--candidates", "4", "-o", "near.csv") == 0
    assert pd.read_csv("near.csv")["smiles"].notna().sum() >= table["smiles"].notna().sum()
    assert run("decode", "points.csv", "--candidates", "4", "--noise", "0.2", "-o", "none.csv") == 2
    assert "NaN" in table["reason"][6]


def test_decode_reads_points_of_its_own_codec_only(capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame({"z_000": [0.1], "z_001": [0.2]}).to_parquet("two.parquet")
    pd.DataFrame({"a": [1]}).to_csv("none.csv", index=False)
    Path("broken.parquet").write_bytes(b"PAR1")
    Path("empty.csv").touch()
    for name, said in {
        "two.parquet": "2 columns z_000 to z_001",
        "none.csv": "got columns a",
        "broken.parquet": "cannot be read as a table",
        "empty.csv": "cannot be read as a table",
        "gone.csv": "no such file",
        ".": "not a regular file",
    }.items():
        assert run("decode", name, "-o", "back.csv") == 2
        shown = capsys.readouterr().err
        assert said in shown
        assert shown.startswith(f"molvae: {name}: ")
    assert not Path("back.csv").exists()


@pytest.mark.parametrize("ending", ["smi", "csv", "parquet"])
def test_sample_is_the_codecs_own(ending: str) -> None:
    assert run("sample", "-n", "12", "--seed", "3", "-o", f"a.{ending}") == 0
    rows = [row.smiles for row in molvae.load_codec().sample(12, seed=3)]
    if ending == "smi":
        assert Path("a.smi").read_text().split() == [smiles for smiles in rows if smiles]
    else:
        table = pd.read_csv("a.csv") if ending == "csv" else pd.read_parquet("a.parquet")
        assert table["smiles"].where(table["smiles"].notna(), None).tolist() == rows


def test_sample_replaces_a_file_but_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.smi").write_text("old")
    assert run("sample", "-n", "1", "-o", "a.smi") == 0
    assert Path("a.smi").read_text() != "old"
    Path("b.smi").mkdir()
    assert run("sample", "-n", "1", "-o", "b.smi") == 2
    assert run("sample", "-n", "1", "-o", "a.xlsx") == 2
    assert "ends in .csv or .smi or .parquet" in capsys.readouterr().err


def test_sample_within_a_window(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sample", "-n", "8", "--window", "logp=:1", "--window", "tpsa = 60 : 90", "-o", "a.csv") == 0
    wanted = {"logp": (None, 1.0), "tpsa": (60.0, 90.0)}
    rows = molvae.load_codec().sample(8, windows=wanted)
    assert pd.read_csv("a.csv")["raw_smiles"].tolist() == [row.raw_smiles for row in rows]
    values = compute([row.smiles for row in rows if row.smiles], ["logp", "tpsa"])
    n_within = int(((values["logp"] <= 1) & values["tpsa"].between(60, 90)).sum())
    assert f"{n_within} of them within logp=:1 and tpsa = 60 : 90, by their own" in capsys.readouterr().err
    for text in ("logp", "logp=1", "logp=a:b", "logp=1:2:3"):
        assert run("sample", "-n", "8", "--window", text, "-o", "b.csv") == 2
        assert f"--window {text}: expected NAME=LOW:HIGH" in capsys.readouterr().err
    assert run("sample", "-n", "8", "--window", "colour=1:2", "-o", "b.csv") == 2
    assert "knows no way to 'colour'" in capsys.readouterr().err
    assert not Path("b.csv").exists()


def test_a_window_that_no_molecule_meets_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sample", "-n", "4", "--window", "logp=90:91", "-o", "a.csv") == 0
    assert "0 of them within logp=90:91" in (said := capsys.readouterr().err)
    assert "beyond what the codec knows" in said


def test_sample_at_a_noise_and_temperature_of_ones_own() -> None:
    assert run("sample", "-n", "6", "--noise", "0", "--temperature", "0", "-o", "a.csv") == 0
    codec = molvae.load_codec()
    assert pd.read_csv("a.csv")["raw_smiles"].tolist() == [row.raw_smiles for row in codec.decode(codec.draw(6))]
    assert run("sample", "-n", "6", "--noise", "1.5", "-o", "b.csv") == 2


def test_sample_as_widely_about_the_codes_as_one_likes() -> None:
    arguments = ["--noise", "0", "--temperature", "0", "--tries", "1", "--codec", "moses"]
    codec = molvae.load_codec("moses")
    for spread in (0.0, 2.0):
        assert run("sample", "-n", "6", *arguments, "--spread", str(spread), "-o", f"{spread}.csv") == 0
        written = pd.read_csv(f"{spread}.csv")["raw_smiles"].tolist()
        assert written == [row.raw_smiles for row in codec.decode(codec.draw(6, spread=spread))]
    assert run("sample", "-n", "6", "--spread", "-1", "-o", "b.csv") == 2


def test_featurize_accounts_for_every_molecule(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--id-column", "compound", "--properties", "--labels", "2", "--vocabulary-size", "40"]
    assert run("featurize", str(library), "-o", "features", *arguments) == 0
    manifest = Manifest.read(Path("features"))
    assert manifest is not None
    assert manifest.counts.model_dump() == {
        "into": 8,
        "kept": 5,
        "dropped": {"not a SMILES": 1, "empty": 1, "duplicate": 1},
        "notes": {},
    }
    kept = pd.read_parquet("features/molecules.parquet")
    assert kept["id"].tolist() == [*DRUGS, "arsane"]
    assert Path("features/dropped.csv").read_text().splitlines()[2].startswith("6,word,'=cmd,")
    store = FeatureStore.open(Path("features"))
    featurizer = TokenFeaturizer.load(Path("features/featurizer.json"))
    assert featurizer.decode(store.rows(np.arange(5))) == kept["smiles"].tolist()
    assert len(store.labelled) == 2
    assert "qed" in store.label_names
    said = capsys.readouterr().err
    assert "8 read, 5 kept: features" in said
    assert "1 dropped: duplicate" in said


def test_featurize_writes_fingerprints_for_labelled_molecules(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own.toml").write_text("[features]\nvocabulary_size = 40\nlabels = 3\nlabel_bits = 64\n")
    assert run("featurize", str(library), "-o", "features", "--config", "own.toml") == 0
    store, kept = FeatureStore.open(Path("features")), pd.read_parquet("features/molecules.parquet")
    bits = store.fingerprints(np.arange(len(store)))
    assert bits is not None
    assert store.n_bits == 64
    assert np.flatnonzero(bits.any(1)).tolist() == store.labelled.tolist()
    expected = morgan_bits(kept["smiles"].iloc[store.labelled].tolist(), n_bits=64)
    np.testing.assert_array_equal(bits[store.labelled], expected)

    Path("other.toml").write_text("[features]\nvocabulary_size = 40\nlabels = 3\nlabel_bits = 128\n")
    assert run("train", "other.toml", "--features", "features", "-o", "codec") == 2
    assert "asks for fingerprints of 128 bits, but features holds those of 64" in capsys.readouterr().err
    assert run("featurize", str(library), "-o", "bare", "--vocabulary-size", "40") == 0
    for i, asked in enumerate(
        ["[training.weights]\nsimilarity = 5.0", '[model.changes]\nregularizers = ["similarity"]']
    ):
        Path(f"{i}.toml").write_text(asked + "\n")
        assert run("train", f"{i}.toml", "--features", "bare", "-o", "codec") == 2
        assert "similarity: learns from fingerprints, of which bare holds none" in capsys.readouterr().err
    Path("typo.toml").write_text("[training.weights]\nsimilarty = 5.0\n")
    assert run("train", "typo.toml", "--features", "bare", "-o", "codec") == 2
    assert "no term 'similarty'; expected one of reconstruction, " in capsys.readouterr().err
    assert not list(Path().glob("codec*"))
    Path("none.toml").write_text("[features]\nlabel_bits = 128\n")
    assert run("featurize", str(library), "-o", "none", "--config", "none.toml") == 2
    assert "say in `labels` how many" in capsys.readouterr().err


def test_featurize_with_a_codecs_vocabulary_drops_what_it_cannot_write(library: Path) -> None:
    assert run("featurize", str(library), "-o", "features", "--vocabulary", "moses") == 0
    manifest = Manifest.read(Path("features"))
    assert manifest is not None
    assert manifest.counts.kept == 4
    assert manifest.counts.dropped["cannot be written as features"] == 1
    assert "C[As](C)C,cannot be written as features: not in the codec's" in Path("features/dropped.csv").read_text()
    assert TokenFeaturizer.load(Path("features/featurizer.json")) == molvae.load_codec("moses").featurizer


def test_featurize_keeps_test_molecules_apart(capsys: pytest.CaptureFixture[str]) -> None:
    molecules = [f"{'C' * i}{tail}" for i in range(1, 60) for tail in ("O", "N", "[C@H](F)Cl")]
    Path("a.smi").write_text("\n".join(molecules))
    Path("own.toml").write_text("[features]\nhold_out = 10\nvocabulary_size = 40\n")
    assert run("featurize", "a.smi", "-o", "features", "--config", "own.toml") == 0
    kept = pd.read_parquet("features/molecules.parquet")["smiles"].tolist()
    held = pd.read_csv("features/held_out.csv")
    assert len(kept) + len(held) == len(set(molecules))
    assert 5 < len(held) < 40
    assert all(is_held_out(smiles, 10) for smiles in held["smiles"])
    assert not any(is_held_out(smiles, 10) for smiles in kept)
    manifest = Manifest.read(Path("features"))
    assert manifest is not None
    assert manifest.counts.dropped == {"held out": len(held)}
    assert {Path(entry.path).name: entry.rows for entry in manifest.outputs}["held_out.csv"] == len(held)
    assert f"{len(held)} dropped: held out" in capsys.readouterr().err


def test_featurize_says_when_nothing_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.smi").write_text("nonsense\nmore\n")
    assert run("featurize", "a.smi", "-o", "features") == 2
    assert "none of its 2 rows holds a molecule that can be used: not a SMILES (2)" in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["a.smi"]


@pytest.mark.parametrize(
    "command",
    [
        ["featurize", "library.csv"],
        pytest.param(["encode", "library.csv"], marks=pytest.mark.slow),
        pytest.param(["sample", "-n", "400"], marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_told_and_nothing_half_written_stays(command: list[str], library: Path) -> None:
    """A limit on file size stands for a disk that is full; the system tells the two much alike."""
    out = "out" if command[0] == "featurize" else "out.csv"
    done = subprocess.run(
        [sys.executable, "-m", "molvae.pipeline.cli", *command, "-o", out],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300)),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("molvae: ")
    assert "file too large; make room" in last
    assert "Traceback" not in done.stderr
    assert [path.name for path in Path().iterdir()] == ["library.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_told(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("locked").mkdir(mode=0o500)
    assert run("featurize", str(library), "-o", "locked/features") == 2
    assert run("sample", "-n", "1", "-o", "locked/a.smi") == 2
    assert capsys.readouterr().err.count("permission denied") == 2


CONFIG = """
name = "tiny"
[model]
n_latent = 4
[training]
n_molecules = 64
batch_size = 8
n_held_out = 2
n_processes = 1
evaluate_every = 32
"""


@pytest.fixture
def features() -> Path:
    rows = [f"{'C' * i}{tail}" for i in range(1, 9) for tail in ("O", "N", "(=O)O", "c1ccccc1")]
    Path("many.smi").write_text("\n".join(rows))
    Path("tiny.toml").write_text(CONFIG)
    assert run("featurize", "many.smi", "-o", "features", "--vocabulary-size", "30", "--properties") == 0
    return Path("features")


def test_train_makes_a_codec_that_loads(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "tiny.toml", "--features", str(features), "-o", "codec") == 0
    codec = molvae.load_codec("codec")
    assert (codec.name, codec.n_latent) == ("tiny", 4)
    assert codec.card["training_data"].startswith("many.smi, sha256 ")
    assert codec.card["training_molecules"] == 32
    assert codec.encode(["CCCO"]).ok.all()
    assert not Path("codec.training").exists()
    assert "codec tiny, 4 dimensions: codec" in capsys.readouterr().err
    assert run("sample", "-n", "3", "--codec", "codec", "-o", "a.csv") == 0
    assert run("train", "tiny.toml", "--features", str(features), "-o", "codec") == 2, "no folder is overwritten"
    assert run("train", "tiny.toml", "--features", str(features), "-o", "next", "--start", "codec") == 0
    narrow = 'n_latent = 4\nencoder = {kind = "gru", embedding = 8, hidden = 16}\ndecoder = {kind = "gru", hidden = 16}'
    Path("narrow.toml").write_text(CONFIG.replace("n_latent = 4", narrow))
    assert run("train", "narrow.toml", "--features", str(features), "-o", "other", "--start", "moses") == 2
    assert "--start moses: its model has other sizes;" in capsys.readouterr().err


def test_training_begins_from_a_codec_with_another_vocabulary(
    features: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", "tiny.toml", "--features", str(features), "-o", "first") == 0
    Path("other.smi").write_text("\n".join(f"{'C' * i}{tail}" for i in range(1, 9) for tail in ("Cl", "Br", "S")))
    assert run("featurize", "other.smi", "-o", "other", "--vocabulary-size", "30", "--properties") == 0
    capsys.readouterr()
    assert run("train", "tiny.toml", "--features", "other", "-o", "second", "--start", "first") == 0
    said = capsys.readouterr().err
    assert re.search(
        r"begins from tiny: 9\d\.\d% of the weights, \d+ of \d+ tokens; what is new begins at random", said
    )
    assert molvae.load_codec("second").card["begun_from"].startswith("tiny, sha256 ")


@pytest.mark.parametrize("kind", ["mixture", "flow"])
def test_a_prior_of_other_molecules(kind: str, features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "tiny.toml", "--features", str(features), "-o", "codec") == 0
    Path("own.smi").write_text("\n".join(f"{'C' * i}O" for i in range(1, 9)))
    assert run("featurize", "own.smi", "-o", "own", "--vocabulary", "codec") == 0
    extra = f'[prior]\nkind = "{kind}"\ncomponents = 2\nflow = {{hidden = 8, n_points = 64}}\n'
    Path("own.toml").write_text(CONFIG + extra + "[sampling]\nnoise = 0.3\ntemperature = 0.2\n")
    assert run("refit", "own", "--codec", "codec", "-o", "focused", "--config", "own.toml") == 0
    first, second = molvae.load_codec("codec"), molvae.load_codec("focused")
    np.testing.assert_array_equal(first.encode(["CCO"]).z, second.encode(["CCO"]).z)
    assert type(second.prior).__name__.lower().startswith(kind)
    assert (second.sampling.noise, second.sampling.temperature) == (0.3, 0.2)
    assert second.card["prior_fitted_to"].startswith("own.smi, sha256 ")
    assert second.sample(3, seed=1) == molvae.load_codec("focused").sample(3, seed=1)
    assert second.calibration is not None
    if kind == "mixture":  # the flow's own settings are for more molecules than a test has
        assert run("refit", "own", "--codec", "focused", "-o", "again") == 0
        assert len(molvae.load_codec("again").prior.weights) == 2
    assert run("refit", "own", "--codec", "codec", "-o", "focused") == 2
    assert "something is there already" in capsys.readouterr().err
    assert run("refit", "own", "--codec", "moses", "-o", "other") == 2
    assert "written in another vocabulary than that of moses" in capsys.readouterr().err


def test_train_goes_on_after_a_stop(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from molvae.pipeline import train as stage

    arguments = ["train", "tiny.toml", "--features", str(features)]
    assert run(*arguments, "-o", "first") == 0
    assert run(*arguments, "-o", "whole", "--start", "first") == 0
    report = stage.terminal.say

    def stop(line: str) -> None:
        if line.startswith("  32 of 64"):
            raise KeyboardInterrupt
        report(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.terminal, "say", stop)
        assert run(*arguments, "-o", "stopped", "--start", "first") == 130
    assert run(*arguments, "-o", "stopped") == 2, "what was trained is not thrown away unasked"
    assert "go on with --resume" in capsys.readouterr().err
    Path("tiny.toml").write_text(CONFIG.replace("[model]", "[sampling]\nnoise = 0.1\n[model]"))
    assert run(*arguments, "-o", "stopped", "--resume") == 0
    weights = [Path(name, "weights.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]
    whole, stopped = molvae.load_codec("whole"), molvae.load_codec("stopped")
    assert stopped.sampling == whole.sampling, "it goes on with its own settings"
    assert stopped.card["begun_from"] == whole.card["begun_from"] == f"tiny, sha256 {molvae.load_codec('first').sha256}"
    assert stopped.card["domain"].startswith("measured by ")
    assert run(*arguments, "-o", "new", "--resume") == 2


def test_train_needs_neither_rdkit_nor_prefect(features: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['rdkit'] = sys.modules['prefect'] = None\n"
        "from molvae.pipeline import cli\n"
        f"cli.main(['train', 'tiny.toml', '--features', '{features}', '-o', 'codec'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    assert Path("codec/weights.safetensors").exists()


def test_query_is_csv_in_a_pipe(candidates: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    candidates.to_parquet("candidates.parquet")
    assert run("query", "candidates.parquet", "passed and score > 0.8") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("candidate_id,smiles,")
    assert [line.split(",")[0] for line in lines[1:]] == ["C000001"]
    assert run("query", "candidates.parquet", "select count(*) as n from candidates", "-o", "n.csv") == 0
    assert Path("n.csv").read_text() == "n\n4\n"
    assert run("query", "candidates.parquet", "select count(*) as n from candidates", "-o", "n.smi") == 2
    assert "has no column smiles" in capsys.readouterr().err
    assert run("query", "candidates.parquet", "has('c1ccncc1')", "-o", "n.smi") == 0
    assert Path("n.smi").read_text() == "O=Cc1ccncc1\n"
    assert run("query", "candidates.parquet", "scor > 1") == 2


def test_query_is_a_table_on_a_terminal(
    candidates: pd.DataFrame, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates.to_parquet("candidates.parquet")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("query", "candidates.parquet", "select smiles, score from candidates order by score desc limit 2") == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["smiles", "score"]
    assert run("query", "candidates.parquet", "score > 1") == 0
    assert capsys.readouterr().out == "no row\n"


def test_evaluate_prints_and_writes_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "--codec", "moses", "--n", "20", "--json", "figures.json") == 0
    assert capsys.readouterr().out.startswith("Codec moses\n")
    figures = json.loads(Path("figures.json").read_text())
    assert figures["n_samples"] == 20
    assert run("evaluate", "--json", "figures.txt") == 2
