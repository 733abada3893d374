import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from molvae.autoencoder import ModelSettings, build
from molvae.bundled import bundled
from molvae.chem.properties import compute
from molvae.codec import Codec, SamplingSettings, load_codec
from molvae.errors import InputError
from molvae.features.fingerprints import FingerprintFeaturizer

SMILES = list(pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"][:60])


def codec_of(recipe, **changes):
    featurizer = FingerprintFeaturizer("bits", n_bits=64)
    settings = ModelSettings.from_dict({"recipe": recipe, "n_latent": 6, "k": 2, **changes}, "test")
    torch.manual_seed(0)
    model = build(settings, featurizer.spec).requires_grad_(False)
    return Codec("small", featurizer, model, settings, None, SamplingSettings(), {})


def test_the_strongest_activations_are_listed_in_order():
    codec = load_codec("moses")
    z = codec.encode(SMILES).z
    active = np.flatnonzero(z.var(0) > 0.1)
    table = codec.explain_units(SMILES, top=4, units=[active[0], active[-1]])
    for unit, rows in table.groupby("unit"):
        order = np.argsort(-z[:, unit])[:4]
        assert rows["smiles"].tolist() == [codec.encode(SMILES[i]).smiles[0] for i in order]
        np.testing.assert_allclose(rows["activation"], z[order, unit], rtol=1e-4)
        assert rows["rank"].tolist() == [1, 2, 3, 4]
        np.testing.assert_allclose(rows["standard_deviation"], z[:, unit].std(), rtol=1e-4)


def test_correlations_are_rank_correlations():
    codec = codec_of("plain")
    z, values = codec.encode(SMILES).z, compute(SMILES, ["logp", "rings"])
    table = codec.explain_units(SMILES, top=1, properties=["logp", "rings"]).set_index("unit")
    for unit in range(6):
        for name in ("logp", "rings"):
            expected = spearmanr(z[:, unit], values[name]).statistic
            assert table[f"correlation_{name}"][unit] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("recipe", ["sparse", "sparse_topk", "sparse_rate", "plain", "variational"])
def test_activity_is_the_share_of_molecules_that_activate_a_unit(recipe):
    codec = codec_of(recipe)
    z = codec.encode(SMILES).z
    table = codec.explain_units(SMILES, top=100)
    activity = table.drop_duplicates("unit")["activity"].to_numpy()
    alive = z.var(0) > (0.01 if recipe == "variational" else 0)
    expected = {
        "sparse": z > 0,
        "sparse_topk": z != 0,
        "sparse_rate": z > 0.5,
    }.get(recipe, (z > (z.max(0) + z.min(0)) / 2) & alive)
    np.testing.assert_allclose(activity, expected.mean(0))
    listed = table["smiles"].notna().groupby(table["unit"]).sum()
    assert listed.tolist() == expected.sum(0).tolist()
    if recipe == "sparse_topk":
        assert activity.sum() == pytest.approx(2)
        for _, rows in table.groupby("unit"):
            assert rows["activation"].dropna().abs().is_monotonic_decreasing


def test_a_dead_unit_is_one_row_of_rank_0():
    codec = codec_of("sparse")
    codec.model.bottleneck.linear.bias[4] = -100.0
    table = codec.explain_units(SMILES, top=2)
    dead = table[table["unit"] == 4]
    assert len(dead) == 1
    assert dead["activity"].item() == 0
    assert dead["rank"].item() == 0
    assert dead["smiles"].isna().all()
    assert np.isnan(dead["correlation_logp"].item())
    assert table.attrs["counts"]["dead"] == int((codec.encode(SMILES).z.max(0) == 0).sum()) >= 1


def test_a_single_molecule_is_enough():
    for recipe in ("plain", "sparse_topk", "sparse_rate", "variational"):
        table = codec_of(recipe).explain_units("CCOc1ccccc1")
        assert set(table["unit"]) == set(range(6))
        assert table["correlation_logp"].isna().all()
        assert table["standard_deviation"].eq(0).all()
    assert codec_of("plain").explain_units("CCO")["activity"].isna().all()
    assert codec_of("sparse_topk").explain_units("CCO")["smiles"].eq("CCO").sum() == 2


def test_unreadable_and_repeated_molecules_are_counted():
    table = codec_of("plain").explain_units([*SMILES[:10], "no molecule", None, SMILES[0]], top=1)
    assert table.attrs["counts"] == {"molecules": 10, "unreadable": 2, "repeated": 1, "dead": 0}


def test_explain_units_arguments_are_checked():
    codec = codec_of("plain")
    for molecules in ([], ["no molecule"]):
        with pytest.raises(InputError, match="at least one molecule"):
            codec.explain_units(molecules)
    for units in ([6], [-1], [0.5], [], [[1]]):
        with pytest.raises(InputError, match="0 to 5"):
            codec.explain_units(SMILES, units=units)
    with pytest.raises(InputError, match="top"):
        codec.explain_units(SMILES, top=0)
    with pytest.raises(InputError, match="colour"):
        codec.explain_units(SMILES, properties=["colour"])


def test_units_of_a_codec_with_a_view_are_explained():
    codec = codec_of("plain")
    other = dataclasses.replace(codec, view=FingerprintFeaturizer("bits", n_bits=64))
    assert other.explain_units(SMILES, units=[0]).equals(codec.explain_units(SMILES, units=[0]))
