"""What a mol block, a CXSMILES or an RDKit molecule holds and a SMILES cannot, and repairs of mol blocks.

What can be left out without a wrong molecule is left out with a warning; a structure that is not one molecule, such as
a repeat unit or a query, is a reason.
"""

import re
from typing import NamedTuple

from rdkit import Chem

STEREO_REMOVED = "and/or stereo removed"
"""Kind of the warning about a stereo group: its centers are a mixture (and) or one of two configurations (or)."""

AXIAL_REMOVED = "axial stereo removed"
"""Kind of the warning about an atropisomer."""

_CELL = re.compile(r"\s*(\S+)\s+\|([^|]*)\|\s*")
_FEATURE = re.compile(
    r"\(|\$|a:|&\d*:|o\d*:|r(?:$|,|:)|\^\d:|c:|t:|ctu:|w[UD]?:|H:|C:|f:|lp:|m:|LN:|SgD?H?:|atomProp:|u:|s:|rb:|RG:|LOG:"
)
"""How the features of an extension begin (ChemAxon's definition of CXSMILES)."""

_REFUSED = (
    (re.compile(r"(?:^|,)m:"), "variable attachment"),
    (re.compile(r"(?:^|,)LN:"), "link node"),
    (re.compile(r"(?:^|,)(?:u|s|rb):"), "query"),
    (re.compile(r"(?:^|,)(?:RG|LOG):"), "R group"),
    (re.compile(r"_AP\d"), "attachment point"),
)
_STEREO_ATOMS = re.compile(r"(?:^|,)(?:a|&\d*|o\d*):(\d+(?:,\d+)*)")
_WEDGED = re.compile(r"w[UD]:((?:\d+\.\d+,?)+)")
_POLYMERS = {"SRU", "MON", "MER", "COP", "CRO", "MOD", "GRA", "ANY"}
_ATROPISOMERS = (Chem.BondStereo.STEREOATROPCW, Chem.BondStereo.STEREOATROPCCW)
_COUNTS = re.compile(r"[ \d]{3}[ \d]{3}.*V[23]000")


class Extended(NamedTuple):
    """A SMILES and its CXSMILES extension.

    Parameters
    ----------
    smiles : str
        The SMILES.
    extension : str
        The text between the vertical bars.
    """

    smiles: str
    extension: str


def is_extension(text: str) -> bool:
    """Whether a text is a CXSMILES extension.

    Parameters
    ----------
    text : str
        Text from `|` to `|`.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_extension("|&1:1,3|"), is_extension("||"), is_extension("|x|")
    (True, True, False)
    """
    content = text[1:-1]
    return len(text) > 1 and text[0] == text[-1] == "|" and (not content or _FEATURE.match(content) is not None)


def split_extension(cell: str) -> Extended | None:
    """Split a CXSMILES.

    Parameters
    ----------
    cell : str
        Content of a cell.

    Returns
    -------
    Extended or None
        None if it is not a CXSMILES.

    Examples
    --------
    >>> split_extension("C[C@H](N)C(=O)O |&1:1|")
    Extended(smiles='C[C@H](N)C(=O)O', extension='&1:1')
    """
    found = _CELL.fullmatch(cell)
    return Extended(*found.groups()) if found and is_extension(f"|{found[2]}|") else None


def read_extended(cell: Extended) -> tuple[Chem.Mol | None, str | None, list[str]]:
    """The molecule of a CXSMILES, as a SMILES can describe it.

    Parameters
    ----------
    cell : Extended
        SMILES, which `molvae.chem.molecules.guard` accepts, and extension.

    Returns
    -------
    mol : rdkit.Chem.Mol or None
        None if it is invalid, or is not one molecule.
    reason : str or None
        Why there is no molecule; None also if the SMILES itself is invalid.
    warnings : list of str
        What was left out.
    """
    for pattern, what in _REFUSED:
        if pattern.search(cell.extension):
            return None, f"not one molecule: {what} in the CXSMILES extension", []
    try:
        mol = Chem.MolFromSmiles(f"{cell.smiles} |{cell.extension}|", _CX_PARSER)
    except RuntimeError:
        return None, "CXSMILES: the extension cannot be read", []
    if mol is None:
        is_valid = Chem.MolFromSmiles(cell.smiles) is not None
        return None, "CXSMILES: the extension cannot be read" if is_valid else None, []
    atoms = [int(one) for found in _STEREO_ATOMS.finditer(cell.extension) for one in found[1].split(",")]
    n_atoms = _count_atoms(cell.smiles)
    if atoms and max(atoms) >= n_atoms:
        return None, f"CXSMILES: the extension names atom {max(atoms)}, the SMILES has {n_atoms} (counted from 0)", []
    reason, warnings = simplify(mol)
    wedged = [
        int(pair.split(".")[0]) for found in _WEDGED.finditer(cell.extension) for pair in found[1].split(",") if pair
    ]
    if AXIAL_REMOVED not in warnings and any(i < mol.GetNumAtoms() and _is_axial(mol, i) for i in wedged):
        warnings.append(AXIAL_REMOVED)
    return (None, reason, []) if reason else (mol, None, warnings)


