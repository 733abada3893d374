import pytest
import torch

from molvae.errors import InputError
from molvae.training.checkpoint import _pieces, load_checkpoint, load_pieces, save_checkpoint, save_pieces


def trained(seed=0, n=3):
    torch.manual_seed(seed)
    model = torch.nn.Linear(n, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(4, n)).sum().backward()
    optimizer.step()
    return model, optimizer


def test_model_optimizer_and_loop_state_are_restored(tmp_path):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 7, {"best": 1.5}, model, optimizer)
    other, other_optimizer = trained(seed=1)
    assert load_checkpoint(tmp_path, other, other_optimizer) == (7, {"best": 1.5})
    torch.testing.assert_close(other.state_dict(), model.state_dict())
    for mine, yours in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(optimizer.state[mine], other_optimizer.state[yours])


def test_only_the_newest_checkpoint_is_kept_and_partial_files_are_ignored(tmp_path):
    model, optimizer = trained()
    save_checkpoint(tmp_path, 7, {}, model, optimizer)
    old = {path.name for path in tmp_path.iterdir()}
    optimizer.step()
    save_checkpoint(tmp_path, 9, {}, model, optimizer)
    new = {path.name for path in tmp_path.iterdir()}
    assert len(new) == 2
    assert new & old == {"checkpoint.json"}
    (tmp_path / "checkpoint-0123456789abcdef.safetensors").write_bytes(b"killed after writing")
    (tmp_path / ".part-checkpoint-0123456789abcdef-01234567.safetensors").write_bytes(b"killed while writing")
    assert load_checkpoint(tmp_path, model, optimizer)[0] == 9
    optimizer.step()
    save_checkpoint(tmp_path, 11, {}, model, optimizer)
    assert len(list(tmp_path.iterdir())) == 2


def test_large_weights_are_split_into_small_files(tmp_path):
    weights = {str(i): torch.randn(1_000_000) for i in range(9)}
    (tmp_path / "best-of-all.txt").write_text("unrelated")
    for _ in range(2):
        save_pieces(tmp_path / "best.json", weights, {"origin": "a codec"})
    files = list(tmp_path.glob("best-*.safetensors"))
    assert len(files) == 3
    assert all(path.stat().st_size < 16_000_000 for path in files)
    found, content = load_pieces(tmp_path / "best.json")
    assert content == {"origin": "a codec"}
    torch.testing.assert_close(found, weights)
    assert (tmp_path / "best-of-all.txt").exists()


def test_a_folder_without_checkpoint_gives_none(tmp_path):
    assert load_checkpoint(tmp_path, *trained()) is None


def test_a_changed_file_is_refused(tmp_path):
    save_checkpoint(tmp_path, 7, {}, *trained())
    path = next(tmp_path.glob("checkpoint-*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="sha256"):
        load_checkpoint(tmp_path, *trained())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"files": 3}'])
def test_a_changed_index_is_refused(tmp_path, text):
    save_checkpoint(tmp_path, 7, {}, *trained())
    (tmp_path / "checkpoint.json").write_text(text)
    with pytest.raises(InputError, match=r"checkpoint\.json: "):
        load_checkpoint(tmp_path, *trained())


def test_a_missing_file_is_refused(tmp_path):
    save_checkpoint(tmp_path, 7, {}, *trained())
    next(tmp_path.glob("checkpoint-*.safetensors")).unlink()
    with pytest.raises(InputError, match=r"safetensors: .*checkpoint\.json"):
        load_checkpoint(tmp_path, *trained())


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    save_checkpoint(tmp_path, 7, {}, *trained())
    with pytest.raises(InputError, match=r"checkpoint\.json: "):
        load_checkpoint(tmp_path, *trained(n=4))


def test_pieces_stay_small_and_contain_every_tensor():
    state = {str(i): torch.zeros(1_000_000) for i in range(9)}
    pieces = _pieces(state)
    assert len(pieces) == 3
    assert all(sum(t.nbytes for t in piece.values()) <= 15_000_000 for piece in pieces)
    assert {name for piece in pieces for name in piece} == set(state)
