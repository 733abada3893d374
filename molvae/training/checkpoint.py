"""Tensors on disk, whole or not at all, in pieces that travel well; of such is the state from which a run goes on."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from molvae.errors import InputError
from molvae.files import PART_PREFIX, replacing, write_text

CHECKPOINT_NAME = "checkpoint.json"
_PIECE_BYTES = 15_000_000


def save_pieces(index: Path, tensors: dict[str, Tensor], content: dict[str, Any] | None = None) -> None:
    """Write tensors to files of at most 15 MB (or of one larger tensor) beside an index (.json), which names them.

    content: what else stands in the index. It is written last, and what older ones of its name left is removed after
    it: who reads it finds what was written before, or all that is new. Only one process may write.
    """
    digests = {}
    for piece in _pieces(tensors):
        data = save(piece)
        digest = hashlib.sha256(data).hexdigest()
        path = index.with_name(f"{index.stem}-{digest[:16]}.safetensors")
        with replacing(path) as part:
            part.write_bytes(data)
        digests[path.name] = digest
    write_text(index, json.dumps({**(content or {}), "files": digests}, indent=1) + "\n")
    stale = [path for path in index.parent.glob(f"{index.stem}-*.safetensors") if path.name not in digests]
    for path in (*stale, *index.parent.glob(f"{PART_PREFIX}{index.stem}-*")):  # the latter of writers that were killed
        path.unlink()


def load_pieces(index: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors that an index names, on the processor, and its further content.

    Raises:
        InputError: a file is not there, or was changed since it was written.
    """
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        files = dict(content.pop("files"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{index}: changed since it was written; start this training again") from None
    tensors: dict[str, Tensor] = {}
    for name, digest in files.items():
        path = index.with_name(name)
        if not path.exists():
            raise InputError(f"{path}: gone, though {index.name} names it; start this training again")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise InputError(f"{path}: changed since it was written (sha256 differs); start this training again")
        tensors |= load(data)
    return tensors, content


def save_checkpoint(
    folder: Path, step: int, facts: dict[str, float], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write the newest checkpoint in the folder, in place of the one before."""
    save_pieces(folder / CHECKPOINT_NAME, _flat_state(model, optimizer), {"step": step, "facts": facts})


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, dict[str, float]] | None:
    """Put the checkpoint into model and optimizer: its step and facts; None where there is none.

    Raises:
        InputError: a file of the checkpoint was changed, or it belongs to another model.
    """
    index = folder / CHECKPOINT_NAME
    if not index.exists():
        return None
    state, content = load_pieces(index)
    weights = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        raise InputError(f"{index}: a checkpoint of another model; use another folder, or the same settings") from None
    for name, parameter in model.named_parameters():
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
