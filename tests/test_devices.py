"""Precision: by processor, by environment variable and by setting."""

import numpy as np
import pandas as pd
import pytest
import torch

import molvae
from molvae.bundled import bundled
from molvae.devices import CODEC_DEVICE, autocast, choose_precision, is_bfloat16_fast
from molvae.errors import InputError

CPU, GPU = torch.device("cpu"), torch.device("cuda")
SKYLAKE = {"avx2", "avx512_f", "avx512_vnni"}
PROCESSORS = {
    "AVX2": ("AVX2", {"avx2"}, "float32"),
    "AVX-512 without bfloat16": ("AVX512", SKYLAKE, "float32"),
    "AVX512_BF16": ("AVX512", SKYLAKE | {"avx512_bf16"}, "bfloat16"),
    "AMX": ("AVX512", SKYLAKE | {"avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16"}, "bfloat16"),
    "AMX hidden": ("AVX512", SKYLAKE | {"avx512_bf16", "avx512_fp16"}, "float32"),
    "AMX for integers alone": ("AVX512", SKYLAKE | {"amx_tile", "amx_int8"}, "float32"),
    "AMX, torch limited to AVX2": ("AVX2", SKYLAKE | {"avx512_bf16", "amx_tile", "amx_bf16"}, "float32"),
    "ARM": ("SVE256", {"neon", "bf16", "sve"}, "float32"),
}


def set_processor(monkeypatch, torch_level, features):
    monkeypatch.delenv("MOLVAE_PRECISION", raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: torch_level)
    known = dict.fromkeys(features, True) | {"cpu_name": "test", "l2_cache_size": 2**21, "amx_fp16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)


@pytest.mark.parametrize("name", PROCESSORS)
def test_bfloat16_is_chosen_where_the_processor_multiplies_it(name, monkeypatch):
    torch_level, features, expected = PROCESSORS[name]
    set_processor(monkeypatch, torch_level, features)
    assert is_bfloat16_fast(CPU) is (expected == "bfloat16")
    assert choose_precision(CPU) == expected
    with autocast(CPU):
        assert torch.is_autocast_enabled("cpu") is (expected == "bfloat16")
    assert is_bfloat16_fast(GPU)


def test_torch_knows_this_processor():
    assert isinstance(torch.cpu.get_capabilities()["architecture"], str)
    assert isinstance(is_bfloat16_fast(CPU), bool)
    assert not is_bfloat16_fast(torch.device("meta"))


@pytest.mark.parametrize("level", ["bfloat16", "float32"])
def test_the_environment_variable_is_followed_unless_a_setting_says_otherwise(level, monkeypatch):
    set_processor(monkeypatch, "AVX2", {"avx2"})
    monkeypatch.setenv("MOLVAE_PRECISION", level)
    assert choose_precision(CPU) == choose_precision(GPU) == level
    assert choose_precision(CPU, "float32") == "float32"
    assert choose_precision(CPU, "bfloat16") == "bfloat16"


def test_an_unknown_precision_is_an_error(monkeypatch):
    monkeypatch.setenv("MOLVAE_PRECISION", "float16")
    with pytest.raises(InputError, match="MOLVAE_PRECISION: expected one of auto, bfloat16, float32; got 'float16'"):
        choose_precision(CPU)
    monkeypatch.setenv("MOLVAE_PRECISION", "auto")
    assert choose_precision(CPU) == ("bfloat16" if is_bfloat16_fast(CPU) else "float32")


def test_both_precisions_decode_the_same_molecules(monkeypatch):
    codec = molvae.load_codec("moses")
    assert next(codec.model.parameters()).device == CODEC_DEVICE
    smiles = pd.read_csv(bundled("moses_test.csv.gz"), nrows=100)["SMILES"].tolist()
    z, decoded = {}, {}
    for precision in ("bfloat16", "float32"):
        monkeypatch.setenv("MOLVAE_PRECISION", precision)
        z[precision] = codec.encode(smiles).z
        decoded[precision] = [molecule.smiles for molecule in codec.decode(z["bfloat16"])]
    same = np.mean([a == b for a, b in zip(*decoded.values(), strict=True)])
    assert same >= 0.98  # of 3,000 test molecules 99.9 %; of 3,000 draws from the prior 92 %
    assert 0 < np.abs(z["bfloat16"] - z["float32"]).max() < 0.2
