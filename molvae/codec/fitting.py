"""Steps after training: fit the prior, measure the errors of the property head, calibrate the applicability domain."""

from collections.abc import Iterable

import numpy as np
import torch

from molvae.autoencoder import Autoencoder
from molvae.codec.codec import Codec
from molvae.codec.domain import DomainCalibration, measure_domain
from molvae.codec.encoding import encode_rows
from molvae.errors import InputError
from molvae.features.store import Rows
from molvae.latent.prior import Prior, PriorSettings
from molvae.latent.prior import fit_prior as fit_prior_to_latent
from molvae.seeds import generator

_PART = 20_000  # rows encoded at a time


def fit_prior(model: Autoencoder, rows: Rows, settings: PriorSettings | None = None, *, seed: int = 0) -> Prior:
    """Fit a prior to the latent vectors of training molecules.

    Parameters
    ----------
    model : Autoencoder
        A trained model.
    rows : Rows
        Features of the training molecules.
    settings : PriorSettings, optional
        Kind of prior, and number of molecules that it is fitted to; a Gaussian by default.
    seed : int, default=0
        Seed of the choice of molecules, and of the fit.

    Returns
    -------
    Prior
        The fitted prior.

    Raises
    ------
    InputError
        There are too few molecules.
    """
    settings = settings or PriorSettings()
    chosen = np.sort(generator(seed, "prior fit").permutation(len(rows))[: settings.n_molecules])
    parts = np.array_split(chosen, max(1, len(chosen) // _PART))
    z = np.concatenate([encode_rows(model, rows, part) for part in parts])
    return fit_prior_to_latent(z, settings, seed=seed)


def property_errors(model: Autoencoder, rows: Rows, *, n: int = 5_000, seed: int = 0) -> dict[str, float]:
    """Errors of the property head on labelled molecules.

    Parameters
    ----------
    model : Autoencoder
        A trained model.
    rows : Rows
        Features and labels of molecules.
    n : int, default=5000
        Maximum number of molecules, drawn at random.
    seed : int, default=0
        Seed of the draw.

    Returns
    -------
    dict of str to float
        Property -> root mean square error in its own unit; empty without a property head or labels.
    """
    if model.property_head is None or not len(rows.labelled):
        return {}
    chosen = np.sort(generator(seed, "property errors").permutation(rows.labelled)[:n])
    with torch.no_grad():
        predicted = model.property_head(torch.from_numpy(encode_rows(model, rows, chosen))).numpy()
    errors = np.sqrt(np.nanmean((predicted - rows.labels(chosen)) ** 2, axis=0))
    return {name: round(float(error), 4) for name, error in zip(rows.label_names, errors, strict=True)}


def fit_domain(
    codec: Codec,
    molecules: Rows | Iterable[object],
    *,
    n: int = 20_000,
    seed: int = 0,
    remove_stereo: bool = False,
    chosen: np.ndarray | None = None,
) -> DomainCalibration:
    """Calibrate the applicability domain of a codec.

    Use held-out molecules of the same kind as the training set. Training molecules are reconstructed better than new
    ones, so that with them too many new molecules would be out of domain.

    Parameters
    ----------
    codec : Codec
        A trained codec.
    molecules : Rows or iterable of str or rdkit.Chem.Mol
        Molecules, or their stored features. Molecules that the codec cannot encode are skipped.
    n : int, default=20000
        Maximum number of molecules to measure, drawn at random.
    seed : int, default=0
        Seed of the draw.
    remove_stereo : bool, default=False
        Remove stereo, as in `Codec.encode`; unused for stored features.
    chosen : ndarray of int, optional
        Row numbers of the stored features to draw from; all by default.

    Returns
    -------
    DomainCalibration
        The calibration, for `Codec.calibration`.

    Raises
    ------
    InputError
        Fewer than two molecules can be encoded.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import pandas as pd
    >>> from molvae import load_codec
    >>> from molvae.bundled import bundled
    >>> codec, held_out = load_codec("moses"), pd.read_csv(bundled("moses_sample.csv.gz"))["smiles"]
    >>> codec = replace(codec, calibration=fit_domain(codec, held_out, n=500))
    >>> bool(codec.applicability_domain(["CC(=O)Nc1ccc(OOOO)cc1"])["in_domain"][0])
    False
    """
    random = generator(seed, "domain fit")
    if isinstance(molecules, Rows):
        candidates = np.arange(len(molecules)) if chosen is None else chosen
        drawn = np.sort(random.permutation(candidates)[:n])
        parts = [part for part in np.array_split(drawn, max(1, len(drawn) // _PART)) if len(part)]
        measured = [
            measure_domain(codec.model, codec.prior, encode_rows(codec.model, molecules, part), molecules.rows(part))
            for part in parts
        ]
    else:
        given = list(molecules)
        encoding = codec.encode(
            [given[i] for i in np.sort(random.permutation(len(given))[:n])], remove_stereo=remove_stereo
        )
        features = codec.featurizer.encode([smiles or "" for smiles in encoding.smiles])
        ok = encoding.ok & features.ok
        measured = [measure_domain(codec.model, codec.prior, encoding.z[ok], features.x[ok])] if ok.any() else []
    if not measured:
        raise InputError("the applicability domain needs at least 2 molecules that can be encoded, got 0")
    return DomainCalibration.fit({name: np.concatenate([part[name] for part in measured]) for name in measured[0]})
