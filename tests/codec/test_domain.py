from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import molvae
from molvae.autoencoder import ModelSettings, build
from molvae.bundled import bundled
from molvae.chem.fingerprints import ReferenceSet
from molvae.codec import Codec, DomainCalibration, SamplingSettings, fit_domain
from molvae.errors import CodecError, InputError
from molvae.features import FeatureStore, FeatureWriter, TokenFeaturizer
from molvae.latent import GaussianPrior

LEAD_LIKE = ["CCN(CC)CC(=O)Nc1c(C)cccc1C", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"]
PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"
DRUGS = ["CC(=O)Nc1ccc(O)cc1", "CC(=O)Oc1ccccc1C(=O)O", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21"]
PEROXIDE = "CC(=O)Nc1ccc(OOOO)cc1"
COLUMNS = [
    "smiles", "reconstruction_nats", "nll_nats", "log_density", "reconstruction_percentile", "nll_percentile",
    "density_percentile", "domain_percentile", "in_domain", "nearest_reference", "nearest_similarity", "reason",
]  # fmt: skip


@pytest.fixture(scope="module")
def codec():
    return molvae.load_codec("moses")


@pytest.fixture
def small():
    """A codec with random weights, of a recipe without a noise-conditioned decoder."""
    featurizer = TokenFeaturizer.from_corpus(DRUGS, 30)
    sizes = {
        "recipe": "plain",
        "n_latent": 3,
        "encoder": {"kind": "gru", "embedding": 4, "hidden": 4},
        "decoder": {"kind": "gru", "hidden": 8},
    }
    settings = ModelSettings.from_dict(sizes, "test")
    model = build(settings, featurizer.spec, 0).requires_grad_(False)
    return Codec("small", featurizer, model, settings, GaussianPrior(np.zeros(3), np.eye(3)), SamplingSettings(), {})


def test_rows_keep_their_order_and_have_reasons(codec):
    rows = [LEAD_LIKE[0], "nonsense", PEROXIDE, None, "C[Si](C)(C)C", LEAD_LIKE[1]]
    table = codec.applicability_domain(rows, reference=[*LEAD_LIKE, PARACETAMOL])
    assert list(table) == COLUMNS
    assert table["smiles"].tolist() == [LEAD_LIKE[0], None, PEROXIDE, None, "C[Si](C)(C)C", LEAD_LIKE[1]]
    assert table["in_domain"].tolist() == [True, pd.NA, False, pd.NA, False, True]
    assert table["domain_percentile"].isna().tolist() == [False, True, False, True, False, False]
    assert table["domain_percentile"][4] == 100
    assert table["reason"][0] is table["reason"][5] is None
    assert table["reason"][1].startswith("invalid SMILES")
    assert table["reason"][3].startswith("empty")
    assert "above the 99.9th percentile" in table["reason"][2]
    assert table["reason"][2].endswith("0.52")  # similarity to the nearest molecule
    assert "[Si]" in table["reason"][4]
    assert table["nearest_reference"].tolist()[:3] == [LEAD_LIKE[0], None, PARACETAMOL]
    assert table["nearest_similarity"][0] == 1
    assert table[["reconstruction_nats", "log_density"]].isna().all(axis=1).tolist() == [0, 1, 0, 1, 1, 0]


def test_measures_do_not_depend_on_the_other_molecules(codec):
    def measures(smiles):
        table = codec.applicability_domain(smiles)
        return table.drop(columns=["smiles", "nearest_reference", "reason"]).astype(float)

    together = measures([*DRUGS, PEROXIDE])
    for row, smiles in enumerate([*DRUGS, PEROXIDE]):
        alone = measures(smiles)
        assert len(alone) == 1
        np.testing.assert_allclose(alone.iloc[0], together.iloc[row], rtol=1e-3, atol=1e-3)


def test_empty_input_gives_an_empty_table(codec):
    for reference in (None, DRUGS):
        table = codec.applicability_domain([], reference=reference)
        assert len(table) == 0
        assert list(table) == COLUMNS


def test_molecules_that_cannot_be_encoded_are_out_of_domain(codec):
    table = codec.applicability_domain(["CCOCCOCCN" * 12, "C[C@H](N)C(=O)O"])
    assert table["in_domain"].tolist() == [False, False]
    assert "tokens" in table["reason"][0]
    assert "stereo" in table["reason"][1]
    assert codec.applicability_domain(["C[C@H](N)C(=O)O"], remove_stereo=True)["smiles"].tolist() == ["CC(N)C(=O)O"]


def test_test_molecules_are_in_domain_and_unusual_ones_are_not(codec):
    test = pd.read_csv(bundled("moses_test.csv.gz"))["SMILES"].sample(1000, random_state=1)
    assert (~codec.applicability_domain(test)["in_domain"]).mean() == pytest.approx(0.01, abs=0.008)
    assert (~codec.applicability_domain(test, percentile=90)["in_domain"]).mean() == pytest.approx(0.1, abs=0.03)
    training = pd.Series(codec.training_smiles()).sample(1000, random_state=1)
    assert codec.applicability_domain(training, percentile=90)["in_domain"].mean() > 0.9
    peroxides = codec.applicability_domain(training[:300].str.replace("C", "OO", n=1, regex=False))
    valid = peroxides["smiles"].notna()
    assert valid.sum() > 200
    assert peroxides.loc[valid, "in_domain"].mean() < 0.2


def test_percentiles_increase_with_the_measure():
    random = np.random.default_rng(0)
    for n in (2, 5, 50, 4000):
        values = random.gamma(0.3, size=n)
        calibration = DomainCalibration.fit({"reconstruction": values, "density": random.normal(size=n)})
        grid = np.linspace(-1, 40 * values.max(), 5000)
        log_survival = calibration.log_survival("reconstruction", grid)
        assert (np.diff(log_survival) <= 0).all()
        assert (np.diff(log_survival[grid > values.max()]) < 0).all()  # no ties beyond the highest value
        percentile = calibration.percentile("reconstruction", grid)
        assert percentile.min() >= 0
        assert percentile.max() <= 100
    found = calibration.percentile("reconstruction", np.quantile(values, [0.1, 0.5, 0.99]))
    np.testing.assert_allclose(found, [10, 50, 99], atol=0.5)


def test_a_codec_without_calibration_is_an_error(small):
    with pytest.raises(CodecError, match=r"codec small: .*fit_domain"):
        small.applicability_domain(DRUGS)


def test_calibration_is_saved_loaded_and_checked(small, tmp_path):
    small.save(tmp_path / "without")
    assert molvae.load_codec(tmp_path / "without").calibration is None
    calibration = fit_domain(small, [*DRUGS, "c1ccccc1", "nonsense"])
    assert calibration.n == 4
    replace(small, calibration=calibration).save(tmp_path / "with")
    loaded = molvae.load_codec(tmp_path / "with")
    assert loaded.calibration.n == 4
    assert loaded.calibration.quantiles.keys() == calibration.quantiles.keys() == {"reconstruction", "density", "joint"}
    for name, quantiles in calibration.quantiles.items():
        np.testing.assert_array_equal(loaded.calibration.quantiles[name], quantiles)
    table = loaded.applicability_domain(DRUGS)
    assert table[["nll_nats", "nll_percentile"]].isna().all(axis=None)
    assert table["domain_percentile"].between(0, 100).all()
    loaded.save(tmp_path / "again")
    assert molvae.load_codec(tmp_path / "again").sha256 == loaded.sha256
    path = tmp_path / "with" / "domain.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(CodecError, match="changed or truncated"):
        molvae.load_codec(tmp_path / "with")


def test_stored_features_and_smiles_give_the_same_calibration(small, tmp_path):
    smiles = [*DRUGS, "c1ccccc1", "CCO", "CC(=O)O"]
    with FeatureWriter(tmp_path, small.featurizer.spec) as writer:
        writer.write(small.featurizer.encode(smiles).x)
    by_rows, by_smiles = fit_domain(small, FeatureStore.open(tmp_path)), fit_domain(small, smiles)
    for name, quantiles in by_smiles.quantiles.items():
        np.testing.assert_allclose(by_rows.quantiles[name], quantiles, rtol=1e-4, atol=1e-5)
    of_three = fit_domain(small, FeatureStore.open(tmp_path), chosen=np.array([0, 2, 4]))
    assert of_three.n == 3
    for name, quantiles in fit_domain(small, [smiles[row] for row in (0, 2, 4)]).quantiles.items():
        np.testing.assert_allclose(of_three.quantiles[name], quantiles, rtol=1e-4, atol=1e-5)


def test_a_reference_set_can_be_used_for_several_calls(codec):
    nearest = ReferenceSet(DRUGS)
    for smiles in (DRUGS, DRUGS[::-1]):
        assert codec.applicability_domain(smiles, reference=nearest)["nearest_reference"].tolist() == smiles


@pytest.mark.parametrize("percentile", [0, 100, -1, float("nan")])
def test_the_percentile_is_checked(codec, percentile):
    with pytest.raises(InputError, match="percentile"):
        codec.applicability_domain(DRUGS, percentile=percentile)


def test_too_few_molecules_are_an_error(codec, small):
    with pytest.raises(InputError, match="reference"):
        codec.applicability_domain(DRUGS, reference=[])
    for molecules in ([], ["nonsense"], DRUGS[:1]):
        with pytest.raises(InputError, match="at least 2"):
            fit_domain(small, molecules)


def test_the_stored_name_of_nll_is_language(codec):
    assert codec.calibration.quantiles.keys() == {"reconstruction", "nll", "density", "joint"}
    stored = codec.calibration.arrays()
    assert stored.keys() == {"n", "reconstruction", "language", "density", "joint"}
    assert DomainCalibration.from_arrays(stored).quantiles.keys() == codec.calibration.quantiles.keys()
    with pytest.raises(ValueError, match="other"):
        DomainCalibration.from_arrays(stored | {"other": stored["joint"]})
    with pytest.raises(ValueError, match="order"):
        DomainCalibration.from_arrays(stored | {"joint": stored["joint"][::-1]})
