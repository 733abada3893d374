"""The functions for molecules that a query can call: the one table for code, help and documentation."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from molvae.chem.properties import PROPERTIES, Property, list_properties

Kind = Literal["number", "integer", "flag", "text"]


@dataclass(frozen=True)
class Function:
    """A function of molecules.

    Parameters
    ----------
    name : str
        Name in a query.
    pattern : {"", "SMILES", "SMARTS"}
        What has to be given in single quotes; "" for a function of the molecule alone.
    kind : {"number", "integer", "flag", "text"}
        Type of the values.
    meaning : str
        Description, for help and documentation.
    needs_codec : bool, default=False
        Whether a codec computes it.
    is_plugin : bool, default=False
        Whether another package provides it; its values are not stored.
    """

    name: str
    pattern: Literal["", "SMILES", "SMARTS"]
    kind: Kind
    meaning: str
    needs_codec: bool = False
    is_plugin: bool = False

    @property
    def call(self) -> str:
        """How it is called, such as `has('SMARTS')`."""
        return f"{self.name}('{self.pattern}')" if self.pattern else f"{self.name}()"


_STRUCTURE = (
    Function(
        "similar_to",
        "SMILES",
        "number",
        "Tanimoto similarity to a molecule in [0, 1]; Morgan fingerprints, radius 2, 2,048 bits",
    ),
    Function("has", "SMARTS", "flag", "whether the molecule contains the substructure"),
    Function(
        "count_of", "SMARTS", "integer", "number of matches of the substructure with different atoms, up to 1,000"
    ),
    Function(
        "scaffold",
        "",
        "text",
        "Bemis-Murcko scaffold (ring systems and linkers) as SMILES; '' for a molecule without rings",
    ),
    Function("generic_scaffold", "", "text", "scaffold in which all atoms are carbon and all bonds are single"),
    Function(
        "latent_distance",
        "SMILES",
        "number",
        "cosine distance (1 - cos) to the latent vector of a molecule, in [0, 2]; uses the latent vectors of the run",
        needs_codec=True,
    ),
    Function(
        "domain",
        "",
        "number",
        "percentile in the codec's applicability domain, 0 to 100; above 99 the molecule is unlike the training data",
        needs_codec=True,
    ),
)

_PROPERTIES = {
    "qed": "drug-likeness (QED), 0 to 1",
    "sa_score": "synthetic accessibility (SA score), 1 (easy) to 10 (hard to make)",
    "np_score": "natural-product likeness (NP score), about -5 to 5",
    "logp": "calculated logP (Crippen)",
    "tpsa": "topological polar surface area in Å²",
    "mol_weight": "average molecular weight in Da",
    "hbd": "number of H-bond donors",
    "hba": "number of H-bond acceptors",
    "rings": "number of rings",
    "aromatic_rings": "number of aromatic rings",
    "rotatable_bonds": "number of rotatable bonds",
    "fraction_csp3": "fraction of the carbon atoms that are sp3 (Fsp3)",
    "heavy_atoms": "number of atoms other than hydrogen",
    "formal_charge": "sum of the formal charges",
    "stereo_centers": "number of stereocenters, defined or not",
    "alerts": "number of structural alerts: PAINS and BRENK rules that match",
}
"""Meaning of the properties, for a reader who does not look up their sources."""

FUNCTIONS: dict[str, Function] = {one.name: one for one in _STRUCTURE} | {
    name: Function(name, "", "number", _PROPERTIES.get(name, entry.source)) for name, entry in PROPERTIES.items()
}
"""Name -> function; the properties of molvae.chem.properties.PROPERTIES have their names there."""


@cache
def list_functions() -> dict[str, Function]:
    """All functions, including the properties of other packages.

    Returns
    -------
    dict of str to Function
        By name.

    Raises
    ------
    InputError
        A plug-in cannot be loaded.
    """
    others: dict[str, Property] = {name: one for name, one in list_properties().items() if name not in FUNCTIONS}
    return FUNCTIONS | {
        name: Function(name, "", "number", entry.source, is_plugin=True) for name, entry in others.items()
    }
