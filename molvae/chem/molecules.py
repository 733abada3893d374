"""Text to molecule and back: what may reach RDKit, what it means, and the one canonical way to write it.

A text that cannot be used is data, not an exception: it comes back without SMILES and with a reason in words, whose
part before the first colon names the kind (so that reasons can be counted by kind).
"""

import re
import unicodedata
from numbers import Real
from typing import NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors

from molvae.errors import InputError

MAX_CHARACTERS = 1000
"""Longest text that may reach RDKit: none of this length was seen to crash it, 37,000 characters do."""
MAX_HEAVY_ATOMS = 200

_MAX_PASSES = 10
_MAX_BLOCK_CHARACTERS = 200_000


class Standardized(NamedTuple):
    """What became of one text.

    smiles: canonical, with stereo; None where the text cannot be used, and then `reason` says why.
    warning: what a chemist should know of a text that was used (a salt stripped, a word that may be no molecule).
    """

    smiles: str | None
    reason: str | None = None
    warning: str | None = None


def guard(raw: object) -> str | None:
    """The reason why a text must not reach RDKit; None if it may.

    RDKit silently drops a Cyrillic letter at either end, takes the first of two SMILES in one cell, reads an empty
    text as a molecule of no atoms, and can crash on long ones. White space around the text does no harm.

    Example:
        >>> guard("CCO CCN")
        'white space inside: one SMILES per cell is expected, got CCO CCN'
    """
    if not isinstance(raw, str):
        return "empty: no SMILES" if _is_missing(raw) else f"not text: a SMILES is expected, got {_shorten(repr(raw))}"
    text = raw.strip()
    if not text:
        return "empty: no SMILES"
    if len(text) > MAX_CHARACTERS:
        return f"too long: {len(text):,} characters, at most {MAX_CHARACTERS:,} can be read"
    if not (text.isascii() and text.isprintable()):
        return _explain_characters(text)
    if " " in text:
        return f"white space inside: one SMILES per cell is expected, got {_shorten(text)}"
    if text.startswith(("InChI=", "1S/")):
        return "an InChI: a SMILES is expected"
    return None


def standardize(raw: object) -> Standardized:
    """One molecule as this project writes it: salts and isotopes stripped, charges neutralized, canonical.

    Stereo is kept. A second call changes nothing. Text that needs none of this (no dot, charge, metal, isotope or
    imidic acid; nitro, aromatic N-oxide and azide groups do not count) is only parsed and written canonically, which is
    what the ChEMBL structure pipeline would make of it at many times the cost. Sulfoxides are written S(=O).

    Example:
        >>> standardize("C[NH+](C)CC(=O)[O-].[Cl-]")
        Standardized(smiles='CN(C)CC(=O)O', reason=None, warning='salt or solvent stripped: Cl; charges neutralized')

    Source: Bento et al. 2020, doi:10.1186/s13321-020-00456-1, for the long way.
    """
    return _canonical(raw, mend=True)


def canonicalize(raw: object) -> Standardized:
    """The canonical SMILES of a text as it stands: nothing is stripped or neutralized.

    Example:
        >>> canonicalize("OCC").smiles
        'CCO'
    """
    return _canonical(raw, mend=False)


def read_written(text: str) -> Standardized:
    """The molecule that a decoder wrote: as `canonicalize`, but an unpaired electron elsewhere than on O is a slip.

    A bracketed atom keeps the hydrogens that stand in it, so that one with a bond too few becomes a radical.

    Example:
        >>> read_written("C1CC[C@@H]1").reason
        'a radical: an unpaired electron on C'
    """
    return _canonical(text, mend=False, with_radicals=False)


def read_mol_block(block: str) -> Standardized:
    """The canonical SMILES of a mol block (V2000 or V3000), as it stands: nothing is stripped or neutralized.

    Stereo is taken from wedges and coordinates.
    """
    if len(block) > _MAX_BLOCK_CHARACTERS:
        return Standardized(None, f"too long: a mol block of {len(block):,} characters")
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromMolBlock(block)
            if mol is None:
                mol = Chem.MolFromMolBlock(block, sanitize=False)
                return Standardized(None, _explain_problems(mol) if mol else "not a mol block: it cannot be read")
            if mol.GetNumHeavyAtoms() > MAX_HEAVY_ATOMS:
                return Standardized(None, _explain_size(mol.GetNumHeavyAtoms()))
            return canonicalize(Chem.MolToSmiles(mol)) if mol.GetNumAtoms() else Standardized(None, "empty: no atoms")
        except (ValueError, RuntimeError) as error:
            return Standardized(None, f"not a mol block: {_first_line(error)}")


