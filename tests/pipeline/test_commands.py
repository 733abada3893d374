"""The commands that work on files: their output and their errors."""

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
    """Four drugs, a salt of one of them, a word, an element outside the vocabulary of the codec, and an empty cell."""
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


def test_encode_writes_a_row_for_every_row(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("encode", str(library), "--id-column", "compound", "-o", "latent.parquet") == 0
    table = pd.read_parquet("latent.parquet")
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
    lines = capsys.readouterr().err.splitlines()
    assert "8 rows, 5 encoded: latent.parquet" in lines
    assert sum(line.startswith("  1 not encoded: ") for line in lines) == 3
    assert [line for line in lines if "with a warning" in line and line.startswith("  1 ") and "salt" in line]


def test_a_warning_is_counted_once_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    Path("warnings.csv").write_text("smiles\nNO\nC[C@H](N)C(=O)O\nCCO\n")
    assert run("encode", "warnings.csv", "-o", "latent.csv", "--remove-stereo") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "1 with a warning: " in line]
    assert ["word" in line for line in warnings] == [True, False]
    assert ["stereo" in line for line in warnings] == [False, True]


def test_domain_writes_a_row_for_every_row_and_counts_them(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with library.open("a") as file:
        file.write("chain;CC(=O)Nc1ccc(OOOO)cc1\n")
    Path("known.smi").write_text("CC(=O)Nc1ccccc1\n")
    arguments = ["domain", str(library), "--id-column", "compound", "--codec", "moses", "-o"]
    assert run(*arguments, "domain.parquet", "--reference", "known.smi") == 0
    table = pd.read_parquet("domain.parquet")
    assert table["id"].tolist() == [*DRUGS, "salt", "word", "arsane", "none", "chain"]
    assert table["in_domain"].tolist()[2] is True  # the lighter drugs are below the range of the training set
    assert table["in_domain"].tolist()[5:] == [None, False, None, False]
    assert table["domain_percentile"].isna().tolist() == [False] * 5 + [True, False, True, False]
    assert "0.48" in table["reason"][8]
    lines = capsys.readouterr().err.splitlines()
    n_out = 5 - int(table["in_domain"][:5].sum()) + 1
    assert f"9 rows, {6 - n_out} in the domain, {n_out} out of it (percentile 99): domain.parquet" in lines
    assert sum(line.startswith("  1 not encoded: ") for line in lines) == 3
    assert run(*arguments, "domain.csv", "--percentile", "50") == 0
    again = pd.read_csv("domain.csv")
    assert "nearest_reference" not in again
    np.testing.assert_allclose(again["domain_percentile"], table["domain_percentile"], rtol=1e-4)
    assert run(*arguments, "more.csv", "--percentile", "100") == 2
    assert "percentile" in capsys.readouterr().err
    assert not Path("more.csv").exists()


def test_decode_reads_what_encode_writes(library: Path) -> None:
    assert run("encode", str(library), "--id-column", "compound", "-o", "latent.csv") == 0
    assert run("decode", "latent.csv", "-o", "back.csv") == 0
    table = pd.read_csv("back.csv")
    assert list(table) == ["id", "raw_smiles", "smiles", "reason"]
    assert len(table) == 8
    codec = molvae.load_codec()
    direct = codec.decode(codec.encode(list(DRUGS.values())).z)
    assert table["smiles"][:4].where(table["smiles"][:4].notna(), None).tolist() == [row.smiles for row in direct]
    assert run("decode", "latent.csv", "--beam-size", "4", "-o", "near.csv") == 0
    assert pd.read_csv("near.csv")["smiles"].notna().sum() >= table["smiles"].notna().sum()
    assert run("decode", "latent.csv", "--beam-size", "4", "--noise", "0.2", "-o", "none.csv") == 2
    assert table["reason"][6] == "empty: no latent vector"


def test_decode_refuses_other_tables(capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame({"z_000": [0.1], "z_001": [0.2]}).to_parquet("two.parquet")
    pd.DataFrame({"a": [1]}).to_csv("none.csv", index=False)
    Path("broken.parquet").write_bytes(b"PAR1")
    Path("empty.csv").touch()
    for name, part in {
        "two.parquet": "2 columns z_000 to z_001",
        "none.csv": "columns a",
        "broken.parquet": "table",
        "empty.csv": "table",
        "gone.csv": "no such file",
        ".": "regular file",
    }.items():
        assert run("decode", name, "-o", "back.csv") == 2
        output = capsys.readouterr().err
        assert part in output
        assert output.startswith(f"molvae: {name}: ")
    assert not Path("back.csv").exists()


@pytest.mark.parametrize("ending", ["smi", "csv", "parquet"])
def test_sample_writes_the_molecules_of_the_codec(ending: str) -> None:
    assert run("sample", "-n", "12", "--seed", "3", "-o", f"a.{ending}") == 0
    rows = [row.smiles for row in molvae.load_codec().sample(12, seed=3)]
    if ending == "smi":
        assert Path("a.smi").read_text().split() == [smiles for smiles in rows if smiles]
    else:
        table = pd.read_csv("a.csv") if ending == "csv" else pd.read_parquet("a.parquet")
        assert table["smiles"].where(table["smiles"].notna(), None).tolist() == rows


def test_sample_replaces_a_file_but_not_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.smi").write_text("old")
    assert run("sample", "-n", "1", "-o", "a.smi") == 0
    assert Path("a.smi").read_text() != "old"
    Path("b.smi").mkdir()
    assert run("sample", "-n", "1", "-o", "b.smi") == 2
    assert run("sample", "-n", "1", "-o", "a.xlsx") == 2
    assert ".csv or .smi or .parquet" in capsys.readouterr().err


def test_sample_within_a_window(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sample", "-n", "8", "--window", "logp=:1", "--window", "tpsa = 60 : 90", "-o", "a.csv") == 0
    wanted = {"logp": (None, 1.0), "tpsa": (60.0, 90.0)}
    rows = molvae.load_codec().sample(8, windows=wanted)
    assert pd.read_csv("a.csv")["raw_smiles"].tolist() == [row.raw_smiles for row in rows]
    values = compute([row.smiles for row in rows if row.smiles], ["logp", "tpsa"])
    n_within = int(((values["logp"] <= 1) & values["tpsa"].between(60, 90)).sum())
    assert f"{n_within} within logp=:1 and tpsa = 60 : 90 " in capsys.readouterr().err
    for window in ("logp", "logp=1", "logp=a:b", "logp=1:2:3"):
        assert run("sample", "-n", "8", "--window", window, "-o", "b.csv") == 2
        assert f"--window {window}: expected NAME=LOW:HIGH" in capsys.readouterr().err
    assert run("sample", "-n", "8", "--window", "colour=1:2", "-o", "b.csv") == 2
    assert "'colour'" in capsys.readouterr().err
    assert not Path("b.csv").exists()


def test_a_window_without_molecules_has_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("sample", "-n", "4", "--window", "logp=90:91", "-o", "a.csv") == 0
    output = capsys.readouterr().err
    assert "0 within logp=90:91 " in output
    assert "--guidance" in output


def test_sample_at_a_given_noise_and_temperature() -> None:
    assert run("sample", "-n", "6", "--noise", "0", "--temperature", "0", "-o", "a.csv") == 0
    codec = molvae.load_codec()
    assert pd.read_csv("a.csv")["raw_smiles"].tolist() == [row.raw_smiles for row in codec.decode(codec.draw(6))]
    assert run("sample", "-n", "6", "--noise", "1.5", "-o", "b.csv") == 2


def test_sample_at_a_given_spread() -> None:
    arguments = ["--noise", "0", "--temperature", "0", "--tries", "1", "--codec", "moses"]
    codec = molvae.load_codec("moses")
    for spread in (0.0, 2.0):
        assert run("sample", "-n", "6", *arguments, "--spread", str(spread), "-o", f"{spread}.csv") == 0
        written = pd.read_csv(f"{spread}.csv")["raw_smiles"].tolist()
        assert written == [row.raw_smiles for row in codec.decode(codec.draw(6, spread=spread))]
    assert run("sample", "-n", "6", "--spread", "-1", "-o", "b.csv") == 2


def test_featurize_writes_every_row_as_kept_or_dropped(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--id-column", "compound", "--properties", "--labels", "2", "--vocabulary-size", "40"]
    assert run("featurize", str(library), "-o", "features", *arguments) == 0
    manifest = Manifest.read(Path("features"))
    assert manifest is not None
    assert manifest.counts.model_dump() == {
        "into": 8,
        "kept": 5,
        "dropped": {"invalid SMILES": 1, "empty": 1, "duplicate": 1},
        "notes": {},
    }
    kept = pd.read_parquet("features/molecules.parquet")
    assert kept["id"].tolist() == [*DRUGS, "arsane"]
    assert Path("features/dropped.csv").read_text().splitlines()[2].startswith('6,word,"\'=cmd",')
    store = FeatureStore.open(Path("features"))
    featurizer = TokenFeaturizer.load(Path("features/featurizer.json"))
    assert featurizer.decode(store.rows(np.arange(5))) == kept["smiles"].tolist()
    assert len(store.labelled) == 2
    assert "qed" in store.label_names
    lines = capsys.readouterr().err.splitlines()
    assert "8 read, 5 kept: features" in lines
    assert "  1 dropped: duplicate" in lines


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
    error = capsys.readouterr().err
    assert "128" in error
    assert "64" in error
    assert run("featurize", str(library), "-o", "bare", "--vocabulary-size", "40") == 0
    settings = ["[training.weights]\nsimilarity = 5.0", '[model.changes]\nregularizers = ["similarity"]']
    for i, text in enumerate(settings):
        Path(f"{i}.toml").write_text(text + "\n")
        assert run("train", f"{i}.toml", "--features", "bare", "-o", "codec") == 2
        error = capsys.readouterr().err
        assert "similarity" in error
        assert "bare" in error
    Path("typo.toml").write_text("[training.weights]\nsimilarty = 5.0\n")
    assert run("train", "typo.toml", "--features", "bare", "-o", "codec") == 2
    error = capsys.readouterr().err
    assert "similarty" in error
    assert "reconstruction" in error
    assert not list(Path().glob("codec*"))
    Path("none.toml").write_text("[features]\nlabel_bits = 128\n")
    assert run("featurize", str(library), "-o", "none", "--config", "none.toml") == 2
    assert "labels" in capsys.readouterr().err


def test_featurize_drops_molecules_outside_the_vocabulary_of_a_codec(library: Path) -> None:
    assert run("featurize", str(library), "-o", "features", "--vocabulary", "moses") == 0
    manifest = Manifest.read(Path("features"))
    assert manifest is not None
    assert manifest.counts.kept == 4
    assert manifest.counts.dropped["cannot be featurized"] == 1
    assert ",C[As](C)C,cannot be featurized: " in Path("features/dropped.csv").read_text()
    assert TokenFeaturizer.load(Path("features/featurizer.json")) == molvae.load_codec("moses").featurizer


def test_featurize_holds_out_test_molecules(capsys: pytest.CaptureFixture[str]) -> None:
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


def test_featurize_refuses_a_file_without_molecules(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.smi").write_text("nonsense\nmore\n")
    assert run("featurize", "a.smi", "-o", "features") == 2
    error = capsys.readouterr().err
    assert "2 rows" in error
    assert "SMILES (2)" in error
    assert [path.name for path in Path().iterdir()] == ["a.smi"]


@pytest.mark.parametrize(
    "command",
    [
        ["featurize", "library.csv"],
        pytest.param(["encode", "library.csv"], marks=pytest.mark.slow),
        pytest.param(["sample", "-n", "400"], marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_gives_one_line_and_leaves_no_partial_file(command: list[str], library: Path) -> None:
    """A limit on file size gives almost the same error as a full disk."""
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
    assert "file too large; " in last
    assert "Traceback" not in done.stderr
    assert [path.name for path in Path().iterdir()] == ["library.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_read_only_folder_is_refused(library: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_train_writes_a_codec_that_loads(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "tiny.toml", "--features", str(features), "-o", "codec") == 0
    codec = molvae.load_codec("codec")
    assert (codec.name, codec.n_latent) == ("tiny", 4)
    assert codec.card["training_data"].startswith("many.smi, sha256 ")
    assert codec.card["training_molecules"] == 32
    assert codec.encode(["CCCO"]).ok.all()
    assert not Path("codec.training").exists()
    assert "codec tiny, 4 latent dimensions: codec" in capsys.readouterr().err
    assert run("sample", "-n", "3", "--codec", "codec", "-o", "a.csv") == 0
    assert run("train", "tiny.toml", "--features", str(features), "-o", "codec") == 2, (
        "an existing codec is not overwritten"
    )
    assert run("train", "tiny.toml", "--features", str(features), "-o", "next", "--start", "codec") == 0
    narrow = 'n_latent = 4\nencoder = {kind = "gru", embedding = 8, hidden = 16}\ndecoder = {kind = "gru", hidden = 16}'
    Path("narrow.toml").write_text(CONFIG.replace("n_latent = 4", narrow))
    assert run("train", "narrow.toml", "--features", str(features), "-o", "other", "--start", "moses") == 2
    assert "moses (--start)" in capsys.readouterr().err


def test_training_starts_from_a_codec_with_another_vocabulary(
    features: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", "tiny.toml", "--features", str(features), "-o", "first") == 0
    Path("other.smi").write_text("\n".join(f"{'C' * i}{tail}" for i in range(1, 9) for tail in ("Cl", "Br", "S")))
    assert run("featurize", "other.smi", "-o", "other", "--vocabulary-size", "30", "--properties") == 0
    capsys.readouterr()
    assert run("train", "tiny.toml", "--features", "other", "-o", "second", "--start", "first") == 0
    assert re.search(r"tiny: 9\d\.\d% of the weights, \d+ of \d+ tokens", capsys.readouterr().err)
    assert molvae.load_codec("second").card["initial_weights"].startswith("tiny, sha256 ")


@pytest.mark.parametrize("kind", ["mixture", "flow"])
def test_refit_fits_the_prior_to_other_molecules(kind: str, features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "tiny.toml", "--features", str(features), "-o", "codec") == 0
    Path("own.smi").write_text("\n".join(f"{'C' * i}O" for i in range(1, 9)))
    assert run("featurize", "own.smi", "-o", "own", "--vocabulary", "codec") == 0
    extra = f'[prior]\nkind = "{kind}"\ncomponents = 2\nflow = {{hidden = 8, n_samples = 64}}\n'
    Path("own.toml").write_text(CONFIG + extra + "[sampling]\nnoise = 0.3\ntemperature = 0.2\n")
    assert run("refit", "own", "--codec", "codec", "-o", "focused", "--config", "own.toml") == 0
    first, second = molvae.load_codec("codec"), molvae.load_codec("focused")
    np.testing.assert_array_equal(first.encode(["CCO"]).z, second.encode(["CCO"]).z)
    assert type(second.prior).__name__.lower().startswith(kind)
    assert (second.sampling.noise, second.sampling.temperature) == (0.3, 0.2)
    assert second.card["prior_fitted_to"].startswith("own.smi, sha256 ")
    assert second.sample(3, seed=1) == molvae.load_codec("focused").sample(3, seed=1)
    assert second.calibration is not None
    if kind == "mixture":  # the default settings of the flow need more molecules
        assert run("refit", "own", "--codec", "focused", "-o", "again") == 0
        assert len(molvae.load_codec("again").prior.weights) == 2
    assert run("refit", "own", "--codec", "codec", "-o", "focused") == 2
    assert "focused" in capsys.readouterr().err
    assert run("refit", "own", "--codec", "moses", "-o", "other") == 2
    assert "--vocabulary moses" in capsys.readouterr().err


def test_a_stopped_training_resumes(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from molvae.pipeline import train as stage

    arguments = ["train", "tiny.toml", "--features", str(features)]
    assert run(*arguments, "-o", "first") == 0
    assert run(*arguments, "-o", "whole", "--start", "first") == 0
    report = stage.terminal.show

    def stop(line: str) -> None:
        if line.startswith("  32 of 64"):
            raise KeyboardInterrupt
        report(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.terminal, "show", stop)
        assert run(*arguments, "-o", "stopped", "--start", "first") == 130
    assert run(*arguments, "-o", "stopped") == 2, "a stopped training is not overwritten"
    assert "--resume" in capsys.readouterr().err
    Path("tiny.toml").write_text(CONFIG.replace("[model]", "[sampling]\nnoise = 0.1\n[model]"))
    assert run(*arguments, "-o", "stopped", "--resume") == 0
    weights = [Path(name, "weights.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]
    whole, stopped = molvae.load_codec("whole"), molvae.load_codec("stopped")
    assert stopped.sampling == whole.sampling, "it resumes with its own settings"
    origins = {stopped.card["initial_weights"], whole.card["initial_weights"]}
    assert origins == {f"tiny, sha256 {molvae.load_codec('first').sha256}"}
    assert stopped.card["domain"].startswith("measured on ")
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


def test_query_prints_csv_in_a_pipe(candidates: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    candidates.to_parquet("candidates.parquet")
    assert run("query", "candidates.parquet", "passed and score > 0.8") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("candidate_id,smiles,")
    assert [line.split(",")[0] for line in lines[1:]] == ["C000001"]
    assert run("query", "candidates.parquet", "select count(*) as n from candidates", "-o", "n.csv") == 0
    assert Path("n.csv").read_text() == "n\n4\n"
    assert run("query", "candidates.parquet", "select count(*) as n from candidates", "-o", "n.smi") == 2
    assert "smiles" in capsys.readouterr().err
    assert run("query", "candidates.parquet", "has('c1ccncc1')", "-o", "n.smi") == 0
    assert Path("n.smi").read_text() == "O=Cc1ccncc1 C000003\n"
    assert run("query", "candidates.parquet", "scor > 1") == 2


def test_query_prints_a_table_on_a_terminal(
    candidates: pd.DataFrame, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates.to_parquet("candidates.parquet")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("query", "candidates.parquet", "select smiles, score from candidates order by score desc limit 2") == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["smiles", "score"]
    assert run("query", "candidates.parquet", "score > 1") == 0
    assert capsys.readouterr().out == "no rows\n"


def test_evaluate_prints_and_writes_the_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "--codec", "moses", "--n", "20", "--json", "metrics.json") == 0
    assert capsys.readouterr().out.startswith("Codec moses\n")
    metrics = json.loads(Path("metrics.json").read_text())
    assert metrics["n_samples"] == 20
    assert run("evaluate", "--json", "metrics.txt") == 2
