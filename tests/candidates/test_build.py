import pandas as pd
import pytest

from molvae.candidates.build import build_candidates, is_eligible
from molvae.candidates.columns import CANDIDATE_COLUMNS, PROPOSAL_COLUMNS
from molvae.candidates.files import read_candidates, write_candidates
from molvae.checks.settings import ChecksSettings
from molvae.errors import InputError

PHENOL, PARACETAMOL, ALANINAMIDE = "Oc1ccccc1", "CC(=O)Nc1ccc(O)cc1", "CC(N)C(N)=O"


@pytest.fixture
def proposals() -> pd.DataFrame:
    """Four molecules in the order of scoring."""
    return pd.DataFrame(
        {
            "candidate_id": ["C1", "C2", "C3", "C4"],
            "smiles": [PHENOL, PARACETAMOL, ALANINAMIDE, "C[NH3+]"],
            "raw_smiles": [PHENOL, PARACETAMOL, ALANINAMIDE, "C[NH3+]"],
            "round": [0, 0, 1, 1],
            "move": ["start", "start", "swap", "noise"],
            "parent_id": [None, None, "C1", "C1"],
            "mate_id": [None, None, "C2", None],
            "latent_row": [0, 1, 2, 3],
            "predicted_score": [float("nan"), float("nan"), 0.4, 0.5],
            "predicted_std": [float("nan"), float("nan"), 0.1, 0.1],
            "score": [0.2, 0.8, float("nan"), 0.9],
        }
    )


SETTINGS = ChecksSettings(mol_weight=False, alerts=False)


def test_candidates_that_passed_come_first_by_descending_score(proposals: pd.DataFrame) -> None:
    candidates = build_candidates(proposals, {"NCC": "amine"}, settings=SETTINGS)
    assert candidates["candidate_id"].tolist() == ["C2", "C1", "C3", "C4"]
    assert candidates["passed"].tolist() == [True, True, True, False]
    assert candidates["open_stereo_centers"].tolist() == [0, 0, 1, 0]
    assert candidates["inchikey"][1] == "ISWSIDIOOBJBQZ-UHFFFAOYSA-N"


def test_a_molecule_that_violates_a_condition_fails_with_its_reason(proposals: pd.DataFrame) -> None:
    table = proposals.assign(score_phenol=[1.0, 1.0, 0.0, float("nan")])
    candidates = build_candidates(
        table, {"NCC": None}, settings=SETTINGS, conditions={"phenol": "lacks [OX2H]c"}
    ).set_index("candidate_id")
    assert candidates["passed"].to_dict() == {"C2": True, "C1": True, "C4": False, "C3": False}
    assert candidates.loc["C3", "check_conditions"] == "phenol: lacks [OX2H]c"
    assert candidates.loc["C1", "check_conditions"] == "pass"


def test_a_molecule_outside_the_domain_of_a_model_fails_with_its_similarity(proposals: pd.DataFrame) -> None:
    table = proposals.assign(value_pki_similarity=[0.5, 0.299, float("nan"), 0.3])
    candidates = build_candidates(table, ["NCC"], settings=SETTINGS, domains={"pki": 0.3}).set_index("candidate_id")
    assert candidates["check_in_model_domain"].to_dict() == {
        "C1": "pass",
        "C2": "pki: similarity to the training molecules 0.299 < 0.3",
        "C3": "pass",
        "C4": "pass",
    }
    assert not candidates.loc["C2", "passed"]


def test_a_condition_without_a_column_is_refused(proposals: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="score_phenol"):
        build_candidates(proposals, ["NCC"], settings=SETTINGS, conditions={"phenol": "lacks [OX2H]c"})


def test_a_candidate_is_eligible_if_it_passed_and_its_score_is_not_0() -> None:
    table = pd.DataFrame({"passed": [True, True, True, False], "score": [0.0, 0.3, float("nan"), 0.9]})
    assert is_eligible(table).tolist() == [False, True, False, False]
    assert is_eligible(table.assign(score=[0.0, -0.3, float("nan"), 0.9])).tolist() == [True, True, False, False]


def test_the_best_compromise_passes_every_check_and_is_on_a_front(proposals: pd.DataFrame) -> None:
    table = build_candidates(proposals.assign(front=[1, 2, 0, 1]), {"NCC": "amine"}, settings=SETTINGS)
    assert table["candidate_id"][table["best_compromise"]].tolist() == ["C2"]  # C4 has a higher score, but fails
    table = build_candidates(proposals.assign(front=[1, 0, 0, 1]), {"NCC": "amine"}, settings=SETTINGS)
    assert table["candidate_id"][table["best_compromise"]].tolist() == ["C1"]
    table = build_candidates(proposals.assign(front=[0, 0, 0, 1]), {"NCC": "amine"}, settings=SETTINGS)
    assert not table["best_compromise"].any()
    assert "best_compromise" not in build_candidates(proposals, {"NCC": "amine"}, settings=SETTINGS)


