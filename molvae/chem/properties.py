"""Numbers about one molecule, each with its unit, the range usual in medicinal chemistry, and its source."""

import gzip
import importlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import QED, Crippen, Descriptors, rdMolDescriptors

from molvae.chem import alerts, molecules
from molvae.errors import InputError


@dataclass(frozen=True)
class Property:
    """One number about a molecule.

    unit: of the value; "" where it is a plain number. usual: about where nine of ten molecules of medicinal chemistry
    lie (5th to 95th percentile of a random sample of ChEMBL, rounded).
    """

    name: str
    function: Callable[[Chem.Mol], float]
    unit: str
    usual: tuple[float, float]
    source: str


def compute(smiles: Sequence[str | None], names: Sequence[str]) -> pd.DataFrame:
    """One row per molecule, in order; one float column per name; NaN where a molecule or a number failed.

    Raises:
        InputError: a name is not a property.

    Example:
        >>> compute(["CCO", "no molecule"], ["heavy_atoms"])["heavy_atoms"].tolist()
        [3.0, nan]
    """
    functions = [look_up(name).function for name in names]
    values = np.full((len(smiles), len(functions)), np.nan)
    with rdBase.BlockLogs():
        for row, text in enumerate(smiles):
            values[row] = _values(text, functions)
    return pd.DataFrame(values, columns=list(names))


def compute_row(smiles: str | None, names: Sequence[str]) -> list[float]:
    """The properties of one molecule in the order of the names, for the worker pool; NaN as in compute()."""
    with rdBase.BlockLogs():
        return _values(smiles, [look_up(name).function for name in names])


def look_up(name: str) -> Property:
    """The property of that name.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    if name not in PROPERTIES:
        raise InputError(f"property {name!r} is not known; known: {', '.join(PROPERTIES)}")
    return PROPERTIES[name]


def count_open_stereo_centers(mol: Chem.Mol) -> int:
    """Stereo centres (atoms) whose configuration the SMILES leaves open.

    Example:
        >>> count_open_stereo_centers(Chem.MolFromSmiles("C[C@H](N)C(O)CC"))
        1
    """
    centers = Chem.FindMolChiralCenters(mol, includeUnassigned=True, useLegacyImplementation=False)
    return sum(label == "?" for _, label in centers)


def _values(text: str | None, functions: Sequence[Callable[[Chem.Mol], float]]) -> list[float]:
    try:
        mol = molecules.parse(text or "")
    except InputError:
        return [np.nan] * len(functions)
    return [_value(function, mol) for function in functions]


def _value(function: Callable[[Chem.Mol], float], mol: Chem.Mol) -> float:
    try:
        return float(function(mol))
    except (ValueError, RuntimeError, ZeroDivisionError, OverflowError):  # what RDKit raises on molecules of odd kinds
        return np.nan


def _sa_score(mol: Chem.Mol) -> float:
    return _contrib("SA_Score.sascorer").calculateScore(mol)


def _np_score(mol: Chem.Mol) -> float:
    return _contrib("NP_Score.npscorer").scoreMol(mol, _np_model())


@cache
def _contrib(module: str) -> Any:
    return importlib.import_module(f"rdkit.Contrib.{module}")


@cache
def _np_model() -> dict[int, float]:
    """The model that ships with RDKit, read here because its own reader prints to stderr."""
    path = Path(_contrib("NP_Score.npscorer").__file__).with_name("publicnp.model.gz")
    with gzip.open(path) as file:
        return pickle.load(file)


def _stereo_centers(mol: Chem.Mol) -> float:
    return len(Chem.FindMolChiralCenters(mol, includeUnassigned=True, useLegacyImplementation=False))


def _n_alerts(mol: Chem.Mol) -> float:
    return len(alerts.alerts(mol))


_LIPINSKI = "Lipinski et al. 1997, doi:10.1016/S0169-409X(96)00423-1"
_VEBER = "Veber et al. 2002, doi:10.1021/jm020017n"
_LOVERING = "Lovering et al. 2009, doi:10.1021/jm901241e"
_COUNT = "RDKit, exact count"

PROPERTIES: dict[str, Property] = {
    entry.name: entry
    for entry in (
        Property("qed", QED.qed, "", (0.2, 0.85), "drug-likeness; Bickerton et al. 2012, doi:10.1038/nchem.1243"),
        Property("sa_score", _sa_score, "", (2.0, 4.5), "1 easy to 10 hard to make; doi:10.1186/1758-2946-1-8"),
        Property("np_score", _np_score, "", (-2.0, 1.0), "likeness to natural products; doi:10.1021/ci700286x"),
        Property("logp", Crippen.MolLogP, "", (0.5, 6.5), "Wildman and Crippen 1999, doi:10.1021/ci990307l"),
        Property("tpsa", rdMolDescriptors.CalcTPSA, "Å²", (30.0, 140.0), "Ertl et al. 2000, doi:10.1021/jm000942e"),
        Property("mol_weight", Descriptors.MolWt, "Da", (250.0, 600.0), f"average mass; {_LIPINSKI}"),
        Property("hbd", rdMolDescriptors.CalcNumHBD, "", (0.0, 4.0), _LIPINSKI),
        Property("hba", rdMolDescriptors.CalcNumHBA, "", (2.0, 9.0), _LIPINSKI),
        Property("rings", rdMolDescriptors.CalcNumRings, "", (1.0, 6.0), _COUNT),
        Property("aromatic_rings", rdMolDescriptors.CalcNumAromaticRings, "", (0.0, 4.0), _COUNT),
        Property("rotatable_bonds", rdMolDescriptors.CalcNumRotatableBonds, "", (2.0, 12.0), _VEBER),
        Property("fraction_csp3", rdMolDescriptors.CalcFractionCSP3, "", (0.1, 0.75), _LOVERING),
        Property("heavy_atoms", rdMolDescriptors.CalcNumHeavyAtoms, "", (17.0, 42.0), _COUNT),
        Property("formal_charge", Chem.GetFormalCharge, "e", (0.0, 0.0), _COUNT),
        Property("stereo_centers", _stereo_centers, "", (0.0, 5.0), _COUNT),
        Property("alerts", _n_alerts, "", (0.0, 3.0), "rules of PAINS and BRENK that are hit; molvae.chem.alerts"),
    )
}
