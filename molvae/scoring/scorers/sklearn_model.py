"""A term that a scikit-learn model of the user predicts, from a file of skops."""

import json
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal
from zipfile import BadZipFile

import numpy as np
from pydantic import Field

from molvae.chem.fingerprints import morgan_bits, morgan_counts
from molvae.chem.molecules import standardize
from molvae.errors import InputError, MolvaeError
from molvae.extras import require
from molvae.files import sha256_of
from molvae.scoring.scorer import Values
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper

TRUSTED = ("molvae.estimators.CodecTransformer", "molvae.estimators.FingerprintTransformer")
"""Types of molvae that a file may contain; of scikit-learn, numpy and scipy, those that are known to be safe."""

_TRIAL = "CC(=O)Nc1ccc(O)cc1"
_BATCH_SIZE = 1000
_MAX_SHOWN = 300

Features = Literal["ecfp4_bits", "ecfp4_counts", "ecfp6_bits", "ecfp6_counts"]
"""Fingerprints that a model can learn from: Morgan fingerprints of radius 2 or 3, as bits or counts."""


class SklearnTerm(ShapedTerm):
    """The prediction of a scikit-learn model, stored with ``skops.io.dump``.

    The value is the prediction of a regressor, or the probability of class 1 of a classifier. The model reads SMILES,
    if it is a Pipeline that begins with `molvae.FingerprintTransformer` or `molvae.CodecTransformer`, or the
    fingerprints that `features` names; their length is the number of features of the model.

    Parameters
    ----------
    sklearn : Path
        The file, ending in .skops. A relative path starts at the campaign file.
    features : {"ecfp4_bits", "ecfp4_counts", "ecfp6_bits", "ecfp6_counts"}, optional
        Fingerprints that the model reads; None for a model that reads SMILES.
    """

    sklearn: Path = Field(description="file of a scikit-learn model, stored with skops")
    features: Features | None = Field(None, description="fingerprints that the model reads; None for SMILES")


class SklearnScorer:
    """Predicts with a scikit-learn model of the user.

    Parameters
    ----------
    settings : SklearnTerm
        Settings.

    Raises
    ------
    InputError
        The file is not one of skops, has a type that is not trusted, or its model cannot predict a molecule.
    MissingPackageError
        skops is not installed.
    """

    Settings: ClassVar[type[Term]] = SklearnTerm

    def __init__(self, settings: SklearnTerm) -> None:
        self._path = settings.sklearn
        self._model = load_sklearn(self._path)
        self._sha256 = sha256_of(self._path)
        self._features = settings.features
        self._class_column = _find_class(self._path, self._model)
        try:
            self._predict([_TRIAL])
        except Exception as error:  # the model may raise anything
            hint = (
                "if it learned from fingerprints, give them with features, e.g. features = 'ecfp4_counts'"
                if settings.features is None
                else "it must have learned from these features"
            )
            raise InputError(f"sklearn: {self._path}: cannot predict {_TRIAL}: {_first_line(error)}; {hint}") from error

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the file; see `Scorer.identity`."""
        return {str(self._path): self._sha256}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Predict molecules; see `Scorer.__call__`."""
        standard = [standardize(one) for one in smiles]
        value, reasons = np.full(len(smiles), np.nan), [one.reason for one in standard]
        known = [row for row, one in enumerate(standard) if one.smiles is not None]
        for begin in range(0, len(known), _BATCH_SIZE):
            rows = known[begin : begin + _BATCH_SIZE]
            try:
                value[rows] = self._predict([standard[row].smiles or "" for row in rows])
            except Exception:  # one molecule is enough to make a batch fail
                for row in rows:
                    try:
                        value[row] = self._predict([standard[row].smiles or ""])[0]
                    except Exception as error:
                        reasons[row] = f"{self._path.name}: {_first_line(error)}"
        for row in known:
            if reasons[row] is None and not np.isfinite(value[row]):
                value[row], reasons[row] = np.nan, f"{self._path.name}: the prediction is not a finite number"
        return Values(value, reasons)

    def _predict(self, smiles: list[str]) -> np.ndarray:
        x: Any = np.array(smiles, object)
        if self._features is not None:
            compute = morgan_counts if self._features.endswith("counts") else morgan_bits
            n_bits = int(getattr(self._model, "n_features_in_", 2048))
            x = compute(smiles, 3 if self._features.startswith("ecfp6") else 2, n_bits).astype(np.float32)
        if self._class_column is None:
            found = np.asarray(self._model.predict(x), np.float64)
        else:
            found = np.asarray(self._model.predict_proba(x), np.float64)[:, self._class_column]
        if found.reshape(-1).shape != (len(smiles),):
            raise MolvaeError(f"expected one value per molecule, got an array of shape {found.shape}")
        return found.reshape(-1)