def test_the_nearest_reference_is_named_by_its_id_or_smiles(proposals: pd.DataFrame) -> None:
    reference = {"Nc1ccccc1": None, PARACETAMOL: "CHEMBL112", "CC(N)=O": "acetamide"}
    steps: list[int] = []
    candidates = build_candidates(proposals, reference, settings=SETTINGS, progress=steps.append).set_index(
        "candidate_id"
    )
    assert candidates.loc["C1", "nearest_reference"] == "Nc1ccccc1"
    assert candidates.loc["C2", "nearest_reference"] == "CHEMBL112"
    assert candidates.loc["C2", "nearest_reference_similarity"] == 1
    assert candidates.loc["C2", "check_in_reference"].endswith("CHEMBL112")
    assert candidates.loc["C3", "nearest_reference_smiles"] == "CC(N)=O"
    assert sum(steps) == 3


def test_the_first_of_equally_similar_references_is_taken(
    proposals: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molvae.chem.fingerprints._REFERENCE_CHUNK", 1)
    candidates = build_candidates(proposals, ["OCCO", "Cc1ccccc1O", "Oc1ccccc1C"], settings=SETTINGS)
    assert candidates.set_index("candidate_id").loc["C1", "nearest_reference"] == "Cc1ccccc1O"


def test_molecules_that_earlier_runs_reported_are_marked(proposals: pd.DataFrame, tmp_path) -> None:
    second = proposals["smiles"].iloc[1]
    seen = pd.DataFrame({"smiles": [second, "CCCCl"], "first_seen": "2026-11-30T02:00:00Z", "first_run": "lead-1"})
    candidates = build_candidates(proposals, ["NCC"], settings=SETTINGS, seen=seen)
    write_candidates(tmp_path, candidates)
    for table in (candidates, pd.read_csv(tmp_path / "candidates.csv")):
        marked = table.set_index("smiles")[["first_seen", "first_run"]]
        assert marked.loc[second].tolist() == ["2026-11-30T02:00:00Z", "lead-1"]
        assert marked.drop(second).isna().all(axis=None)
    assert "first_seen" not in build_candidates(proposals, ["NCC"], settings=SETTINGS)
    assert build_candidates(proposals, ["NCC"], settings=SETTINGS, seen=seen[:0])["first_run"].isna().all()


def test_skipped_checks_are_reported(proposals: pd.DataFrame) -> None:
    candidates = build_candidates(proposals, ["CCO"])
    assert list(candidates.attrs["skipped"]) == ["in_training", "in_domain"]
    assert "check_in_training" not in candidates


def test_the_table_has_the_documented_columns(proposals: pd.DataFrame) -> None:
    optional = {"front", "best_compromise", "unscored_reason", "first_seen", "first_run"}  # not of every search
    names = {column.name for column in CANDIDATE_COLUMNS if not column.name.endswith("*")} - optional
    assert names <= set(build_candidates(proposals, ["CCO"]))
    assert set(proposals) >= {column.name for column in PROPOSAL_COLUMNS if not column.name.endswith("*")} - optional


def test_columns_of_plugin_checks_survive_the_files(proposals: pd.DataFrame, tmp_path) -> None:
    candidates = build_candidates(proposals, ["CCO"], settings=SETTINGS).assign(
        check_plugin=["pass", "no", "pass", "pass"]
    )
    write_candidates(tmp_path, candidates)
    assert read_candidates(tmp_path)["check_plugin"].tolist() == ["pass", "no", "pass", "pass"]
    assert "check_plugin" not in read_candidates(tmp_path / "candidates.csv")


def test_every_candidate_has_properties_parents_and_the_names_of_its_failed_checks(proposals: pd.DataFrame) -> None:
    reference = {PARACETAMOL: "CHEMBL112"}
    table = build_candidates(proposals, reference, settings=ChecksSettings(alerts=False)).set_index("candidate_id")
    assert table["mol_weight"].round(1).to_dict() == {"C1": 94.1, "C2": 151.2, "C3": 88.1, "C4": 32.1}
    assert table.loc["C2", ["hbd", "hba", "rings", "rotatable_bonds"]].tolist() == [2, 2, 1, 1]
    assert table["scaffold"].to_dict() == {"C1": "c1ccccc1", "C2": "c1ccccc1", "C3": None, "C4": None}
    assert table.loc["C3", ["parent_smiles", "mate_smiles"]].tolist() == [PHENOL, PARACETAMOL]
    assert table.loc["C4", "mate_smiles"] is None
    assert table["is_start"].to_dict() == {"C1": True, "C2": True, "C3": False, "C4": False}
    assert table["is_known"].to_dict() == {"C1": False, "C2": True, "C3": False, "C4": False}
    assert table.loc["C2", "failed_checks"] == "in_reference"
    assert table.loc["C4", "failed_checks"] == "charge, mol_weight, sa_score"


def test_a_known_molecule_is_known_without_the_check(proposals: pd.DataFrame) -> None:
    settings = ChecksSettings(in_reference=False, mol_weight=False, alerts=False)
    table = build_candidates(proposals, [PARACETAMOL], settings=settings).set_index("candidate_id")
    assert table.loc["C2", ["is_known", "passed"]].tolist() == [True, True]


def test_tables_that_cannot_be_used_are_refused(proposals: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="candidate_id"):
        build_candidates(pd.DataFrame({"smiles": ["C"]}), ["CCO"])
    with pytest.raises(InputError, match="reference"):
        build_candidates(proposals, [])
