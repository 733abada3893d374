import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from molvae.chem.fingerprints import tanimoto
from molvae.search.acquisitions import ACQUISITIONS, choose_batch
from molvae.search.ranking import fitness, fronts, normal_quantiles
from molvae.search.surrogates import SURROGATES, Prediction
from molvae.search.surrogates.gaussian_process import MIXES, GaussianProcess, GaussianProcessSettings
from molvae.search.surrogates.kernels import KERNELS, FeatureCache, kernel_matrix

TARGET = "O=C(c1ccccc1)N1CCOCC1"
NO_Z = np.zeros((0, 6))
ALL = [1.0] * len(KERNELS)
ON_A_LINE = np.column_stack([np.linspace(0, 1, 50), np.linspace(1, 0, 50)])


@pytest.fixture
def molecules(codec):
    order = np.random.default_rng(0).permutation(len(codec.molecules))
    return [codec.molecules[row] for row in order]


@pytest.fixture
def scores(molecules):
    return tanimoto(TARGET, molecules).astype(float)


def fitted(molecules, scores, **settings):
    process = GaussianProcess(GaussianProcessSettings(**settings))
    assert process.fit(molecules, NO_Z, np.asarray(scores)[:, None])
    return process


# Ranks


def test_one_column_orders_by_itself_and_failures_are_last():
    assert fitness(np.array([[0.3], [np.nan], [-2.0]])).tolist() == [0.3, -np.inf, -2.0]


def test_several_columns_order_by_pareto_front_and_then_by_crowding():
    front = [[0.0, 4.0], [1.0, 3.0], [1.1, 2.9], [4.0, 0.0]]
    order = fitness(np.array([*front, [0.5, 2.0], [np.nan, 9.0], [0.1, 0.1]]))
    assert order[:4].min() > order[4] > order[6] > order[5] == -np.inf
    assert min(order[0], order[3]) > max(order[1], order[2])  # the ends of a front first


def test_equal_rows_are_ties_that_share_a_place_on_the_front():
    values = np.array([[0.0, 4.0], [2.0, 2.0], [4.0, 0.0], [4.0, 0.0], [3.9, 0.1]])
    order = fitness(values)
    assert order[2] == order[3]
    assert order[0] > order[2]  # an end, and alone
    np.testing.assert_array_equal(fitness(values[::-1]), order[::-1])
    assert len(set(fitness(np.full((5, 3), 0.7)))) == 1


def test_a_goal_that_is_equal_on_the_whole_front_does_not_matter():
    values = np.random.default_rng(0).random((30, 2))
    constant = np.column_stack([values, np.ones(30)])
    np.testing.assert_array_equal(fitness(constant), fitness(values))


@pytest.mark.parametrize("k", [2, 3])
def test_fronts_are_those_of_the_definition(k):
    values = np.random.default_rng(k).integers(0, 6, (80, k)).astype(float)
    values[7] = np.nan
    number, left, front = fronts(values), [row for row in range(80) if row != 7], 0
    assert number[7] == 0
    while left:
        front += 1
        first = [
            i for i in left if not any((values[j] >= values[i]).all() and (values[j] > values[i]).any() for j in left)
        ]
        assert sorted(np.flatnonzero(number == front)) == first
        left = [row for row in left if row not in first]


def test_normal_quantiles_are_symmetric_and_ties_share_one():
    y = normal_quantiles(np.array([1.0, 5.0, 5.0, 9.0]))
    assert y.tolist() == pytest.approx([-1.150, 0.0, 0.0, 1.150], abs=1e-3)


# Kernels


@pytest.mark.parametrize("number", range(len(KERNELS)))
def test_a_kernel_is_one_for_equal_molecules_and_positive_definite(molecules, number):
    features = FeatureCache(1000).of(molecules, ALL)
    kernel = kernel_matrix(features, features, np.eye(len(KERNELS))[number])
    np.testing.assert_allclose(np.diag(kernel), 1)
    np.testing.assert_allclose(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel).min() > -1e-5


@pytest.mark.parametrize(
    ("number", "generator"),
    [
        (0, rdFingerprintGenerator.GetMorganGenerator(radius=2)),
        (1, rdFingerprintGenerator.GetAtomPairGenerator(maxDistance=10)),
    ],
)
def test_the_fingerprint_kernels_are_close_to_the_similarity_of_counts(molecules, number, generator):
    features = FeatureCache(1000).of(molecules[:60], ALL)
    kernel = kernel_matrix(features, features, np.eye(len(KERNELS))[number])
    counts = [generator.GetSparseCountFingerprint(Chem.MolFromSmiles(one)) for one in molecules[:60]]
    expected = np.array([DataStructs.BulkTanimotoSimilarity(one, counts) for one in counts])
    assert np.abs(kernel - expected).max() < 0.1
    assert np.abs(kernel - expected).mean() < 0.04