def parse(smiles: str) -> Chem.Mol:
    """The molecule of a text that is known to be canonical.

    Raises:
        InputError: it does not parse.
    """
    reason = guard(smiles)
    with rdBase.BlockLogs():
        mol, problem = (None, reason) if reason else _read(smiles)
    if mol is None:
        raise InputError(f"{_shorten(str(smiles))}: expected a canonical SMILES; {problem}")
    return mol


def to_smiles(molecule: object) -> object:
    """The SMILES of an RDKit molecule; anything else as it is, for guard() to judge.

    Example:
        >>> to_smiles(Chem.MolFromSmiles("OCC"))
        'CCO'
    """
    return Chem.MolToSmiles(molecule) if isinstance(molecule, Chem.Mol) else molecule


def shuffle_atoms(smiles: str, seed: int) -> str:
    """Another way of writing a canonical SMILES: from an atom drawn at random, branches in an order drawn at random.

    Raises:
        InputError: the SMILES does not parse.

    Example:
        >>> canonicalize(shuffle_atoms("CC(N)C(=O)O", seed=3)).smiles
        'CC(N)C(=O)O'
    """
    mol = parse(smiles)
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
    written: str = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
    return written


def remove_stereo(smiles: str) -> str:
    """The same molecule without stereo, canonical.

    Raises:
        InputError: it does not parse.

    Example:
        >>> remove_stereo("C[C@H](N)C(=O)O")
        'CC(N)C(=O)O'
    """
    mol = parse(smiles)
    Chem.RemoveStereochemistry(mol)
    return canonicalize(Chem.MolToSmiles(mol)).smiles or smiles


def inchikey(smiles: str) -> str | None:
    """The standard InChIKey; None for the rare molecule that InChI has no name for.

    Raises:
        InputError: it does not parse.

    Example:
        >>> inchikey("CCO")
        'LFQSCWFLJHTTHZ-UHFFFAOYSA-N'
    """
    with rdBase.BlockLogs():
        return Chem.MolToInchiKey(parse(smiles)) or None


def count_heavy_atoms(smiles: str) -> int:
    """Atoms other than hydrogen.

    Raises:
        InputError: it does not parse.
    """
    return int(parse(smiles).GetNumHeavyAtoms())


def parse_smarts(smarts: str) -> Chem.Mol:
    """A substructure pattern.

    Raises:
        InputError: naming the pattern that cannot be read.
    """
    text = smarts.strip() if isinstance(smarts, str) else ""
    if not text or len(text) > MAX_CHARACTERS or not (text.isascii() and text.isprintable()) or " " in text:
        problem = "it is empty" if not text else "it is too long, or holds white space or non-ASCII characters"
        raise InputError(f"SMARTS {_shorten(str(smarts))!r}: not a substructure pattern: {problem}; e.g. c1ccncc1")
    with rdBase.BlockLogs():
        pattern = Chem.MolFromSmarts(text)
    if pattern is None or not pattern.GetNumAtoms():
        raise InputError(f"SMARTS {_shorten(text)!r}: not a substructure pattern that can be read; e.g. c1ccncc1")
    return pattern


def is_substructure(pattern: Chem.Mol, mol: Chem.Mol) -> bool:
    """Whether the molecule holds the pattern; stereo written in the pattern must match."""
    return bool(mol.HasSubstructMatch(pattern, useChirality=True))


def _canonical(raw: object, mend: bool, with_radicals: bool = True) -> Standardized:
    """Read, mend where asked, write; again until nothing changes: what RDKit wrote it may write otherwise."""
    reason = guard(raw)
    if reason:
        return Standardized(None, reason)
    text = str(raw).strip()
    warnings = _warn_of_word(text) if mend else []
    seen: list[str] = []
    with rdBase.BlockLogs():
        while text not in seen and len(seen) < _MAX_PASSES:
            seen.append(text)
            mol, reason = _read(text)
            if mol is None:
                return Standardized(None, reason)
            text = Chem.MolToSmiles(mol)
            if "*" in text:
                return Standardized(None, "an open place: * stands for any atom; a whole molecule is expected")
            if "~" in text or (":" in text and ":" in _BRACKETS.sub("", text)):
                return Standardized(None, "an open bond: ~ or : joins atoms in no definite way")
            if not with_radicals and "[" in text and (symbol := _unpaired(mol)):
                return Standardized(None, f"a radical: an unpaired electron on {symbol}")
            if mend and _needs_mending(text, mol):
                try:
                    text, found = _mend(mol, text)
                except (ValueError, RuntimeError) as error:  # what RDKit raises: sanitization, broken invariants
                    return Standardized(None, f"cannot be standardized: {_first_line(error)}")
                warnings += [warning for warning in found if warning not in warnings]
    # A circle of texts that RDKit turns into one another: any start ends at the same member.
    text = min(seen[seen.index(text) :]) if text in seen else text
    if mend and "." in text:
        parts = text.split(".")
        return Standardized(None, f"several molecules: one per row is expected, got {_shorten(' and '.join(parts))}")
    if len(text) > MAX_CHARACTERS:
        return Standardized(None, f"too long: its canonical SMILES has {len(text):,} characters")
    return Standardized(text, None, "; ".join(warnings) or None)


