"""Constraints of a search: molecules that violate one are not scored."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from molvae.chem.fingerprints import morgan_bits, tanimoto_matrix
from molvae.chem.fixed_parts import read_kept
from molvae.chem.molecules import is_substructure, parse, parse_smarts, standardize
from molvae.chem.properties import compute, look_up
from molvae.errors import InputError
from molvae.settings import Settings

if TYPE_CHECKING:
    from molvae.codec import MoleculeSpace

_ANY_SIMILARITY = (0.0, 1.0)


@runtime_checkable
class _HasDomain(Protocol):
    """A codec with an applicability domain."""

    def applicability_domain(self, molecules: Iterable[object]) -> pd.DataFrame: ...


class ConstraintSettings(Settings):
    """Settings of the constraints, the section `[search.constraints]`. Without any, all molecules are feasible.

    Parameters
    ----------
    keep : str, optional
        What every molecule of the search keeps: SMILES with attachment points, or SMARTS. `[*:1]c1ccnc([*:2])c1`
        decorates one fragment, `[*:1]c1ccncc1.[*:2]C1CCOCC1` links two; only attachment points are substituted, see
        `molvae.chem.fixed_parts.FixedPart.is_in`. Without an attachment point it is a SMARTS, whose atoms may have any
        substituents. Unlike for the other constraints, proposals are made for it, and start molecules without it are
        skipped.
    required : tuple of str, default=()
        SMARTS of substructures that every molecule must have, for example a scaffold to keep.
    forbidden : tuple of str, default=()
        SMARTS of substructures that no molecule may have.
    similar_to : tuple of str, default=()
        SMILES that molecules are compared with; the most similar one counts.
    similarity : pair of float, default=(0, 1)
        Lowest and highest Tanimoto similarity to them (Morgan fingerprints, radius 2, 2,048 bits).
    properties : dict of str to pair of float, default={}
        Lowest and highest value of each property, by name.
    domain_percentile : float, optional
        Highest `domain_percentile` of the codec's applicability domain, in (0, 100].
    """

    keep: str | None = Field(None, description="fixed part that every molecule keeps")
    required: tuple[str, ...] = Field((), description="SMARTS that every molecule must have")
    forbidden: tuple[str, ...] = Field((), description="SMARTS that no molecule may have")
    similar_to: tuple[str, ...] = Field((), description="SMILES that molecules are compared with")
    similarity: tuple[float, float] = Field(_ANY_SIMILARITY, description="lowest and highest similarity to them")
    properties: dict[str, tuple[float, float]] = Field({}, description="lowest and highest value, by property")
    domain_percentile: float | None = Field(None, gt=0, le=100, description="highest percentile of the domain")

    @field_validator("keep")
    @classmethod
    def _is_kept(cls, keep: str | None) -> str | None:
        if keep is None:
            return None
        try:
            read_kept(keep)
            return keep.strip()
        except InputError as error:
            raise PydanticCustomError("keep", "{problem}", {"problem": str(error)}) from None

    @field_validator("required", "forbidden")
    @classmethod
    def _are_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for smarts in patterns:
            try:
                parse_smarts(smarts)
            except InputError as error:
                raise PydanticCustomError("smarts", "{problem}", {"problem": str(error)}) from None
        return patterns

    @field_validator("similar_to")
    @classmethod
    def _are_molecules(cls, molecules: tuple[str, ...]) -> tuple[str, ...]:
        for raw in molecules:
            reason = standardize(raw).reason
            if reason:
                raise PydanticCustomError("smiles", "{raw}: {reason}", {"raw": raw, "reason": reason})
        return molecules

    @field_validator("similarity")
    @classmethod
    def _is_a_band(cls, band: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= band[0] <= band[1] <= 1:
            raise PydanticCustomError("band", "expected [lowest, highest] similarity, both from 0 to 1")
        return band

    @field_validator("properties")
    @classmethod
    def _are_ranges(cls, ranges: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in ranges.items():
            try:
                look_up(name)
            except InputError as error:
                raise PydanticCustomError("property", "{problem}", {"problem": str(error)}) from None
            if not low <= high:
                raise PydanticCustomError("range", "{name}: expected [lowest, highest]; swap the two", {"name": name})
        return ranges

    @model_validator(mode="after")
    def _has_molecules_to_compare(self) -> Self:
        if self.similarity != _ANY_SIMILARITY and not self.similar_to:
            raise PydanticCustomError("similar_to", "similarity requires similar_to, the SMILES to compare with")
        return self


class Constraints:
    """Checks molecules against the constraints of a search.

    Parameters
    ----------
    settings : ConstraintSettings
        The constraints.
    codec : MoleculeSpace
        Codec of the search, for its applicability domain.

    Raises
    ------
    InputError
        `domain_percentile` is set, and the codec has no applicability domain.

    Examples
    --------
    >>> from molvae.codec import ToyCodec
    >>> constraints = Constraints(ConstraintSettings(required=("c1ccncc1",)), ToyCodec())
    >>> constraints.violations(["c1ccncc1", "CCO"])
    [None, 'required substructure c1ccncc1 is missing']
    """

    def __init__(self, settings: ConstraintSettings, codec: "MoleculeSpace") -> None:
        self._settings = settings
        self._kept = None if settings.keep is None else read_kept(settings.keep)
        self._required = [parse_smarts(smarts) for smarts in settings.required]
        self._forbidden = [parse_smarts(smarts) for smarts in settings.forbidden]
        self._bits = morgan_bits([standardize(raw).smiles or raw for raw in settings.similar_to])
        self._domain = codec if isinstance(codec, _HasDomain) else None
        if settings.domain_percentile is not None and self._domain is None:
            raise InputError("constraints: domain_percentile: this codec has no applicability domain")

    def violations(self, smiles: Sequence[str]) -> list[str | None]:
        """Check molecules.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        list of str or None
            The first constraint that each molecule violates; None for a feasible molecule.
        """
        reasons = [self._structural(one) for one in smiles]
        s = self._settings
        if s.properties:
            for name, values in compute(smiles, list(s.properties)).items():
                low, high = s.properties[str(name)]
                for row, value in enumerate(values):
                    if not low <= value <= high:  # NaN is infeasible, too
                        reasons[row] = reasons[row] or f"{name} {value:.4g} is outside [{low:g}, {high:g}]"
        if s.domain_percentile is not None and self._domain is not None:
            rows = [row for row, reason in enumerate(reasons) if reason is None]
            if rows:
                table = self._domain.applicability_domain([smiles[row] for row in rows])
                for row, percentile in zip(rows, table["domain_percentile"].to_numpy(float), strict=True):
                    if not percentile <= s.domain_percentile:
                        reasons[row] = f"domain percentile {percentile:.4g} is above {s.domain_percentile:g}"
        return reasons

    def _structural(self, smiles: str) -> str | None:
        s = self._settings
        if self._kept is not None and not self._kept.is_in(smiles):
            return f"does not keep {s.keep}"
        if self._required or self._forbidden:
            mol = parse(smiles)
            for smarts, pattern in zip(s.required, self._required, strict=True):
                if not is_substructure(pattern, mol):
                    return f"required substructure {smarts} is missing"
            for smarts, pattern in zip(s.forbidden, self._forbidden, strict=True):
                if is_substructure(pattern, mol):
                    return f"has the forbidden substructure {smarts}"
        if len(self._bits):
            similarity = float(np.max(tanimoto_matrix(morgan_bits([smiles]), self._bits)))
            low, high = s.similarity
            if not low <= similarity <= high:
                return f"similarity {similarity:.2f} is outside [{low:g}, {high:g}]"
        return None
