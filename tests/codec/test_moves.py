import numpy as np
import pandas as pd
import pytest
import torch

import molvae
from molvae.autoencoder import ModelSettings, build
from molvae.bundled import bundled
from molvae.chem import properties
from molvae.chem.fingerprints import tanimoto
from molvae.codec import Codec, SamplingSettings
from molvae.codec.moves import AttributeDirection, pooled_slope
from molvae.errors import InputError
from molvae.features import TokenFeaturizer
from molvae.latent import GaussianPrior, geometry

ASPIRIN, PARACETAMOL = "CC(=O)Oc1ccccc1C(=O)O", "CC(=O)Nc1ccc(O)cc1"
DIAZEPAM, LIDOCAINE = "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21", "CCN(CC)CC(=O)Nc1c(C)cccc1C"
PROCAINAMIDE = "CCN(CC)CCNC(=O)c1ccc(N)cc1"
CELECOXIB = "Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1"


@pytest.fixture(scope="module")
def codec():
    return molvae.load_codec("moses")


@pytest.fixture(scope="module")
def molecules():
    return pd.read_csv(bundled("moses_test.csv.gz"), nrows=240)["SMILES"].tolist()


@pytest.fixture(scope="module")
def logp(codec, molecules):
    return codec.attribute_direction(molecules[:200], "logp")


@pytest.fixture
def untrained():
    """A codec with random weights, whose SMILES are invalid."""
    featurizer = TokenFeaturizer.from_corpus([ASPIRIN, PARACETAMOL], 30)
    sizes = {
        "n_latent": 3,
        "encoder": {"kind": "gru", "embedding": 4, "hidden": 4},
        "decoder": {"kind": "gru", "hidden": 8},
    }
    settings = ModelSettings.from_dict(sizes, "test")
    torch.manual_seed(0)
    prior = GaussianPrior(np.zeros(3), np.eye(3))
    return Codec("small", featurizer, build(settings, featurizer.spec), settings, prior, SamplingSettings(), {})


@pytest.mark.parametrize("path", ["linear", "spherical"])
@pytest.mark.parametrize(
    ("a", "b", "n"), [(ASPIRIN, DIAZEPAM, 8), (LIDOCAINE, PROCAINAMIDE, 6), (ASPIRIN, LIDOCAINE, 2)]
)
def test_interpolation_gives_n_molecules_between_the_ends(codec, a, b, n, path):
    table = codec.interpolate(a, b, n=n, path=path)
    assert len(table) == n
    assert table["smiles"].is_unique
    assert table["smiles"].iloc[[0, -1]].tolist() == [a, b]
    assert table["fraction"].iloc[[0, -1]].tolist() == [0, 1]
    assert table["fraction"].is_monotonic_increasing
    assert table["noise"].iloc[[0, -1]].tolist() == [0, 0]
    assert codec.encode(table["smiles"].tolist()).ok.all()
    np.testing.assert_allclose(table["similarity_to_a"], tanimoto(a, table["smiles"].tolist()))
    np.testing.assert_allclose(table["similarity_to_b"], tanimoto(b, table["smiles"].tolist()))
    pd.testing.assert_frame_equal(table, codec.interpolate(a, b, n=n, path=path))


def test_molecules_on_the_path_are_decoded_from_their_fraction(codec):
    table = codec.interpolate(ASPIRIN, DIAZEPAM, n=6)
    a, b = codec.encode([ASPIRIN, DIAZEPAM]).z
    exact = table[(table["noise"] == 0) & table["fraction"].between(0.001, 0.999)]
    assert len(exact) >= 3
    decoded = codec.decode(geometry.interpolate(a, b, 1025)[(exact["fraction"] * 1024).round().astype(int)])
    assert [one.smiles for one in decoded] == exact["smiles"].tolist()


def test_linear_and_spherical_paths_differ(codec):
    tables = [codec.interpolate(ASPIRIN, DIAZEPAM, n=8, path=path) for path in ("linear", "spherical")]
    assert tables[0]["smiles"].tolist() != tables[1]["smiles"].tolist()


def test_interpolation_from_a_molecule_to_itself_is_one_row(codec):
    with pytest.warns(UserWarning, match="found 1 of 6"):
        table = codec.interpolate(LIDOCAINE, "Cc1cccc(C)c1NC(=O)CN(CC)CC", n=6)
    assert table[["smiles", "similarity_to_b"]].to_numpy().tolist() == [[LIDOCAINE, 1.0]]