def _unpaired(mol: Chem.Mol) -> str | None:
    """The first element but oxygen, as in nitroxides, that has an unpaired electron."""
    symbols = (atom.GetSymbol() for atom in mol.GetAtoms() if atom.GetNumRadicalElectrons())
    return next((symbol for symbol in symbols if symbol != "O"), None)


def _read(text: str) -> tuple[Chem.Mol | None, str | None]:
    """The sanitized molecule of a guarded text, or the reason why there is none; RDKit's log is blocked elsewhere."""
    try:
        mol = Chem.MolFromSmiles(text, _PARSER)
    except RuntimeError as error:
        return None, f"not a molecule: {_first_line(error)}"
    if mol is None:
        return None, _explain_failure(text)
    n_heavy = mol.GetNumHeavyAtoms()
    if not n_heavy:
        return None, "no heavy atom: hydrogen alone is no molecule here"
    if n_heavy > MAX_HEAVY_ATOMS:
        return None, _explain_size(n_heavy)
    return mol, None


def _explain_size(n_heavy: int) -> str:
    return f"too large: {n_heavy} heavy atoms, at most {MAX_HEAVY_ATOMS} can be read"


def _explain_failure(text: str) -> str:
    mol = Chem.MolFromSmiles(text, UNSANITIZED)
    return f"not a SMILES: {_shorten(text)}" if mol is None else _explain_problems(mol)


def _explain_problems(mol: Chem.Mol) -> str:
    """Why RDKit cannot sanitize a molecule; an atom is named by its number as it stands in the text, from 1."""
    for problem in Chem.DetectChemistryProblems(mol):
        if problem.GetType() == "AtomValenceException":
            atom = mol.GetAtomWithIdx(problem.GetAtomIdx())
            return f"impossible valence: atom {atom.GetIdx() + 1} ({atom.GetSymbol()}) has too many bonds"
        if problem.GetType() in ("KekulizeException", "AtomKekulizeException"):
            return "not aromatic: a ring written in small letters cannot hold alternating double bonds"
    return "not a molecule: RDKit cannot make sense of its bonds"


def _explain_characters(text: str) -> str:
    for place, letter in enumerate(text, start=1):
        if not (letter.isascii() and letter.isprintable()):
            name = unicodedata.name(letter, "a control character").lower()
            kind = "white space inside" if letter.isspace() else "foreign character"
            return f"{kind}: U+{ord(letter):04X} ({name}) at place {place}; plain ASCII is expected"
    return f"foreign character in {_shorten(text)}"


def _is_missing(raw: object) -> bool:
    return raw is None or type(raw).__name__ in ("NAType", "NaTType") or (isinstance(raw, Real) and raw != raw)


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _warn_of_word(text: str) -> list[str]:
    """A short cell that RDKit can read though it is more likely a word, an element or a mark."""
    if not (text in _WORDS or (len(text) <= 2 and text.isalpha() and text.isupper() and text != "CC")):
        return []
    mol = Chem.MolFromSmiles(text, _PARSER)
    formula = rdMolDescriptors.CalcMolFormula(mol) if mol is not None else ""
    return [f"a word, perhaps: {text} is read as the molecule {formula}"] if formula else []


def _needs_mending(text: str, mol: Chem.Mol) -> bool:
    """Whether the long way could change a molecule, told from its canonical text."""
    if "[" in text or "." in text:
        rest = _HARMLESS.sub("", text)
        if "[" in rest or "." in rest:
            return True
    return ("=N" in text or "N=" in text) and mol.HasSubstructMatch(_IMIDIC_ACID)