def load_sklearn(path: Path) -> Any:
    """Load a scikit-learn model from a file of skops; only trusted types are created.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    object
        The model, with a method `predict`.

    Raises
    ------
    InputError
        There is no such file, it is not one of skops, has a type that is not trusted, or is not a fitted model.
    MissingPackageError
        skops is not installed.
    """
    if not path.is_file():
        raise InputError(f"sklearn: {path}: no such file")
    if path.suffix in (".pkl", ".pickle", ".joblib"):
        raise InputError(
            f"sklearn: {path}: a pickle can run any code when it is loaded and is not read; store the model with "
            "skops.io.dump(model, 'model.skops')"
        )
    require("skops", "a scikit-learn model as a term")
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        checked = skops.io.get_untrusted_types(file=path)
        unknown = [name for name in checked if not _is_trusted(name)]
        if unknown:
            raise InputError(
                f"sklearn: {path}: types that are not trusted: {', '.join(unknown[:5])}; replace them by types of "
                "scikit-learn, or use a Python function (python = 'file.py:function') that loads the model"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error", InconsistentVersionWarning)
            model = skops.io.load(path, trusted=checked)
    except InconsistentVersionWarning as error:
        raise InputError(
            f"sklearn: {path}: stored with scikit-learn {error.original_sklearn_version}, but "
            f"{error.current_sklearn_version} is installed; store the model again with this version"
        ) from None
    except MolvaeError:
        raise
    except (BadZipFile, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"sklearn: {path}: expected a file that skops.io.dump has written") from error
    except Exception as error:  # a damaged file can fail anywhere in skops
        raise InputError(f"sklearn: {path}: cannot be loaded: {_first_line(error)}") from error
    if not hasattr(model, "predict"):
        raise InputError(f"sklearn: {path}: expected a model with predict, got {type(model).__name__}")
    return model


def _is_trusted(name: str) -> bool:
    """Whether a type that skops does not trust itself is a class of scikit-learn, such as a tree, or one of molvae."""
    if name in TRUSTED:
        return True
    module, _, last = name.rpartition(".")
    if not module.startswith("sklearn."):
        return False
    try:
        kind = getattr(import_module(module), last, None)
    except ImportError:
        return False
    return isinstance(kind, type) and kind.__module__.startswith("sklearn.")  # neither functions nor imported names


def _find_class(path: Path, model: Any) -> int | None:
    """The column of the probability of class 1; None for a regressor."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        return None
    names = [str(name) for name in classes]
    positive = next((row for row, name in enumerate(names) if name.lower() in ("1", "1.0", "true", "active")), None)
    if len(names) != 2 or positive is None:
        raise InputError(f"sklearn: {path}: expected the classes 0 and 1, got {', '.join(names[:10])}")
    if not hasattr(model, "predict_proba"):
        raise InputError(
            f"sklearn: {path}: the classifier has no predict_proba; wrap it in CalibratedClassifierCV of scikit-learn"
        )
    return positive


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:_MAX_SHOWN]
