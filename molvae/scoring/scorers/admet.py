"""A term that ADMET-AI predicts: absorption, distribution, metabolism, excretion or toxicity."""

import csv
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from molvae.chem.molecules import parse
from molvae.errors import InputError
from molvae.extras import require
from molvae.files import sha256_of
from molvae.scoring.scorer import Values
from molvae.scoring.scorers.checks import check_name
from molvae.scoring.term import ShapedTerm, Term
from molvae.workers import Mapper

_ENSEMBLES = {"classification": "admet_classification", "regression": "admet_regression"}
_CALCULATED = "Physicochemical"  # a category of the table of endpoints: not predicted
_N_REMEMBERED = 10_000  # molecules


class Endpoint(NamedTuple):
    """An endpoint of ADMET-AI.

    Parameters
    ----------
    name : str
        Name in ADMET-AI and in the Therapeutics Data Commons, such as "hERG".
    meaning : str
        What it is.
    kind : {"classification", "regression"}
        Probability in [0, 1], or a number.
    unit : str
        Unit of a number.
    is_toxicity : bool
        Whether it belongs to the category of toxicity.
    """

    name: str
    meaning: str
    kind: str
    unit: str
    is_toxicity: bool


def list_endpoints() -> dict[str, Endpoint]:
    """The endpoints that ADMET-AI predicts.

    Returns
    -------
    dict of str to Endpoint
        By name. The package is not imported.

    Raises
    ------
    MissingPackageError
        admet-ai is not installed.
    """
    with (_resources() / "data" / "admet.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["category"] != _CALCULATED]
    return {
        row["id"]: Endpoint(row["id"], row["name"], row["task_type"], row["units"], row["category"] == "Toxicity")
        for row in rows
    }


class AdmetTerm(ShapedTerm):
    """A prediction of ADMET-AI: the mean of five models, trained on data of the Therapeutics Data Commons.

    A classification is a probability from 0 to 1; for toxicity, lower is better by default. The candidate table has the
    standard deviation over the five models as `value_<term>_std`.

    Parameters
    ----------
    admet : str
        Name of the endpoint, such as "hERG".
    """

    admet: str = Field(description="endpoint of ADMET-AI")

    @classmethod
    def _defaults(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """A probability is from 0 to 1; that of toxicity should be low."""
        name = data.get("admet")
        endpoint = list_endpoints().get(name) if isinstance(name, str) and find_spec("admet_ai") else None
        if endpoint is None:  # unknown or not installed, which is refused, so that it is the only error
            return {"shape": "lower", "low": 0.0, "high": 1.0}
        if endpoint.kind != "classification":
            return {}
        return {"low": 0.0, "high": 1.0} | ({"shape": "lower"} if endpoint.is_toxicity else {})

    @field_validator("admet")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if find_spec("admet_ai") is None:  # the scorer reports a missing package
            return name
        return check_name(name, list(list_endpoints()), "endpoint", "endpoints")


class AdmetScorer:
    """Predicts an endpoint with ADMET-AI.

    The models of all classifications are one ensemble, those of all regressions another. A molecule is predicted once
    per ensemble, also for several terms, and apart from the other molecules, so that its batch does not matter.

    Parameters
    ----------
    settings : AdmetTerm
        Settings.

    Raises
    ------
    MissingPackageError
        admet-ai is not installed.
    """

    Settings: ClassVar[type[Term]] = AdmetTerm

    def __init__(self, settings: AdmetTerm) -> None:
        self._endpoint = list_endpoints()[settings.admet]

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the models of the endpoint; see `Scorer.identity`."""
        folder = _resources() / "models" / _ENSEMBLES[self._endpoint.kind]
        name = f"admet-ai {version('admet-ai')}"
        return {f"{name} {path.parent.name}/{path.name}": sha256_of(path) for path in sorted(folder.glob("*.pt"))}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Predict molecules in this process; see `Scorer.__call__`."""
        value, std = np.full(len(smiles), np.nan), np.full(len(smiles), np.nan)
        reasons: list[str | None] = [None] * len(smiles)
        for row, one in enumerate(smiles):
            try:
                predictions = _predict(self._endpoint.kind, one)
            except InputError as error:
                reasons[row] = str(error)
                continue
            of_models = predictions[:, _column(self._endpoint)]
            value[row], std[row] = of_models.mean(), of_models.std(ddof=1)
        return Values(value, reasons, {"std": std})


def _resources() -> Path:
    """The folder with the data and the models of ADMET-AI."""
    require("admet_ai", "a term with admet")
    spec = find_spec("admet_ai")
    (folder,) = spec.submodule_search_locations if spec and spec.submodule_search_locations else ("",)
    return Path(folder) / "resources"


def _column(endpoint: Endpoint) -> int:
    """The position of an endpoint among the outputs of its models."""
    return _load(endpoint.kind)[1].index(endpoint.name)


@lru_cache(maxsize=2 * _N_REMEMBERED)
def _predict(kind: str, smiles: str) -> np.ndarray:
    """The predictions of the models of an ensemble for one molecule, (models, endpoints)."""
    from chemprop.data import MoleculeDatapoint, MoleculeDataset, collate_batch

    mol = parse(smiles)
    models, _ = _load(kind)
    batch = collate_batch([MoleculeDataset([MoleculeDatapoint(mol=mol)])[0]])
    return np.stack([model(batch.bmg, batch.V_d, batch.X_d).numpy()[0] for model in models]).astype(float)


@cache
def _load(kind: str) -> tuple[list[Any], list[str]]:
    """The models of an ensemble, and the names of their outputs."""
    from chemprop.models import load_model
    from chemprop.models.utils import load_output_columns

    paths = sorted((_resources() / "models" / _ENSEMBLES[kind]).glob("*.pt"))
    models = [load_model(path, multicomponent=False).eval().requires_grad_(False) for path in paths]
    return models, list(load_output_columns(paths[0]))
