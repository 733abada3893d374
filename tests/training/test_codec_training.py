from molvae.training.batches import held_out_rows
from molvae.training.codec_training import calibration_rows
from molvae.training.config import TrainingSettings


def test_the_domain_is_calibrated_on_held_out_molecules() -> None:
    assert calibration_rows(TrainingSettings(n_held_out=500), 20_000) is None
    assert calibration_rows(TrainingSettings(), 9_000) is None
    chosen = calibration_rows(TrainingSettings(n_held_out=3_000, seed=1), 20_000)
    assert chosen is not None
    assert len(chosen) == 2_000
    train_rows, _ = held_out_rows(20_000, 3_000, seed=1)
    assert not set(chosen.tolist()) & set(train_rows.tolist())
