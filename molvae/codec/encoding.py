"""Molecules to latent vectors: standardize, featurize, encode."""

from collections.abc import Iterable

import numpy as np
import torch

from molvae.autoencoder import Autoencoder
from molvae.codec.results import Encoding
from molvae.feature_spec import FeatureSpec
from molvae.features.featurizer import Featurizer
from molvae.features.store import Rows, filled_lengths, model_input
from molvae.inputs import read_molecules

BATCH_SIZE = 512
_GROUP = 16  # batches are filled up to multiples: oneDNN keeps memory for each size that it has multiplied


def encode_molecules(
    model: Autoencoder, featurizer: Featurizer, molecules: Iterable[object] | str, remove_stereo: bool
) -> Encoding:
    """Standardize, featurize and encode molecules.

    Parameters
    ----------
    model : Autoencoder
        The model whose encoder is used.
    featurizer : Featurizer
        Computes the features that the encoder reads.
    molecules, remove_stereo
        As for `Codec.encode`.

    Returns
    -------
    Encoding
        One row per molecule, in order.
    """
    from molvae.chem import molecules as chem

    smiles: list[str | None] = []
    reason: list[str | None] = []
    note: list[str | None] = []
    given = read_molecules(molecules)
    for molecule in given.items:
        standard = molecule if isinstance(molecule, chem.Standardized) else chem.standardize(molecule)
        final = standard.smiles
        if remove_stereo and final is not None and chem.has_stereo(final):
            final = chem.remove_stereo(final)
        changes = [standard.warning, "stereo removed" if final != standard.smiles else None]
        smiles.append(final)
        reason.append(standard.reason)
        note.append("; ".join(filter(None, changes)) or None)
    z = np.full((len(smiles), model.bottleneck.n_latent), np.nan, np.float32)
    valid = [row for row, one in enumerate(smiles) if one is not None]
    features = featurizer.encode([smiles[row] or "" for row in valid])
    for row, problem in zip(valid, features.reason, strict=True):
        hint = " (remove_stereo=True removes it)" if problem and "stereo" in problem and not remove_stereo else ""
        reason[row] = f"{problem}{hint}" if problem else None
    z[np.array(valid, np.int64)[features.ok]] = encode_features(model, features.x[features.ok], featurizer.spec)
    return Encoding(z, np.array([one is None for one in reason], bool), reason, smiles, note, given.row_labels)


def encode_features(model: Autoencoder, x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Encode feature rows; rows of similar length share a batch, so that there is little padding.

    Parameters
    ----------
    model : Autoencoder
        The model whose encoder is used.
    x : ndarray of shape (n, ...)
        Features as the encoder reads them.
    spec : FeatureSpec
        Kind and size of the features.

    Returns
    -------
    ndarray of shape (n, D)
        Latent vectors, float32, in the order of `x`.
    """
    if not len(x):
        return np.empty((0, model.bottleneck.n_latent), np.float32)
    lengths = filled_lengths(x, spec)
    order = np.argsort(lengths, kind="stable")
    parts = []
    for start in range(0, len(order), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        padded = np.append(rows, np.repeat(rows[-1], -len(rows) % _GROUP))
        parts.append(
            model.encode(torch.from_numpy(model_input(x[padded], spec, lengths[rows[-1]])))[: len(rows)].numpy()
        )
    z = np.empty((len(x), parts[0].shape[1]), np.float32)
    z[order] = np.concatenate(parts)
    return z


def encode_rows(model: Autoencoder, rows: Rows, chosen: np.ndarray) -> np.ndarray:
    """Encode rows of stored features.

    Parameters
    ----------
    model : Autoencoder
        The model whose encoder is used.
    rows : Rows
        Stored features.
    chosen : ndarray of shape (n,)
        Row numbers.

    Returns
    -------
    ndarray of shape (n, D)
        Latent vectors, float32, in the order of `chosen`.
    """
    view = rows.views(chosen)
    if view is None:
        return encode_features(model, rows.rows(chosen), rows.spec)
    return encode_features(model, view, rows.view_spec or rows.spec)
