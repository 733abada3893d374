import gzip
import os
import random
import zlib

import pytest

from molvae.datasets.text_lines import MAX_LINE, TextLines
from molvae.errors import InputError


def lines_of(tmp_path, data, name="some.txt"):
    path = tmp_path / name
    path.write_bytes(data)
    lines = TextLines(path)
    return list(lines), lines.notes


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r", ["a", "b"]),
        (b"a\n\r\n\rb\n\n", ["a", "", "", "b", ""]),
        ("a\x0bb\x0c\x1c\u2028\x85c\nd".encode(), ["a\x0bb\x0c\x1c\u2028\x85c", "d"]),
        (b"a\x00b\n", ["a\x00b"]),
    ],
)
def test_line_ends(tmp_path, data, expected):
    assert lines_of(tmp_path, data) == (expected, [])


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", None),
        ("utf-8-sig", "read as UTF-8 with a byte order mark"),
        ("utf-16", "read as UTF-16"),
        ("utf-16-le", "read as UTF-16"),
        ("utf-16-be", "read as UTF-16"),
        ("utf-32", "read as UTF-32"),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_encodings(tmp_path, encoding, note, is_gzip):
    data = "smiles,näme\r\nCCO,Äthanol\r\nCCN,胺\r\n".encode(encoding)
    got, notes = lines_of(tmp_path, gzip.compress(data) if is_gzip else data, "t.csv.gz" if is_gzip else "t.csv")
    assert got == ["smiles,näme", "CCO,Äthanol", "CCN,胺"]
    assert notes == ([note] if note else [])


def test_lines_that_are_not_utf_8_are_read_as_latin_1(tmp_path):
    got, notes = lines_of(tmp_path, "naïve\n".encode("latin-1") + "胺\n".encode() + b"it\x92s \x81\n")
    assert got == ["naïve", "胺", "it\x92s \x81"]
    got, notes = lines_of(tmp_path, b"it\x92s\n")
    assert got == ["it’s"]
    assert notes == ["lines that are not UTF-8 are read as latin-1 (Windows-1252)"]


def test_line_ends_and_letters_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("molvae.datasets.text_lines._BLOCK", 7)
    text = "".join(f"{number}é\r\n" for number in range(200))
    expected = [f"{number}é" for number in range(200)]
    for data in (text.encode(), text.encode("utf-16"), text.replace("\r\n", "\r").encode()):
        assert lines_of(tmp_path, data)[0] == expected


def test_a_very_long_line_is_truncated_and_the_next_is_complete(tmp_path):
    got, _ = lines_of(tmp_path, b"C" * (3 * MAX_LINE) + b"\nCCO\n" + b"N" * MAX_LINE)
    assert [len(line) for line in got] == [pytest.approx(MAX_LINE + 1, abs=2 << 20), 3, MAX_LINE]
    assert len(got[0]) > MAX_LINE
    assert got[1] == "CCO"


def test_lines_can_be_read_again_and_report_progress(tmp_path):
    path = tmp_path / "long.smi"
    path.write_bytes(b"CCO\n" * 1_000_000)
    lines = TextLines(path)
    iterator = iter(lines)
    next(iterator)
    assert 0 < lines.fraction_read < 0.5
    assert sum(1 for _ in iterator) == 999_999
    assert lines.fraction_read == 1
    assert next(iter(lines)) == "CCO"


def test_compression_is_detected_by_the_content(tmp_path):
    assert lines_of(tmp_path, gzip.compress(b"C\n") + gzip.compress(b"N\n"), "a.csv.gz") == (["C", "N"], [])
    assert lines_of(tmp_path, gzip.compress(b"C\n"), "a.csv") == (
        ["C"],
        ["compressed with gzip, though its name does not end in .gz"],
    )
    assert lines_of(tmp_path, b"C\n", "a.csv.gz") == (["C"], ["not compressed, though its name ends in .gz"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),
        (b"PK\x03\x04abc", "zip archive"),
        (b"\xd0\xcf\x11\xe0abc", "old spreadsheet"),
        (b"PAR1abc", r"\.parquet"),
        (b"BZh9", "bzip2"),
        (gzip.compress(random.Random(0).randbytes(5000), mtime=0)[:-2000], "truncated"),
        (gzip.compress(b"CCO\n" * 100, mtime=0)[:-8] + b"xxxxxxxx", "damaged"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 100, "damaged"),
    ],
)
def test_a_file_that_is_not_text_is_an_error(tmp_path, data, message):
    with pytest.raises(InputError, match=message) as caught:
        lines_of(tmp_path, data, "some.csv.gz")
    assert str(tmp_path / "some.csv.gz") in str(caught.value)


def test_a_gzip_bomb_is_rejected_before_it_is_decompressed(tmp_path):
    compressor = zlib.compressobj(1, wbits=31)
    letters = b"C" * 10_000_000
    data = b"".join(compressor.compress(letters) for _ in range(13)) + compressor.flush()
    with pytest.raises(InputError, match="gzip bomb"):
        lines_of(tmp_path, data, "bomb.smi.gz")


def test_a_path_that_is_not_a_regular_file_is_rejected_without_reading(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, message in [
        ("pipe.csv", "a pipe or a device"),
        ("folder.csv", "got a folder"),
        ("none.csv", "no such file"),
        ("none/none.csv", "does not exist"),
    ]:
        with pytest.raises(InputError, match=message):
            TextLines(tmp_path / name)
    with pytest.raises(InputError, match="a pipe or a device"):
        TextLines(type(tmp_path)("/dev/zero"))
    with pytest.raises(InputError, match="cannot be read"):
        TextLines(tmp_path / "a\x00b.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_an_error(tmp_path):
    path = tmp_path / "secret.csv"
    path.write_text("smiles\nC\n")
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        TextLines(path)
