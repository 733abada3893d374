import numpy as np
import pytest
import torch

from molvae.feature_spec import PAD, FeatureSpec
from molvae.features import FeatureStore, FeatureWriter
from molvae.training.batches import Batches, BatchPlan, _Resident, held_out_rows
from molvae.training.config import TrainingSettings

LENGTHS = np.random.default_rng(0).integers(3, 20, 1000)


def test_an_epoch_shows_every_row_once_except_the_incomplete_last_batch():
    plan = BatchPlan(np.arange(1000), LENGTHS, 30, seed=0)
    rows = np.concatenate([plan.batch(step) for step in range(33)])
    assert len(set(rows.tolist())) == len(rows) == 990


def test_epochs_differ_and_drop_different_rows():
    plan = BatchPlan(np.arange(1000), LENGTHS, 30, seed=0)
    first, second = [{int(row) for step in range(a, a + 33) for row in plan.batch(step)} for a in (0, 33)]
    assert first != second
    assert first | second == set(range(1000))


def test_the_rows_of_a_batch_have_similar_lengths():
    plan = BatchPlan(np.arange(1000), LENGTHS, 30, seed=0)
    spans = [np.ptp(LENGTHS[plan.batch(step)]) for step in range(33)]
    assert np.mean(spans) < 2


def test_batches_are_not_sorted_by_length():
    plan = BatchPlan(np.arange(1000), LENGTHS, 30, seed=0)
    means = np.array([LENGTHS[plan.batch(step)].mean() for step in range(33)])
    assert 5 < (np.diff(means) > 0).sum() < 28


def test_batches_do_not_depend_on_the_order_of_calls():
    plan = BatchPlan(np.arange(1000), LENGTHS, 30, seed=0)
    in_order = [plan.batch(step) for step in range(70)]
    again = BatchPlan(np.arange(1000), LENGTHS, 30, seed=0)
    for step in (69, 3, 40):
        np.testing.assert_array_equal(again.batch(step), in_order[step])


def test_few_rows_give_one_smaller_batch():
    assert sorted(BatchPlan(np.arange(5), LENGTHS, 30, seed=0).batch(4)) == [0, 1, 2, 3, 4]


def test_rows_are_shown_in_their_share_of_epochs():
    shares = np.where(LENGTHS < 10, 0.25, 1.0)
    plan = BatchPlan(np.arange(1000) + 5, np.r_[np.zeros(5, int), LENGTHS], 30, seed=0, shares=shares)
    n_epoch = int(shares.sum()) // 30
    seen = np.bincount(np.concatenate([plan.batch(step) for step in range(40 * n_epoch)]), minlength=1005)[5:]
    assert seen[LENGTHS < 10].mean() == pytest.approx(10, rel=0.05)
    assert seen[LENGTHS >= 10].mean() == pytest.approx(40, rel=0.05)
    assert seen[LENGTHS < 10].min() >= 7  # every row is shown regularly


def test_epochs_with_shares_do_not_depend_on_the_order_of_calls():
    shares = np.full(1000, 0.3)
    in_order = BatchPlan(np.arange(1000), LENGTHS, 30, 0, shares)
    wanted = [in_order.batch(step) for step in range(35)]
    np.testing.assert_array_equal(BatchPlan(np.arange(1000), LENGTHS, 30, 0, shares).batch(34), wanted[34])


@pytest.mark.parametrize("pairs", [((8, 0.0), (14, 1.0)), ((14, 0.5), (8, 1.0)), ((8, 0.5), (8, 1.0)), ((8, 1.5),)])
def test_invalid_length_shares_are_refused(pairs):
    with pytest.raises(ValueError, match="length_shares: "):
        TrainingSettings(length_shares=pairs)


def test_shares_are_interpolated_between_lengths():
    settings = TrainingSettings(length_shares=((8, 0.2), (12, 0.6)))
    assert settings.shares(np.array([3, 8, 10, 12, 50])) == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.6])
    assert TrainingSettings().shares(np.array([3])) is None


def test_held_out_rows_are_not_trained_on():
    train, held_out = held_out_rows(1000, 50, seed=0)
    assert len(held_out) == 50
    assert sorted([*train, *held_out]) == list(range(1000))
    assert len(held_out_rows(100, 50, seed=0)[1]) == 10


def test_training_molecules_validate_if_none_can_be_held_out():
    train, held_out = held_out_rows(5, 50, seed=0)
    assert sorted(train) == sorted(held_out) == list(range(5))
    train, held_out = held_out_rows(3000, 0, seed=0)
    assert (len(train), len(held_out)) == (3000, 1000)


def test_batches_on_the_device_equal_those_from_main_memory(tmp_path):
    random = np.random.default_rng(0)
    spec = FeatureSpec("tokens", 30, 8)
    lengths = random.integers(2, 9, 200)
    x = np.where(np.arange(8) < lengths[:, None], random.integers(4, 30, (200, 8)), PAD).astype(np.uint16)
    y = random.normal(size=(200, 2)).astype(np.float32)
    y[::3] = np.nan
    bits = random.integers(0, 2, (200, 16)).astype(np.uint8)
    with FeatureWriter(tmp_path, spec, ("logp", "qed"), n_bits=16) as writer:
        writer.write(x, y, bits=bits)
    rows = FeatureStore.open(tmp_path)
    chosen = random.permutation(200)[:40]
    expected = Batches(rows, torch.device("cpu")).batch(chosen)
    resident = _Resident(rows, torch.device("cpu")).batch(torch.from_numpy(chosen), int(lengths[chosen].max()))
    for name in ("x", "y", "bits"):
        ours, theirs = getattr(resident, name), getattr(expected, name)
        torch.testing.assert_close(ours, theirs, equal_nan=True, rtol=0, atol=0)
    assert expected.view is resident.view is None
    is_labelled = ~np.isnan(y[chosen]).any(1)
    np.testing.assert_array_equal(expected.bits, np.where(is_labelled[:, None], bits[chosen], 0))
