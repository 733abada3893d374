"""The functions of molecules; docs/query.md matches the code (`python tests/query/test_functions.py` updates it)."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molvae.candidates.files import write_candidates
from molvae.chem.properties import PROPERTIES, compute
from molvae.chem.scaffolds import generic_murcko, murcko
from molvae.errors import InputError
from molvae.query import Source, query
from molvae.query.functions import FUNCTIONS

PAGE = Path(__file__).parent.parent.parent / "docs" / "query.md"


def rows() -> Iterator[str]:
    yield "| function | type | value |"
    yield "|---|---|---|"
    for one in FUNCTIONS.values():
        yield f"| `{one.call}` | {one.kind} | {one.meaning} |"


def rewrite(text: str) -> str:
    """The page with the table between its two markers rewritten."""
    begin, end = "<!-- functions -->\n", "<!-- end of functions -->"
    head, rest = text.split(begin)
    return f"{head}{begin}\n" + "\n".join(rows()) + f"\n\n{end}" + rest.split(end, 1)[1]


_written: list[Path] = []


@pytest.fixture
def run(candidates: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder for all tests, which do not change it."""
    if not _written:
        _written.append(tmp_path_factory.mktemp("run"))
        write_candidates(_written[0], candidates)
    return _written[0]


def test_the_page_matches_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert rewrite(text) == text, "docs/query.md is outdated; rewrite it: python tests/query/test_functions.py"


def test_properties_have_the_values_of_the_library(run: Path, candidates: pd.DataFrame) -> None:
    text = f"select {', '.join(f'{name}() as {name}' for name in PROPERTIES)} from candidates"
    expected = compute(candidates["smiles"].tolist(), list(PROPERTIES))
    pd.testing.assert_frame_equal(query(run, text), expected)


def test_scaffolds_and_counts(run: Path, candidates: pd.DataFrame) -> None:
    table = query(run, "select scaffold() as s, generic_scaffold() as g, count_of('[#7,#8]') as n from candidates")
    assert table["s"].tolist() == [murcko(one) for one in candidates["smiles"]]
    assert table["g"].tolist() == [generic_murcko(one) for one in candidates["smiles"]]
    assert table["n"].tolist() == [3, 3, 2, 3]
    assert str(table["n"].dtype) == "int64"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scaffold() = scaffold('Oc1ccccc1')", ["1", "4"]),
        ("scaffold(nearest_reference_smiles) = 'c1ccccc1' and scaffold() = scaffold('CCc1ccncc1')", ["3"]),
        ("mol_weight() > mol_weight('NC(C)C(=O)NC1CCCCC1')", ["4"]),
        ("passed order by mol_weight() desc", ["2", "1"]),
        ("count_of(nearest_reference_smiles, 'N') = 2", ["2"]),
        ("Mol_Weight(smiles) < 120", ["3"]),
        ("rings() = 1 and heavy_atoms() between 10 and 11", ["1"]),
        ("qualify row_number() over (partition by scaffold() order by score desc) = 1 order by score", ["2", "1", "3"]),
        ("candidate_id in (with a as (select * from candidates where has('S')) select candidate_id from a)", ["4"]),
    ],
)  # fmt: skip
def test_functions_in_any_place(run: Path, text: str, expected: list[str]) -> None:
    assert [one[-1] for one in query(run, text)["candidate_id"]] == expected


def test_an_acyclic_molecule_has_an_empty_scaffold_and_an_invalid_one_none(
    candidates: pd.DataFrame, tmp_path: Path
) -> None:
    candidates["nearest_reference_smiles"] = ["CCO", "c1ccc", None, "c1ccccc1"]
    write_candidates(tmp_path, candidates)
    names = ["scaffold", "generic_scaffold", "logp", "alerts"]
    columns = ", ".join(f"{name}(nearest_reference_smiles) as {name}" for name in names)
    table = query(tmp_path, f"select {columns}, count_of(nearest_reference_smiles, 'C') as n from candidates")
    assert table["scaffold"].tolist()[0] == table["generic_scaffold"].tolist()[0] == ""
    for name in [*names, "n"]:
        assert table[name].isna().tolist() == [False, True, True, False], name