def test_features_are_dropped_when_there_are_too_many(molecules):
    features = FeatureCache(50)
    first = features.of(molecules[:40], ALL)
    features.of(molecules[40:80], ALL)
    assert len(features) == 50
    for one, two in zip(first, features.of(molecules[:40], ALL), strict=True):
        np.testing.assert_array_equal(one, two)


def test_features_that_no_kernel_needs_are_not_computed(molecules):
    only_elements = FeatureCache(50).of(molecules[:5], [0, 0, 0, 0, 1, 0])
    assert [column.shape for column in only_elements] == [(5, 0), (5, 0), (5, 0), (5, 9)]


# The Gaussian process


def test_predictions_rank_new_molecules(molecules, scores):
    prediction = fitted(molecules[:100], scores[:100]).predict(molecules[100:], NO_Z)
    ranks = [values.argsort().argsort() for values in (prediction.mean, scores[100:])]
    assert np.corrcoef(*ranks)[0, 1] > 0.75


def test_known_molecules_are_predicted_with_a_small_deviation(molecules, scores):
    process = fitted(molecules[:100], scores[:100])
    known, new = process.predict(molecules[:100], NO_Z), process.predict(molecules[100:], NO_Z)
    np.testing.assert_allclose(known.mean, normal_quantiles(scores[:100]), atol=0.25)
    assert known.std.max() < 0.2 < new.std.mean()


def test_the_covariance_has_the_deviations_on_its_diagonal(molecules, scores):
    process = fitted(molecules[:50], scores[:50])
    plain = process.predict(molecules[50:90], NO_Z)
    full = process.predict(molecules[50:90], NO_Z, with_covariance=True)
    np.testing.assert_allclose(np.sqrt(np.diag(full.covariance)), plain.std, rtol=1e-6)
    np.testing.assert_array_equal(full.mean, plain.mean)


@pytest.mark.parametrize("factor", [1e-12, 1.0, 1e200])
def test_the_scale_of_the_scores_has_no_effect(molecules, scores, factor):
    plain = fitted(molecules[:100], scores[:100]).predict(molecules[100:], NO_Z)
    scaled = fitted(molecules[:100], scores[:100] * factor).predict(molecules[100:], NO_Z)
    np.testing.assert_array_equal(plain.mean, scaled.mean)


def test_failed_molecules_are_learned_as_the_worst(molecules, scores):
    values = scores[:100].copy()
    values[scores[:100] > np.median(scores)] = np.nan
    mean = fitted(molecules[:100], values).predict(molecules[:100], NO_Z).mean
    assert mean[np.isnan(values)].max() < mean[~np.isnan(values)].min()


@pytest.mark.parametrize("n", [0, 19])
def test_few_or_equal_values_give_no_prediction(molecules, scores, n):
    process = GaussianProcess()
    assert not process.fit(molecules[:n], NO_Z, scores[:n, None])
    assert not process.fit(molecules, NO_Z, np.ones((len(molecules), 1)))
    assert not process.fit(molecules, NO_Z, np.full((len(molecules), 1), np.nan))


def test_the_best_and_the_newest_are_trained_on(molecules, scores):
    process = fitted(molecules, scores, max_train=100)
    best = np.argsort(-scores, kind="stable")[:50]
    newest = [row for row in range(len(scores)) if row not in best][-50:]
    assert set(process._train.tolist()) == {*best.tolist(), *newest}


def test_a_growing_fit_equals_a_new_one_bit_for_bit(molecules, scores):
    growing = GaussianProcess(GaussianProcessSettings(max_train=120))
    for n in range(30, 340, 10):
        growing.fit(molecules[:n], NO_Z, scores[:n, None])
    new = GaussianProcess(GaussianProcessSettings(max_train=120))
    before = GaussianProcess(GaussianProcessSettings(max_train=120))
    for n in range(30, 330, 10):
        before.fit(molecules[:n], NO_Z, scores[:n, None])
    new.restore(before.state())
    new.fit(molecules[:330], NO_Z, scores[:330, None])
    one, two = (p.predict(molecules[330:], NO_Z, with_covariance=True) for p in (growing, new))
    np.testing.assert_array_equal(one.mean, two.mean)
    np.testing.assert_array_equal(one.covariance, two.covariance)


def test_the_mix_follows_what_explains_the_best_molecules(molecules):
    n_nitrogen = np.array([one.upper().count("N") for one in molecules], float)
    size = np.array([len(one) for one in molecules], float)
    scores = -np.abs(n_nitrogen - 2) - 0.01 * np.abs(size - 20)
    assert "elements" in fitted(molecules, scores)._mix
    assert fitted(molecules, scores, mix="morgan")._mix == "morgan"


def test_the_weights_of_each_mix_sum_to_one():
    for weights in MIXES.values():
        assert sum(weights) == pytest.approx(1)
        assert weights[0] >= 0.3


def test_the_surrogate_none_never_predicts():
    assert not SURROGATES["none"]().fit(["C"] * 30, NO_Z, np.arange(30.0)[:, None])


# Acquisitions