def _mend(mol: Chem.Mol, text: str) -> tuple[str, list[str]]:
    """The text of the standardized parent of a molecule, and what was done to it in words."""
    from chembl_structure_pipeline import exclude_flag, standardizer  # its import costs more than RDKit's own

    warnings = []
    if any(atom.GetAtomMapNum() for atom in mol.GetAtoms()):
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        warnings.append("atom numbers removed")
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        warnings.append("isotope labels removed")
    is_metallic = exclude_flag.exclude_flag(mol, includeRDKitSanitization=False)
    if is_metallic:
        warnings.append("metal or boron cluster: charges and bonds kept as written")
    before = Chem.MolToSmiles(_write_sulfoxides(standardizer.get_isotope_parent_mol(mol)))
    whole = standardizer.standardize_mol(mol)
    if "." in text:
        parent, _ = standardizer.get_parent_mol(whole)
    else:  # what get_parent_mol does to a single molecule, without reading its lists of salts from disk each time
        parent = standardizer.uncharge_mol(standardizer.get_isotope_parent_mol(whole))
    after = Chem.MolToSmiles(_write_sulfoxides(parent))
    if "." in after and not is_metallic:
        after = _organic_part(after)
    if "." in text:
        parts = Chem.MolToSmiles(_write_sulfoxides(standardizer.get_isotope_parent_mol(whole))).split(".")
        kept = after.split(".")
        stripped = dict.fromkeys(part for part in parts if part not in kept and _neutralize(part) not in kept)
        if stripped:
            warnings.append(f"salt or solvent stripped: {', '.join(stripped)}")
        if "." not in after and sum(part not in stripped for part in parts) > 1:
            warnings.append("copies of one molecule taken as one")
    if not set(after.split(".")) <= set(before.split(".")):
        has_charge = any(atom.GetFormalCharge() for atom in Chem.MolFromSmiles(before, UNSANITIZED).GetAtoms())
        warnings.append("charges neutralized" if has_charge else "groups written in their usual form")
    return after, warnings


def _organic_part(text: str) -> str:
    """The one molecule with carbon, where ChEMBL's lists took every part for a salt (sodium benzoate); else all."""
    organic = {_neutralize(part) for part in text.split(".") if _has_carbon(part)}
    return organic.pop() if len(organic) == 1 else text


def _has_carbon(text: str) -> bool:
    return any(atom.GetAtomicNum() == 6 for atom in Chem.MolFromSmiles(text, UNSANITIZED).GetAtoms())


def _neutralize(text: str) -> str:
    from chembl_structure_pipeline import standardizer

    mol = Chem.MolFromSmiles(text, _PARSER)
    return text if mol is None else Chem.MolToSmiles(standardizer.uncharge_mol(mol))


def _write_sulfoxides(mol: Chem.Mol) -> Chem.Mol:
    """[S+][O-] as S=O, the way every text of the fast path has it; the chirality of the sulfur is kept."""
    mol = Chem.RWMol(mol)
    matches = mol.GetSubstructMatches(_CHARGED_SULFOXIDE)
    if matches:
        Chem.Kekulize(mol, clearAromaticFlags=True)  # RDKit may have taken a ring with [S+] in it for aromatic
    for sulfur, oxygen in matches:
        for index, step in ((sulfur, -1), (oxygen, 1)):
            atom = mol.GetAtomWithIdx(index)
            atom.SetFormalCharge(atom.GetFormalCharge() + step)
        mol.GetBondBetweenAtoms(sulfur, oxygen).SetBondType(Chem.BondType.DOUBLE)
    Chem.SanitizeMol(mol)
    return mol


def _parser(sanitize: bool) -> Chem.SmilesParserParams:
    parameters = Chem.SmilesParserParams()
    parameters.sanitize = sanitize
    parameters.removeHs = sanitize
    parameters.allowCXSMILES = False
    parameters.parseName = False
    return parameters


_PARSER = _parser(sanitize=True)
UNSANITIZED = _parser(sanitize=False)

_HARMLESS = re.compile(
    r"\[N\+\]\(=O\)\[O-\]|O=\[N\+\]\(\[O-\]\)"  # nitro
    r"|\[n\+\]\(\[O-\]\)|\[O-\]\[n\+\]"  # aromatic N-oxide
    r"|N=\[N\+\]=\[N-\]|\[N-\]=\[N\+\]=N"  # azide
    r"|\[(?:B|C|N|O|F|Si|P|S|Cl|As|Se|Br|I|b|c|n|o|p|s|se)@{0,2}(?:H\d?)?\]"
)
_IMIDIC_ACID = Chem.MolFromSmarts("[C]([OH1;D1])=;!@[N;H0,H1]")
_CHARGED_SULFOXIDE = Chem.MolFromSmarts("[$([#16;+1;D3]),$([#16;+2;D4](-[O-;D1])-[O-;D1])]-[O;-1;D1]")
_BRACKETS = re.compile(r"\[[^\]]*\]")
_WORDS = frozenset(
    ("NON", "NOS", "SOS", "CNS", "PBS", "FBS", "PCB", "CON", "CFC", "POS", "SOON", "NOON", "BOSS", "COIN")
)
