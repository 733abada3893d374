"""A fitted model of an assay, and its folder.

The folder has no pickle. `training.csv` has the standardized molecules and their values, `model.json` the settings and
the fitted hyperparameters; `load_model` fits the model again from them, with the same result on the same machine.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molvae.chem.fingerprints import tanimoto_matrix
from molvae.chem.molecules import standardize
from molvae.errors import InputError
from molvae.files import sha256_of, write_text
from molvae.inputs import read_molecules
from molvae.qsar.assay import Task
from molvae.qsar.evaluation import clip
from molvae.qsar.fingerprints import morgan_bits
from molvae.qsar.protocol import MoleculeRegressor
from molvae.qsar.registry import make_model

FORMAT = 1
"""Version of the format of the folder."""

_CHUNK_ROWS = 1000

MODEL_FILE, TRAINING_FILE, CARD_FILE = "model.json", "training.csv", "card.json"
DROPPED_FILE, EVALUATION_FILE, REPORT_FILE = "dropped.csv", "out_of_fold.csv", "report.html"


@dataclass(frozen=True, eq=False, repr=False)
class AssayModel:
    """A model that predicts the target of an assay.

    Parameters
    ----------
    name : str
        Name of the model, a key of `molvae.qsar.registry.MODELS`.
    target : str
        Name of the target column.
    unit : str
        Unit of the predictions; "" if it is not known, "probability" for classes.
    task : {"regression", "classification"}
        Kind of target.
    sha256 : str
        SHA-256 of `model.json`, which holds the SHA-256 of `training.csv`: equal digests give equal predictions.
    card : dict
        Data, evaluation and settings, the content of `card.json`.
    regressor : MoleculeRegressor
        The fitted model.
    training_bits : ndarray of shape (m, 2048)
        Morgan bits of the training molecules.
    """

    name: str
    target: str
    unit: str
    task: Task
    sha256: str
    card: dict[str, Any]
    regressor: MoleculeRegressor
    training_bits: np.ndarray

    def __repr__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        return f"AssayModel({self.name!r}, {self.target}{unit}, {len(self.training_bits):,} molecules)"

    def _repr_html_(self) -> str:
        """The model and its evaluation, for notebooks: one column per split of the measured molecules."""
        metrics = pd.DataFrame(self.card.get("evaluation", {}))
        table = metrics.to_html(float_format="{:.3g}".format) if len(metrics) else "<p>Not evaluated.</p>"
        return f"<p>{escape(repr(self))}</p>{table}"

    def predict(self, smiles: Sequence[str | None]) -> pd.DataFrame:
        """Predict the target of molecules.

        Parameters
        ----------
        smiles : sequence of str
            SMILES, or RDKit molecules; they are standardized like those of the assay.

        Returns
        -------
        DataFrame
            One row per molecule, in order, with the row labels of a Series: value (for classes: the probability of
            class 1), std (standard deviation; see the class of the model) and similarity (highest Tanimoto similarity
            to a training molecule; Morgan fingerprints, radius 2, 2,048 bits). NaN where the SMILES is invalid.

        Examples
        --------
        >>> from molvae.qsar import load_model
        >>> load_model("model").predict(["CCO"])  # doctest: +SKIP
        """
        given = read_molecules(smiles, "smiles")
        table = self.predict_standardized([standardize(one).smiles for one in given.items])
        return table.set_axis(given.labels)

    def predict_standardized(self, smiles: Sequence[str | None]) -> pd.DataFrame:
        """Predict the target of molecules that are already standardized.

        Parameters
        ----------
        smiles : sequence of str or None
            Canonical SMILES of standardized molecules; None where there is none.

        Returns
        -------
        DataFrame
            As from `predict`.
        """
        given = read_molecules(smiles, "smiles")
        table = pd.DataFrame(np.nan, index=range(len(given.items)), columns=["value", "std", "similarity"])
        rows = [row for row, one in enumerate(given.items) if isinstance(one, str)]
        known = [given.items[row] for row in rows]
        if known:
            mean, std = self.regressor.predict(known, return_std=True)
            table.loc[rows, "value"] = clip(mean, self.task)
            table.loc[rows, "std"] = std
            table.loc[rows, "similarity"] = self._similarity(known)
        return table.set_axis(given.labels)

    def _similarity(self, smiles: Sequence[str]) -> np.ndarray:
        """The highest Tanimoto similarity to a training molecule, (n,)."""
        chunks = [morgan_bits(smiles[begin : begin + _CHUNK_ROWS]) for begin in range(0, len(smiles), _CHUNK_ROWS)]
        return np.concatenate([tanimoto_matrix(chunk, self.training_bits).max(axis=1) for chunk in chunks])


def load_model(folder: Path | str) -> AssayModel:
    """Load a model that `fit_assay` or `molvae qsar fit` has written.

    Parameters
    ----------
    folder : Path or str
        The folder.

    Returns
    -------
    AssayModel
        Gives the same predictions as the model that was stored.

    Raises
    ------
    InputError
        The folder is not a model, is damaged or changed, or is of another version.
    """
    folder = Path(folder)
    description = _read_json(folder, MODEL_FILE)
    if description.get("format") != FORMAT:
        raise InputError(
            f"{folder}: model format {description.get('format')} is not supported (expected {FORMAT}); fit the model "
            "again with this version of molvae"
        )
    path = folder / TRAINING_FILE
    if not path.is_file() or sha256_of(path) != description["training_sha256"]:
        raise InputError(f"{path}: missing or changed since the model was fitted; fit the model again")
    table = pd.read_csv(path, dtype={"smiles": str}, keep_default_na=False, float_precision="round_trip")
    smiles, y = table["smiles"].tolist(), table["value"].to_numpy(float)
    regressor = make_model(description["model"], description["settings"])
    regressor.restore(smiles, y, description["hyperparameters"])
    return AssayModel(
        description["model"], description["target"], description["unit"], description["task"],
        sha256_of(folder / MODEL_FILE), _read_json(folder, CARD_FILE), regressor, morgan_bits(smiles),
    )  # fmt: skip


def write_training(folder: Path, smiles: Sequence[str], y: np.ndarray) -> str:
    """Write the training molecules.

    Parameters
    ----------
    folder : Path
        Folder of the model.
    smiles : sequence of str
        Canonical SMILES.
    y : ndarray of shape (n,)
        Their values; they are restored exactly.

    Returns
    -------
    str
        SHA-256 of the file.
    """
    table = pd.DataFrame({"smiles": list(smiles), "value": y})
    write_text(folder / TRAINING_FILE, table.to_csv(index=False, lineterminator="\n"))
    return sha256_of(folder / TRAINING_FILE)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file.

    Parameters
    ----------
    path : Path
        The file.
    content : dict
        Its content, without NaN.
    """
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of a model that molvae qsar fit has written; no such folder")
    if not path.is_file():
        raise InputError(f"{folder}: expected the folder of a model that molvae qsar fit has written; no {name} in it")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (RecursionError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise InputError(f"{path}: damaged: not a JSON object; fit the model again")
    return content
