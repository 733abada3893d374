"""The state of a training run on disk, from which it goes on exactly; in pieces that travel well."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from molvae.errors import InputError
from molvae.files import sha256_of, write_text

_STATE_NAME = "state.json"
_PIECE_BYTES = 15_000_000


def save_checkpoint(
    folder: Path, step: int, facts: dict[str, float], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write the newest checkpoint below the folder, then remove the older ones.

    A checkpoint is a folder of its own; its description is written last, so one without it is no checkpoint.
    """
    target = folder / f"step-{step:09d}"
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    digests = {}
    for i, piece in enumerate(_pieces(_flat_state(model, optimizer))):
        path = target / f"state-{i}.safetensors"
        path.write_bytes(save(piece))
        digests[path.name] = sha256_of(path)
    write_text(target / _STATE_NAME, json.dumps({"step": step, "facts": facts, "files": digests}, indent=1) + "\n")
    for other in folder.glob("step-*"):
        if other != target:
            shutil.rmtree(other)


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, float]] | None:
    """Put the newest whole checkpoint into model and optimizer: its step and facts; None where there is none.

    Raises:
        InputError: a file of the checkpoint was changed, or it belongs to another model.
    """
    whole = sorted(path.parent for path in folder.glob(f"step-*/{_STATE_NAME}"))
    if not whole:
        return None
    content = json.loads((whole[-1] / _STATE_NAME).read_text(encoding="utf-8"))
    state: dict[str, Tensor] = {}
    for name, digest in content["files"].items():
        path = whole[-1] / name
        if sha256_of(path) != digest:
            raise InputError(f"{path}: changed since it was written (sha256 differs); start this training again")
        state |= load_file(path)
    parameters = dict(model.named_parameters())
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        raise InputError(
            f"{whole[-1]}: a checkpoint of another model; use another folder, or the same settings"
        ) from None
    for name, parameter in parameters.items():
        moments = {key: state[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in state}
        optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in moments.items()}
    return content["step"], content["facts"]


def _flat_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = {f"model.{name}": value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state[parameter].items():
            state[f"{key}.{name}"] = value.detach().cpu().contiguous()
    return state


def _pieces(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The tensors in groups of at most 15 MB."""
    pieces: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in state.items():
        if size + tensor.nbytes > _PIECE_BYTES and pieces[-1]:
            pieces.append({})
            size = 0
        pieces[-1][name] = tensor
        size += tensor.nbytes
    return pieces