def test_invalid_decodes_are_counted_and_too_few_molecules_are_reported(untrained):
    with pytest.warns(UserWarning, match="interpolate: found . of 9"):
        table = untrained.interpolate(ASPIRIN, PARACETAMOL, n=9)
    assert table["smiles"].iloc[[0, -1]].tolist() == [ASPIRIN, PARACETAMOL]
    assert table.attrs["counts"]["unique"] == len(table)
    assert table.attrs["counts"]["invalid"] >= 3


@pytest.mark.parametrize(
    ("a", "b", "n", "path", "message"),
    [
        ("no molecule", ASPIRIN, 5, "linear", "a: 'no molecule'"),
        (ASPIRIN, "C[Si](C)(C)C", 5, "linear", r"b: .*\[Si\]"),
        ([ASPIRIN], ASPIRIN, 5, "linear", "a: "),
        (ASPIRIN, PARACETAMOL, 1, "linear", "n: .* 2"),
        (ASPIRIN, PARACETAMOL, 2.5, "linear", "n: .* 2.5"),
        (ASPIRIN, PARACETAMOL, 5, "crooked", "path: .*crooked"),
    ],
)
def test_interpolation_arguments_are_checked(codec, a, b, n, path, message):
    with pytest.raises(InputError, match=message):
        codec.interpolate(a, b, n=n, path=path)


@pytest.mark.parametrize("molecule", [LIDOCAINE, PARACETAMOL, CELECOXIB])
@pytest.mark.parametrize(("radius", "n"), [(0.25, 5), (0.5, 20)])
def test_a_neighborhood_has_n_unique_molecules(codec, molecule, radius, n):
    table = codec.neighborhood(molecule, radius=radius, n=n)
    counts = table.attrs["counts"]
    assert len(table) == n <= counts["unique"]
    assert table["smiles"].is_unique
    assert molecule not in set(table["smiles"])
    assert counts["decodes"] >= counts["unique"] + counts["start"] + counts["invalid"]
    assert table["similarity"].is_monotonic_decreasing
    assert (table["radius"] >= radius).all()
    np.testing.assert_allclose(table["similarity"], tanimoto(molecule, table["smiles"].tolist()))
    z = codec.encode([molecule, *table["smiles"]]).z
    np.testing.assert_allclose(table["distance"], np.linalg.norm(z[1:] - z[0], axis=1), rtol=1e-4)


def test_a_neighborhood_depends_only_on_its_seed(codec):
    first, again, other = (codec.neighborhood(ASPIRIN, n=5, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert first["smiles"].tolist() != other["smiles"].tolist()


def test_similarity_decreases_with_the_radius(codec, molecules):
    def mean_similarity(radius):
        return np.mean([codec.neighborhood(one, radius=radius, n=10)["similarity"].mean() for one in molecules[:4]])

    assert mean_similarity(0.3) > mean_similarity(1.5) + 0.1


def test_a_radius_of_0_decodes_the_molecule_with_growing_noise(codec):
    table = codec.neighborhood(LIDOCAINE, radius=0, n=4)
    assert len(table) == 4
    assert (table["radius"] == 0).all()


def test_a_neighborhood_without_molecules_says_why(untrained):
    with pytest.warns(UserWarning, match=r"neighborhood: found . of 9 .* were invalid"):
        table = untrained.neighborhood(PARACETAMOL, n=9, noise=0, temperature=0)
    assert table.columns.tolist() == ["smiles", "distance", "similarity", "radius"]
    counts = table.attrs["counts"]
    assert counts["decodes"] == 384
    assert counts["unique"] == len(table)
    assert counts["invalid"] > 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": float("nan")}, "radius: .* nan"),
        ({"radius": -0.1}, "radius"),
        ({"radius": float("inf")}, "radius"),
        ({"radius": "wide"}, "radius: .* got 'wide'"),
        ({"n": 0}, "n: .* 1"),
        ({"noise": 2}, "noise"),
        ({"temperature": -1}, "temperature"),
        ({"molecule": "C1CC"}, "molecule: 'C1CC'"),
    ],
)
def test_neighborhood_arguments_are_checked(codec, options, message):
    with pytest.raises(InputError, match=message):
        codec.neighborhood(**{"molecule": PARACETAMOL, "n": 2} | options)


