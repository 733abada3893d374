"""Molecular properties, each with its unit, its usual range in medicinal chemistry, and its source."""

import gzip
import importlib
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import QED, Crippen, Descriptors, rdMolDescriptors

from molvae.chem import alerts, molecules, rules
from molvae.errors import InputError
from molvae.inputs import read_molecules
from molvae.plugins import load_plugins


@dataclass(frozen=True)
class Property:
    """One property of a molecule; calling it computes the value.

    Parameters
    ----------
    name : str
        Name in PROPERTIES and in the settings.
    function : callable
        Computes the value for an RDKit molecule; may raise an exception.
    unit : str
        Unit of the value; "" for a plain number.
    usual : tuple of float
        Usual range in medicinal chemistry: 5th to 95th percentile of a random sample of ChEMBL, rounded.
    source : str
        Reference, and a short description where needed.
    """

    name: str
    function: Callable[[Chem.Mol], float]
    unit: str
    usual: tuple[float, float]
    source: str

    def __call__(self, mol: Chem.Mol) -> float:
        """The value for one molecule; NaN if RDKit cannot compute it."""
        try:
            return float(self.function(mol))
        except (ValueError, RuntimeError, ZeroDivisionError, OverflowError):  # RDKit raises these on unusual molecules
            return np.nan


def compute(smiles: Sequence[str | None], names: Sequence[str]) -> pd.DataFrame:
    """Compute properties of molecules.

    Parameters
    ----------
    smiles : sequence of str or None
        SMILES.
    names : sequence of str
        Names of PROPERTIES.

    Returns
    -------
    DataFrame
        One row per molecule, in order, with the row labels of a Series, and one float column per name. NaN if the
        SMILES is invalid or the value cannot be computed.

    Raises
    ------
    InputError
        A name is unknown.

    Examples
    --------
    >>> compute(["CCO", "C1CC"], ["heavy_atoms"])["heavy_atoms"].tolist()
    [3.0, nan]
    """
    properties = [look_up(name) for name in names]
    given = read_molecules(smiles, "smiles")
    values = np.full((len(given.items), len(properties)), np.nan)
    with rdBase.BlockLogs():
        for row, one in enumerate(given.items):
            values[row] = _values(_as_smiles(one), properties)
    return pd.DataFrame(values, columns=list(names), index=given.row_labels)


def compute_row(smiles: str | None, names: Sequence[str]) -> list[float]:
    """Compute properties of one molecule, for use with a `Mapper`.

    Parameters
    ----------
    smiles : str or None
        SMILES.
    names : sequence of str
        Names of PROPERTIES.

    Returns
    -------
    list of float
        One value per name, in order; NaN as in `compute`.

    Raises
    ------
    InputError
        A name is unknown.
    """
    with rdBase.BlockLogs():
        return _values(smiles, [look_up(name) for name in names])


def look_up(name: str) -> Property:
    """Look up a property by its name.

    Parameters
    ----------
    name : str
        Name of a property in PROPERTIES or from a plug-in.

    Returns
    -------
    Property

    Raises
    ------
    InputError
        The name is unknown; the message lists the known names.
    """
    if name in PROPERTIES:
        return PROPERTIES[name]
    known = list_properties()
    if name not in known:
        raise InputError(f"property {name!r} is not known; known: {', '.join(known)}")
    return known[name]


def list_properties() -> dict[str, Property]:
    """List all properties, including those of other packages (entry-point group ``molvae.properties``).

    Returns
    -------
    dict of str to Property
        By name; a new dict.

    Raises
    ------
    InputError
        A plug-in cannot be loaded, has the name of another property, or is not a `Property`.
    """
    return PROPERTIES | load_plugins("molvae.properties", (*PROPERTIES, *_RESERVED), Property)


_RESERVED = (
    "charge_at_ph", "cns_mpo_4_of_6", "functional_group", "scaffold", "similarity", "substructure", "unseen_rings",
    *rules.RULES,
)  # fmt: skip
"""Other terms of an objective."""


def count_open_stereo_centers(mol: Chem.Mol) -> int:
    """Count the stereocenters (atoms) whose configuration is not specified.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    int

    Examples
    --------
    >>> count_open_stereo_centers(Chem.MolFromSmiles("C[C@H](N)C(O)CC"))
    1
    """
    centers = Chem.FindMolChiralCenters(mol, includeUnassigned=True, useLegacyImplementation=False)
    return sum(label == "?" for _, label in centers)


def _as_smiles(molecule: object) -> str | None:
    smiles = molecules.to_smiles(molecule)
    if isinstance(smiles, str) and " |" in smiles:  # a CXSMILES
        return molecules.canonicalize(smiles).smiles
    return smiles if isinstance(smiles, str) else None


def _values(smiles: str | None, properties: Sequence[Property]) -> list[float]:
    try:
        mol = molecules.parse_shared(smiles or "")
    except InputError:
        return [np.nan] * len(properties)
    return [one(mol) for one in properties]


def _sa_score(mol: Chem.Mol) -> float:
    return _contrib("SA_Score.sascorer").calculateScore(mol)


def _np_score(mol: Chem.Mol) -> float:
    return _contrib("NP_Score.npscorer").scoreMol(mol, _np_model())


@cache
def _contrib(module: str) -> ModuleType:
    return importlib.import_module(f"rdkit.Contrib.{module}")


@cache
def _np_model() -> dict[int, float]:
    """The model that comes with RDKit. It is read here because RDKit's own reader prints to stderr."""
    path = Path(_contrib("NP_Score.npscorer").__file__ or "").with_name("publicnp.model.gz")
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
        Property("sa_score", _sa_score, "", (2.0, 4.5), "1 (easy) to 10 (hard to make); doi:10.1186/1758-2946-1-8"),
        Property("np_score", _np_score, "", (-2.0, 1.0), "natural product likeness; doi:10.1021/ci700286x"),
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
        Property("alerts", _n_alerts, "", (0.0, 3.0), "number of PAINS and BRENK rules that match; molvae.chem.alerts"),
    )
}
"""Name of a property -> its row."""
