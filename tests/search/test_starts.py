import numpy as np
import pandas as pd
import pytest

from molvae.codec import ToyCodec
from molvae.errors import InputError
from molvae.search.loop import optimize
from molvae.search.starts import read_starts

LEAD, OTHER = "CC(=O)N1CCOCC1", "CCNC(C)=O"


def read(codec, start, budget=10, **options):
    notes: list[str] = []
    return read_starts(start, codec, budget, notes.append, **options), notes


def test_start_molecules_are_standardized_and_encoded(codec):
    starts, notes = read(codec, [" O=C(C)N1CCOCC1 ", OTHER])
    assert [(one.smiles, one.raw_smiles, one.id) for one in starts] == [
        (LEAD, "O=C(C)N1CCOCC1", -2),
        (OTHER, OTHER, -3),
    ]
    np.testing.assert_array_equal(np.stack([one.z for one in starts]), codec.encode([LEAD, OTHER]).z)
    assert notes == []


def test_no_start_molecules(codec):
    assert read(codec, None) == ([], [])


def test_molecules_that_cannot_be_used_are_skipped_and_reported(codec):
    starts, notes = read(codec, ["C1CC", LEAD, None, "CCCCCCCCCCCC"])
    assert [one.smiles for one in starts] == [LEAD]
    assert [note.split(":")[0] for note in notes] == ["start 1 (C1CC)", "start 3 (None)", "start 4 (CCCCCCCCCCCC)"]
    assert notes[2].endswith("not in the toy codec")


def test_notes_are_reported_before_anything_is_scored(codec, recorder):
    oracle, notes = recorder(), []

    def notify(note):
        assert oracle.calls == []
        notes.append(note)

    result = optimize(oracle, budget=10, codec=codec, start=["C1CC", LEAD], notify=notify)
    assert len(notes) == 1
    assert result.notes == tuple(notes)
    assert oracle.calls[0] == [LEAD]


def test_no_usable_start_molecule_is_an_error_with_the_reasons(codec):
    with pytest.raises(InputError, match=r"start: none of 2 .*start 1 \(C1CC\).*; start 2 \(CCCC\)"):
        read(codec, ["C1CC", "CCCC"])
    with pytest.raises(InputError, match=r"start: none of 1 .*start 1 \(x\)"):
        read(codec, ["x"])


def test_salts_are_stripped_and_reported(codec):
    starts, notes = read(codec, ["CC(=O)N1CCOCC1.Cl"])
    assert len(notes) == 1
    assert notes[0].endswith(f"Cl; used as {LEAD}")
    assert (starts[0].smiles, starts[0].raw_smiles) == (LEAD, "CC(=O)N1CCOCC1.Cl")


def test_a_molecule_that_is_not_reconstructed_is_reported():
    starts, notes = read(ToyCodec(misread={LEAD: OTHER}), [OTHER, LEAD])
    assert len(starts) == 2
    assert len(notes) == 1
    assert notes[0].startswith(f"start 2 ({LEAD}): not reconstructed")
    assert OTHER in notes[0]


def test_a_molecule_that_decodes_to_an_invalid_smiles_is_reported():
    _, notes = read(ToyCodec(reach=-1.0), [LEAD])
    assert "C( (invalid" in notes[0]


def test_a_single_smiles_is_one_start(codec):
    assert [one.smiles for one in read(codec, LEAD)[0]] == [LEAD]


@pytest.mark.parametrize("wrap", [tuple, np.array, pd.Series, iter])
def test_start_molecules_may_be_any_sequence(codec, wrap):
    assert [one.smiles for one in read(codec, wrap([LEAD, OTHER]))[0]] == [LEAD, OTHER]


@pytest.mark.parametrize(
    ("start", "fact"), [([], "empty"), (3, "int"), (b"CC", "bytes"), ({"CC": 1}, "dict"), (True, "bool")]
)
def test_anything_but_a_list_of_smiles_is_refused(codec, start, fact):
    with pytest.raises(InputError, match=f"start: .*{fact}"):
        read(codec, start)


def test_stereo_is_removed_only_on_request_and_reported(codec):
    chiral, no_stereo = "C[C@H](O)CNC(C)=O", "CC(=O)NCC(C)O"
    with pytest.raises(InputError, match="not in the toy codec"):
        read(codec, [chiral])
    starts, notes = read(codec, [chiral], remove_stereo=True)
    assert [one.smiles for one in starts] == [no_stereo]
    assert notes[0].startswith("start 1 (C[C@H]")
    assert "stereo" in notes[0]
    assert no_stereo in notes[0]


def test_long_smiles_are_shortened_in_notes(codec):
    _, notes = read(codec, ["C" * 200, LEAD])
    assert "C" * 60 + "..." in notes[0]
    assert "C" * 61 not in notes[0]