def prediction(n=6):
    rng = np.random.default_rng(1)
    root = rng.standard_normal((n, n))
    covariance = root @ root.T / n
    return Prediction(rng.standard_normal(n), np.sqrt(np.diag(covariance)), covariance)


def test_a_chosen_molecule_lowers_the_worth_of_similar_ones():
    covariance = np.array([[1.0, 0.99, 0.0], [0.99, 1.0, 0.0], [0.0, 0.0, 1.0]])
    given = Prediction(np.array([0.02, 0.01, 0.0]), np.ones(3), covariance)
    fixed = lambda p, rng: p.mean + p.std  # noqa: E731
    rng = np.random.default_rng(0)
    assert choose_batch(given, 2, fixed, rng).tolist() == [0, 2]
    assert choose_batch(given, 3, fixed, rng).tolist() == [0, 2, 1]


def test_pending_molecules_condition_the_others_and_are_not_chosen():
    covariance = np.array([[1.0, 0.99, 0.0], [0.99, 1.0, 0.0], [0.0, 0.0, 1.0]])
    given = Prediction(np.array([0.0, 0.1, 0.0]), np.ones(3), covariance)
    rng = np.random.default_rng(0)
    assert choose_batch(given, 1, lambda p, rng: p.mean + p.std, rng, n_pending=1).tolist() == [2]
    assert choose_batch(given, 9, lambda p, rng: p.mean + p.std, rng, n_pending=1).tolist() == [2, 1]


def test_the_confidence_bound_explores_and_the_mean_does_not():
    certain = Prediction(np.array([1.0, 0.0]), np.array([0.0, 10.0]))
    rng = np.random.default_rng(0)
    chosen = {name: {int(np.argmax(rule(certain, rng))) for _ in range(50)} for name, rule in ACQUISITIONS.items()}
    assert chosen == {"ucb": {0, 1}, "mean": {0}, "thompson": {0, 1}}


def test_thompson_draws_have_the_predicted_covariance():
    given, rng = prediction(), np.random.default_rng(0)
    draws = np.array([ACQUISITIONS["thompson"](given, rng) for _ in range(20_000)])
    np.testing.assert_allclose(np.cov(draws.T), given.covariance, atol=0.06)
    np.testing.assert_allclose(draws.mean(axis=0), given.mean, atol=0.04)


# Several goals


def test_each_goal_is_predicted_as_if_it_were_alone(molecules):
    values = np.stack([tanimoto(one, molecules) for one in (TARGET, "CCNC(=O)c1ccc(F)cc1")], axis=1).astype(float)
    values[3] = np.nan
    process = GaussianProcess(GaussianProcessSettings(mix="fingerprints"))
    assert process.fit(molecules[:80], NO_Z, values[:80])
    both = process.predict(molecules[80:], NO_Z)
    for number in range(2):
        process.fit(molecules[:80], NO_Z, values[:80, [number]])
        alone = process.predict(molecules[80:], NO_Z)
        assert alone.goals is None
        np.testing.assert_allclose(both.goals[:, number], alone.mean, atol=1e-4)
        np.testing.assert_allclose(both.std, alone.std)
    assert not process.fit(molecules[:80], NO_Z, np.full((80, 2), 0.4))


def test_a_batch_for_several_goals_is_spread_along_the_front():
    angle = np.linspace(0, np.pi / 2, 40)
    goals = np.column_stack([np.cos(angle), np.sin(angle)]) * 2  # predicted in normal quantiles: a new front
    goals = np.vstack([goals, np.zeros((40, 2))])
    scored = ON_A_LINE.copy()
    scored[7] = np.nan
    prediction = Prediction(np.full(80, 0.5), np.full(80, 0.1), 0.01 * np.eye(80), goals)
    rows = choose_batch(prediction, 6, ACQUISITIONS["mean"], np.random.default_rng(0), scored=scored)
    assert len(set(rows)) == 6
    assert {row // 10 for row in rows.tolist()} == {0, 1, 2, 3}  # a quarter of the front each, and none behind it
    again = choose_batch(prediction, 6, ACQUISITIONS["mean"], np.random.default_rng(0), scored=scored)
    assert rows.tolist() == again.tolist()


def test_pending_molecules_count_as_part_of_the_front():
    goals = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 1.5]])
    prediction = Prediction(np.zeros(3), np.ones(3), np.eye(3), goals)
    scored = ON_A_LINE
    rng = np.random.default_rng(0)
    assert choose_batch(prediction, 1, ACQUISITIONS["mean"], rng, scored=scored).tolist() == [0]
    assert choose_batch(prediction, 1, ACQUISITIONS["mean"], rng, scored=scored, n_pending=1).tolist() == [2]


def test_a_batch_is_chosen_by_the_ranks_if_nothing_adds_to_the_front():
    prediction = Prediction(np.array([0.0, 2.0, 1.0]), np.ones(3), np.eye(3), np.full((3, 2), -3.0))
    rows = choose_batch(prediction, 2, ACQUISITIONS["mean"], np.random.default_rng(0), scored=ON_A_LINE)
    assert rows.tolist() == [1, 2]
