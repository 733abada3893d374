import numpy as np
import pytest

from molvae.codec import ToyCodec
from molvae.errors import InputError
from molvae.search.optimizers import FIRST_START, NO_PARENT, Outcome
from molvae.search.optimizers.property_gradient import PropertyGradient, PropertyGradientSettings

SLOPE = np.linspace(-1, 1, 24)


@pytest.fixture
def head(space):
    """The latent space with a property head."""
    space.property_names = ["size", "charge"]
    space.properties = lambda z: {"size": 3 * z @ SLOPE + 300, "charge": -z[:, 0]}
    return space


def make(head, **changes):
    return PropertyGradient(head, 0, PropertyGradientSettings(**changes))


def shift(optimizer, z, start):
    """Distance along the slope of `size`, and across it, in standard units."""
    step = optimizer._scale.standardize(z) - optimizer._scale.standardize(start)
    slope = optimizer._scale.standardize(SLOPE[None]) - optimizer._scale.standardize(np.zeros((1, 24)))
    slope = (SLOPE / (slope / SLOPE))[0]  # the gradient in standard units
    along = step @ slope / np.linalg.norm(slope)
    return along, np.linalg.norm(step - along[:, None] * slope / np.linalg.norm(slope), axis=1)


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
def test_paths_follow_the_gradient_from_a_molecule(head, draw, starts, direction, sign):
    optimizer = make(head, direction=direction, penalty=0, perturbation=0, prior_share=0, length=2.0)
    start = draw(1, 1)
    optimizer.tell(starts(start, [1.0]))
    proposals = optimizer.ask(300)
    along, across = shift(optimizer, proposals.z, start)
    assert (sign * along).min() >= -1e-3
    assert (sign * along).max() == pytest.approx(2, rel=0.05)
    np.testing.assert_allclose(across, 0, atol=1e-3)
    assert (proposals.parents[:, 0] == FIRST_START).all()


def test_the_penalty_ends_a_path_near_the_prior(head, draw, starts):
    optimizer = make(head, penalty=0.5, perturbation=0, prior_share=0, length=100.0)
    optimizer.tell(starts(draw(1, 1), [1.0]))
    along, across = shift(optimizer, optimizer.ask(300).z, np.zeros((1, 24)))
    assert np.median(along) == pytest.approx(2, rel=0.1)
    assert np.median(across) < 0.3


def test_the_path_is_that_of_gradient_ascent_in_small_steps(head, draw, starts):
    optimizer = make(head, penalty=0.3, perturbation=0, prior_share=0, length=1e-9)
    start = draw(1, 1)
    optimizer.tell(starts(start, [1.0]))
    z = optimizer._scale.standardize(start)
    for _ in range(2000):
        z = z + 0.001 * (optimizer._slope - 0.3 * z)
    shrinkage = np.exp(-0.3 * 2)
    expected = shrinkage * optimizer._scale.standardize(start) + (1 - shrinkage) / 0.3 * optimizer._slope
    np.testing.assert_allclose(z, expected, atol=2e-3)


def test_paths_begin_at_the_best_molecules_and_at_the_prior(head, draw, starts):
    optimizer = make(head, n_restarts=3, prior_share=0.25)
    optimizer.tell(starts(draw(20, 1), np.arange(20.0)))
    proposals = optimizer.ask(2000)
    is_prior = proposals.parents[:, 0] == NO_PARENT
    assert is_prior.mean() == pytest.approx(0.25, abs=0.03)
    assert set(proposals.parents[~is_prior, 0].tolist()) == {FIRST_START - row for row in (17, 18, 19)}
    np.testing.assert_array_equal(proposals.moves == "prior_gradient", is_prior)


def test_paths_begin_at_the_prior_until_there_are_scores(head, report):
    optimizer = make(head, n_initial=20, prior_share=0)
    for _ in range(2):
        proposals = optimizer.ask(10)
        assert (proposals.parents == NO_PARENT).all()
        optimizer.tell(report(proposals, Outcome.SCORED, np.arange(10.0)))
    assert (optimizer.ask(10).parents[:, 0] >= 0).all()


@pytest.mark.parametrize(("outcome", "factor"), [(Outcome.REPEAT, 1), (Outcome.INVALID, -1), (Outcome.PREDICTED, 0)])
def test_repeats_raise_the_perturbation_and_invalid_molecules_lower_it(head, draw, report, starts, outcome, factor):
    optimizer = make(head)
    optimizer.tell(starts(draw(1, 1), [1.0]))
    for _ in range(3):
        optimizer.tell(report(optimizer.ask(20), outcome))
    assert optimizer.state().arrays["stretch"] == pytest.approx(np.exp(0.9 * factor))


def test_the_default_is_the_first_property(head):
    np.testing.assert_array_equal(make(head)._slope, make(head, property="size")._slope)
    assert not np.array_equal(make(head)._slope, make(head, property="charge")._slope)


def test_an_unknown_property_is_refused(head):
    with pytest.raises(InputError, match=r"'sizes'.*mean size\?"):
        make(head, property="sizes")
    with pytest.raises(InputError, match=r"predicts: size, charge"):
        make(head, property="x")


def test_a_codec_without_a_property_head_is_refused(head):
    with pytest.raises(InputError, match=r"property_gradient.*codec toy has none"):
        PropertyGradient(ToyCodec(), 0)
    head.property_names = []
    with pytest.raises(InputError, match="has none"):
        make(head)
