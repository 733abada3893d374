from pathlib import Path

import pandas as pd
import pytest
from molvae.pipeline import cli

from molvae.candidates.files import read_candidates, write_candidates
from molvae.chem.molecules import canonicalize
from molvae.datasets import open_molecules
from molvae.files import replacing


@pytest.fixture(autouse=True)
def folder(candidates: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two candidate tables of the same molecules in the working folder: a and b."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(name).mkdir()
        write_candidates(Path(name), candidates.assign(reason=["µ-opioid", None, "it's", None]))


def run(*arguments: str) -> int:
    return cli._run(["query", *arguments])


def read_smiles(path: Path) -> list[str | None]:
    return [canonicalize(one).smiles for chunk in open_molecules(path) for one in chunk["raw"]]


def test_formats_hold_the_same_molecules(candidates: pd.DataFrame) -> None:
    for ending in ("csv", "parquet", "smi", "sdf", "html"):
        assert run("a", "score > 0.5 order by score desc", "-o", f"out.{ending}") == 0
    expected = candidates["smiles"].tolist()[:2]
    for ending in ("csv", "parquet", "smi", "sdf"):
        assert read_smiles(Path(f"out.{ending}")) == expected, ending
    text = Path("out.sdf").read_text(encoding="utf-8")
    assert text.startswith("C000001\n")
    assert text.count("$$$$\n") == 2
    assert ">  <score>\n0.812345678901\n" in text
    page = Path("out.html").read_text(encoding="utf-8")
    assert expected[1] in page
    assert expected[0] in page
    assert "S(N)(=O)=O" not in page
    pd.testing.assert_frame_equal(read_candidates(Path("out.parquet")), read_candidates(Path("a")).head(2))


def test_excel_recognizes_the_characters_of_a_csv_file() -> None:
    assert run("a", "score > 0.8", "-o", "plain.csv") == 0
    assert run("a", "score > 0.8", "-o", "marked.csv", "--excel") == 0
    marked = Path("marked.csv").read_bytes()
    assert marked == b"\xef\xbb\xbf" + Path("plain.csv").read_bytes()
    assert "µ-opioid" in marked.decode("utf-8-sig")
    assert len(read_candidates(Path("marked.csv"))) == 1


def test_ids_of_several_runs_are_unique(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("a", "b", "score > 0.8", "-o", "out.smi") == 0
    assert Path("out.smi").read_text() == "CC(=O)Nc1ccc(O)cc1 a:C000001\nCC(=O)Nc1ccc(O)cc1 b:C000001\n"
    assert "run:candidate_id" in capsys.readouterr().err


def test_a_row_without_a_molecule_stays_in_the_sdf(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("a", "select 'C1' as smiles, 'x' as id, 'two\nlines' as n", "-o", "out.sdf") == 0
    assert "1 rows without a valid SMILES" in capsys.readouterr().err
    assert Path("out.sdf").read_text().startswith("x\n")
    assert ">  <n>\ntwo lines\n" in Path("out.sdf").read_text()


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["a", "score > 0", "-o", "out.doc"], ".html"),
        (["a", "score > 0", "--excel"], "-o result.csv"),
        (["a", "score > 0", "-o", "out.sdf", "--excel"], ".csv"),
        (["a", "select score from candidates", "-o", "out.sdf"], "smiles"),
        (["a", "score > 0", "-o", "missing/out.csv"], "missing"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(
    arguments: list[str], fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert fact in error.splitlines()[-1]
    assert not list(Path().glob("out.*"))


@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet", "html"])
def test_values_of_any_type_can_be_written(ending: str) -> None:
    text = (
        "select [1, 2] as list, date '2026-11-30' as day, timestamp '2026-11-30 01:02:03' as time, {'a': 1} as struct, "
        "1.25::decimal(10, 2) as price, 'x'::blob as blob, interval 3 day as span, null as no, map {'k': 1} as map, "
        "5::hugeint as large, 'inf'::double as infinite, true as flag, [null] as empty, uuid() as id, time '01:02' as t"
    )
    assert run("a", text, "-o", f"out.{ending}") == 0
    assert run("a", f"{text} from candidates limit 0", "-o", f"none.{ending}") == 0
    if ending == "csv":
        row = pd.read_csv("out.csv").iloc[0]
        assert row[["list", "day", "time", "struct", "empty"]].tolist() == [
            "[1, 2]", "2026-11-30", "2026-11-30T01:02:03", "{a: 1}", "[NULL]"
        ]  # fmt: skip
        assert row["price"] == 1.25
    if ending == "parquet":
        assert pd.read_parquet("out.parquet")["price"].tolist() == [1.25]


def test_values_of_any_type_are_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("a", "select [1, 2] as list, date '2026-11-30' as day, null as n, {'a': [1.5]} as s") == 0
    assert capsys.readouterr().out.splitlines()[1].split("  ") == ["[1, 2]", "2026-11-30", "", " {a: [1.5]}"]


def test_an_error_names_the_file_and_not_its_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "a.csv"
    with pytest.raises(OSError, match=r"gone") as caught, replacing(path):
        pass
    assert caught.value.filename == str(path)
