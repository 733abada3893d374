"""The ids of the user survive every chain of commands and formats, character for character."""

import csv
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from molvae.pipeline import cli
from molvae.pipeline.latent_tables import read_latent
from rdkit import Chem

from molvae.candidates.files import write_candidates
from molvae.codec import ToyCodec
from molvae.codec.results import Decoded
from molvae.datasets import open_molecules
from molvae.workers import Serial

HOSTILE = [
    "-12", "=1+1", "+5", "@home", "'-12", "''-12", "'quoted'", '"quoted"', "NA", "null", "nan", "None", "N/A", "<NA>",
    "000013", "1E05", "1e5", "101.0", "9007199254740993", "True", "a,b", "a;b", "a|b", 'a"b', "a  b", "a b c", "|x|",
    "|&1:1|", "|&1:1| rac", "#1", "$$$$", "> <x>", "\u80fa\u00e4\u00f6", "smiles", "id", "CCO", "a\\nb", "\u2028x",
    "x\u0085y", "sep=;", "x\u00a0",
]  # fmt: skip
BREAKS = [" padded ", "a\nb", "a\tb", "a\rb", "a\r\nb", "\x0b1"]
"""Ids that one line of a .smi file or of an SDF cannot hold."""

Ids = list[str]


class Codec(ToyCodec):
    """A codec of the commands that decodes in no time; only 360 molecules can be encoded."""

    name = "toy"

    def decode(self, z: np.ndarray, *, beam_size: int = 1, **options: Any) -> list[Decoded]:
        rows = super().decode(np.nan_to_num(z), **options)
        return [row if ok else Decoded("", None, "NaN") for row, ok in zip(rows, np.isfinite(z).all(1), strict=True)]


CODEC = Codec()
SMILES = CODEC.molecules


@pytest.fixture(autouse=True)
def _toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("molvae.codec.load_codec", lambda name=None: CODEC, raising=False)
    monkeypatch.setattr("molvae.workers.LocalProcesses", Serial)


def run(*arguments: str) -> None:
    assert cli._run(list(arguments)) == 0


def _csv(ids: Ids, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)  # as pandas and R write it, without marks
        writer.writerows([("id", "smiles"), *zip(ids, SMILES, strict=False)])


def _quoted_csv(ids: Ids, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("id", "smiles"), *zip(ids, SMILES, strict=False)])


def _smi(ids: Ids, path: Path) -> None:
    rows = zip(ids, SMILES, strict=False)
    path.write_text("".join(f"{one} ||\t{name}\n" for name, one in rows), encoding="utf-8", newline="")


def _parquet(ids: Ids, path: Path) -> None:
    pd.DataFrame({"id": ids, "smiles": SMILES[: len(ids)]}).to_parquet(path)


def _sdf(ids: Ids, path: Path) -> None:
    blocks = [Chem.MolToMolBlock(Chem.MolFromSmiles(one)).split("\n", 1)[1] for one in SMILES[: len(ids)]]
    parts = [f"record\n{block}> <id>\n{name}\n\n$$$$\n" for name, block in zip(ids, blocks, strict=True)]
    path.write_text("".join(parts), encoding="utf-8", newline="")


SOURCES: dict[str, Callable[[Ids, Path], None]] = {
    "a.csv": _csv, "quoted.csv": _quoted_csv, "a.smi": _smi, "a.parquet": _parquet, "a.sdf": _sdf,
}  # fmt: skip
LATENT, MOLECULES = ("csv", "parquet"), ("csv", "parquet", "smi")


def read_ids(path: Path) -> Ids:
    if path.name.startswith("z"):
        return [name for rows in read_latent(path, CODEC).chunks for name in rows.ids]  # type: ignore[arg-type]
    return [name for chunk in open_molecules(path, mapper=Serial()) for name in chunk["id"]]


def chain(source: Path, formats: tuple[str, str, str]) -> Iterator[Path]:
    """Encode, decode, and encode again."""
    first, molecules, second = Path(f"z1.{formats[0]}"), Path(f"m.{formats[1]}"), Path(f"z2.{formats[2]}")
    for command, a, b in (("encode", source, first), ("decode", first, molecules), ("encode", molecules, second)):
        run(command, str(a), "-o", str(b))
        yield b


@pytest.mark.parametrize("source", SOURCES)
def test_ids_survive_every_chain_of_three_commands(source: str) -> None:
    is_line = source.endswith((".smi", ".sdf"))
    ids = HOSTILE + ([] if is_line else BREAKS)
    if source == "a.sdf":
        ids = [name for name in ids if name != "$$$$"]  # the end of a record
    SOURCES[source](ids, Path(source))
    assert read_ids(Path(source)) == ids
    for first in LATENT:
        run("encode", source, "-o", f"z1.{first}")
        assert read_ids(Path(f"z1.{first}")) == ids
        for second in MOLECULES:
            run("decode", f"z1.{first}", "-o", f"m.{second}")
            kept = [name for name in ids if second != "smi" or name not in BREAKS]
            found = read_ids(Path(f"m.{second}"))
            assert [now for now, name in zip(found, ids, strict=True) if name in kept] == kept
        run("encode", "m.csv", "-o", f"z2.{first}")
        assert read_ids(Path(f"z2.{first}")) == ids