def test_smiles_of_another_program_are_read_in_full(candidates: pd.DataFrame, tmp_path: Path) -> None:
    """Its aromatic rings may be written with double bonds."""
    write_candidates(tmp_path, candidates)
    path = tmp_path / "candidates.parquet"
    theirs = ["C=C1C(=O)C2=CC=CC=C2N2N=NN=C12", "C1=CC=CC=C1O", "c1cccc1O", None]
    pd.read_parquet(path).assign(theirs=theirs).to_parquet(path)
    table = query(path, "select has(theirs, 'a1aaaaa1') as h, count_of(theirs, 'a') as n, "
                        "similar_to(theirs, 'Oc1ccccc1') as s from candidates")  # fmt: skip
    assert table["h"].tolist()[:2] == [True, True]
    assert table["n"].tolist()[1] == 6
    assert table["s"].tolist()[1] == 1
    for name in ("h", "n", "s"):
        assert table[name].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("count_of('c1cc') > 1", "c1cc"),
        ("scaffold('c1ccc') = ''", r"scaffold\('c1ccc'\)"),
        ("mol_weight(smiles, 'C') > 1", r"mol_weight\(\)"),
        ("latent_distance('c1ccc') < 1", r"latent_distance\('c1ccc'\)"),
        ("latent_distance(smiles) < 1", r"SMILES.*latent_distance\('"),
        ("molweight() > 300", r"molweight; did you mean mol_weight\(\)"),
        ("_latent_distance_of_row('', 1, '', 'C') < 1", "not allowed"),
        ("select a.smiles from candidates a join candidates b using (round) where has('C')", r"a\.smiles"),
    ],
)
def test_mistakes_in_calls_are_explained(run: Path, text: str, fact: str) -> None:
    with pytest.raises(InputError, match=fact):
        query(run, text)


class TestLatentVectors:
    """With the bundled codec moses."""

    @pytest.fixture(scope="class")
    def z(self) -> dict[str, np.ndarray]:
        from molvae.codec import load_codec

        smiles = ["CC(=O)Nc1ccc(O)cc1", "NC(=O)NC1CCCCC1", "O=Cc1ccncc1", "Cc1ccc(S(N)(=O)=O)cc1Cl"]
        return dict(zip(smiles, load_codec("moses").encode(smiles).z, strict=True))

    def cosine(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def test_distances_are_those_of_the_runs_latent_vectors(
        self, candidates: pd.DataFrame, tmp_path: Path, z: dict[str, np.ndarray]
    ) -> None:
        candidates["smiles"] = list(z)
        candidates["latent_row"] = [3, 2, 1, 0]
        write_candidates(tmp_path, candidates)
        np.save(tmp_path / "latent.npy", np.stack([*z.values()][::-1]) + 0.5)
        source = Source(tmp_path, latent=tmp_path / "latent.npy", codec="moses")
        lead = next(iter(z))
        columns = f"latent_distance('{lead}') as of_row, latent_distance(smiles, '{lead}') as encoded"
        table = query(source, f"select {columns}, domain() as percentile from candidates")
        expected = [self.cosine(one + 0.5, z[lead]) for one in z.values()]
        assert table["of_row"].tolist() == pytest.approx(expected, abs=1e-5)
        assert table["encoded"].tolist() == pytest.approx([self.cosine(one, z[lead]) for one in z.values()], abs=1e-4)
        assert table["percentile"].between(0, 100).all()
        np.save(tmp_path / "latent.npy", np.zeros((2, 128), np.float32))
        with pytest.raises(InputError, match=r"latent_row 3"):
            query(source, f"latent_distance('{lead}') < 1")
        np.save(tmp_path / "latent.npy", np.zeros((4, 7), np.float32))
        with pytest.raises(InputError, match="128"):
            query(source, f"latent_distance('{lead}') < 1")
        np.save(tmp_path / "latent.npy", np.ones((4, 128), np.float32))
        manifest = {"inputs": {"codec": {"path": "moses", "sha256": "0" * 64}}}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        with pytest.raises(InputError, match=r"another codec.*moses"):
            query(source, f"latent_distance('{lead}') < 1")

    def test_runs_with_different_codecs_are_refused(self, run: Path) -> None:
        sources = [Source(run, "a", codec="moses"), Source(run, "b", codec="druglike")]
        with pytest.raises(InputError, match=r"different codecs.*--codec"):
            query(sources, "domain() < 99")
        with pytest.raises(InputError, match="nowhere"):
            query(sources, "domain() < 99", codec="nowhere")
        assert len(query(sources, "score > 0")) == 6, "other queries do not need the codec"


if __name__ == "__main__":
    PAGE.write_text(rewrite(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def test_columns_are_named_as_the_user_wrote_the_functions(run: Path) -> None:
    table = query(
        run, "select max(similar_to(raw_smiles, 'CCO')), count(*) filter (has(raw_smiles, 'N')) from candidates"
    )
    assert not any("_any_" in name for name in table)
    assert next(iter(table)) == "max(similar_to(raw_smiles, 'CCO'))"
