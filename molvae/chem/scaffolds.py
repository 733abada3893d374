"""Bemis-Murcko scaffolds: the rings of a molecule and what joins them."""

from collections.abc import Iterable

from rdkit import rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from molvae.chem import molecules
from molvae.errors import InputError


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


def first_of_each(smiles: Iterable[str], n: int) -> list[int]:
    """Places of the first n molecules that differ in scaffold from all before them, in order.

    Molecules without rings differ by themselves; a text that is no molecule counts as one of a kind.

    Example:
        >>> first_of_each(["Cc1ccccc1", "CCc1ccccc1", "CCO", "c1ccncc1"], 3)
        [0, 2, 3]
    """
    found: dict[str, int] = {}
    for place, text in enumerate(smiles):
        if len(found) >= n:
            break
        try:
            scaffold = murcko(text) or text
        except InputError:
            scaffold = text
        found.setdefault(scaffold, place)
    return list(found.values())
