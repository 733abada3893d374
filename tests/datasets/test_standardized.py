import gzip

import numpy as np
import pandas as pd
import pytest

from molvae.chem.molecules import standardize
from molvae.datasets import open_molecules, standardize_file, standardized_rows
from molvae.datasets.standardized import _FirstRows, _standardized_table
from molvae.errors import InputError
from molvae.workers import LocalProcesses, Serial, WorkerFailure


def standardized(path, **options):
    return pd.concat(
        list(standardize_file(open_molecules(path, chunk_rows=options.pop("chunk_rows", 20_000)), **options))
    )


def test_every_row_has_a_smiles_or_a_reason_in_order(tmp_path):
    path = tmp_path / "a.csv"
    lines = [
        "m1,OCC", "m2,C1CC", "m3", "m4,CC[NH3+].[Cl-]", "m5,CCO", "", "m7,NO", "m8,C\u0421", "m9,C(O)C", "m10,CCN",
        "m11," + "C" * 100_000, "m12,CCO CCN", "m13,",
    ]  # fmt: skip
    path.write_text("id,smiles\n" + "\n".join(lines) + "\n")
    table = standardized(path, mapper=Serial())
    assert list(table.columns) == ["row", "id", "raw", "smiles", "reason", "warning"]
    assert table["row"].tolist() == list(range(1, 14))
    assert table["smiles"].tolist() == [
        "CCO", None, None, "CCN", None, None, "NO", None, None, None, None, None, None,
    ]  # fmt: skip
    kinds = [reason and reason.split(":")[0] for reason in table["reason"]]
    assert kinds == [
        None, "invalid SMILES", "ragged row", None, "duplicate of row 1", "empty", None, "invalid character",
        "duplicate of row 1", "duplicate of row 4", "too long", "whitespace", "empty",
    ]  # fmt: skip
    assert table["warning"].tolist()[3] == "salt or solvent stripped: Cl; charges neutralized"
    assert table["warning"].tolist()[6] == "possibly a word: NO is read as the molecule H3NO"
    assert table["warning"].notna().sum() == 2
    assert (table["smiles"].isna() == table["reason"].notna()).all()
    assert table["raw"].tolist()[:2] == ["OCC", "C1CC"]


def test_a_row_that_crashed_its_worker_is_dropped_with_the_reason(tmp_path):
    path = tmp_path / "a.smi"
    path.write_text("CCO m1\nCCN m2\nCCC m3\n")
    (chunk,) = open_molecules(path)
    answers = [standardize("CCO"), WorkerFailure("timeout: not finished within 2 s"), standardize("CCC")]
    table = _standardized_table(chunk, answers, _FirstRows())
    assert table["smiles"].tolist() == ["CCO", None, "CCC"]
    assert table["reason"].tolist() == [None, "timeout: not finished within 2 s", None]
    assert table["id"].tolist() == ["m1", "m2", "m3"]


def test_chunks_and_workers_do_not_change_the_result(tmp_path):
    path = tmp_path / "a.smi.gz"
    raw = [f"{'C' * (i % 40)}N{'C' * (i % 7)}O" for i in range(3000)]
    path.write_bytes(gzip.compress("\n".join(raw).encode()))
    done = []
    whole = standardized(path, mapper=Serial(), progress=done.append)
    parts = standardized(path, mapper=LocalProcesses(2), chunk_rows=700)
    assert done == [3000]
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), parts.reset_index(drop=True))
    first: dict[str, int] = {}
    for row, one in enumerate(raw, start=1):
        smiles = standardize(one).smiles
        expected = f"duplicate of row {first[smiles]}" if smiles in first else None
        assert whole["reason"].iloc[row - 1] == expected
        first.setdefault(smiles, row)


def test_duplicates_can_be_kept(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,smiles\nm1,OCC\nm2,C1CC\nm3,CCO\nm4,CCN.Cl\nm5\n")
    table = standardized(path, mapper=Serial(), drop_duplicates=False)
    assert table["smiles"].tolist() == ["CCO", None, "CCO", "CCN", None]
    rows = standardized_rows(table)
    assert rows == [
        standardize("OCC"), standardize("C1CC"), standardize("CCO"), standardize("CCN.Cl"),
        (None, table["reason"].iloc[4], None),
    ]  # fmt: skip


def test_progress_counts_all_rows(tmp_path):
    path = tmp_path / "a.smi"
    path.write_text("C1CC\nCCO\nCCO\n" * 500)
    done = []
    list(standardize_file(open_molecules(path, chunk_rows=400), mapper=Serial(), progress=done.append))
    assert done == [400, 400, 400, 300]


def test_a_damaged_file_ends_in_an_error(tmp_path):
    path = tmp_path / "a.smi.gz"
    path.write_bytes(gzip.compress("".join(f"C{'N' * (i % 50)}O{i}\n" for i in range(20_000)).encode())[:-9000])
    with pytest.raises(InputError, match=r"a\.smi\.gz: .*truncated"):
        list(standardize_file(open_molecules(path), mapper=Serial()))


def test_first_rows_equal_those_found_with_a_dict():
    generator = np.random.default_rng(0)
    first_rows, known, row = _FirstRows(), {}, 0
    for _ in range(60):
        n = int(generator.integers(0, 60))
        raw = [None if number == 0 else f"C{number}" for number in generator.integers(0, 900, n)]
        rows = np.arange(row, row + n)
        expected = []
        for i, one in enumerate(raw):
            if one is None:
                continue
            if one in known:
                expected.append((i, known[one]))
            else:
                known[one] = row + i
        assert first_rows.find(raw, rows) == expected
        row += n
    assert sum(len(run) for run, _ in first_rows._runs) == len(known)
    assert len(first_rows._runs) < 12
