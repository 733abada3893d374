import numpy as np
import pandas as pd
import pytest
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import molvae
from molvae import AutoencoderTransformer, CodecTransformer
from molvae.autoencoder import RECIPES
from molvae.bundled import bundled
from molvae.errors import InputError

DIGITS, LABELS = load_digits(return_X_y=True)
TRAIN, TEST = train_test_split(DIGITS, random_state=0)


def pca_error(n, train=TRAIN, test=TEST):
    pca = PCA(n).fit(train)
    return ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()


@parametrize_with_checks([AutoencoderTransformer(n_steps=5)])
def test_it_is_an_estimator_as_scikit_learn_means_it(estimator, check):
    check(estimator)


def test_linear_spans_the_pca_subspace_of_digits():
    linear = AutoencoderTransformer("linear", 4, n_steps=600, learning_rate=1e-2, random_state=0).fit(DIGITS)
    spanned = linear.model_.decoder.layers[0].weight.numpy()  # (F, D), trained from random weights
    assert np.degrees(subspace_angles(spanned, PCA(4).fit(DIGITS).components_.T)).max() < 1


def test_plain_beats_pca_on_digits_it_has_not_seen():
    plain = AutoencoderTransformer("plain", 8, n_steps=600, random_state=0).fit(TRAIN)
    assert -plain.score_samples(TEST).mean() < 0.9 * pca_error(8)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_fits_and_the_same_seed_gives_the_same_codes(recipe):
    codes = [
        AutoencoderTransformer(recipe, 6, n_steps=20, random_state=3).fit(TRAIN[:300]).transform(TEST[:20])
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*codes)
    assert codes[0].shape == (20, 6)


def test_rows_come_back_near_and_odd_ones_score_lower():
    plain = AutoencoderTransformer("plain", 16, n_steps=600, random_state=0).fit(TRAIN)
    back = plain.inverse_transform(plain.transform(TEST))
    assert ((back - TEST) ** 2).mean() < 0.25 * TEST.var()
    odd = np.random.default_rng(0).permuted(TEST, axis=1)
    assert np.median(plain.score_samples(TEST)) > np.quantile(plain.score_samples(odd), 0.99)


def test_topk_leaves_exactly_k_units_and_sparse_leaves_few():
    topk = AutoencoderTransformer("sparse_topk", 16, k=3, n_steps=50, random_state=0).fit(TRAIN).transform(TEST)
    assert ((topk != 0).sum(1) == 3).all()
    free, sparse = (
        AutoencoderTransformer("sparse", 16, weight=weight, n_steps=300, random_state=0).fit(TRAIN).transform(TEST)
        for weight in (0.0, 1.0)
    )
    assert (sparse == 0).mean() > (free == 0).mean() + 0.1


def test_it_works_in_a_pipeline_and_a_grid_search():
    pipeline = make_pipeline(AutoencoderTransformer(n_steps=100, random_state=0), LogisticRegression(max_iter=500))
    grid = GridSearchCV(pipeline, {"autoencodertransformer__n_components": [2, 12]}, cv=2)
    grid.fit(DIGITS[:600], LABELS[:600])
    assert grid.best_params_ == {"autoencodertransformer__n_components": 12}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"recipe": "plane"}, "recipe"), ({"n_components": 0}, "n_components"), ({"learning_rate": 0}, "learning_rate")],
)
def test_parameters_out_of_range_are_refused(parameters, words):
    with pytest.raises(ValueError, match=words):
        AutoencoderTransformer(**parameters).fit(TRAIN)


def test_codes_of_the_wrong_size_are_refused():
    with pytest.raises(InputError, match=r"\(n, 4\), got \(2, 5\)"):
        AutoencoderTransformer("plain", 4, n_steps=2).fit(TRAIN).inverse_transform(np.zeros((2, 5)))


def test_constant_columns_and_more_components_than_columns_are_no_harm():
    table = np.column_stack([np.ones(50), np.arange(50.0)])
    codes = AutoencoderTransformer("plain", 8, n_steps=5, scale="columns", random_state=0).fit_transform(table)
    assert codes.shape == (50, 2)
    assert np.isfinite(codes).all()


def test_a_codec_is_a_step_of_a_pipeline():
    from molvae.chem.properties import compute

    smiles = pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"][:500]
    logp = compute(list(smiles), ["logp"])["logp"]
    model = make_pipeline(CodecTransformer(), Ridge()).fit(smiles[:400], logp[:400])
    assert model.score(smiles[400:], logp[400:]) > 0.5


def test_codes_are_those_of_the_codec_whatever_holds_the_smiles():
    smiles = ["CCO", "c1ccccc1"]
    expected = molvae.load_codec().encode(smiles).z
    frame = pd.DataFrame({"smiles": smiles})
    for X in (smiles, pd.Series(smiles), np.array(smiles), frame, frame.to_numpy()):
        np.testing.assert_allclose(CodecTransformer().fit_transform(X), expected, atol=1e-5)
    assert CodecTransformer().fit(smiles).get_feature_names_out()[0] == "codectransformer0"


def test_a_molecule_that_cannot_be_read_is_named_or_nan():
    smiles = ["CCO", "C[As](C)C"]
    with pytest.raises(InputError, match=r"row 1: .*\[As\]"):
        CodecTransformer().fit_transform(smiles)
    z = CodecTransformer(on_error="nan").fit_transform(smiles)
    assert np.isnan(z).all(1).tolist() == [False, True]
    with pytest.raises(InputError, match="on_error"):
        CodecTransformer(on_error="skip").fit(smiles)
    with pytest.raises(InputError, match="one column"):
        CodecTransformer().fit_transform(pd.DataFrame({"a": smiles, "b": smiles}))
