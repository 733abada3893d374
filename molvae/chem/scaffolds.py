"""Bemis-Murcko scaffolds: the ring systems of a molecule and the linkers between them."""

from collections.abc import Iterable
from functools import lru_cache

from rdkit import Chem, rdBase
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
    mol = molecules.parse_shared(smiles)
    with rdBase.BlockLogs():
        scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)
    return _canonical(scaffold) if scaffold else ""


@lru_cache(maxsize=10_000)
def _canonical(scaffold: str) -> str:
    return molecules.canonicalize(scaffold).smiles or scaffold


def generic_murcko(smiles: str) -> str:
    """Extract the generic Bemis-Murcko scaffold of a molecule [1]_: the graph of its rings and linkers.

    Unlike the scaffold of `murcko`, it has no atoms with a double bond to the rings or linkers.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    str
        A SMILES in which all atoms are carbon and all bonds are single; "" for a molecule without rings.

    Raises
    ------
    InputError
        The SMILES is invalid.

    References
    ----------
    .. [1] Bemis and Murcko 1996, doi:10.1021/jm9602928, "graph framework".

    Examples
    --------
    >>> generic_murcko("O=C(c1ccccc1)N1CCCC1"), generic_murcko("CCO")
    ('C1CCC(CC2CCCC2)CC1', '')
    """
    mol = Chem.RWMol(molecules.parse_shared(smiles))
    graph = {atom.GetIdx(): {other.GetIdx() for other in atom.GetNeighbors()} for atom in mol.GetAtoms()}
    ends = [index for index, neighbors in graph.items() if len(neighbors) < 2]
    while ends:
        index = ends.pop()
        for neighbor in graph.pop(index, ()):
            graph[neighbor].discard(index)
            if len(graph[neighbor]) < 2:
                ends.append(neighbor)
    generic = Chem.RWMol()
    new = {index: generic.AddAtom(Chem.Atom(6)) for index in graph}
    for bond in mol.GetBonds():
        if (begin := bond.GetBeginAtomIdx()) in new and (end := bond.GetEndAtomIdx()) in new:
            generic.AddBond(new[begin], new[end], Chem.BondType.SINGLE)
    return str(Chem.MolToSmiles(generic))  # not sanitized: an atom may have five bonds


def scaffold_key(smiles: str, is_generic: bool = False) -> str:
    """Compute a string that is equal for molecules with the same scaffold.

    Stereo, isotopes, and the charges of protonated and alkylated atoms do not count. Tautomers can have different
    scaffolds.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    is_generic : bool, default=False
        Whether to compare the generic scaffolds of `generic_murcko` instead of those of `murcko`.

    Returns
    -------
    str
        A SMILES; "" for a molecule without rings.

    Raises
    ------
    InputError
        The SMILES is invalid.

    Examples
    --------
    >>> scaffold_key("C[N@H+]1CCC[C@H]1C"), scaffold_key("CN1CCCC1")
    ('C1CCNC1', 'C1CCNC1')
    """
    if is_generic:
        return generic_murcko(smiles)
    scaffold = murcko(smiles)
    return _neutral(scaffold) if "[" in scaffold else scaffold


@lru_cache(maxsize=10_000)
def _neutral(scaffold: str) -> str:
    return molecules.standardize(scaffold).smiles or scaffold


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
