"""Where torch computes, and how precisely."""

from contextlib import AbstractContextManager, nullcontext

import torch


def fastest_device() -> torch.device:
    """A GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def is_bfloat16_fast(device: torch.device) -> bool:
    """Whether bfloat16 pays: on a GPU, and on a CPU that multiplies in it."""
    return device.type == "cuda" or torch.backends.cpu.get_cpu_capability() == "AVX512"


def autocast(device: torch.device, is_on: bool | None = None) -> AbstractContextManager:
    """Matrix products in bfloat16; None: where that pays."""
    if is_bfloat16_fast(device) if is_on is None else is_on:
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
