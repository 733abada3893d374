import numpy as np
import pandas as pd
import pytest
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import molvae
from molvae import AutoencoderTransformer, CodecTransformer
from molvae.autoencoder import RECIPES
from molvae.bundled import bundled
from molvae.errors import InputError
from molvae.estimators import FingerprintTransformer

DIGITS, LABELS = load_digits(return_X_y=True)
TRAIN, TEST = train_test_split(DIGITS, random_state=0)


def pca_error(n, train=TRAIN, test=TEST):
    pca = PCA(n).fit(train)
    return ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()


@parametrize_with_checks([AutoencoderTransformer(n_steps=5)])
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


def test_the_linear_recipe_spans_the_pca_subspace():
    linear = AutoencoderTransformer("linear", 4, n_steps=600, learning_rate=1e-2, random_state=0).fit(DIGITS)
    axes = linear.model_.decoder.layers[0].weight.numpy()  # (F, D)
    assert np.degrees(subspace_angles(axes, PCA(4).fit(DIGITS).components_.T)).max() < 1


def test_the_plain_recipe_beats_pca_on_held_out_digits():
    plain = AutoencoderTransformer("plain", 8, n_steps=600, random_state=0).fit(TRAIN)
    assert -plain.score_samples(TEST).mean() < 0.9 * pca_error(8)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_reproducible(recipe):
    z = [
        AutoencoderTransformer(recipe, 6, n_steps=20, random_state=3).fit(TRAIN[:300]).transform(TEST[:20])
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*z)
    assert z[0].shape == (20, 6)


def test_rows_are_reconstructed_and_shuffled_ones_score_lower():
    plain = AutoencoderTransformer("plain", 16, n_steps=600, random_state=0).fit(TRAIN)
    reconstructed = plain.inverse_transform(plain.transform(TEST))
    assert ((reconstructed - TEST) ** 2).mean() < 0.25 * TEST.var()
    shuffled = np.random.default_rng(0).permuted(TEST, axis=1)
    assert np.median(plain.score_samples(TEST)) > np.quantile(plain.score_samples(shuffled), 0.99)


def test_sparse_topk_has_k_active_units_and_sparse_has_few():
    topk = AutoencoderTransformer("sparse_topk", 16, k=3, n_steps=50, random_state=0).fit(TRAIN).transform(TEST)
    assert ((topk != 0).sum(1) == 3).all()
    free, sparse = (
        AutoencoderTransformer("sparse", 16, weight=weight, n_steps=300, random_state=0).fit(TRAIN).transform(TEST)
        for weight in (0.0, 1.0)
    )
    assert (sparse == 0).mean() > (free == 0).mean() + 0.1


def test_a_pipeline_and_a_grid_search():
    pipeline = make_pipeline(AutoencoderTransformer(n_steps=100, random_state=0), LogisticRegression(max_iter=500))
    grid = GridSearchCV(pipeline, {"autoencodertransformer__n_components": [2, 12]}, cv=2)
    grid.fit(DIGITS[:600], LABELS[:600])
    assert grid.best_params_ == {"autoencodertransformer__n_components": 12}


@pytest.mark.parametrize(
    ("parameters", "name"),
    [({"recipe": "plane"}, "recipe"), ({"n_components": 0}, "n_components"), ({"learning_rate": 0}, "learning_rate")],
)
def test_parameters_are_checked(parameters, name):
    with pytest.raises(ValueError, match=name):
        AutoencoderTransformer(**parameters).fit(TRAIN)


def test_latent_vectors_of_another_size_are_an_error():
    with pytest.raises(InputError, match=r"\(n, 4\), got \(2, 5\)"):
        AutoencoderTransformer("plain", 4, n_steps=2).fit(TRAIN).inverse_transform(np.zeros((2, 5)))


def test_constant_columns_and_more_components_than_columns():
    table = np.column_stack([np.ones(50), np.arange(50.0)])
    z = AutoencoderTransformer("plain", 8, n_steps=5, scale="columns", random_state=0).fit_transform(table)
    assert z.shape == (50, 2)
    assert np.isfinite(z).all()


def test_a_codec_is_a_step_of_a_pipeline():
    from molvae.chem.properties import compute

    smiles = pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"][:500]
    logp = compute(list(smiles), ["logp"])["logp"]
    model = make_pipeline(CodecTransformer(), Ridge()).fit(smiles[:400], logp[:400])
    assert model.score(smiles[400:], logp[400:]) > 0.5


def test_lists_series_arrays_and_tables_of_smiles_have_the_same_latent_vectors():
    smiles = ["CCO", "c1ccccc1"]
    expected = molvae.load_codec().encode(smiles).z
    frame = pd.DataFrame({"smiles": smiles})
    for X in (smiles, pd.Series(smiles), np.array(smiles), frame, frame.to_numpy()):
        np.testing.assert_allclose(CodecTransformer().fit_transform(X), expected, atol=1e-5)
    assert CodecTransformer().fit(smiles).get_feature_names_out()[0] == "codectransformer0"


def test_a_molecule_that_cannot_be_encoded_is_an_error_or_nan():
    smiles = ["CCO", "C[As](C)C"]
    with pytest.raises(InputError, match=r"row 1: .*\[As\]"):
        CodecTransformer().fit_transform(smiles)
    z = CodecTransformer(on_error="nan").fit_transform(smiles)
    assert np.isnan(z).all(1).tolist() == [False, True]
    with pytest.raises(InputError, match="on_error"):
        CodecTransformer(on_error="skip").fit(smiles)
    with pytest.raises(InputError, match="no SMILES column"):
        CodecTransformer().fit_transform(pd.DataFrame({"a": smiles, "b": smiles}))


@pytest.mark.parametrize("make", [AutoencoderTransformer, CodecTransformer, FingerprintTransformer])
def test_an_unfitted_transformer_works_or_raises_not_fitted(make: type) -> None:
    """As its tags declare: a transformer that needs a fit raises NotFittedError, any other one works without it."""
    transformer = make()
    for use in (lambda: transformer.transform(["CCO"]), transformer.get_feature_names_out):
        if transformer.__sklearn_tags__().requires_fit:
            with pytest.raises(NotFittedError):
                use()
        else:
            assert len(use())