def _is_kept(name: str, formats: tuple[str, ...]) -> bool:
    """Whether an id is not blank, and has one line without spaces at its ends if a .smi file has to hold it."""
    if "smi" not in formats:
        return bool(name.strip())
    return name.strip() != "" and name == name.strip(" ") and not set(name) & set("\t\n\r\x0b\x0c")


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    ids=st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), min_size=1, max_size=5),
    source=st.sampled_from(["a.csv", "quoted.csv", "a.parquet"]),
    formats=st.sampled_from(list(itertools.product(LATENT, MOLECULES, LATENT))),
)
def test_any_id_survives(ids: Ids, source: str, formats: tuple[str, str, str]) -> None:
    assume(all(_is_kept(name, formats) for name in ids))
    if source.endswith(".csv"):
        assume(not any("\r" in name for name in ids) or source == "quoted.csv")
    SOURCES[source](ids, Path(source))
    for path in chain(Path(source), formats):
        assert read_ids(path) == ids


def test_what_smi_cannot_hold_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    _csv([*BREAKS, "plain"], Path("a.csv"))
    run("encode", "a.csv", "-o", "z.csv")
    run("decode", "z.csv", "-o", "m.smi")
    assert f"{len(BREAKS)} ids" in capsys.readouterr().err
    assert len(read_ids(Path("m.smi"))) == len(BREAKS) + 1


def test_ids_of_a_run_survive_its_commands(candidates: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    candidates["smiles"] = SMILES[:4]
    candidates["candidate_id"] = ["=1+1", "-12", "C 3", "null"]
    write_candidates(Path(), candidates)
    for name in ("candidates.csv", "candidates.parquet", "candidates.sdf"):
        assert read_ids(Path(name)) == candidates["candidate_id"].tolist()
        run("encode", name, "-o", "z.csv")
        assert read_ids(Path("z.csv")) == candidates["candidate_id"].tolist()
    for ending in MOLECULES:
        run("query", "candidates.csv", "passed order by candidate_id", "-o", f"top.{ending}")
        assert read_ids(Path(f"top.{ending}")) == ["-12", "=1+1"]
    assert "ids from column candidate_id" in capsys.readouterr().err


@pytest.mark.parametrize("ending", LATENT)
def test_latent_vectors_keep_ids_of_any_name(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = pd.DataFrame(CODEC.z[:2], columns=[f"z_{i:03d}" for i in range(CODEC.n_latent)])
    table.insert(0, "sample", ["007", "NA"])
    write = table.to_csv if ending == "csv" else table.to_parquet
    write(f"z.{ending}", index=False)
    run("decode", f"z.{ending}", "-o", "m.csv")
    assert "--id-column chooses one of sample" in capsys.readouterr().err
    run("decode", f"z.{ending}", "--id-column", "sample", "-o", "m.csv")
    assert read_ids(Path("m.csv")) == ["007", "NA"]
    assert cli._run(["decode", f"z.{ending}", "--id-column", "simple", "-o", "m.csv"]) == 2
    assert "did you mean sample?" in capsys.readouterr().err


def test_whole_numbers_in_a_parquet_file_have_no_decimal_point() -> None:
    pd.DataFrame({"id": [101.0, None, 7.0], "smiles": SMILES[:3]}).to_parquet("a.parquet")
    assert read_ids(Path("a.parquet")) == ["101", None, "7"]
    pd.DataFrame({"id": [1.5, None, 7.0], "smiles": SMILES[:3]}).to_parquet("a.parquet")
    assert read_ids(Path("a.parquet")) == ["1.5", None, "7.0"]
    z = pd.DataFrame(CODEC.z[:2], columns=[f"z_{i:03d}" for i in range(CODEC.n_latent)])
    z.assign(id=[101.0, np.nan]).to_parquet("z.parquet")
    assert read_ids(Path("z.parquet")) == ["101", None]


def test_latent_vectors_with_semicolons_and_decimal_commas(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"z_{i:03d}" for i in range(CODEC.n_latent)]
    lines = [";".join(f"{value:.6f}".replace(".", ",") for value in row) for row in CODEC.z[:2]]
    text = ";".join(["id", *names]) + f"\nm1;{lines[0]}\nm2;{lines[1]}\nm3;x{lines[0][1:]}\nm4;1;2\n\n"
    Path("z.csv").write_text(text + f"m6;{';' * (len(names) - 1)}\n")
    run("decode", "z.csv", "-o", "m.csv")
    table = pd.read_csv("m.csv")
    assert table["smiles"].tolist()[:2] == SMILES[:2]
    assert [str(reason).split(":")[0] for reason in table["reason"][2:]] == [
        "not a number",
        "ragged row",
        "empty",
        "empty",
    ]
    assert table["reason"][2].startswith("not a number: z_000 is x")
    assert "columns are separated by semicolons" in capsys.readouterr().err
