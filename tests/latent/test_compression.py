import json

import numpy as np
import pytest

from molvae.errors import InputError
from molvae.latent import compression
from molvae.latent.compression import QUANTIZERS, fit_quantizer, open_compressed, write_compressed
from molvae.latent.neighbors import nearest

RANDOM = np.random.default_rng(0)
Z = (RANDOM.normal(size=(3000, 12)) * np.linspace(0.3, 2, 12) @ RANDOM.normal(size=(12, 12))).astype(np.float32)
VARIANCE = float(Z.var(0).sum())


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
def test_the_error_of_each_quantizer_is_small(method, n_bytes, expected, lost, tmp_path):
    quantizer = fit_quantizer(Z[:2000], method, n_bytes=n_bytes)
    assert write_compressed(tmp_path / "latent", iter(np.array_split(Z, 7)), quantizer) == 3000
    opened = open_compressed(tmp_path / "latent")
    assert (opened.n, opened.n_latent, opened.n_bytes) == (3000, 12, expected)
    assert isinstance(opened.codes, np.memmap)
    np.testing.assert_array_equal(opened.decode(), quantizer.decode(quantizer.encode(Z)))
    np.testing.assert_array_equal(opened.decode(np.array([5, 2])), opened.decode()[[5, 2]])
    assert error(quantizer, Z[2000:]) < lost
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latent"]


def test_groups_of_axes_have_equal_products_of_variances():
    quantizer = fit_quantizer(Z, "pq", n_bytes=4)
    assert isinstance(quantizer, compression.ProductQuantizer)
    np.testing.assert_allclose(quantizer.rotation.T @ quantizer.rotation, np.eye(12), atol=1e-5)
    variance = ((Z - quantizer.mean) @ quantizer.rotation).var(0)
    products = np.log(variance).reshape(4, 3).sum(1)
    in_order = np.log(np.sort(variance)).reshape(4, 3).sum(1)
    assert np.ptp(products) < 0.3 * np.ptp(in_order)


@pytest.mark.parametrize("block", [1 << 16, 700])
@pytest.mark.parametrize("method", QUANTIZERS)
def test_the_search_is_that_of_the_decoded_vectors(method, block, tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "_BLOCK", block)
    write_compressed(tmp_path / "latent", [Z], fit_quantizer(Z, method))
    opened = open_compressed(tmp_path / "latent")
    indices, distances = opened.nearest(Z[:40] + 0.01, 10)
    expected = nearest(Z[:40] + 0.01, opened.decode(), 10)
    np.testing.assert_allclose(distances, expected[1], rtol=1e-4, atol=1e-5)
    assert (indices == expected[0]).mean() > 0.999  # the size of a block changes the last digit
    exact = nearest(Z[:40] + 0.01, Z, 10)[0]
    recall = np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(exact, indices, strict=True)])
    assert recall > {"float16": 0.99, "int8": 0.9, "pq": 0.5}[method]


def test_ties_are_in_order_and_k_is_lowered(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "_BLOCK", 4)
    z = np.ones((10, 3), np.float32)
    write_compressed(tmp_path / "latent", [z], fit_quantizer(z, "pq", n_bytes=2))
    indices, distances = open_compressed(tmp_path / "latent").nearest(np.array([[1, 1, 2.0], [np.nan, 0, 0]]), 99)
    np.testing.assert_array_equal(indices, [np.arange(10), np.full(10, -1)])
    np.testing.assert_allclose(distances[0], 1)
    assert np.isnan(distances[1]).all()


@pytest.mark.parametrize("method", QUANTIZERS)
def test_few_equal_and_distant_vectors_are_quantized(method):
    few = np.array([[1.0, 5, 7], [1, 6, 7], [1, 5, 7]])
    quantizer = fit_quantizer(few, method)
    np.testing.assert_allclose(quantizer.decode(quantizer.encode(few)), few, atol=1e-2)
    far = quantizer.decode(quantizer.encode(np.full((1, 3), 1e9)))
    assert np.isfinite(far).all()


def test_a_quantizer_is_reproducible():
    first, again = (fit_quantizer(Z, "pq", n_bytes=3, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.encode(Z), again.encode(Z))


@pytest.mark.parametrize(
    ("z", "options", "message"),
    [
        (Z, {"method": "zip"}, "'zip'"),
        (Z, {"method": "pq", "n_bytes": 13}, "n_bytes: .* 1 to 12"),
        (Z, {"method": "pq", "n_bytes": 0}, "n_bytes: .* 1 to 12"),
        (Z, {"method": "int8", "n_bytes": 4}, "n_bytes: .*int8"),
        (np.full((5, 3), np.nan), {"method": "pq"}, "0 of 5"),
        (Z[0], {"method": "pq"}, r"got \(12,\)"),
    ],
)
def test_fit_quantizer_arguments_are_checked(z, options, message):
    with pytest.raises(InputError, match=message):
        fit_quantizer(z, **options)


def test_a_row_with_nan_is_an_error_and_leaves_the_old_file(tmp_path):
    path, quantizer = tmp_path / "latent", fit_quantizer(Z, "int8")
    write_compressed(path, [Z[:5]], quantizer)
    bad = Z[:9].copy()
    bad[3] = np.nan
    with pytest.raises(InputError, match="row 8"):
        write_compressed(path, [Z[:5], bad], quantizer)
    with pytest.raises(InputError, match=r"row 0: .*\(n, 12\), got \(5, 4\)"):
        write_compressed(path, [Z[:5, :4]], quantizer)
    assert open_compressed(path).n == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_an_empty_file_opens(tmp_path):
    write_compressed(tmp_path / "latent", [], fit_quantizer(Z, "int8"))
    opened = open_compressed(tmp_path / "latent")
    assert opened.decode().shape == (0, 12)
    with pytest.raises(InputError, match="empty"):
        opened.nearest(Z[:1], 3)


def test_a_row_out_of_range_is_an_error(tmp_path):
    write_compressed(tmp_path / "latent", [Z[:5]], fit_quantizer(Z, "int8"))
    with pytest.raises(InputError, match="below 5"):
        open_compressed(tmp_path / "latent").decode(np.array([5]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "not a file"),
        (lambda data: b"smiles\nCCO\n" * 100, "not a file"),
        (lambda data: data[:100], "truncated"),
        (lambda data: data[:-1], "bytes for 50"),
        (lambda data: data + b"x", "bytes for 50"),
        (lambda data: data[:8] + b"\x09" + data[9:], "version 1, got 9"),
        (lambda data: data[:28] + b"?" + data[29:], "header is damaged"),
        (lambda data: data.replace(b'"int8"', b'"int9"'), "header is damaged"),
        (lambda data: data.replace(b'"low"', b'"owl"'), "header is damaged"),
        (lambda data: data.replace(b'"<f4"', b'"f44"'), "header is damaged"),
    ],
)
def test_damaged_and_other_files_are_errors(change, message, tmp_path):
    path = tmp_path / "latent"
    write_compressed(path, [Z[:50]], fit_quantizer(Z, "int8"))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        open_compressed(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        open_compressed(tmp_path / "none")


def test_the_header_is_plain_json(tmp_path):
    path = tmp_path / "latent"
    write_compressed(path, [Z], fit_quantizer(Z, "pq", n_bytes=4))
    data = path.read_bytes()
    header = json.loads(data[28 : 28 + int.from_bytes(data[12:20], "little")])
    assert header["quantizer"] == "pq"
    assert len(data) % 64 == (3000 * 4) % 64
