"""Device and precision of torch."""

from contextlib import AbstractContextManager, nullcontext

import torch


def fastest_device() -> torch.device:
    """Choose the device for training.

    Returns
    -------
    torch.device
        The GPU if there is one, else the CPU.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_bfloat16_fast(device: torch.device) -> bool:
    """Check whether bfloat16 is faster than float32.

    Parameters
    ----------
    device : torch.device
        Device of the computation.

    Returns
    -------
    bool
        True for a GPU and for a CPU with AVX-512.
    """
    return device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AVX512"


def autocast(device: torch.device, is_on: bool | None = None) -> AbstractContextManager:
    """Compute matrix products in bfloat16.

    Parameters
    ----------
    device : torch.device
        Device of the computation.
    is_on : bool or None, default=None
        Whether to use bfloat16; None uses it where it is faster.

    Returns
    -------
    context manager
        Active within a ``with`` block.
    """
    if is_bfloat16_fast(device) if is_on is None else is_on:
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
