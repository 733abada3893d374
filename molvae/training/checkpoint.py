"""Tensors on disk, in small files that appear complete or not at all; the checkpoint of a training run."""

import hashlib
import json
from pathlib import Path
from typing import NotRequired, TypedDict

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from molvae.errors import InputError
from molvae.files import PART_PREFIX, replacing, write_text

CHECKPOINT_NAME = "checkpoint.json"
_PIECE_BYTES = 15_000_000
_CHECKSUM = "checksum"


class LoopState(TypedDict):
    """State of the training loop.

    Parameters
    ----------
    seconds : float
        Training time so far, over all resumes.
    best : float
        Lowest validation loss so far.
    waited : float
        Number of validations since the lowest loss.
    """

    seconds: float
    best: float
    waited: float


class IndexContent(TypedDict):
    """Other content of an index file.

    Parameters
    ----------
    origin : str
        Where the weights come from.
    step : int
        Steps so far.
    facts : LoopState
        State of the training loop.
    """

    origin: NotRequired[str]
    step: NotRequired[int]
    facts: NotRequired[LoopState]


def save_pieces(index: Path, tensors: dict[str, Tensor], content: IndexContent | None = None) -> None:
    """Write tensors to files of at most 15 MB (or one larger tensor) next to an index file that lists them.

    The index is written last, and older files of its name are removed after it: a reader finds either the old tensors
    or all new ones. Only one process may write.

    Parameters
    ----------
    index : Path
        The index file (.json); the names of the other files begin with its stem.
    tensors : dict of str to Tensor
        Tensors on the CPU.
    content : IndexContent or None
        Other content of the index.
    """
    digests = {}
    for piece in _pieces(tensors):
        data = save(piece)
        digest = hashlib.sha256(data).hexdigest()
        path = index.with_name(f"{index.stem}-{digest[:16]}.safetensors")
        with replacing(path) as part:
            part.write_bytes(data)
        digests[path.name] = digest
    listed: dict[str, object] = {**(content or {}), "files": digests}
    write_text(index, json.dumps({**listed, _CHECKSUM: _checksum_of(listed)}, indent=1) + "\n")
    stale = [path for path in index.parent.glob(f"{index.stem}-*.safetensors") if path.name not in digests]
    for path in (*stale, *index.parent.glob(f"{PART_PREFIX}{index.stem}-*")):  # the latter are left by killed processes
        path.unlink()


def _checksum_of(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_pieces(index: Path) -> tuple[dict[str, Tensor], IndexContent]:
    """The tensors of an index file, and its other content.

    Parameters
    ----------
    index : Path
        The index file (.json).

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU.
    content : IndexContent
        Other content of the index.

    Raises
    ------
    InputError
        A file is missing, or has changed since it was written.
    """
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        checksum = content.pop(_CHECKSUM, None)  # earlier releases wrote none
        if checksum is not None and checksum != _checksum_of(content):
            raise ValueError
        files = dict(content.pop("files"))
    except (RecursionError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{index}: has changed since it was written; delete {index.parent} to start the training again"
        ) from None
    tensors: dict[str, Tensor] = {}
    for name, digest in files.items():
        if Path(name).name != name:
            raise InputError(f"{index}: lists {name}, which is not a file in its folder; start the training again")
        path = index.with_name(name)
        if not path.exists():
            raise InputError(
                f"{path}: missing, but {index.name} lists it; delete {index.parent} to start the training again"
            )
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != digest:
            raise InputError(
                f"{path}: has changed since it was written (sha256 differs); delete {index.parent} to start the "
                "training again"
            )
        tensors |= load(data)
    return tensors, content


def save_checkpoint(
    folder: Path, step: int, state: LoopState, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write a checkpoint, which replaces the previous one.

    Parameters
    ----------
    folder : Path
        The folder of the training run.
    step : int
        Steps so far.
    state : LoopState
        State of the training loop.
    model : nn.Module
        The model.
    optimizer : torch.optim.Optimizer
        Its optimizer.
    """
    save_pieces(folder / CHECKPOINT_NAME, _flat_state(model, optimizer), {"step": step, "facts": state})


def load_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, LoopState] | None:
    """Load the checkpoint into model and optimizer.

    Parameters
    ----------
    folder : Path
        The folder of the training run.
    model : nn.Module
        The model, changed in place.
    optimizer : torch.optim.Optimizer
        Its optimizer, changed in place.

    Returns
    -------
    tuple of (int, LoopState) or None
        Steps so far and the state of the training loop; None without a checkpoint.

    Raises
    ------
    InputError
        A file of the checkpoint has changed, or it belongs to another model.
    """
    index = folder / CHECKPOINT_NAME
    if not index.exists():
        return None
    tensors, content = load_pieces(index)
    weights = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    try:
        model.load_state_dict(weights)
    except RuntimeError:
        raise InputError(f"{index}: checkpoint of another model; use another folder or the same settings") from None
    for name, parameter in model.named_parameters():
        moments = {
            key: tensors[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in tensors
        }
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
