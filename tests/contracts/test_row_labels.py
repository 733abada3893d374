"""Every function that takes molecules as a Series or a table keeps their rows, and reads the same containers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from rdkit import Chem

import molvae
from molvae.benchmark import comparison
from molvae.bundled import bundled
from molvae.checks.run import run_checks
from molvae.checks.settings import ChecksSettings
from molvae.chem.fingerprints import ReferenceSet, nearest_references
from molvae.chem.molecules import standardize
from molvae.chem.properties import compute
from molvae.codec import Codec, ToyCodec, load_codec
from molvae.errors import InputError
from molvae.inputs import index_of, read_molecules
from molvae.qsar.model import AssayModel
from molvae.qsar.registry import MODELS, make_model
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.scoring.scorers.answers import read_answer
from molvae.search.starts import read_starts

DRUGS = ["CC(=O)Nc1ccc(O)cc1", "CC(C)Cc1ccc(C(C)C(=O)O)cc1", "no molecule", "Cn1c(=O)c2c(ncn2C)n(C)c1=O"]
LABELS = [
    pd.Index([3, 0, 1, 2]),
    pd.Index(["d", "a", "a", "b"]),
    pd.MultiIndex.from_tuples([(1, 2), (0, 1), (2, 0), (0, 0)]),
]
TERMS = {"mass": {"property": "mol_weight", "shape": "higher", "low": 0, "high": 500}}


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_codec("moses")


TOY = ToyCodec()


class Regressor:
    """Predicts the number of characters."""

    def predict(self, smiles: list[str], return_std: bool = False) -> tuple[np.ndarray, np.ndarray]:
        lengths = np.array([float(len(one)) for one in smiles])
        return lengths, lengths


def assay_model() -> AssayModel:
    bits = np.ones((1, 2048), bool)
    return AssayModel("ridge", "y", "", "regression", "", {}, Regressor(), bits)  # type: ignore[arg-type]


TABLES: dict[str, Callable[[Codec, Any], pd.DataFrame]] = {
    "applicability_domain": lambda codec, given: codec.applicability_domain(given),
    "project": lambda codec, given: codec.project(given).table,
    "properties": lambda codec, given: codec.properties(_latent(codec, given)),
    "check_molecules": lambda codec, given: molvae.check_molecules(given, ChecksSettings(alerts=False)),
    "run_checks": lambda codec, given: run_checks(given, ChecksSettings(alerts=False)),
    "compute": lambda codec, given: compute(given, ["mol_weight", "tpsa"]),
    "objective": lambda codec, given: Objective(ObjectiveSettings.from_dict({"terms": TERMS}, "test"))(given),
    "predict": lambda codec, given: assay_model().predict(given),
    "predict_standardized": lambda codec, given: assay_model().predict_standardized(given),
}
"""Functions of molecules that return one row per molecule."""


CHEAP = set(TABLES) - {"applicability_domain", "project"}


def _latent(codec: Codec, given: Any) -> Any:
    z = codec.encode(given).z
    return pd.DataFrame(z, index=given.index) if isinstance(given, pd.Series | pd.DataFrame) else z


@pytest.mark.parametrize("name", TABLES)
def test_row_labels_are_kept(name: str, codec: Codec) -> None:
    molecules = DRUGS[:2] if name == "predict_standardized" else DRUGS
    expected = TABLES[name](codec, molecules).drop(columns="row", errors="ignore")
    for labels, as_table in zip(LABELS[: 3 if name in CHEAP else 1], (False, True, False), strict=False):
        series = pd.Series(molecules, index=labels[: len(molecules)])
        table = TABLES[name](codec, series.to_frame("smiles").assign(x=1) if as_table else series)
        assert table.index.equals(series.index)
        plain = table.reset_index(drop=True).drop(columns="row", errors="ignore")
        pd.testing.assert_frame_equal(plain, expected, check_like=True, rtol=1e-4)


def test_tables_with_several_rows_per_molecule_name_its_label(codec: Codec) -> None:
    series = pd.Series([DRUGS[0], DRUGS[1], DRUGS[3]], index=["p", "q", "r"])
    table = codec.neighbors(series, series, k=1)
    assert table["query"].tolist() == table["row"].tolist() == ["p", "q", "r"]
    assert codec.neighbors(DRUGS[0], pd.Series(DRUGS, index=[7, 8, 9, 3]), k=1)["row"].tolist() == [7]
    numbers = np.random.default_rng(0).normal(size=codec.n_latent)
    steps = codec.measure_direction(numbers, series, "mol_weight", distances=[1.0]).steps
    start = steps[(steps["distance"] == 0) & (steps["direction"] == "attribute")]
    assert dict(zip(start["row"], start["smiles"], strict=True)) == series.to_dict()


def test_a_reference_series_is_read_by_position() -> None:
    """A label that is the position of another molecule would put the wrong molecule next to a similarity."""
    library = pd.Series([DRUGS[0], DRUGS[3]], index=[1, 0])
    references = ReferenceSet(library)
    row, similarity = references.nearest([DRUGS[3]])
    assert (references.smiles[row[0]], similarity[0]) == (DRUGS[3], 1.0)
    assert nearest_references([DRUGS[3]], library)[0].tolist() == [1]


# What comes from outside: values of molecules


SMILES = ["C", "CC", "CCC", "CCCC"]
VALUES = [1.0, 2.0, 3.0, 4.0]
ORDER = [2, 0, 3, 1]


def _read_scores(values: Any, smiles: Any) -> list[float]:
    from molvae.search.oracle import read_scores

    return read_scores(values, 4, list(smiles), index_of(smiles)).score.tolist()


def _fit_values(values: Any, smiles: Any) -> list[float]:
    from molvae.codec.moves import _numbers

    return _numbers(values, 4, "values", index_of(smiles), [pd.Index(list(smiles))]).tolist()


READERS: dict[str, Callable[[Any, Any], list[float]]] = {
    "oracle": _read_scores,
    "scorer": lambda values, smiles: read_answer(values, list(smiles), "test").value.tolist(),
    "direction": _fit_values,
}


@pytest.mark.parametrize("name", READERS)
def test_values_are_matched_by_their_labels_or_refused(name: str) -> None:
    read = READERS[name]
    shuffled = pd.Series(VALUES).iloc[ORDER]
    assert read(shuffled, SMILES) == VALUES
    assert read(pd.Series(VALUES, index=SMILES).iloc[ORDER], SMILES) == VALUES
    for other in ([0, 0, 0, 0], [4, 5, 6, 7], ["a", "b", "c", "d"]):
        with pytest.raises(InputError, match="row labels"):
            read(pd.Series(VALUES, index=other), SMILES)
    assert read(VALUES, SMILES) == read(np.array(VALUES), SMILES) == VALUES


@pytest.mark.parametrize("name", ["oracle", "direction"])
def test_values_are_matched_with_the_labels_of_a_series(name: str) -> None:
    smiles = pd.Series(SMILES, index=["a", "b", "c", "d"])
    assert READERS[name](pd.Series(VALUES, index=smiles.index).iloc[ORDER], smiles) == VALUES


def test_a_direction_is_fitted_to_the_values_of_its_molecules(codec: Codec) -> None:
    table = pd.read_csv(bundled("moses_sample.csv.gz"), nrows=30)
    smiles = table["smiles"].set_axis([f"m{i}" for i in range(30)])
    values = compute(smiles, ["logp"])["logp"]
    shuffled = values.sample(frac=1, random_state=0)
    expected = codec.attribute_direction(smiles, values)
    np.testing.assert_array_equal(codec.attribute_direction(smiles, shuffled).vector, expected.vector)
    with pytest.raises(InputError, match="row labels"):
        codec.attribute_direction(smiles, shuffled.reset_index(drop=True))
    with pytest.raises(InputError, match="row labels"):
        codec.project(smiles).plot(shuffled.reset_index(drop=True))


def test_the_answer_of_a_table_is_matched_by_its_smiles() -> None:
    table = {"smiles": [SMILES[row] for row in ORDER], "value": [VALUES[row] for row in ORDER], "x": ORDER}
    for answer in (table, pd.DataFrame(table), pd.DataFrame(table, index=[5, 5, 5, 5])):
        values = read_answer(answer, SMILES, "test")
        assert (values.value.tolist(), values.extra["x"].tolist()) == (VALUES, [0, 1, 2, 3])
    with pytest.raises(InputError, match="expected a SMILES of the call"):
        read_answer({"smiles": ["[OH-]", *SMILES[1:]], "value": VALUES}, SMILES, "test")


def test_told_scores_belong_to_their_molecules(tmp_path: Path) -> None:
    search = molvae.Search(TOY, budget=20, seed=1)
    asked = search.ask()
    score = pd.Series([float(len(one)) for one in asked], index=asked)
    search.tell(asked, score.sort_values())
    table = search.result().table
    assert (table["score"] == table["smiles"].str.len()).all()


def test_latent_vectors_are_taken_by_the_names_of_their_columns(codec: Codec) -> None:
    z = codec.encode(DRUGS[:2]).z
    table = pd.DataFrame(z, columns=[f"z_{i:03d}" for i in range(codec.n_latent)], index=["x", "y"])
    mixed = table.iloc[:, ::-1].assign(id=["m1", "m2"])
    assert codec.decode(mixed) == codec.decode(z)
    noise = pd.Series([0.0, 0.5], index=["x", "y"])
    assert codec.decode(table, noise=noise[::-1], seed=1) == codec.decode(z, noise=noise.to_numpy(), seed=1)
    with pytest.raises(InputError, match="z_000"):
        codec.decode(table.iloc[:, 1:])


# Containers of molecules


class Row(SimpleNamespace):
    columns = ("smiles",)


def _one_row(codec: Codec, given: Any) -> int:
    return len(codec.encode(given).ok)


TAKERS: dict[str, Callable[[Codec, Any], int]] = {
    "encode": _one_row,
    "toy codec": lambda codec, given: len(TOY.encode(given).ok),
    **{
        name: (lambda codec, given, make=make: len(make(codec, given)))
        for name, make in TABLES.items()
        if name != "project"
    },
    "explain_units": lambda codec, given: codec.explain_units(given, units=[0], top=1).attrs["counts"]["molecules"],
    "neighbors": lambda codec, given: len(codec.neighbors(given, DRUGS[:1], k=1)),
    "transformer": lambda codec, given: len(molvae.CodecTransformer(codec).fit_transform(given)),
    "start": lambda codec, given: len(read_starts(given, codec, 9, lambda note: None)),
    "reference set": lambda codec, given: len(ReferenceSet(given)),
}
NO_MOL = {"run_checks", "predict_standardized", "reference set", "properties"}


@pytest.mark.parametrize("name", TAKERS)
def test_every_container_of_molecules_is_read_or_refused(name: str, codec: Codec) -> None:
    take, smiles = TAKERS[name], DRUGS[0]
    one = Chem.MolFromSmiles(smiles) if name not in NO_MOL else smiles
    for given in (one, pd.DataFrame({"id": ["m1"], "SMILES": [smiles]})):
        assert take(codec, given) == 1
    for given in (5, {smiles: 1}, pd.DataFrame({"a": [smiles], "b": [smiles]})):
        with pytest.raises(InputError):
            take(codec, given)


def test_the_containers_of_molecules() -> None:
    for given in _single(DRUGS[0]):
        read = read_molecules(given)
        assert [Chem.MolToSmiles(one) if isinstance(one, Chem.Mol) else one for one in read.items] == [DRUGS[0]]
    for given in _refused(DRUGS[0]):
        with pytest.raises(InputError):
            read_molecules(given)
    whole = standardize(DRUGS[0])
    assert read_molecules(whole).items == [whole]


def _single(smiles: str) -> Iterator[Any]:
    yield from (smiles, [smiles], (smiles,), pd.Series([smiles]), np.array([smiles]), np.array([[smiles]]))
    yield from (pd.Index([smiles]), {smiles: 1}.keys(), iter([smiles]))
    yield from (pd.DataFrame({"any name": [smiles]}), pd.DataFrame({"id": ["m1"], "SMILES": [smiles]}))
    mol = Chem.MolFromSmiles(smiles)
    yield from (mol, [mol], Chem.RWMol(mol), pd.Series([mol]), pa.array([smiles]), pa.chunked_array([[smiles]]))


def _refused(smiles: str) -> Iterator[Any]:
    yield from (None, 5, 2.5, smiles.encode(), {smiles: 1}, Path("library.csv"), np.array(smiles), Row(), {smiles})
    yield pd.DataFrame({"a": [smiles], "b": [smiles]})
    yield pd.DataFrame({"smiles": [smiles], "canonical_smiles": [smiles]})
    yield np.array([[smiles, smiles]])


def test_metrics_read_the_same_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(comparison, "evaluate_rows", lambda rows, *rest, **options: seen.append((list(rows), *rest)))
    for given in (DRUGS[0], [DRUGS[0]], pd.DataFrame({"smiles": [DRUGS[0]], "x": [1]})):
        molvae.evaluate_smiles(given, pd.DataFrame({"smiles": ["C"]}), {"CC"})
    assert seen == [([(DRUGS[0], None)], ["C"], ["CC"])] * 3
    with pytest.raises(InputError):
        molvae.evaluate_smiles({DRUGS[0]: 1})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_fitted_to_the_values_of_its_molecules(name: str) -> None:
    table = pd.read_csv(bundled("moses_sample.csv.gz"), nrows=30)
    smiles = table["smiles"].set_axis(range(29, -1, -1))
    values = compute(smiles, ["logp"])["logp"]
    expected = make_model(name, {}).fit(smiles.tolist(), values.to_numpy()).predict(smiles.tolist())
    shuffled = values.sample(frac=1, random_state=0)
    np.testing.assert_allclose(make_model(name, {}).fit(smiles, shuffled).predict(smiles.tolist()), expected)
    with pytest.raises(InputError, match="row labels"):
        make_model(name, {}).fit(smiles, values.set_axis([f"m{i}" for i in range(30)]))
