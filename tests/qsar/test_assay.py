"""Assay tables: the target and its unit, censored rows, duplicates, and a reason for every unused row."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.errors import InputError
from molvae.qsar import read_assay
from molvae.qsar.targets import LOG_UNIT, find_target, read_unit
from molvae.workers import Serial

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("header", "column", "unit", "factor"),
    [
        (["pIC50"], "pIC50", LOG_UNIT, None),
        (["standard_value", "standard_units", "pchembl_value"], "pchembl_value", LOG_UNIT, None),
        (["exp_mean [nM]", "y", "split", "y [pEC50/pKi]"], "y [pEC50/pKi]", LOG_UNIT, None),
        (["Ki (nM)", "Ki_relation"], "Ki (nM)", LOG_UNIT, 1e-9),
        (["EC50_uM"], "EC50_uM", LOG_UNIT, 1e-6),
        (["IC50 [µM]", "y"], "IC50 [µM]", LOG_UNIT, 1e-6),
        (["Kd (M)"], "Kd (M)", LOG_UNIT, 1.0),
        (["IC50 (nmol/L)"], "IC50 (nmol/L)", LOG_UNIT, 1e-9),
        (["note", "y"], "y", "", None),
        (["log_ic50", "activity"], "activity", "", None),
    ],
)
def test_target_is_found_by_its_name(header: list[str], column: str, unit: str, factor: float | None) -> None:
    found = find_target(Path("assay.csv"), header, None, None)
    assert (found.column, found.unit, found.factor) == (column, unit, factor)
    assert found.is_guessed


@pytest.mark.parametrize(
    ("header", "target", "unit", "part"),
    [
        (["pIC50", "pKi"], None, None, "pIC50, pKi"),
        (["IC50"], None, None, "--unit nM"),
        (["pIC50"], None, "nM", "pIC50"),
        (["colour"], None, None, "no target column among colour"),
        (["pIC50"], "pIC5O", None, "did you mean pIC50"),
        (["IC50"], None, "mg", "pM, nM, uM, mM, M, none"),
    ],
)
def test_unclear_targets_give_one_sentence(header: list[str], target: str | None, unit: str | None, part: str) -> None:
    with pytest.raises(InputError) as error:
        find_target(Path("assay.csv"), header, target, unit)
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_units_are_read_in_any_spelling() -> None:
    assert [read_unit(text) for text in ("nM", "NM", "μM", "umol/L", "micromolar", "M", "mM", "%")] == [
        "nM", "nM", "uM", "uM", "uM", "M", "mM", None,
    ]  # fmt: skip


@pytest.mark.parametrize(("unit", "factor"), [("nM", 1e9), ("uM", 1e6), ("M", 1.0)])
def test_concentrations_become_negative_logarithms(
    molecules: pd.DataFrame, write: Write, unit: str, factor: float
) -> None:
    table = pd.DataFrame({"smiles": molecules["smiles"], f"IC50 ({unit})": 10 ** -molecules["pIC50"] * factor})
    assay = read_assay(write(table), mapper=Serial())
    np.testing.assert_allclose(assay.table["value"], molecules["pIC50"], atol=1e-9)
    assert assay.unit == LOG_UNIT
    assert any(f"from {unit} to {LOG_UNIT}" in note for note in assay.notes)
    assert any("target is read from column" in note for note in assay.notes)


def test_each_row_has_its_own_unit(molecules: pd.DataFrame, write: Write) -> None:
    units = ["nM", "uM", "ug/mL"] * 50
    factors = [1e9, 1e6, 1.0] * 50
    values = 10 ** -molecules["pIC50"] * factors
    table = pd.DataFrame({"smiles": molecules["smiles"], "standard_value": values, "standard_units": units})
    assay = read_assay(write(table), mapper=Serial())
    np.testing.assert_allclose(assay.table["value"], molecules["pIC50"][[u != "ug/mL" for u in units]], atol=1e-9)
    assert assay.count_dropped() == {"unknown unit": 50}


def test_unit_none_keeps_the_values(molecules: pd.DataFrame, write: Write) -> None:
    table = molecules.rename(columns={"pIC50": "IC50"})
    assay = read_assay(write(table), unit="none", mapper=Serial())
    assert assay.unit == ""
    np.testing.assert_allclose(assay.table["value"], molecules["pIC50"])


def test_other_units_are_kept(molecules: pd.DataFrame, write: Write) -> None:
    table = molecules.rename(columns={"pIC50": "activity"}).assign(units="%")
    assert read_assay(write(table), mapper=Serial()).unit == "%"


def test_censored_rows_are_counted_and_not_used(molecules: pd.DataFrame, write: Write) -> None:
    table = molecules.astype({"pIC50": str}).assign(relation="=")
    table.loc[:4, "relation"] = ["<", ">", "<=", ">=", "'~'"]
    table.loc[5, "pIC50"] = "<4"
    table.loc[6, "relation"] = None
    assay = read_assay(write(table), mapper=Serial())
    assert assay.count_dropped() == {"censored": 6}
    assert assay.dropped["row"].tolist() == [1, 2, 3, 4, 5, 6]
    assert len(assay.table) == 144
    assert any(note.startswith("6 censored values") for note in assay.notes)


def test_every_unused_row_has_a_reason(molecules: pd.DataFrame, write: Write) -> None:
    table = molecules.rename(columns={"pIC50": "IC50 [nM]"})
    table["IC50 [nM]"] = (10 ** (9 - table["IC50 [nM]"])).astype(str)
    table.loc[[0, 1, 2, 3, 4], "IC50 [nM]"] = ["n.d.", "0", "-3", "", "1,5"]
    table.loc[5, "smiles"] = "not a molecule"
    assay = read_assay(write(table), mapper=Serial())
    reasons = dict(zip(assay.dropped["row"], assay.dropped["reason"], strict=True))
    assert list(reasons) == [1, 2, 3, 4, 5, 6]
    assert [reasons[row].split(":")[0] for row in (1, 2, 3, 4)] == [
        "not a number", "not positive", "not positive", "no value",
    ]  # fmt: skip
    assert "decimal point" in reasons[5]
    assert assay.dropped["smiles"].tolist()[-1] == "not a molecule"
    assert len(assay.table) + len(assay.dropped) == assay.n_rows


def test_duplicates_become_their_median_and_wide_ones_are_kept_out(molecules: pd.DataFrame, write: Write) -> None:
    first, second = molecules["smiles"][0], molecules["smiles"][1]
    more = pd.DataFrame({"smiles": [first, f"{first}.Cl", second], "pIC50": [6.0, 6.4, 12.0]})
    base = molecules.copy()
    base.loc[0, "pIC50"], base.loc[1, "pIC50"] = 6.1, 6.0
    assay = read_assay(write(pd.concat([base, more])), mapper=Serial())
    kept = assay.table.set_index("smiles")
    row = kept.loc[assay.table["smiles"][0]]
    assert (row["value"], row["n"]) == (6.1, 3)
    assert row["spread"] == pytest.approx(np.std([6.1, 6.0, 6.4], ddof=1))
    assert len(kept) == 149
    assert assay.wide["spread"].tolist() == [pytest.approx(np.std([6, 12], ddof=1))]
    assert assay.count_dropped() == {"measurements disagree": 2}
    assert any("1 molecules are not used" in warning for warning in assay.warnings)
    every = read_assay(assay.path, max_spread=10, mapper=Serial())
    assert len(every.table) == 150


def test_classes_are_recognized_in_words_and_numbers(molecules: pd.DataFrame, write: Write) -> None:
    is_active = molecules["pIC50"] > 6
    for positive, negative in (("active", "inactive"), ("1", "0.00"), ("True", "False")):
        labels = np.where(is_active, positive, negative).astype(object)
        labels[0] = "n.d."
        table = pd.DataFrame({"smiles": molecules["smiles"], "activity": labels})
        assay = read_assay(write(table), mapper=Serial())
        assert assay.task == "classification"
        assert assay.table["value"].tolist() == is_active[1:].astype(float).tolist()
        assert assay.count_dropped() == {"not a class": 1}
    twice = pd.concat([table, table[1:2].assign(activity="False" if is_active[1] else "True")])
    assert read_assay(write(twice), mapper=Serial()).count_dropped()["contradictory classes"] == 2


def test_a_molecule_of_both_splits_is_a_training_molecule(molecules: pd.DataFrame, write: Write) -> None:
    table = molecules.assign(split=["train", "Test"] * 75)
    table = pd.concat([table, table[1:2].assign(split="train")])
    labels = read_assay(write(table), split_column="split", mapper=Serial()).table["split"]
    assert labels[:4].tolist() == ["train", "train", "train", "test"]
    with pytest.raises(InputError, match="expected train and test"):
        read_assay(write(molecules.assign(split="a")), split_column="split", mapper=Serial())


def test_small_and_narrow_assays_give_warnings_and_useless_ones_an_error(molecules: pd.DataFrame, write: Write) -> None:
    narrow = molecules[:30].assign(pIC50=np.linspace(5, 6, 30))
    warnings = read_assay(write(narrow), mapper=Serial()).warnings
    assert [part in warning for part, warning in zip(("30 molecules", "1.0 log units"), warnings, strict=True)] == [
        True, True,
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"all values of column pIC50 are equal \(5\)"):
        read_assay(write(molecules.assign(pIC50=5.0)), mapper=Serial())
    with pytest.raises(InputError, match="at least 10 molecules with a value in column pIC50, got 5 of 5 rows"):
        read_assay(write(molecules[:5]), mapper=Serial())
    with pytest.raises(InputError, match="it is the only column"):
        read_assay(write(molecules[["smiles"]]), mapper=Serial())


def test_data_fields_of_an_sdf_are_read(molecules: pd.DataFrame, tmp_path: Path) -> None:
    from rdkit import Chem

    path = tmp_path / "assay.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for smiles, value in molecules[:20].itertuples(index=False):
            mol = Chem.MolFromSmiles(smiles)
            mol.SetProp("pIC50", str(value))
            writer.write(mol)
    assay = read_assay(path, mapper=Serial())
    np.testing.assert_allclose(assay.table["value"], molecules["pIC50"][:20])


def test_an_empty_column_is_not_the_target_and_rivals_are_named(molecules: pd.DataFrame, write: Write) -> None:
    table = pd.DataFrame({"smiles": molecules["smiles"], "pchembl_value": np.nan, "activity": molecules["pIC50"]})
    table["standard_value"], table["standard_units"] = 10 ** (9 - molecules["pIC50"]), "nM"
    assay = read_assay(write(table), mapper=Serial())
    assert (assay.target, assay.unit) == ("standard_value", LOG_UNIT)
    assert any("not from activity" in note for note in assay.notes)
    with pytest.raises(InputError, match="no numbers or classes in column pchembl_value"):
        read_assay(write(table[["smiles", "pchembl_value"]]), mapper=Serial())
    with pytest.raises(InputError, match="smiles has the SMILES"):
        read_assay(write(table), "smiles", mapper=Serial())


def test_several_types_of_measurements_are_refused_unless_one_is_selected(
    molecules: pd.DataFrame, write: Write
) -> None:
    table = molecules.rename(columns={"pIC50": "pchembl_value"}).assign(standard_type=["Ki", "IC50", "ki "] * 50)
    with pytest.raises(InputError, match=r"Ki: 100 rows, IC50: 50 rows.*--where"):
        read_assay(write(table), mapper=Serial())
    assay = read_assay(write(table), where={"standard_type": ["ki"]}, mapper=Serial())
    assert len(assay.table) == 100
    assert assay.count_dropped() == {"not selected": 50}
    assert len(read_assay(assay.path, where={"standard_type": ["Ki", "IC50"]}, mapper=Serial()).table) == 150
    with pytest.raises(InputError, match="no row has standard_type = Kd"):
        read_assay(assay.path, where={"standard_type": ["Kd"]}, mapper=Serial())
    with pytest.raises(InputError, match="did you mean standard_type"):
        read_assay(assay.path, where={"standard_typ": ["Kd"]}, mapper=Serial())


def test_several_targets_give_a_warning(molecules: pd.DataFrame, write: Write) -> None:
    table = molecules.assign(target_chembl_id=["CHEMBL1", "CHEMBL2"] * 75)
    assert any("2 targets" in warning for warning in read_assay(write(table), mapper=Serial()).warnings)


def test_decimal_commas_are_read_where_they_are_clear(molecules: pd.DataFrame, write: Write) -> None:
    table = molecules.assign(pIC50=molecules["pIC50"].astype(str).str.replace(".", ","))
    assay = read_assay(write(table), mapper=Serial())
    np.testing.assert_allclose(assay.table["value"], molecules["pIC50"])
    assert any("decimal points" in note for note in assay.notes)
    table.loc[:19, "pIC50"] = molecules["pIC50"][:20].astype(str)  # points and commas: unclear
    assert read_assay(write(table), mapper=Serial()).count_dropped()["not a number"] == 130


def test_unusual_logarithms_are_a_warning_or_an_error(molecules: pd.DataFrame, write: Write) -> None:
    few = molecules.copy()
    few.loc[:1, "pIC50"] = [150.0, -3.0]
    assert any("2 of 150 values" in warning for warning in read_assay(write(few), mapper=Serial()).warnings)
    with pytest.raises(InputError, match="rename the column"):
        read_assay(write(molecules.assign(pIC50=10 ** (9 - molecules["pIC50"]))), mapper=Serial())
    wrong = pd.DataFrame({"smiles": molecules["smiles"], "IC50 (M)": 10 ** (9 - molecules["pIC50"])})
    with pytest.raises(InputError, match="check the unit"):
        read_assay(write(wrong), mapper=Serial())


def test_values_that_a_model_cannot_use_are_dropped_or_give_a_warning(molecules: pd.DataFrame, write: Write) -> None:
    huge = molecules.rename(columns={"pIC50": "y"}).astype({"y": object})
    huge.loc[0, "y"] = "1e300"
    assert read_assay(write(huge), mapper=Serial()).count_dropped() == {"too large": 1}
    three = molecules[["smiles"]].assign(y=[0, 1, 2] * 50)
    assert any("only 3 different values" in warning for warning in read_assay(write(three), mapper=Serial()).warnings)
    rare = molecules[["smiles"]].assign(y=[1] + [0] * 149)
    assert any("only 1 molecules of one class" in line for line in read_assay(write(rare), mapper=Serial()).warnings)
