"""A term that a model of an assay predicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from molvae.errors import InputError
from molvae.scoring.scorer import Values
from molvae.scoring.term import CostlyTerm, Term
from molvae.workers import Mapper

if TYPE_CHECKING:
    from molvae.qsar.model import AssayModel

_SIGN = {"higher": -1.0, "lower": 1.0, "window": 0.0}


class PredictedTerm(CostlyTerm):
    """The prediction of a model of an assay: the keys that all such terms share.

    Parameters
    ----------
    pessimism : float, default=1.0
        Number of standard deviations by which a prediction is made worse.
    min_similarity : float, default=0.3
        Tanimoto similarity to the nearest training molecule below which a molecule is outside the applicability domain
        of the model. Its desirability is multiplied by similarity / min_similarity, and it fails the check
        `in_model_domain`. 0 switches this off.
    cache : bool, default=False
        Whether predictions are stored in the cache of the objective; they take about as long as reading it.
    """

    pessimism: float = Field(1.0, ge=0, description="standard deviations by which the prediction is made worse")
    min_similarity: float = Field(0.3, ge=0, le=1, description="lowest similarity in the domain of the model")
    cache: bool = Field(False, description="whether values are stored in the cache of the objective")

    # the shape sets the sign of pessimism
    not_in_values: ClassVar[frozenset[str]] = (CostlyTerm.not_in_values - {"shape"}) | {"min_similarity"}

    def trust(self, extra: Mapping[str, np.ndarray]) -> np.ndarray | float:
        """The factor for molecules outside the domain of the model; see `Term.trust`.

        Parameters
        ----------
        extra : mapping of str to ndarray of shape (n,)
            With `similarity` to the training molecules.

        Returns
        -------
        ndarray of shape (n,) or float
            1 inside the domain, less outside; 1 for a molecule without a prediction, whose score is NaN anyway.
        """
        if not self.min_similarity or "similarity" not in extra:
            return 1.0
        return np.where(np.isnan(extra["similarity"]), 1.0, np.minimum(extra["similarity"] / self.min_similarity, 1.0))


class AssayTerm(PredictedTerm):
    """The prediction of a model that `molvae qsar fit` or `molvae.qsar.fit_assay` has written.

    The value is pessimistic: the mean minus `pessimism` standard deviations, so that the search does not reward
    uncertain predictions. For `shape = "lower"` it is the mean plus them; for a window, the mean itself.
    The candidate table has the mean, the standard deviation and the similarity to the training set as
    `value_<term>_mean`, `_std` and `_similarity`.

    Parameters
    ----------
    model : Path
        Folder of the model. A relative path starts at the campaign file.
    pessimism : float, default=1.0
        Number of standard deviations.
    min_similarity : float, default=0.3
        Lowest similarity to a training molecule in the applicability domain.
    cache : bool, default=False
        Whether predictions are stored in the cache of the objective; they take about as long as reading it.
    """

    model: Path = Field(description="folder of a model of an assay")


class AssayScorer:
    """Predicts with a model of an assay.

    Parameters
    ----------
    settings : AssayTerm
        Settings.

    Raises
    ------
    InputError
        The folder is not a model, or is damaged.
    """

    Settings: ClassVar[type[Term]] = AssayTerm

    def __init__(self, settings: AssayTerm) -> None:
        from molvae.qsar.model import load_model  # imports scikit-learn

        self._settings = settings
        if settings.model.is_file():
            raise InputError(
                f"model: {settings.model}: expected the folder of a model that molvae qsar fit has written; for a "
                'scikit-learn model, use the key sklearn = "model.skops"'
            )
        self._model = load_model(settings.model)

    def identity(self) -> Mapping[str, str]:
        """SHA-256 of the model; see `Scorer.identity`."""
        return {str(self._settings.model): self._model.sha256}

    def __call__(self, smiles: Sequence[str], mapper: Mapper) -> Values:
        """Predict molecules; see `Scorer.__call__`."""
        return predict(self._model, self._settings, smiles)


def predict(model: "AssayModel", settings: PredictedTerm, smiles: Sequence[str]) -> Values:
    """Predict molecules, made worse by the uncertainty.

    Parameters
    ----------
    model : AssayModel
        The model.
    settings : PredictedTerm
        The term.
    smiles : sequence of str
        SMILES; may contain invalid ones.

    Returns
    -------
    Values
        With the further columns mean, std and similarity.
    """
    table = model.predict(list(smiles))
    mean, std, similarity = (table[name].to_numpy(float) for name in ("value", "std", "similarity"))
    value = mean + _SIGN[settings.shape] * settings.pessimism * std
    reasons = ["the model cannot read the molecule" if missing else None for missing in np.isnan(value)]
    return Values(value, reasons, {"mean": mean, "std": std, "similarity": similarity})
