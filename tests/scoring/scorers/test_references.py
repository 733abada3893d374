"""Reference molecules of terms: SMILES, files, and what is wrong with them; for every term that has references."""

import logging

import pandas as pd
import pytest

from molvae.bundled import bundled
from molvae.chem.fingerprints import tanimoto
from molvae.errors import InputError

TERMS = {
    "similarity": ({"property": "similarity"}, "to_file"),
    "scaffold": ({"property": "scaffold"}, "of_file"),
    "unseen_rings": ({"property": "unseen_rings"}, "reference_file"),
}
BENZENES = "Cc1ccccc1 a\nC1CC broken\nOCc1ccccc1 b\nCc1ccccc1 again\nOc1ccccc1.[Na+].[Cl-] salt\n"


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize(
    ("file", "content", "fact"),
    [
        ("gone.smi", None, "gone.smi"),
        ("empty.smi", b"", "empty.smi"),
        ("empty.csv", b"smiles\n", "empty.csv"),
        ("broken.smi", b"C1CC a\n", r"broken.smi.*no molecule.*row 1"),
        ("other.xlsx", b"PK", "other.xlsx.*CSV"),
        ("folder.smi", "folder", "folder.smi"),
    ],
)
def test_an_unusable_file_is_an_error(objective, tmp_path, name, file, content, fact):
    keys, key = TERMS[name]
    path = tmp_path / file
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=fact):
        objective(it=keys | {key: str(path)})


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("value", [3, ["a.smi"], True])
def test_a_file_of_the_wrong_type_is_an_error(objective, name, value):
    keys, key = TERMS[name]
    with pytest.raises(InputError, match=rf"\[terms\.it\] {key}: "):
        objective(it=keys | {key: value})


@pytest.mark.parametrize("name", TERMS)
def test_rows_that_cannot_be_read_are_counted(objective, tmp_path, name, caplog):
    keys, key = TERMS[name]
    path = tmp_path / "references.smi"
    path.write_text(BENZENES)
    with caplog.at_level(logging.WARNING, "molvae.scoring"):
        scorer = objective(it=keys | {key: str(path)})
    (record,) = caplog.records
    assert "1 of 5 rows" in record.getMessage()
    assert "row 2" in record.getMessage()
    before = scorer.identity()
    assert list(before) == [str(path)]
    path.write_text("Cc1ccccc1\n")
    assert objective(it=keys | {key: str(path)}).identity() != before


@pytest.mark.parametrize("name", TERMS)
def test_every_format_gives_the_same_values(objective, tmp_path, name):
    keys, key = TERMS[name]
    (tmp_path / "a.smi").write_text("Cc1ccccc1 a\nC1CCNCC1 b\n")
    (tmp_path / "a.csv").write_text("id,SMILES\na,Cc1ccccc1\nb,C1CCNCC1\n")
    molecules = ["Cc1ccccc1", "CN1CCCCC1", "c1ccncc1", "CCO", "C1CC"]
    first, second = (
        objective(it=keys | {key: str(tmp_path / file)})(molecules)["value_it"] for file in ("a.smi", "a.csv")
    )
    assert first.equals(second)
    assert first.isna().tolist() == [False] * 4 + [True]


@pytest.mark.slow
def test_similarity_to_many_references_is_exact(objective, tmp_path):
    molecules = pd.read_csv(bundled("moses_sample.csv.gz"), nrows=300)["smiles"].tolist()
    path = tmp_path / "many.smi"
    path.write_text("\n".join(molecules[:200]))
    table = objective(it={"property": "similarity", "to_file": str(path)})([*molecules[150:], "C1CC"])
    expected = [float(tanimoto(one, molecules[:200]).max()) for one in molecules[150:]]
    assert table["value_it"][:-1].tolist() == pytest.approx(expected, abs=1e-6)
    assert "C1CC" in table["unscored_reason"].iloc[-1]
    wide = objective(it={"property": "similarity", "to_file": str(path), "radius": 3})(molecules[200:])
    assert (wide["value_it"] < table["value_it"][50:-1].to_numpy()).any()


def test_stereoisomers_and_salts_of_a_reference_are_as_near_as_it_is(objective):
    term = {"property": "similarity", "to": "C[C@H](N)C(=O)O.Cl"}
    molecules = ["C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O", "CC([NH3+])C(=O)[O-]", "CC(N)C(=O)[O-].[Na+]"]
    assert objective(it=term)(molecules)["value_it"].tolist() == [1] * 5
    assert objective(it=term | {"to": "CC([NH3+])C(=O)[O-]"})(molecules)["value_it"].tolist() == [1] * 5
