import pytest

from molvae.training.schedules import learning_rate_factor, warmed_weight


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    factors = [learning_rate_factor(done / 100, 0.1, 0.6) for done in range(101)]
    assert factors[0] == 0
    assert factors[10:61] == [1.0] * 51
    assert factors[100] == 0
    assert factors[80] == pytest.approx(0.5)


def test_the_rate_is_constant_without_warmup_and_decay():
    assert [learning_rate_factor(done, 0.0, 1.0) for done in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]


def test_weights_rise_to_their_value():
    assert [warmed_weight(done, 0.2, 0.5) for done in (0.0, 0.25, 0.5, 1.0)] == [0.0, 0.1, 0.2, 0.2]
    assert warmed_weight(0.0, 0.2, 0.0) == 0.2
