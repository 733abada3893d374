import numpy as np
import pytest

from molvae.codec import ToyCodec, load_codec
from molvae.errors import InputError
from molvae.search.optimizers import NO_PARENT, Outcome
from molvae.search.optimizers.guided_prior import GuidedPrior, GuidedPriorSettings


@pytest.fixture(scope="module")
def codec():
    return load_codec("moses")


def make(codec, **changes):
    return GuidedPrior(codec, 0, GuidedPriorSettings(**changes))


def test_draws_are_guided_to_the_windows(codec):
    guided = make(codec, windows={"logp": (1.0, 1.5), "mol_weight": (None, 300.0)}).ask(200)
    free = make(codec).ask(200)
    assert (guided.parents == NO_PARENT).all()
    for proposals, least in ((guided, 0.8), (free, 0.0)):
        logp, weight = (codec.properties(proposals.z)[name] for name in ("logp", "mol_weight"))
        share = float(np.mean(logp.between(0.8, 1.7) & (weight < 310)))
        assert share >= least
    assert share < 0.3  # of the free ones


def test_stronger_guidance_is_closer_to_the_window(codec):
    means = [
        codec.properties(make(codec, windows={"logp": (5.0, None)}, guidance=guidance).ask(100).z)["logp"].mean()
        for guidance in (0.0, 1.0, 3.0)
    ]
    assert means == sorted(means)


def test_the_results_are_ignored(codec, report):
    one, two = make(codec), make(codec)
    for optimizer, value in ((one, 0.0), (two, 1.0)):
        proposals = optimizer.ask(5)
        optimizer.tell(report(proposals, Outcome.SCORED, np.full(5, value)))
    np.testing.assert_array_equal(one.ask(5).z, two.ask(5).z)


def test_windows_that_cannot_be_used_are_refused_at_once(codec):
    with pytest.raises(InputError, match="'solubility'"):
        make(codec, windows={"solubility": (0.0, 1.0)})
    with pytest.raises(InputError, match="low < high"):
        make(codec, windows={"logp": (2.0, 1.0)})


def test_a_codec_without_a_property_head_is_refused():
    with pytest.raises(InputError, match=r"guided_prior.*codec toy has none"):
        make(ToyCodec())
