"""Bemis-Murcko scaffolds: the rings of a molecule and what joins them."""

from rdkit import rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from molvae.chem import molecules


def murcko(smiles: str) -> str:
    """The scaffold's canonical SMILES, without stereo; "" for a molecule without rings.

    Raises:
        InputError: the SMILES does not parse.

    Example:
        >>> murcko("CC(=O)Oc1ccccc1C(=O)O"), murcko("CCO")
        ('c1ccccc1', '')

    Source: Bemis and Murcko 1996, doi:10.1021/jm9602928.
    """
    mol = molecules.parse(smiles)
    with rdBase.BlockLogs():
        scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)
    return molecules.canonicalize(scaffold).smiles or ""
