import inspect
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem

import molvae
from molvae.autoencoder import ModelSettings, build
from molvae.bundled import bundled, bundled_codecs
from molvae.chem.molecules import standardize
from molvae.chem.properties import compute
from molvae.codec import Codec, SamplingSettings, fit_prior
from molvae.codec.decoding import distance_to_source
from molvae.errors import CodecError, InputError
from molvae.features import FeatureStore, FeatureWriter, TokenFeaturizer
from molvae.latent import GaussianPrior

LEAD_LIKE = ["CCN(CC)CC(=O)Nc1c(C)cccc1C", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"]
DRUGS = ["CC(=O)Nc1ccc(O)cc1", "CC(=O)Oc1ccccc1C(=O)O", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"]


@pytest.fixture(scope="module")
def codec():
    return molvae.load_codec("moses")


@pytest.fixture
def small():
    """A codec with random weights."""
    featurizer = TokenFeaturizer.from_corpus(DRUGS, 30)
    sizes = {
        "n_latent": 3,
        "encoder": {"kind": "gru", "embedding": 4, "hidden": 4},
        "decoder": {"kind": "gru", "hidden": 8},
    }
    settings = ModelSettings.from_dict(sizes, "test")
    torch.manual_seed(0)
    model = build(settings, featurizer.spec, 2)
    prior = GaussianPrior(np.zeros(3), np.eye(3))
    card = {"licence": "MIT", "property_names": ["logp", "qed"], "metrics": {"exact": 0.5}}
    return Codec("small", featurizer, model, settings, prior, SamplingSettings(), card)


class OtherTokens:
    """A token featurizer of another class, as from a plug-in."""

    def __init__(self, tokens):
        self._tokens = tokens
        self.spec, self.representation = tokens.spec, "other"
        self.encode, self.decode, self.describe, self.save = tokens.encode, tokens.decode, tokens.describe, tokens.save


def test_any_token_featurizer_with_decode_decodes_to_smiles(codec):
    other = replace(codec, featurizer=OtherTokens(codec.featurizer))
    assert other.decodes_to_smiles
    z = other.encode(LEAD_LIKE).z
    assert [molecule.smiles for molecule in other.decode(z)] == [Chem.CanonSmiles(smiles) for smiles in LEAD_LIKE]


def test_drugs_are_reconstructed(codec):
    encoding = codec.encode(LEAD_LIKE)
    assert encoding.z.shape == (3, codec.n_latent)
    assert encoding.z.dtype == np.float32
    assert encoding.ok.all()
    decoded = codec.decode(encoding.z)
    assert [molecule.smiles for molecule in decoded] == [Chem.CanonSmiles(smiles) for smiles in LEAD_LIKE]


def test_the_default_codec_reconstructs_stereo_and_charges():
    codec = molvae.load_codec()
    drugs = [
        "CC(=O)NC[C@H]1CN(c2ccc(N3CCOCC3)c(F)c2)C(=O)O1",
        "COC(=O)C1=C(C)NC(C)=C(C(=O)OC)C1c1ccccc1[N+](=O)[O-]",
        "CCCCCCC/C=C/C(N)=O",
        "C[N+](C)(C)CCOC(C)=O",
    ]
    encoding = codec.encode(drugs)
    assert encoding.ok.all()
    reconstructed = [molecule.smiles for molecule in codec.decode(encoding.z)]
    assert sum(a == b for a, b in zip(reconstructed, encoding.smiles, strict=True)) >= 3


def test_beam_search_keeps_the_molecule_that_encodes_nearest():
    codec = molvae.load_codec()
    library = pd.read_csv(bundled("moses_test_scaffolds.csv.gz"))["SMILES"]
    long = library[library.str.len() > 48].head(300).tolist()
    encoding = codec.encode(long)
    greedy, nearest = codec.decode(encoding.z), codec.decode(encoding.z, beam_size=6)
    exact = [sum(a.smiles == b for a, b in zip(found, encoding.smiles, strict=True)) for found in (greedy, nearest)]
    assert exact[1] >= exact[0] + 3
    assert all(b.smiles == a for a, b, c in zip(encoding.smiles, nearest, greedy, strict=True) if c.smiles == a)
    distances = [distance_to_source(codec.model, codec.featurizer, encoding.z, found) for found in (greedy, nearest)]
    assert np.all(distances[1] <= distances[0])
    assert nearest == codec.decode(encoding.z, beam_size=6)


@pytest.mark.parametrize(
    "options",
    [{"beam_size": 0}, {"beam_size": 1001}, {"beam_size": 2, "noise": 0.1}, {"beam_size": 2, "temperature": 1}],
)
def test_beam_size_is_checked(codec, options):
    with pytest.raises(InputError, match="beam_size: expected 1 to 1,000"):
        codec.decode(codec.draw(1), **options)


def test_beam_search_keeps_the_reason_of_a_latent_vector_with_nan(codec):
    z = np.stack([np.full(codec.n_latent, np.nan, np.float32), codec.encode(LEAD_LIKE).z[0]])
    assert codec.decode(z, beam_size=3) == codec.decode(z)
    assert codec.decode(z[:1], beam_size=3)[0].smiles is None
    assert "NaN" in codec.decode(z[:1], beam_size=3)[0].reason


def test_worker_processes_do_not_change_the_molecules(codec, monkeypatch):
    z = np.concatenate([codec.draw(600, seed=4), np.full((1, codec.n_latent), np.nan, np.float32)])
    alone = codec.decode(z, noise=0.9, temperature=1.2, seed=5)
    monkeypatch.setattr("molvae.codec.decoding._MIN_ROWS_FOR_WORKERS", 1)
    assert codec.decode(z, noise=0.9, temperature=1.2, seed=5) == alone
    assert 0 < sum(molecule.smiles is None for molecule in alone) < 601


def test_lists_series_arrays_and_rdkit_molecules_have_the_same_latent_vectors(codec):
    expected = codec.encode(DRUGS).z
    mols = [Chem.MolFromSmiles(smiles) for smiles in DRUGS]
    for molecules in (pd.Series(DRUGS, index=[7, 8, 9]), mols, np.array(DRUGS), (smiles for smiles in DRUGS)):
        np.testing.assert_allclose(codec.encode(molecules).z, expected, atol=1e-5)
    np.testing.assert_allclose(codec.encode(DRUGS[0]).z, expected[:1], atol=1e-5)


def test_all_smiles_of_a_molecule_have_the_same_latent_vector(codec):
    z = codec.encode(["OCC", "CCO", "C(O)C", " CCO "]).z
    assert np.ptp(z, axis=0).max() < 1e-5


def test_molecules_that_cannot_be_encoded_are_rows_with_a_reason(codec):
    rows = ["CCO", "not a molecule", None, float("nan"), "", "C[N+](C)(C)C", "C[Si](C)(C)C", "C[C@H](N)C(=O)O", 3]
    encoding = codec.encode(rows)
    assert encoding.ok.tolist() == [True] + [False] * 8
    assert np.isnan(encoding.z[1:]).all()
    assert np.isfinite(encoding.z[0]).all()
    assert all(encoding.reason[1:])
    assert "charged atom [N+]" in encoding.reason[5]
    assert "atom [Si]" in encoding.reason[6]
    assert "remove_stereo=True" in encoding.reason[7]


def test_removed_stereo_is_noted(codec):
    encoding = codec.encode(["C[C@H](N)C(=O)O", "CCO"], remove_stereo=True)
    assert encoding.ok.all()
    assert encoding.smiles[0] == "CC(N)C(=O)O"
    assert encoding.note == ["stereo removed", None]


@pytest.mark.parametrize("remove_stereo", [False, True])
def test_standardized_rows_are_not_standardized_again(codec, monkeypatch, remove_stereo):
    raw = ["OCC", "C1CC", "CCN.Cl", "C[C@H](N)C(=O)O", "NO", None, "C[Si](C)(C)C"]
    expected = codec.encode(raw, remove_stereo=remove_stereo)
    rows = [standardize(one) for one in raw]
    monkeypatch.setattr("molvae.chem.molecules.standardize", None)
    encoding = codec.encode(rows, remove_stereo=remove_stereo)
    np.testing.assert_array_equal(encoding.z, expected.z)
    assert encoding.ok.tolist() == expected.ok.tolist()
    assert (encoding.smiles, encoding.reason, encoding.note) == (expected.smiles, expected.reason, expected.note)


def test_a_stripped_salt_is_noted(codec):
    encoding = codec.encode(["CCN.Cl"])
    assert encoding.smiles == ["CCN"]
    assert "stripped" in encoding.note[0]


def test_empty_input_gives_empty_output(codec):
    assert codec.encode([]).z.shape == (0, codec.n_latent)
    assert codec.decode(np.empty((0, codec.n_latent))) == []
    assert codec.sample(0) == []


def test_a_row_with_nan_has_a_reason_and_a_wrong_shape_is_an_error(codec):
    z = codec.draw(3)
    z[1, 0] = np.nan
    decoded = codec.decode(z)
    assert decoded[1].smiles is None
    assert "NaN" in decoded[1].reason
    assert decoded[0].raw_smiles
    with pytest.raises(InputError, match=rf"\(n, {codec.n_latent}\), got \(2, 3\)"):
        codec.decode(np.zeros((2, 3)))
    with pytest.raises(InputError, match="array of numbers"):
        codec.decode([["a"] * codec.n_latent])
    with pytest.raises(InputError, match="noise"):
        codec.decode(z, noise=2.0)
    with pytest.raises(InputError, match="temperature"):
        codec.decode(z, temperature=float("nan"))


def test_noise_gives_several_molecules_from_one_latent_vector(codec):
    z = np.repeat(codec.encode(DRUGS[:1]).z, 40, axis=0)
    near = {molecule.smiles for molecule in codec.decode(z, noise=0.3, temperature=0.7, seed=1)}
    far = {molecule.smiles for molecule in codec.decode(z, noise=0.8, temperature=0.7, seed=1)}
    assert len(far) > len(near) >= 1
    assert codec.decode(z, noise=0.8, temperature=0.7, seed=1) == codec.decode(z, noise=0.8, temperature=0.7, seed=1)


def test_samples_are_valid_unique_and_reproducible(codec):
    drawn = codec.sample(300, seed=5)
    smiles = [molecule.smiles for molecule in drawn if molecule.smiles]
    assert len(drawn) == 300
    assert len(smiles) >= 0.97 * 300
    assert len(set(smiles)) >= 0.97 * len(smiles)
    assert all(Chem.CanonSmiles(one) == one for one in smiles)
    assert codec.sample(300, seed=5) == drawn
    assert codec.sample(300, seed=6) != drawn


def test_more_tries_leave_fewer_invalid(codec):
    counts = [sum(m.smiles is None for m in codec.sample(400, seed=1, tries=tries)) for tries in (1, 3)]
    assert counts[0] > counts[1]
    with pytest.raises(InputError, match="tries"):
        codec.sample(1, tries=0)
    with pytest.raises(InputError, match="n: expected"):
        codec.sample(-1)


def test_logp_is_linear_in_the_latent_vectors(codec):
    from sklearn.linear_model import Ridge

    from molvae.chem.properties import compute

    sample = pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"][:1000]
    encoding = codec.encode(sample)
    logp = compute(list(sample), ["logp"])["logp"].to_numpy()
    z, logp = encoding.z[encoding.ok], logp[encoding.ok]
    assert Ridge(1.0).fit(z[:400], logp[:400]).score(z[400:], logp[400:]) > 0.5


def test_properties_are_predicted_from_latent_vectors(codec):
    from molvae.chem.properties import compute

    sample = list(pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"][:300])
    predicted = codec.properties(codec.encode(sample).z)
    for name in ("logp", "tpsa", "mol_weight"):
        assert np.corrcoef(predicted[name], compute(sample, [name])[name])[0, 1] > 0.85


def test_training_smiles_are_those_of_the_bundled_file(codec):
    smiles = codec.training_smiles()
    assert len(smiles) == 1_584_663
    assert smiles[0] == "CCCS(=O)c1ccc2[nH]c(=NC(=O)OC)[nH]c2c1"


def test_a_loaded_codec_equals_the_saved_codec_up_to_rounding(small, tmp_path):
    small.save(tmp_path / "codec")
    loaded = molvae.load_codec(tmp_path / "codec")
    np.testing.assert_allclose(loaded.encode(DRUGS).z, small.encode(DRUGS).z, atol=1e-2)
    np.testing.assert_allclose(loaded.draw(5), small.draw(5), atol=1e-6)
    assert (loaded.name, loaded.card, loaded.settings) == (small.name, small.card, small.settings)
    assert loaded.training_smiles() is None
    loaded.save(tmp_path / "again")
    assert molvae.load_codec(tmp_path / "again").sha256 == loaded.sha256
    assert "exact 0.5" in (tmp_path / "again" / "README.md").read_text()


def test_saving_does_not_overwrite_files(small, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    for folder in (tmp_path / "taken", tmp_path / "taken" / "file"):
        with pytest.raises(InputError, match="exists"):
            small.save(folder)
    small.save(tmp_path / "new" / "deep")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["deep"]


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "prior.safetensors", "featurizer.json", "codec.json", "README.md"]
)
@pytest.mark.parametrize("damage", ["change", "truncate", "remove"])
def test_a_damaged_codec_is_refused(small, tmp_path, name, damage):
    small.save(tmp_path / "codec")
    path = tmp_path / "codec" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if damage != "remove":
        path.write_bytes(data if damage == "change" else data[: len(data) // 2])
    with pytest.raises(CodecError, match="codec"):
        molvae.load_codec(tmp_path / "codec")


def test_a_codec_of_another_version_is_refused(small, tmp_path):
    small.save(tmp_path / "codec")
    path = tmp_path / "codec" / "codec.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    with pytest.raises(CodecError, match="version 99; this release reads version 2"):
        molvae.load_codec(tmp_path / "codec")


def test_an_unknown_codec_is_an_error(tmp_path):
    assert bundled_codecs() == ["druglike", "moses"]
    assert molvae.load_codec("moses").name == "moses"
    with pytest.raises(CodecError, match="bundled: druglike, moses"):
        molvae.load_codec("mosse")
    with pytest.raises(CodecError, match=r"codec\.json"):
        molvae.load_codec(tmp_path)


def test_the_prior_is_fitted_to_the_features(small, tmp_path):
    features = small.featurizer.encode(DRUGS * 20)
    with FeatureWriter(tmp_path, small.featurizer.spec) as writer:
        writer.write(features.x)
    prior = fit_prior(small.model, FeatureStore.open(tmp_path))
    np.testing.assert_allclose(prior.mean, small.encode(DRUGS).z.mean(0), atol=1e-4)


def test_spread_is_the_standard_deviation_of_the_added_steps(small, tmp_path):
    exact, spread = small.draw(4000, seed=1, spread=0), small.draw(4000, seed=1, spread=1.5)
    covariance = np.cov((spread - exact).T, ddof=0)
    np.testing.assert_allclose(
        covariance, 2.25 * small.prior.factor @ small.prior.factor.T, atol=0.1 * covariance.max()
    )
    np.testing.assert_array_equal(small.draw(4000, seed=1), exact)  # the default of this codec is 0
    own = replace(small, sampling=SamplingSettings(spread=1.5))
    np.testing.assert_array_equal(own.draw(4000, seed=1), spread)
    own.save(tmp_path / "codec")
    np.testing.assert_allclose(molvae.load_codec(tmp_path / "codec").draw(9, seed=2), own.draw(9, seed=2), atol=1e-5)
    with pytest.raises(InputError, match="spread"):
        small.draw(1, spread=-1)


def test_spread_is_zero_with_windows():
    codec = molvae.load_codec("moses")
    assert codec.sampling.spread > 0
    drawn, narrow, wide = (
        codec.draw(500, seed=1, windows={"logp": (0, 0.5)}, spread=spread) for spread in (None, 0, 1)
    )
    np.testing.assert_array_equal(drawn, narrow)
    assert codec.properties(wide)["logp"].std() > 1.5 * codec.properties(drawn)["logp"].std()


def test_windows_shift_a_property_of_samples():
    codec = molvae.load_codec("moses")
    logp = {}
    for name, windows in {"free": None, "low": {"logp": (None, 0.5)}, "high": {"logp": (3.0, 4.0)}}.items():
        drawn = [m.smiles for m in codec.sample(200, seed=2, windows=windows, guidance=2.0) if m.smiles]
        assert len(drawn) > 150
        logp[name] = compute(drawn, ["logp"])["logp"].mean()
    assert logp["low"] < logp["free"] - 0.6
    assert logp["high"] > logp["free"] + 0.3
    assert codec.sample(5, seed=2, windows={}) == codec.sample(5, seed=2)


@pytest.mark.parametrize(
    ("windows", "guidance", "message"),
    [
        ({"logP": (0, 1)}, 1.0, "'logP'; the property head was trained on: qed, sa_score, logp"),
        ({"logp": (1, 1)}, 1.0, "logp: expected low < high, got 1 and 1"),
        ({"logp": (float("nan"), 1)}, 1.0, "logp"),
        ({"logp": (0, 1)}, -1.0, "guidance: expected 0 or more, got -1.0"),
        ({"logp": (0, 1)}, float("inf"), "guidance"),
    ],
)
def test_windows_and_guidance_are_checked(windows, guidance, message):
    with pytest.raises(InputError, match=re.escape(message)):
        molvae.load_codec("moses").sample(2, windows=windows, guidance=guidance)


def test_druglike_reconstructs_stereo_and_charges():
    codec = molvae.load_codec("druglike")
    drugs = [
        "CC(C)C[C@H](NC(=O)c1ccccc1)C(=O)NC1CC1",
        "C/C(=C\\c1ccccc1)C(=O)N1CCOCC1",
        "O=C(NCc1ccccc1)c1cccc([N+](=O)[O-])c1",
    ]
    encoding = codec.encode(drugs)
    assert encoding.ok.all()
    assert [molecule.smiles for molecule in codec.decode(encoding.z)] == encoding.smiles
    drawn = [molecule.smiles for molecule in codec.sample(100, seed=0) if molecule.smiles]
    assert len(drawn) > 95
    assert any("@" in smiles for smiles in drawn)


def test_repr_is_one_short_line(codec, small):
    assert repr(codec) == f"Codec('moses', 128 dimensions, sha256 {codec.sha256[:8]})"
    assert repr(small) == "Codec('small', 3 dimensions, not saved)"
    assert repr(codec.encode([*DRUGS, "nonsense"])) == "Encoding(3 of 4 molecules, 128 dimensions)"


def test_property_names_are_those_of_the_property_head(codec, small):
    assert small.property_names == ["logp", "qed"]
    assert codec.property_names == list(codec.properties(codec.draw(1)))
    assert replace(small, card={}).property_names == []


def test_options_are_keyword_only(codec):
    for method in ("encode", "decode", "draw", "sample", "interpolate", "neighborhood", "infill", "move", "neighbors"):
        parameters = inspect.signature(getattr(Codec, method)).parameters.values()
        positional = [one for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert all(one.default is inspect.Parameter.empty for one in positional), method


def test_what_a_codec_decodes_can_be_passed_on(codec):
    decoded = codec.sample(4, seed=0)
    encoding = codec.encode(decoded)
    assert encoding.ok.all()
    assert encoding.smiles == [one.smiles for one in decoded]
    assert codec.encode(decoded[0]).smiles == [decoded[0].smiles]
    assert compute(decoded, ["logp"])["logp"].notna().all()
    invalid = replace(decoded[0], smiles=None, raw_smiles="C1CC", reason="invalid SMILES")
    assert not codec.encode([invalid, decoded[1]]).ok[0]
