import pytest
import torch

from molvae.errors import InputError
from molvae.training.checkpoint import _pieces, load_checkpoint, save_checkpoint


def trained(seed=0, n=3):
    torch.manual_seed(seed)
    model = torch.nn.Linear(n, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, n)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_model_optimizer_and_facts_come_back(tmp_path):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 7, {"best": 1.5}, model, optimizer)
    other, other_optimizer = trained(seed=1)
    assert load_checkpoint(tmp_path, other, other_optimizer) == (7, {"best": 1.5})
    torch.testing.assert_close(other.state_dict(), model.state_dict())
    for mine, yours in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(optimizer.state[mine], other_optimizer.state[yours])


def test_the_newest_is_kept_alone_and_an_unfinished_one_is_passed_over(tmp_path):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 7, {}, model, optimizer)
    save_checkpoint(tmp_path, 9, {}, model, optimizer)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000009"]
    (tmp_path / "step-000000012").mkdir()
    assert load_checkpoint(tmp_path, model, optimizer)[0] == 9


def test_nothing_to_load_is_none(tmp_path):
    assert load_checkpoint(tmp_path, *trained()) is None


def test_a_changed_file_is_refused(tmp_path):
    save_checkpoint(tmp_path, 7, {}, *trained())
    path = next(tmp_path.glob("*/state-0.safetensors"))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="sha256"):
        load_checkpoint(tmp_path, *trained())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_checkpoint(tmp_path, 7, {}, *trained())
    with pytest.raises(InputError, match="another model"):
        load_checkpoint(tmp_path, *trained(n=4))


def test_pieces_stay_small_and_lose_nothing():
    state = {str(i): torch.zeros(1_000_000) for i in range(9)}
    pieces = _pieces(state)
    assert len(pieces) == 3
    assert all(sum(t.nbytes for t in piece.values()) <= 15_000_000 for piece in pieces)
    assert {name for piece in pieces for name in piece} == set(state)
