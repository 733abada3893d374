import json

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.latent import compression
from molvae.latent.compression import QUANTIZERS, fit_quantizer, open_compressed, write_compressed
from molvae.latent.neighbors import nearest

RANDOM = np.random.default_rng(0)
CODES = (RANDOM.normal(size=(3000, 12)) * np.linspace(0.3, 2, 12) @ RANDOM.normal(size=(12, 12))).astype(np.float32)
VARIANCE = float(CODES.var(0).sum())


def error(quantizer: compression.Quantizer, z: np.ndarray) -> float:
    """Share of the variance that is lost."""
    return float(np.square(quantizer.decode(quantizer.encode(z)) - z).sum(1).mean()) / VARIANCE


@pytest.mark.parametrize(
    ("method", "n_bytes", "expected", "lost"),
    [
        ("float16", None, 24, 1e-6),
        ("int8", None, 12, 2e-4),
        ("pq", 12, 12, 5e-4),
        ("pq", None, 6, 0.005),
        ("pq", 5, 5, 0.01),
    ],
)
def test_points_come_back_from_a_file_as_near_as_their_bytes_allow(method, n_bytes, expected, lost, tmp_path):
    quantizer = fit_quantizer(CODES[:2000], method, n_bytes)
    assert write_compressed(tmp_path / "codes", iter(np.array_split(CODES, 7)), quantizer) == 3000
    opened = open_compressed(tmp_path / "codes")
    assert (opened.n, opened.n_latent, opened.bytes_per_code) == (3000, 12, expected)
    assert isinstance(opened.codes, np.memmap)
    np.testing.assert_array_equal(opened.decode(), quantizer.decode(quantizer.encode(CODES)))
    np.testing.assert_array_equal(opened.decode(np.array([5, 2])), opened.decode()[[5, 2]])
    assert error(quantizer, CODES[2000:]) < lost
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes"]


def test_a_group_shares_the_variance_and_beats_dimensions_as_they_come():
    order = fit_quantizer(CODES, "pq", 4)
    assert isinstance(order, compression.ProductQuantizer)
    np.testing.assert_allclose(order.rotation.T @ order.rotation, np.eye(12), atol=1e-5)
    variance = ((CODES - order.mean) @ order.rotation).var(0)
    products = np.log(variance).reshape(4, 3).sum(1)
    in_order = np.log(np.sort(variance)).reshape(4, 3).sum(1)
    assert np.ptp(products) < 0.3 * np.ptp(in_order)


@pytest.mark.parametrize("block", [1 << 16, 700])
@pytest.mark.parametrize("method", QUANTIZERS)
def test_the_search_is_that_of_the_points_read_back(method, block, tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "_BLOCK", block)
    write_compressed(tmp_path / "codes", [CODES], fit_quantizer(CODES, method))
    opened = open_compressed(tmp_path / "codes")
    indices, distances = opened.nearest(CODES[:40] + 0.01, 10)
    expected = nearest(CODES[:40] + 0.01, opened.decode(), 10)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-4, atol=1e-5)
    assert (indices == expected[0]).mean() > 0.999  # a block of another size may round the last digit otherwise
    exact = nearest(CODES[:40] + 0.01, CODES, 10)[0]
    recall = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(exact, indices, strict=True)])
    assert recall > {"float16": 0.99, "int8": 0.9, "pq": 0.5}[method]


def test_equal_points_stand_in_order_and_k_is_lowered(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "_BLOCK", 4)
    z = np.ones((10, 3), np.float32)
    write_compressed(tmp_path / "codes", [z], fit_quantizer(z, "pq", 2))
    indices, distances = open_compressed(tmp_path / "codes").nearest(np.array([[1, 1, 2.0], [np.nan, 0, 0]]), 99)
    np.testing.assert_array_equal(indices, [np.arange(10), np.full(10, -1)])
    np.testing.assert_allclose(distances[0], 1)
    assert np.isnan(distances[1]).all()


