"""Codecs that encode one representation and reconstruct another: from the molecule file to decoded molecules."""

from pathlib import Path

import numpy as np
import pytest
from molvae.pipeline import cli, runs
from rdkit import Chem

import molvae
from molvae.errors import InputError
from molvae.features.store import FeatureStore

DRUGS = ["CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O", "C/C=C/CO", "Cn1c(=O)c2c(ncn2C)n(C)c1=O"]
MIRRORED = "C[C@@H](N)C(=O)O"
LIBRARY = [*DRUGS, MIRRORED, *(f"{'C' * i}{tail}" for i in range(1, 7) for tail in ("O", "N", "(=O)O", "c1ccccc1"))]
SETTINGS = """
name = "small"
[features]
decoder_output = "{decoder_output}"
{encoder_input}
vocabulary_size = 60
n_bits = 128
labels = 10
[model]
recipe = "{recipe}"
n_latent = 5
[training]
n_molecules = 96
batch_size = 8
n_held_out = 4
n_processes = 1
evaluate_every = 48
"""
REPRESENTATIONS = [
    ("smiles", "graph", "molecular"),
    pytest.param("smiles", "random_smiles", "denoising", marks=pytest.mark.slow),
    ("selfies", "counts", "variational"),
    pytest.param("selfies", None, "masked", marks=pytest.mark.slow),
    ("bits", None, "denoising"),
    pytest.param("counts", "smiles", "contractive", marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("library.smi").write_text("\n".join(LIBRARY))


def settings(output: str, view: str | None, recipe: str = "plain") -> None:
    line = f'encoder_input = "{view}"' if view else ""
    Path("small.toml").write_text(SETTINGS.format(decoder_output=output, encoder_input=line, recipe=recipe))


def run(*arguments: str) -> int:
    return cli._run(list(arguments))


@pytest.mark.parametrize(("output", "view", "recipe"), REPRESENTATIONS)
def test_codecs_of_any_two_representations_are_trained_saved_and_used(
    output: str, view: str | None, recipe: str
) -> None:
    settings(output, view, recipe)
    assert run("featurize", "library.smi", "-o", "features", "--config", "small.toml") == 0
    store = FeatureStore.open(Path("features"))
    assert (store.view_spec is None) == (view is None)
    assert len(store) == len(LIBRARY)
    assert run("train", "small.toml", "--features", "features", "-o", "codec") == 0
    codec = molvae.load_codec("codec")
    encoding = codec.encode([*DRUGS, "nonsense"])
    assert encoding.ok.tolist() == [True] * 4 + [False]
    again = molvae.load_codec("codec").encode(DRUGS[::-1])
    np.testing.assert_allclose(again.z[::-1], encoding.z[:4], atol=1e-5)
    if output in ("smiles", "selfies"):
        assert len(codec.decode(encoding.z[:4])) == 4
        assert len(codec.sample(5)) == 5
    else:
        assert codec.decode_features(encoding.z[:4]).shape == (4, 128)
        with pytest.raises(InputError, match="decode_features"):
            codec.decode(encoding.z[:4])
        with pytest.raises(InputError, match="search"):
            runs.load(Path("lead_like.toml"), ["codec.folder=codec"])
    assert codec.featurizer.describe() in Path("codec/README.md").read_text()
    assert codec.view is None or codec.view.describe() in Path("codec/README.md").read_text()


def test_the_latent_vector_does_not_depend_on_the_order_of_atoms() -> None:
    settings("smiles", "graph")
    assert run("featurize", "library.smi", "-o", "features", "--config", "small.toml") == 0
    assert run("train", "small.toml", "--features", "features", "-o", "codec") == 0
    codec = molvae.load_codec("codec")
    mol = Chem.MolFromSmiles(DRUGS[1])
    shuffled = Chem.MolToSmiles(Chem.RenumberAtoms(mol, [5, 2, 0, 4, 1, 3]), canonical=False)
    z = codec.encode([DRUGS[1], shuffled, MIRRORED]).z
    np.testing.assert_allclose(z[0], z[1], atol=1e-5)
    assert abs(z[0] - z[2]).max() > 1e-4


def test_features_of_another_representation_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    settings("smiles", "graph")
    assert run("featurize", "library.smi", "-o", "features", "--encoder-input", "bits") == 0
    assert run("train", "small.toml", "--features", "features", "-o", "codec") == 2
    message = capsys.readouterr().err
    assert all(fact in message for fact in ("[features]", "smiles", "graph", "bits"))


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["--encoder-input", "grpah"], "did you mean graph"),
        (["--decoder-output", "graph"], "decoder_output"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--vocabulary-size", "8"], "8"),
    ],
)
def test_unknown_representations_are_refused(
    arguments: list[str], fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("featurize", "library.smi", "-o", "features", *arguments) == 2
    message = capsys.readouterr().err
    assert fact in message
    assert "Traceback" not in message
    assert not Path("features").exists()


def test_molecules_outside_the_encoder_input_are_dropped_with_the_reason() -> None:
    tungsten = "F[W](F)(F)(F)(F)(F)F"
    Path("library.smi").write_text("\n".join([*LIBRARY, tungsten]))
    assert run("featurize", "library.smi", "-o", "features", "--encoder-input", "graph") == 0
    dropped = Path("features/dropped.csv").read_text()
    assert ",cannot be featurized: " in dropped
    assert "(W)" in dropped
    assert len(FeatureStore.open(Path("features"))) == len(LIBRARY)


def test_a_campaign_cannot_train_a_codec_that_decodes_no_molecules() -> None:
    Path("own.toml").write_text(
        '[molecules]\npath = "library.smi"\n[train.features]\ndecoder_output = "bits"\n'
        '[objective.terms.weight]\nproperty = "mol_weight"\nshape = "lower"\n'
    )
    with pytest.raises(InputError, match=r"\[train.features\] decoder_output"):
        runs.load(Path("own.toml"), [])
