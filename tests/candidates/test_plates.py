from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from molvae.candidates.files import read_candidates, write_candidates
from molvae.candidates.plates import assign_wells, list_wells, smallest_plate, write_picks
from molvae.candidates.selection import pick_candidates
from molvae.errors import InputError


def test_wells_are_numbered_row_by_row() -> None:
    assert [list_wells(size)[-1] for size in (24, 48, 96, 384)] == ["D6", "F8", "H12", "P24"]
    assert [len(set(list_wells(size))) for size in (24, 48, 96, 384)] == [24, 48, 96, 384]
    assert list_wells(96)[11:13] == ["A12", "B1"]
    with pytest.raises(InputError, match="24, 48, 96, 384"):
        list_wells(12)


def test_the_smallest_plate_has_enough_wells() -> None:
    assert [smallest_plate(n) for n in (1, 24, 25, 49, 97, 385)] == [24, 24, 48, 96, 384, 384]


def test_alternates_have_no_well_and_a_full_plate_is_followed_by_the_next() -> None:
    roles = ["pick", "alternate", *["pick"] * 24]
    placed = assign_wells(pd.DataFrame({"position": range(26), "role": roles, "smiles": "C"}), 24)
    assert placed["well"].tolist()[:3] == ["A1", None, "A2"]
    assert placed["plate"].tolist() == [1, 0, *[1] * 23, 2]
    assert placed["well"].iloc[-1] == "A1"
    assert list(placed)[:4] == ["position", "role", "plate", "well"]


@pytest.fixture
def picked(candidates: pd.DataFrame) -> pd.DataFrame:
    selection = pick_candidates(candidates, 3, latent_weight=0, eligible=np.ones(4, dtype=bool), alternates=1)
    return assign_wells(selection.table, 24)


def test_the_csv_is_a_candidate_table_with_more_columns(picked: pd.DataFrame, tmp_path: Path) -> None:
    write_picks(tmp_path / "picks.csv", picked)
    back = read_candidates(tmp_path / "picks.csv", may_hold_more=True).set_index("candidate_id")
    expected = picked.set_index("candidate_id")
    assert back.index.tolist() == expected.index.tolist()
    for name in ("pick_reason", "smiles", "well", "nearest_pick"):
        assert back[name].tolist() == expected[name].tolist()
    assert back["score"].to_numpy() == pytest.approx(expected["score"].to_numpy(), abs=1e-6, nan_ok=True)
    assert not any(name.startswith("check_") for name in back)


def test_the_sdf_has_a_record_per_molecule_with_its_well(picked: pd.DataFrame, tmp_path: Path) -> None:
    write_picks(tmp_path / "picks.sdf", picked)
    records = (tmp_path / "picks.sdf").read_text().split("$$$$\n")[:-1]
    assert [record.splitlines()[0] for record in records] == picked["candidate_id"].tolist()
    wells = [record.split(">  <well>\n")[1].splitlines()[0] or None for record in records]
    assert wells == picked["well"].tolist()


@pytest.mark.parametrize("name", ["picks.csv", "picks.sdf"])
def test_empty_cells_of_your_columns_stay_empty(candidates: pd.DataFrame, tmp_path: Path, name: str) -> None:
    missing = pd.array([7, None, None, None], dtype="Int64")
    mine = candidates.assign(stock=missing, spectra=[[1, 2], None, None, None], day=pd.NaT, **{"IC50 <nM>": 1.5})
    table = pick_candidates(mine, 2, latent_weight=0, eligible=candidates.index < 2).table
    write_picks(tmp_path / name, table)
    if name.endswith(".csv"):
        back = pd.read_csv(tmp_path / name, dtype=str, keep_default_na=False)
        assert back[["stock", "spectra", "day", "IC50 <nM>"]].to_numpy().tolist() == [
            ["7", "[1, 2]", "", "1.5"], ["", "", "", "1.5"],
        ]  # fmt: skip
    else:
        molecule = next(iter(Chem.SDMolSupplier(str(tmp_path / name))))
        assert molecule.GetPropsAsDict()["IC50 _nM_"] == 1.5


def test_text_that_a_spreadsheet_would_run_is_quoted(candidates: pd.DataFrame, tmp_path: Path) -> None:
    table = pick_candidates(candidates.assign(remark="=1+1"), 1, latent_weight=0).table
    write_picks(tmp_path / "picks.csv", table)
    assert '"\'=1+1"' in (tmp_path / "picks.csv").read_text()


def test_a_file_in_a_missing_folder_is_refused(picked: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_picks(tmp_path / "no" / "picks.csv", picked)


def test_candidate_files_of_a_run_are_not_changed(candidates: pd.DataFrame, tmp_path: Path) -> None:
    write_candidates(tmp_path, candidates)
    table = read_candidates(tmp_path)
    before = table.copy()
    pick_candidates(table, 2, latent_weight=0)
    pd.testing.assert_frame_equal(table, before)


def test_a_plate_table_can_be_picked_from_again(picked: pd.DataFrame, tmp_path: Path) -> None:
    write_picks(tmp_path / "picks.csv", picked)
    table = read_candidates(tmp_path / "picks.csv", may_hold_more=True)
    again = assign_wells(pick_candidates(table, 1, latent_weight=0).table, 48)
    assert again[["position", "role", "well", "candidate_id"]].to_numpy().tolist() == [[1, "pick", "A1", "C000001"]]
    assert again.columns.is_unique