def test_a_direction_counts_skipped_molecules(codec, molecules):
    smiles = [*molecules[:30], "no molecule", "C[Si](C)(C)C"]
    values = properties.compute(smiles, ["tpsa"])["tpsa"].tolist()
    values[3], values[4] = None, float("nan")
    found = codec.attribute_direction(smiles, values)
    assert (found.n_used, found.n_unreadable, found.n_without_value) == (28, 2, 2)
    assert np.linalg.norm(found.vector) == pytest.approx(1, abs=1e-6)
    kept = codec.attribute_direction(pd.Series(smiles[:3] + smiles[5:30]), pd.Series(values[:3] + values[5:30]))
    np.testing.assert_allclose(found.vector, kept.vector, atol=1e-5)
    assert found.slope == pytest.approx(kept.slope)


def test_a_property_may_be_named(codec, molecules):
    named = codec.attribute_direction(molecules[:20], "qed")
    given = codec.attribute_direction(molecules[:20], properties.compute(molecules[:20], ["qed"])["qed"])
    np.testing.assert_array_equal(named.vector, given.vector)


@pytest.mark.parametrize(
    ("n", "values", "message"),
    [
        (12, [1.0] * 11 + [2.0], None),
        (12, [1.0] * 12, "all 12 values are 1"),
        (12, [1.0] * 11, "values: .* 12 .* 11"),
        (12, ["high"] * 12, "values: .* 12"),
        (
            12,
            [1.0, 2.0, 3.0] + [None] * 9,
            "at least 10 .* got 3: of 12, .* 9 ",
        ),
        (1, [1.0], "at least 10 .* got 1"),
        (0, [], "at least 10"),
        (12, "colour", "'colour'"),
    ],
)
def test_attribute_direction_arguments_are_checked(codec, molecules, n, values, message):
    if message is None:
        assert codec.attribute_direction(molecules[:n], values).n_used == n
    else:
        with pytest.raises(InputError, match=message):
            codec.attribute_direction(molecules[:n], values)


def test_moves_keep_the_order_of_the_distances(codec, logp):
    table = codec.move(PARACETAMOL, logp, distances=[2.0, 0.0, -2.0])
    expected = codec.decode(codec.encode([PARACETAMOL]).z + np.array([[2.0], [-2.0]]) * logp.vector)
    assert table["distance"].tolist() == [2, 0, -2]
    assert table["smiles"].tolist() == [expected[0].smiles, PARACETAMOL, expected[1].smiles]
    assert table["similarity_to_start"].iloc[1] == 1
    np.testing.assert_array_equal(
        codec.move(PARACETAMOL, 7 * logp.vector, distances=[1.0, 2.0])["smiles"],
        codec.move(PARACETAMOL, logp, distances=np.array([1.0, 2.0]))["smiles"],
    )


@pytest.mark.parametrize("molecule", [PARACETAMOL, LIDOCAINE])
@pytest.mark.parametrize("n", [1, 3])
def test_by_default_a_move_gives_n_molecules_on_each_side(codec, logp, molecule, n):
    table = codec.move(molecule, logp, n=n)
    assert np.sign(table["distance"]).tolist() == [-1] * n + [0] + [1] * n
    assert table["smiles"].iloc[n] == molecule
    for side in (table[table["distance"] < 0], table[table["distance"] > 0]):
        assert side["smiles"].is_unique
        assert molecule not in set(side["smiles"])
    logp_of = properties.compute(table["smiles"].tolist(), ["logp"])["logp"]
    assert logp_of.iloc[-1] > logp_of.iloc[0]


@pytest.mark.parametrize(
    ("direction", "distances", "message"),
    [
        (np.zeros(128), [1], "direction"),
        (np.ones(3), [1], r"direction: .*\(128,\)"),
        (np.full(128, np.nan), [1], "direction"),
        ("up", [1], "direction"),
        (np.ones(128), [1, float("nan")], "distances"),
        (np.ones(128), [], "distances"),
        (np.ones(128), ["far"], "distances"),
    ],
)
def test_move_arguments_are_checked(codec, direction, distances, message):
    with pytest.raises(InputError, match=message):
        codec.move(PARACETAMOL, direction, distances=distances)


