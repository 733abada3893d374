"""Bemis-Murcko scaffolds: the ring systems of a molecule and the linkers between them."""

from collections.abc import Iterable

from rdkit import rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from molvae.chem import molecules
from molvae.errors import InputError


def murcko(smiles: str) -> str:
    """Extract the Bemis-Murcko scaffold of a molecule [1]_.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    str
        Canonical SMILES of the scaffold, without stereo; "" for a molecule without rings.

    Raises
    ------
    InputError
        The SMILES is invalid.

    References
    ----------
    .. [1] Bemis and Murcko 1996, doi:10.1021/jm9602928.

    Examples
    --------
    >>> murcko("CC(=O)Oc1ccccc1C(=O)O"), murcko("CCO")
    ('c1ccccc1', '')
    """
    mol = molecules.parse(smiles)
    with rdBase.BlockLogs():
        scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)
    return molecules.canonicalize(scaffold).smiles or ""


def first_per_scaffold(smiles: Iterable[str], n: int) -> list[int]:
    """Select the first molecule of each scaffold.

    Each molecule without rings, and each invalid SMILES, counts as a separate scaffold.

    Parameters
    ----------
    smiles : iterable of str
        Canonical SMILES; read only until `n` molecules are selected.
    n : int
        Maximum number of molecules to select.

    Returns
    -------
    list of int
        Row numbers, ascending.

    Examples
    --------
    >>> first_per_scaffold(["Cc1ccccc1", "CCc1ccccc1", "CCO", "c1ccncc1"], 3)
    [0, 2, 3]
    """
    found: dict[str, int] = {}
    for row, one in enumerate(smiles):
        if len(found) >= n:
            break
        try:
            scaffold = murcko(one) or one
        except InputError:
            scaffold = one
        found.setdefault(scaffold, row)
    return list(found.values())