@pytest.mark.parametrize("method", QUANTIZERS)
def test_few_equal_and_far_points_are_quantized(method):
    few = np.array([[1.0, 5, 7], [1, 6, 7], [1, 5, 7]])
    quantizer = fit_quantizer(few, method)
    np.testing.assert_allclose(quantizer.decode(quantizer.encode(few)), few, atol=1e-2)
    far = quantizer.decode(quantizer.encode(np.full((1, 3), 1e9)))
    assert np.isfinite(far).all()


def test_the_same_seed_makes_the_same_quantizer():
    first, again = (fit_quantizer(CODES, "pq", 3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.encode(CODES), again.encode(CODES))


@pytest.mark.parametrize(
    ("z", "options", "message"),
    [
        (CODES, {"method": "zip"}, "float16, int8, pq, got 'zip'"),
        (CODES, {"method": "pq", "n_bytes": 13}, "expected 1 to 12"),
        (CODES, {"method": "pq", "n_bytes": 0}, "expected 1 to 12"),
        (CODES, {"method": "int8", "n_bytes": 4}, "only pq has a choice"),
        (np.full((5, 3), np.nan), {"method": "pq"}, "none among 5"),
        (CODES[0], {"method": "pq"}, r"got \(12,\)"),
    ],
)
def test_quantizers_that_cannot_be_made_are_refused(z, options, message):
    with pytest.raises(InputError, match=message):
        fit_quantizer(z, **options)


def test_a_point_that_is_none_is_refused_and_leaves_the_old_file(tmp_path):
    path, quantizer = tmp_path / "codes", fit_quantizer(CODES, "int8")
    write_compressed(path, [CODES[:5]], quantizer)
    bad = CODES[:9].copy()
    bad[3] = np.nan
    with pytest.raises(InputError, match="point 8 holds NaN"):
        write_compressed(path, [CODES[:5], bad], quantizer)
    with pytest.raises(InputError, match=r"from row 0: expected \(n, 12\), got \(5, 4\)"):
        write_compressed(path, [CODES[:5, :4]], quantizer)
    assert open_compressed(path).n == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_of_no_points_opens(tmp_path):
    write_compressed(tmp_path / "codes", [], fit_quantizer(CODES, "int8"))
    opened = open_compressed(tmp_path / "codes")
    assert opened.decode().shape == (0, 12)
    with pytest.raises(InputError, match="no points"):
        opened.nearest(CODES[:1], 3)


def test_a_row_that_is_not_there_is_refused(tmp_path):
    write_compressed(tmp_path / "codes", [CODES[:5]], fit_quantizer(CODES, "int8"))
    with pytest.raises(InputError, match="places below 5"):
        open_compressed(tmp_path / "codes").decode(np.array([5]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "something else"),
        (lambda data: b"smiles\nCCO\n" * 100, "something else"),
        (lambda data: data[:100], "truncated"),
        (lambda data: data[:-1], "expected .* bytes for 50 points"),
        (lambda data: data + b"x", "expected .* bytes for 50 points"),
        (lambda data: data[:8] + b"\x09" + data[9:], "version 1, got 9"),
        (lambda data: data[:28] + b"?" + data[29:], "header is damaged"),
        (lambda data: data.replace(b'"int8"', b'"int9"'), "header is damaged"),
        (lambda data: data.replace(b'"low"', b'"owl"'), "header is damaged"),
        (lambda data: data.replace(b'"<f4"', b'"f44"'), "header is damaged"),
    ],
)
def test_files_that_are_foreign_or_damaged_are_refused(change, message, tmp_path):
    path = tmp_path / "codes"
    write_compressed(path, [CODES[:50]], fit_quantizer(CODES, "int8"))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        open_compressed(path)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        open_compressed(tmp_path / "none")


def test_the_header_is_plain_json(tmp_path):
    path = tmp_path / "codes"
    write_compressed(path, [CODES], fit_quantizer(CODES, "pq", 4))
    data = path.read_bytes()
    header = json.loads(data[28 : 28 + int.from_bytes(data[12:20], "little")])
    assert header["quantizer"] == "pq"
    assert len(data) % 64 == (3000 * 4) % 64