def test_logp_increases_along_its_direction_and_not_along_a_random_one(codec, molecules, logp):
    assert logp.r2 > 0.5
    measured = codec.measure_direction(logp, [*molecules[200:225], "no molecule"], "logp")
    assert measured.n_unreadable == 1
    both = measured.slopes[measured.slopes["way"] == "both"].set_index("direction")
    assert both.loc["attribute", "slope"] > 8 * both.loc["attribute", "standard_error"]
    assert both.loc["attribute", "slope"] > 3 * abs(both.loc["random 1", "slope"])
    assert both["valid"].between(0.5, 1).all()
    one_way = measured.slopes[measured.slopes["direction"] == "attribute"].set_index("way")["slope"]
    assert (one_way > 0).all()


def test_the_measured_steps_are_listed(codec, molecules, logp):
    measured = codec.measure_direction(
        logp, molecules[200:204], lambda smiles: [len(one) for one in smiles], distances=[1.0], seed=3, n_random=2
    )
    steps = measured.steps
    assert len(steps) == 4 * 3 * 3  # molecules, directions, distances
    assert set(steps["direction"]) == {"attribute", "random 1", "random 2"} == set(measured.slopes["direction"])
    valid = steps.dropna(subset="smiles")
    assert valid["value"].tolist() == [len(smiles) for smiles in valid["smiles"]]
    assert steps["value"].isna().tolist() == steps["smiles"].isna().tolist()
    itself = steps[steps["distance"] == 0]
    assert itself["smiles"].tolist() == np.repeat(codec.encode(molecules[200:204]).smiles, 3).tolist()
    again = codec.measure_direction(
        logp, molecules[200:204], lambda smiles: [len(one) for one in smiles], distances=[-1.0], seed=3, n_random=2
    )
    pd.testing.assert_frame_equal(again.steps, steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"molecules": [ASPIRIN, "no molecule"]}, "at least 2 .* got 1 of 2"),
        ({"distances": [0.0]}, "distances: "),
        ({"values": "colour"}, "'colour'"),
        ({"values": 3}, "values: .* 3"),
        ({"values": lambda smiles: [1.0]}, "values: .* 6 numbers.* 1"),
        ({"n_random": 0}, "n_random: .* 1"),
    ],
)
def test_measure_direction_arguments_are_checked(codec, logp, options, message):
    arguments = {"molecules": [ASPIRIN, PARACETAMOL], "values": "logp", "distances": [1.0]}
    with pytest.raises(InputError, match=message):
        codec.measure_direction(logp, **arguments | options)


def test_the_pooled_slope_is_that_of_a_regression_with_an_intercept_per_molecule():
    random = np.random.default_rng(0)
    molecule = np.repeat(np.arange(9), 5)
    distance, value = random.normal(size=45), random.normal(size=45)
    value[::7] = np.nan
    slope, error, n = pooled_slope(distance, value, molecule)
    used = np.isfinite(value)
    design = np.column_stack([distance, molecule[:, None] == np.arange(9)])[used]
    assert slope == pytest.approx(np.linalg.lstsq(design, value[used], rcond=None)[0][0])
    assert (error > 0, n) == (True, 9)
    assert pooled_slope(distance, 3 * distance + molecule, molecule)[:2] == pytest.approx((3, 0), abs=1e-9)
    assert np.isnan(pooled_slope(np.ones(4), np.ones(4), np.arange(4))[0])


def test_the_standard_error_is_the_standard_deviation_of_the_slopes():
    random = np.random.default_rng(1)
    molecule, distance = np.repeat(np.arange(40), 5), np.tile(np.arange(-2.0, 3.0), 40)
    drawn = []
    for _ in range(60):
        own_slopes = 0.5 + random.normal(size=40)  # steps of one molecule are correlated
        value = own_slopes[molecule] * distance + random.normal(size=200)
        drawn.append(pooled_slope(distance, value, molecule)[:2])
    slopes, errors = np.array(drawn).T
    assert slopes.mean() == pytest.approx(0.5, abs=0.08)
    assert errors.mean() == pytest.approx(slopes.std(), rel=0.25)


def test_a_direction_and_its_vector_give_the_same_moves(codec):
    by_hand = AttributeDirection(np.eye(codec.n_latent, dtype=np.float32)[0], 1.0, 0.0, 0.5, 10, 0, 0)
    direction, vector = (
        codec.move(ASPIRIN, by_hand, distances=[3.0]),
        codec.move(ASPIRIN, np.eye(codec.n_latent)[0], distances=[3.0]),
    )
    pd.testing.assert_frame_equal(direction, vector)