def simplify(mol: Chem.Mol) -> tuple[str | None, list[str]]:
    """Leave out of a molecule, in place, what a SMILES cannot hold.

    The configuration of the centers of stereo groups (and, or) is removed: the molecule is then a mixture, or one of
    several, and not the drawn stereoisomer.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        The molecule.

    Returns
    -------
    reason : str or None
        Why it is not one molecule.
    warnings : list of str
        What was left out.
    """
    reason = _why_not_one_molecule(mol)
    if reason:
        return f"not one molecule: {reason}", []
    warnings = []
    groups = [g for g in mol.GetStereoGroups() if g.GetGroupType() != Chem.StereoGroupType.STEREO_ABSOLUTE]
    n_centers = 0
    for group in groups:
        for atom in group.GetAtoms():
            n_centers += 1
            mol.GetAtomWithIdx(atom.GetIdx()).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
        for bond in group.GetBonds():
            n_centers += 1
            mol.GetBondWithIdx(bond.GetIdx()).SetStereo(Chem.BondStereo.STEREONONE)
    if n_centers:
        warnings.append(f"{STEREO_REMOVED}: {n_centers} {'center' if n_centers == 1 else 'centers'}")
    axes = [bond for bond in mol.GetBonds() if bond.GetStereo() in _ATROPISOMERS]
    for bond in axes:
        bond.SetStereo(Chem.BondStereo.STEREONONE)
    if axes:
        warnings.append(AXIAL_REMOVED)
    return None, warnings


def has_more_than_smiles(mol: Chem.Mol) -> bool:
    """Whether `simplify` could change or refuse a molecule.

    Parameters
    ----------
    mol : rdkit.Chem.Mol
        The molecule.

    Returns
    -------
    bool
    """
    return (
        len(mol.GetStereoGroups()) > 0
        or _why_not_one_molecule(mol) is not None
        or any(bond.GetStereo() in _ATROPISOMERS for bond in mol.GetBonds())
    )


def repair_block(block: str) -> str | None:
    """Repair the lines of a mol block that RDKit cannot read.

    Parameters
    ----------
    block : str
        Mol block.

    Returns
    -------
    str or None
        With three lines before the line of counts, without empty lines after it, and with its last line; None if there
        is nothing to repair.
    """
    lines = block.split("\n")
    counts = next((i for i, line in enumerate(lines[:10]) if _COUNTS.match(line)), None)
    if counts is None:
        return None
    before = [line for line in lines[:counts] if line.strip()][:3] if counts > 3 else lines[:counts]
    before += [""] * (3 - len(before))
    body = [line for line in lines[counts:] if line.strip()]
    if body[-1].rstrip() != "M  END":
        body.append("M  END")
    repaired = "\n".join([*before, *body]) + "\n"
    return repaired if repaired.split() != block.split() or repaired.rstrip("\n") != block.rstrip("\n") else None


def _why_not_one_molecule(mol: Chem.Mol) -> str | None:
    kinds = {group.GetProp("TYPE") for group in Chem.GetMolSubstanceGroups(mol) if group.HasProp("TYPE")}
    if kinds & _POLYMERS:
        return f"a repeat unit ({', '.join(sorted(kinds & _POLYMERS))})"
    if mol.HasProp("_molLinkNodes"):
        return "link node"
    for atom in mol.GetAtoms():
        if atom.HasProp("molAttchpt"):
            return "attachment point"
        if atom.HasProp("molFileAlias") and not _is_label_of(atom.GetProp("molFileAlias"), atom):
            return f"an abbreviation ({atom.GetProp('molFileAlias').strip()[:20]}) that is not expanded"
        if atom.HasQuery() and atom.GetAtomicNum():
            return "a query atom"
    return None


def _is_label_of(alias: str, atom: Chem.Atom) -> bool:
    """Whether the alias of an atom is a number, or the symbol of the atom with hydrogens, charge or isotope."""
    letters = re.sub(r"[^A-Za-z]", "", alias)
    symbol = atom.GetSymbol()
    known = {"", symbol, f"{symbol}H", f"H{symbol}", "H"} | (
        {"D"} if symbol == "H" else {"Me"} if symbol == "C" else set()
    )
    return letters in known


def _is_axial(mol: Chem.Mol, index: int) -> bool:
    """Whether a wedged bond can only mean an axis: its atom is not tetrahedral."""
    return str(mol.GetAtomWithIdx(index).GetHybridization()) != "SP3"


def _count_atoms(smiles: str) -> int:
    mol = Chem.MolFromSmiles(smiles, _UNSANITIZED)
    return mol.GetNumAtoms() if mol is not None else 0


def _parser(sanitize: bool, with_extension: bool) -> Chem.SmilesParserParams:
    parameters = Chem.SmilesParserParams()
    parameters.sanitize = sanitize
    parameters.removeHs = sanitize
    parameters.allowCXSMILES = with_extension
    parameters.strictCXSMILES = with_extension
    parameters.parseName = False
    return parameters


_CX_PARSER = _parser(sanitize=True, with_extension=True)
_UNSANITIZED = _parser(sanitize=False, with_extension=False)
