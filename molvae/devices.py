"""Device and precision of torch."""

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch

from molvae.errors import InputError

Precision = Literal["bfloat16", "float32"]
PrecisionSetting = Literal["auto", "bfloat16", "float32"]

CODEC_DEVICE = torch.device("cpu")
"""Device on which codecs encode and decode."""

PRECISION_VARIABLE = "MOLVAE_PRECISION"
"""Environment variable with the precision that the setting "auto" takes."""

_BEFORE_AVX512 = ("DEFAULT", "NO AVX", "AVX2")


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

    Most processors with AVX-512 only emulate products of bfloat16, and need several times the time of float32.

    Parameters
    ----------
    device : torch.device
        Device of the computation.

    Returns
    -------
    bool
        True for a GPU and for a CPU with AMX. Also for a CPU with AVX512_BF16, unless it has AVX512_FP16, too: these
        processors have AMX; if a virtual machine hides it, their bfloat16 is slower than their float32.
    """
    if device.type != "cpu":
        return device.type == "cuda"
    if torch.backends.cpu.get_cpu_capability() in _BEFORE_AVX512:  # also if ATEN_CPU_CAPABILITY limits torch
        return False
    has = torch.cpu.get_capabilities()
    return has.get("amx_bf16", False) or (has.get("avx512_bf16", False) and not has.get("avx512_fp16", False))


def choose_precision(device: torch.device, setting: PrecisionSetting = "auto") -> Precision:
    """Choose the precision of matrix products.

    Parameters
    ----------
    device : torch.device
        Device of the computation.
    setting : {"auto", "bfloat16", "float32"}, default="auto"
        "auto" takes that of the environment variable MOLVAE_PRECISION; without it, the faster one.

    Returns
    -------
    {"bfloat16", "float32"}
        The precision.

    Raises
    ------
    InputError
        The environment variable has another value.
    """
    if setting != "auto":
        return setting
    wanted = os.environ.get(PRECISION_VARIABLE, "auto")
    if wanted not in get_args(PrecisionSetting):
        expected = ", ".join(get_args(PrecisionSetting))
        raise InputError(f"environment variable {PRECISION_VARIABLE}: expected one of {expected}; got {wanted!r}")
    if wanted != "auto":
        return "bfloat16" if wanted == "bfloat16" else "float32"
    return "bfloat16" if is_bfloat16_fast(device) else "float32"


def autocast(device: torch.device, setting: PrecisionSetting = "auto") -> AbstractContextManager:
    """Compute matrix products in the chosen precision.

    Parameters
    ----------
    device : torch.device
        Device of the computation.
    setting : {"auto", "bfloat16", "float32"}, default="auto"
        As for `choose_precision`.

    Returns
    -------
    context manager
        Active within a ``with`` block.
    """
    if choose_precision(device, setting) == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
