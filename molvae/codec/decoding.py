"""Latent vectors to molecules: greedy or sampled decoding, and beam search."""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from molvae.autoencoder import Autoencoder
from molvae.codec.encoding import BATCH_SIZE, encode_features
from molvae.codec.results import Decoded
from molvae.errors import InputError
from molvae.feature_spec import END
from molvae.features.featurizer import DecodableFeaturizer, Featurizer
from molvae.workers import Mapper, WorkerFailure

if TYPE_CHECKING:
    from molvae.chem.molecules import Standardized

_RECONSTRUCTED = 0.05  # rounding errors stay below this distance; different molecules are several units apart
_MAX_CACHED = 2**15
_MIN_ROWS_FOR_WORKERS = 20_000  # fewer SMILES are parsed in less time than worker processes need to start


def decode_latent(
    model: Autoencoder,
    writer: DecodableFeaturizer,
    z: np.ndarray,
    *,
    noise: np.ndarray,
    temperature: np.ndarray,
    seed: int,
    mapper: Mapper,
) -> list[Decoded]:
    """Decode latent vectors once each.

    Parameters
    ----------
    model : Autoencoder
        The model whose decoder is used.
    writer : DecodableFeaturizer
        Converts tokens to SMILES.
    z : ndarray of shape (n, D)
        Latent vectors, float32. A row with NaN or infinity is not decoded.
    noise, temperature : ndarray of shape (n,)
        Noise level and temperature of each row, as for `Codec.decode`; float32.
    seed : int
        Seed of the torch generator.
    mapper : Mapper
        Parses SMILES if there are many.

    Returns
    -------
    list of Decoded
        One per row of `z`, in order.
    """
    draws = torch.Generator().manual_seed(seed)
    decoded = [Decoded("", None, "the latent vector holds NaN or infinity")] * len(z)
    rows = np.flatnonzero(np.isfinite(z).all(1))
    chunks = _chunks(rows, BATCH_SIZE)
    tokens = (
        model.decode(
            torch.from_numpy(z[chunk]), torch.from_numpy(noise[chunk]), torch.from_numpy(temperature[chunk]), draws
        )
        for chunk in chunks
    )
    for chunk, molecules in zip(chunks, _to_molecules(writer, tokens, len(rows), mapper), strict=True):
        for row, molecule in zip(chunk, molecules, strict=True):
            decoded[row] = molecule
    return decoded


def one_per_row(name: str, value: float | np.ndarray, n: int, *, at_most: float) -> np.ndarray:
    """Repeat an option of the decoder for each row, or check the options of the rows.

    Parameters
    ----------
    name : str
        Name of the option, for messages.
    value : float or ndarray of shape (n,)
        One number for all rows, or one per row.
    n : int
        Number of rows.
    at_most : float
        Largest value; the smallest is 0.

    Returns
    -------
    ndarray of shape (n,)
        One number per row, float32.

    Raises
    ------
    InputError
        `value` has another shape, or a number is out of range.
    """
    values = np.asarray(value, np.float32)
    if values.shape not in ((), (n,)):
        raise InputError(f"decode: {name}: expected one number, or {n:,}, one per row; got shape {values.shape}")
    if not ((values >= 0) & (values <= at_most)).all():
        wrong = values.ravel()[~((values >= 0) & (values <= at_most)).ravel()][0]
        raise InputError(f"decode: {name}: expected numbers from 0 to {at_most:g}, got {wrong:g}")
    return np.broadcast_to(values, n).copy()


