"""Members of the family on tokens, trained for seconds: each has the property that it is named for."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from molvae.autoencoder.corruption import MaskTokens
from molvae.autoencoder.trace import Batch
from molvae.bundled import bundled
from molvae.chem.molecules import parse
from molvae.codec import Codec, SamplingSettings, fit_prior
from molvae.feature_spec import BEGIN, END, PAD
from molvae.features import FeatureStore, FeatureWriter, TokenFeaturizer
from molvae.latent import PriorSettings
from molvae.training import TrainConfig, train

SMILES = list(pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"])
TRAIN, TEST = SMILES[:4500], SMILES[4500:]
FEATURIZER = TokenFeaturizer.from_corpus(TRAIN, 150)


def codec_of(folder, recipe, n_molecules, **model):
    model = {
        "recipe": recipe,
        "n_latent": 32,
        "encoder": {"kind": "gru", "embedding": 32, "hidden": 48},
        "decoder": {"kind": "gru", "hidden": 96},
        **model,
    }
    training = {
        "n_molecules": n_molecules,
        "n_processes": 1,
        "batch_size": 64,
        "learning_rate": 5e-3,
        "n_held_out": 100,
        "evaluate_every": n_molecules,
        "precision": "float32",
    }
    config = TrainConfig.from_dict({"model": model, "training": training}, "test")
    encoded = FEATURIZER.encode(TRAIN)
    with FeatureWriter(folder, FEATURIZER.spec) as writer:
        writer.write(encoded.x[encoded.ok])
    trained = train(config, folder, folder / "work")
    trained.model.requires_grad_(False)
    prior = fit_prior(trained.model, FeatureStore.open(folder), PriorSettings(n_molecules=500))
    return Codec(recipe, FEATURIZER, trained.model, config.model, prior, SamplingSettings(), {})


@pytest.fixture(scope="module")
def masked_codec(tmp_path_factory):
    return codec_of(tmp_path_factory.mktemp("masked"), "masked", 16_000, corruption_level=0.3)


@pytest.fixture(scope="module")
def held_out():
    encoded = FEATURIZER.encode(TEST)
    return torch.from_numpy(encoded.x[encoded.ok].astype(np.int64))


def nats(model, view, x, mask):
    logits = model.decoder(model.encode(view), torch.zeros(len(x)), x)
    return float(cross_entropy(logits[mask], x[mask]))


def bigram_and_unigram(x, mask):
    """Nats per token of both baselines, fitted to the training rows; the bigram with its best smoothing."""
    known = FEATURIZER.encode(TRAIN).x.astype(np.int64)
    pairs = [np.concatenate([np.full((len(rows), 1), BEGIN), rows], 1) for rows in (known, x.numpy())]
    (before, after), (previous, masked) = [(p[:, :-1], p[:, 1:]) for p in pairs]
    inside = (after != PAD) & (after != END)
    unigram = np.bincount(after[inside], minlength=FEATURIZER.spec.width) + 1.0
    unigram /= unigram.sum()
    counts = np.zeros((len(unigram), len(unigram)))
    np.add.at(counts, (before[inside], after[inside]), 1)
    previous, masked = previous[mask.numpy()], masked[mask.numpy()]
    n, total = counts[previous, masked], counts[previous].sum(1)
    smoothed = [(n + a * unigram[masked]) / (total + a) for a in (1, 3, 10, 30, 100)]
    return min(-np.log(p).mean() for p in smoothed), -np.log(unigram[masked]).mean()


def test_masked_predicts_masked_tokens_better_than_bigram_and_unigram(masked_codec, held_out):
    for rate in (0.15, 0.3, 0.5):
        corrupted = MaskTokens(rate, is_hidden_scored=True)(Batch(held_out), torch.Generator().manual_seed(0))
        bigram, unigram = bigram_and_unigram(held_out, corrupted.scored)
        assert bigram < unigram
        assert nats(masked_codec.model, corrupted.view, held_out, corrupted.scored) < bigram - 0.1, rate


def test_the_latent_vector_helps_to_predict_masked_tokens(masked_codec, held_out):
    corrupted = MaskTokens(0.15, is_hidden_scored=True)(Batch(held_out), torch.Generator().manual_seed(0))
    own = nats(masked_codec.model, corrupted.view, held_out, corrupted.scored)
    of_other_molecules = corrupted.view.roll(1, 0)
    assert own < nats(masked_codec.model, of_other_molecules, held_out, corrupted.scored) - 0.3


def test_a_loaded_masked_codec_fills_gaps(masked_codec, tmp_path):
    masked_codec.save(tmp_path / "codec")
    codec = Codec.load(tmp_path / "codec")
    table = codec.infill("Cc1ccc(_)cc1", n=50, atoms=(0, 6), tries=300)
    assert len(table) >= 3
    assert table["log_probability"].is_monotonic_decreasing
    toluene = parse("Cc1ccccc1")
    assert all(parse(smiles).HasSubstructMatch(toluene) for smiles in table["smiles"])
    two = codec.infill("O=C(_)N_", n=50, atoms=(1, 6), tries=300)
    assert len(two) >= 3
    assert all(parse(smiles).HasSubstructMatch(parse("O=CN")) for smiles in two["smiles"])


@pytest.mark.slow  # half a minute
def test_denoising_reconstructs_masked_molecules_better_than_plain(tmp_path, held_out):
    codecs = []
    for recipe in ("plain", "denoising"):
        folder = tmp_path / recipe
        folder.mkdir()
        codecs.append(codec_of(folder, recipe, 60_000, corruption_level=0.3))
    plain, denoising = codecs
    for rate in (0.15, 0.3, 0.5):
        view = MaskTokens(rate)(Batch(held_out), torch.Generator().manual_seed(0)).view
        present = held_out != PAD
        assert nats(denoising.model, view, held_out, present) < 0.95 * nats(plain.model, view, held_out, present), rate
    assert len(denoising.infill("Cc1ccc(_)cc1", atoms=(0, 4), tries=100))


def test_exactly_k_units_are_active_per_molecule_and_explained(tmp_path):
    codec = codec_of(tmp_path, "sparse_topk", 6_000, k=4)
    z = codec.encode(TEST[:200]).z
    assert ((z != 0).sum(1) == 4).all()
    assert (z != 0).any(0).sum() > 4
    table = codec.explain_units(TEST[:200], top=3)
    activity = table.drop_duplicates("unit").set_index("unit")["activity"]
    np.testing.assert_allclose(activity.sum(), 4)
    np.testing.assert_allclose(activity, (z != 0).mean(0))