def decode_beams(
    model: Autoencoder,
    writer: DecodableFeaturizer,
    reader: Featurizer,
    z: np.ndarray,
    greedy: list[Decoded],
    *,
    beam_size: int,
    mapper: Mapper,
) -> list[Decoded]:
    """Replace greedily decoded molecules that do not encode back to their latent vector.

    The replacement is the molecule whose latent vector is nearest, among the `beam_size` most probable SMILES; the
    greedy molecule is kept if it is at least as near.

    Parameters
    ----------
    model : Autoencoder
        The model whose encoder and decoder are used.
    writer : DecodableFeaturizer
        Converts tokens to SMILES.
    reader : Featurizer
        Computes the features that the encoder reads.
    z : ndarray of shape (n, D)
        Latent vectors, float32.
    greedy : list of Decoded
        Greedily decoded molecule of each row of `z`.
    beam_size : int
        Number of SMILES per latent vector.
    mapper : Mapper
        Parses SMILES if there are many.

    Returns
    -------
    list of Decoded
        One per row of `z`, in order.
    """
    best, distance = list(greedy), distance_to_source(model, reader, z, greedy)
    rows = np.flatnonzero((distance > _RECONSTRUCTED) & np.isfinite(z).all(1))
    chunks = _chunks(rows, max(1, BATCH_SIZE // beam_size))
    tokens = (model.decode_beams(torch.from_numpy(z[part]), beam_size).flatten(0, 1) for part in chunks)
    for chunk, molecules in zip(chunks, _to_molecules(writer, tokens, beam_size * len(rows), mapper), strict=True):
        sources = np.repeat(z[chunk], beam_size, axis=0)
        distances = distance_to_source(model, reader, sources, molecules).reshape(-1, beam_size)
        for row, away, begin in zip(chunk, distances, range(0, len(molecules), beam_size), strict=True):
            valid = [i for i in range(beam_size) if molecules[begin + i].smiles is not None]
            nearest = min(valid, key=away.__getitem__, default=None)  # ties: the most probable
            if nearest is not None and (away[nearest] < distance[row] or best[row].smiles is None):
                best[row] = molecules[begin + nearest]
    return best


def distance_to_source(model: Autoencoder, reader: Featurizer, z: np.ndarray, decoded: list[Decoded]) -> np.ndarray:
    """Distance from each latent vector to the latent vector of the molecule that it decodes to.

    Parameters
    ----------
    model : Autoencoder
        The model whose encoder is used.
    reader : Featurizer
        Computes the features that the encoder reads.
    z : ndarray of shape (n, D)
        Latent vectors.
    decoded : list of Decoded
        Decoded molecule of each row of `z`.

    Returns
    -------
    ndarray of shape (n,)
        Euclidean distances; infinite where the molecule is invalid or cannot be encoded.
    """
    rows = [row for row, molecule in enumerate(decoded) if molecule.smiles is not None]
    features = reader.encode([decoded[row].smiles or "" for row in rows])
    encoded = np.array(rows, np.int64)[features.ok]
    distance = np.full(len(z), np.inf)
    own = encode_features(model, features.x[features.ok], reader.spec)
    distance[encoded] = np.linalg.norm(own - z[encoded], axis=1)
    return distance


def _chunks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return np.split(rows, range(size, len(rows), size)) if len(rows) else []


def _to_molecules(
    writer: DecodableFeaturizer, tokens: Iterable[torch.Tensor], n: int, mapper: Mapper
) -> Iterator[list[Decoded]]:
    """The molecules of each chunk of token rows (b, L); `n` rows in all."""
    generated: deque[list[tuple[str, bool]]] = deque()

    def raw_smiles() -> Iterator[list[str]]:
        for x in map(torch.Tensor.numpy, tokens):
            found = list(zip(writer.decode(x), (x == END).any(1).tolist(), strict=True))
            generated.append(found)
            yield [raw if has_end else "" for raw, has_end in found]

    for parsed in _parse(raw_smiles(), n, mapper):
        molecules = []
        for (raw, has_end), molecule in zip(generated.popleft(), parsed, strict=True):
            reason = molecule.reason if has_end else "no end token within the maximum length"
            molecules.append(Decoded(raw, None if reason else molecule.smiles, reason))
        yield molecules


def _parse(raw_smiles: Iterable[list[str]], n: int, mapper: Mapper) -> "Iterator[list[Standardized]]":
    """Parse SMILES chunk by chunk; large numbers in worker processes, while the model decodes the next chunk."""
    from molvae.chem.molecules import Standardized, read_decoded

    if n < _MIN_ROWS_FOR_WORKERS:
        yield from (list(map(_read_decoded, chunk)) for chunk in raw_smiles)
        return
    for parsed in mapper(read_decoded, raw_smiles):
        yield [Standardized(None, row.reason) if isinstance(row, WorkerFailure) else row for row in parsed]


@lru_cache(maxsize=_MAX_CACHED)
def _read_decoded(raw_smiles: str) -> "Standardized":
    """As `read_decoded`; a search decodes the same SMILES again and again."""
    from molvae.chem.molecules import read_decoded

    return read_decoded(raw_smiles)
