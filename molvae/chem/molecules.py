"""SMILES to molecules and back: checks before RDKit parses a string, standardization, and canonical SMILES.

An invalid SMILES is data, not an exception: the result has no SMILES but a reason. The part of a reason before the
first colon is its kind; reasons are counted by kind.
"""

import re
import unicodedata
from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors

from molvae.chem import structures
from molvae.errors import InputError, first_line

MAX_CHARACTERS = 1000
"""Longest string that is passed to RDKit: this length is safe, strings of 37,000 characters crash it."""
MAX_HEAVY_ATOMS = 200

_MAX_PASSES = 10
_MAX_SHARED = 1_000
_MAX_BLOCK_CHARACTERS = 200_000
_STEREO_MARKS = frozenset("@/\\")


class Standardized(NamedTuple):
    """The result of reading one SMILES.

    Parameters
    ----------
    smiles : str or None
        Canonical SMILES with stereo; None if the input is invalid.
    reason : str or None
        Why the input is invalid.
    warning : str or None
        What was changed or is doubtful, e.g. that a salt was stripped, or that the input may be a word.
    """

    smiles: str | None
    reason: str | None = None
    warning: str | None = None


def guard(raw: object) -> str | None:
    """Check whether a value can be passed to RDKit.

    RDKit silently drops a Cyrillic letter at either end, reads only the first of two SMILES in one cell, reads an empty
    string as a molecule without atoms, and can crash on long strings. Surrounding whitespace is allowed.

    Parameters
    ----------
    raw : object
        Value of a cell.

    Returns
    -------
    str or None
        Why the value must not be passed to RDKit; None if it can be.

    Examples
    --------
    >>> guard("CCO CCN")
    'whitespace: expected one SMILES per cell, got CCO CCN'
    """
    if not isinstance(raw, str):
        return "empty: no SMILES" if _is_missing(raw) else f"not a string: expected a SMILES, got {_shorten(repr(raw))}"
    smiles = raw.strip()
    if not smiles:
        return "empty: no SMILES"
    if len(smiles) > MAX_CHARACTERS:
        return f"too long: {len(smiles):,} characters; at most {MAX_CHARACTERS:,} are supported"
    if not (smiles.isascii() and smiles.isprintable()):
        return _explain_characters(smiles)
    if " " in smiles:
        return f"whitespace: expected one SMILES per cell, got {_shorten(smiles)}"
    if smiles.startswith(("InChI=", "1S/")):
        return "InChI: expected a SMILES"
    return None


def standardize(raw: object) -> Standardized:
    """Standardize a molecule: strip salts and isotopes, neutralize charges, and write the canonical SMILES.

    The ChEMBL structure pipeline [1]_ is used. Stereo is kept. Standardizing a result again does not change it.
    Sulfoxides are written S(=O). A SMILES that needs no standardization (no dot, charge, metal, isotope or imidic acid;
    nitro, aromatic N-oxide and azide groups are allowed) is only parsed and written, which gives the result of the
    pipeline at a fraction of the cost.

    What a SMILES cannot hold is removed with a warning: the configuration of and/or stereo groups, for example. Of a
    salt with one organic part this part is kept, however small it is.

    Parameters
    ----------
    raw : object
        SMILES, CXSMILES or RDKit molecule; any other value is invalid.

    Returns
    -------
    Standardized

    References
    ----------
    .. [1] Bento et al. 2020, doi:10.1186/s13321-020-00456-1.

    Examples
    --------
    >>> standardize("C[NH+](C)CC(=O)[O-].[Cl-]")
    Standardized(smiles='CN(C)CC(=O)O', reason=None, warning='salt or solvent stripped: Cl; charges neutralized')
    """
    return _read_canonical(raw, is_standardized=True)


def canonicalize(raw: object) -> Standardized:
    """Write the canonical SMILES of a molecule; nothing is stripped or neutralized.

    Parameters
    ----------
    raw : object
        SMILES, CXSMILES or RDKit molecule; any other value is invalid.

    Returns
    -------
    Standardized
        With a warning if a CXSMILES or a molecule holds what a SMILES cannot, and this was removed.

    Examples
    --------
    >>> canonicalize("OCC").smiles
    'CCO'
    """
    return _read_canonical(raw, is_standardized=False)


def read_decoded(raw_smiles: str) -> Standardized:
    """Read a SMILES from a decoder: like `canonicalize`, but a radical is invalid unless the electron is on O.

    A bracket atom has only the hydrogens written in it, so that it becomes a radical if a bond is missing.

    Parameters
    ----------
    raw_smiles : str
        SMILES as decoded.

    Returns
    -------
    Standardized

    Examples
    --------
    >>> read_decoded("C1CC[C@@H]1").reason
    'radical: unpaired electron on C'
    """
    return _read_canonical(raw_smiles, is_standardized=False, is_decoded=True)


def read_mol_block(block: str) -> Standardized:
    """Read the canonical SMILES of a mol block; nothing is stripped or neutralized.

    Parameters
    ----------
    block : str
        Mol block, V2000 or V3000. Stereo is read from wedges and coordinates. Empty lines in it are ignored, and a
        missing header line or last line is added.

    Returns
    -------
    Standardized
        With a warning if the block was repaired, or if it holds what a SMILES cannot and this was removed; see
        `molvae.chem.structures.simplify`.
    """
    if len(block) > _MAX_BLOCK_CHARACTERS:
        return Standardized(None, f"too long: a mol block of {len(block):,} characters")
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromMolBlock(block)
            warnings: list[str] = []
            if mol is None and Chem.MolFromMolBlock(block, sanitize=False) is None:
                repaired = structures.repair_block(block)
                if repaired is not None and Chem.MolFromMolBlock(repaired, sanitize=False) is not None:
                    block, warnings = repaired, ["mol block repaired: empty, missing or additional lines"]
                    mol = Chem.MolFromMolBlock(block)
            if mol is None:
                mol = Chem.MolFromMolBlock(block, sanitize=False)
                return Standardized(None, _explain_problems(mol) if mol else _explain_block(block))
            if not mol.GetNumAtoms():
                return Standardized(None, "empty: no atoms")
            found = canonicalize(mol)
            warnings += [found.warning] if found.warning else []
            return found._replace(warning=("; ".join(warnings) or None) if found.smiles else None)
        except (ValueError, RuntimeError) as error:
            return Standardized(None, f"invalid mol block: {first_line(error)}")


def parse(smiles: str | Chem.Mol) -> Chem.Mol:
    """Parse a SMILES that is known to be canonical.

    Parameters
    ----------
    smiles : str or rdkit.Chem.Mol
        Canonical SMILES. Of an RDKit molecule, the SMILES is written and parsed: explicit hydrogens are removed.

    Returns
    -------
    rdkit.Chem.Mol

    Raises
    ------
    InputError
        The SMILES is invalid.
    """
    smiles = to_smiles(smiles)
    reason = guard(smiles)
    with rdBase.BlockLogs():
        mol, problem = (None, reason) if reason else _read(smiles)
    if mol is None:
        raise InputError(f"{_shorten(str(smiles))}: expected a canonical SMILES; {problem}")
    return mol


def parse_shared(smiles: str | Chem.Mol) -> Chem.Mol:
    """Parse a canonical SMILES of a decoded molecule; the molecules that were parsed last are kept for reuse.

    Parameters
    ----------
    smiles : str or rdkit.Chem.Mol
        Canonical SMILES, or an RDKit molecule, as for `parse`.

    Returns
    -------
    rdkit.Chem.Mol
        A molecule that others use as well: copy it before a change.

    Raises
    ------
    InputError
        The SMILES is invalid.
    """
    smiles = to_smiles(smiles)
    with rdBase.BlockLogs():
        mol, problem = _read_shared(smiles)
    if mol is None:
        raise InputError(f"{_shorten(smiles)}: expected a canonical SMILES; {problem}")
    return mol


def to_smiles(molecule: Any) -> Any:
    """Write the SMILES of an RDKit molecule, without explicit hydrogens.

    Parameters
    ----------
    molecule : object
        RDKit molecule, or any other value.

    Returns
    -------
    str or object
        The SMILES; any other value unchanged, for a check by `guard`.

    Examples
    --------
    >>> to_smiles(Chem.MolFromSmiles("OCC"))
    'CCO'
    """
    if not isinstance(molecule, Chem.Mol):
        return molecule
    return Chem.MolToSmiles(Chem.RemoveHs(molecule, sanitize=False))


def shuffle_atoms(smiles: str, seed: int) -> str:
    """Write a randomized SMILES of a molecule: the first atom and the order of branches are drawn at random.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.
    seed : int
        Seed of the atom order.

    Returns
    -------
    str
        SMILES of the same molecule, not canonical.

    Raises
    ------
    InputError
        The SMILES is invalid.

    Examples
    --------
    >>> canonicalize(shuffle_atoms("CC(N)C(=O)O", seed=3)).smiles
    'CC(N)C(=O)O'
    """
    mol = parse(smiles)
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
    shuffled: str = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
    return shuffled


def has_stereo(smiles: str) -> bool:
    """Check whether a SMILES specifies stereo.

    Parameters
    ----------
    smiles : str
        SMILES.

    Returns
    -------
    bool

    Examples
    --------
    >>> has_stereo("C/C=C/C"), has_stereo("CC=CC")
    (True, False)
    """
    return not _STEREO_MARKS.isdisjoint(smiles)


def remove_stereo(smiles: str) -> str:
    """Remove the stereo of a molecule.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    str
        Canonical SMILES without stereo.

    Raises
    ------
    InputError
        The SMILES is invalid.

    Examples
    --------
    >>> remove_stereo("C[C@H](N)C(=O)O")
    'CC(N)C(=O)O'
    """
    mol = parse(smiles)
    Chem.RemoveStereochemistry(mol)
    return canonicalize(Chem.MolToSmiles(mol)).smiles or smiles


@lru_cache(maxsize=20_000)
def without_stereo(smiles: str) -> str:
    """SMILES without stereo, equal for the stereoisomers of a molecule; faster than `remove_stereo`.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    str
        A SMILES to compare; RDKit may write it in another way when it parses it.

    Examples
    --------
    >>> without_stereo("C[C@H](N)C(=O)O")
    'CC(N)C(=O)O'
    """
    if not has_stereo(smiles):
        return smiles
    mol = Chem.Mol(parse_shared(smiles))
    Chem.RemoveStereochemistry(mol)
    return str(Chem.MolToSmiles(mol))


def inchikey(smiles: str) -> str | None:
    """Compute the standard InChIKey.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    str or None
        The InChIKey; None for the rare molecule that InChI does not support.

    Raises
    ------
    InputError
        The SMILES is invalid.

    Examples
    --------
    >>> inchikey("CCO")
    'LFQSCWFLJHTTHZ-UHFFFAOYSA-N'
    """
    with rdBase.BlockLogs():
        return Chem.MolToInchiKey(parse(smiles)) or None


def count_heavy_atoms(smiles: str) -> int:
    """Count the atoms other than hydrogen.

    Parameters
    ----------
    smiles : str
        Canonical SMILES.

    Returns
    -------
    int

    Raises
    ------
    InputError
        The SMILES is invalid.
    """
    return int(parse(smiles).GetNumHeavyAtoms())


def parse_smarts(smarts: str) -> Chem.Mol:
    """Parse a SMARTS pattern.

    Parameters
    ----------
    smarts : str
        SMARTS pattern.

    Returns
    -------
    rdkit.Chem.Mol

    Raises
    ------
    InputError
        The pattern is invalid; the message quotes it.
    """
    text = smarts.strip() if isinstance(smarts, str) else ""
    if not text or len(text) > MAX_CHARACTERS or not (text.isascii() and text.isprintable()) or " " in text:
        problem = "it is empty" if not text else "it is too long, or has whitespace or non-ASCII characters"
        raise InputError(f"SMARTS {_shorten(str(smarts))!r}: invalid pattern: {problem}; expected e.g. c1ccncc1")
    with rdBase.BlockLogs():
        pattern = Chem.MolFromSmarts(text)
    if pattern is None or not pattern.GetNumAtoms():
        raise InputError(f"SMARTS {_shorten(text)!r}: invalid pattern; expected e.g. c1ccncc1")
    return pattern


def is_substructure(pattern: Chem.Mol, mol: Chem.Mol) -> bool:
    """Check whether a molecule contains a pattern.

    Parameters
    ----------
    pattern : rdkit.Chem.Mol
        Pattern; stereo specified in it must match.
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    bool
    """
    return bool(mol.HasSubstructMatch(pattern, useChirality=True))


def count_matches(pattern: Chem.Mol, mol: Chem.Mol) -> int:
    """Count the matches of a pattern in a molecule.

    Parameters
    ----------
    pattern : rdkit.Chem.Mol
        Pattern; stereo specified in it must match.
    mol : rdkit.Chem.Mol
        Molecule.

    Returns
    -------
    int
        Number of matches that differ in their atoms, at most 1,000.

    Examples
    --------
    >>> count_matches(parse_smarts("[F,Cl]"), parse("FC(F)(F)CCl"))
    4
    """
    return len(mol.GetSubstructMatches(pattern, uniquify=True, useChirality=True, maxMatches=1000))


def _read_canonical(raw: object, is_standardized: bool, is_decoded: bool = False) -> Standardized:
    """Parse, optionally standardize, and write, until the SMILES is stable: RDKit may rewrite its own SMILES."""
    left_out: list[str] = []
    if isinstance(raw, Chem.Mol) or (isinstance(raw, str) and " |" in raw):
        with rdBase.BlockLogs():
            raw, reason, left_out = _as_plain_smiles(raw)
        if reason:
            return Standardized(None, reason)
    reason = guard(raw)
    if reason:
        return Standardized(None, reason)
    smiles = str(raw).strip()
    warnings = left_out + (_warn_of_word(smiles) if is_standardized else [])
    seen: list[str] = []
    with rdBase.BlockLogs():
        while smiles not in seen and len(seen) < _MAX_PASSES:
            seen.append(smiles)
            mol, reason = _read_shared(smiles) if is_decoded else _read(smiles)
            if mol is None:
                return Standardized(None, reason)
            smiles = Chem.MolToSmiles(mol)
            if "*" in smiles:
                return Standardized(None, "wildcard atom (*) is not supported")
            if "~" in smiles or (":" in smiles and ":" in _BRACKETS.sub("", smiles)):
                return Standardized(None, "undefined bond order: bonds ~ and : are not supported")
            if is_decoded and "[" in smiles and (symbol := _unpaired(mol)):
                return Standardized(None, f"radical: unpaired electron on {symbol}")
            if is_standardized and _needs_pipeline(smiles, mol):
                try:
                    smiles, changes = _run_pipeline(mol, smiles)
                except (ValueError, RuntimeError) as error:  # what RDKit raises: sanitization, broken invariants
                    return Standardized(None, f"cannot be standardized: {first_line(error)}")
                warnings += [change for change in changes if change not in warnings]
    # RDKit may convert several SMILES into each other in a cycle; the result is the same for every start.
    smiles = min(seen[seen.index(smiles) :]) if smiles in seen else smiles
    if is_standardized and "." in smiles:
        parts = _shorten(" and ".join(smiles.split(".")))
        return Standardized(None, f"several molecules: expected one per row, got {parts}")
    if len(smiles) > MAX_CHARACTERS:
        return Standardized(None, f"too long: the canonical SMILES has {len(smiles):,} characters")
    return Standardized(smiles, None, "; ".join(warnings) or None)


def _as_plain_smiles(raw: object) -> tuple[object, str | None, list[str]]:
    """The SMILES of a CXSMILES or a molecule, the reason why there is none, and what was left out.

    Any other value is returned as it is.
    """
    if isinstance(raw, Chem.Mol):
        mol = Chem.Mol(raw)
        if mol.GetNumHeavyAtoms() > MAX_HEAVY_ATOMS:
            return None, _explain_size(mol.GetNumHeavyAtoms()), []
        reason, warnings = structures.simplify(mol)
    else:
        cell = structures.split_extension(str(raw))
        if cell is None:
            return raw, None, []
        if guard(cell.smiles):
            return cell.smiles, None, []
        found, reason, warnings = structures.read_extended(cell)
        if found is None:
            return cell.smiles, reason, []
        mol = found
    return (raw, reason, []) if reason else (Chem.MolToSmiles(mol), None, warnings)


def _explain_block(block: str) -> str:
    """Why RDKit cannot read a mol block at all."""
    if "V2000" not in block and "V3000" not in block:
        return "invalid mol block: no line of counts that ends with V2000 or V3000"
    return "invalid mol block: RDKit cannot read it"


def _unpaired(mol: Chem.Mol) -> str | None:
    """The first element with an unpaired electron; oxygen is allowed, as in nitroxides."""
    symbols = (atom.GetSymbol() for atom in mol.GetAtoms() if atom.GetNumRadicalElectrons())
    return next((symbol for symbol in symbols if symbol != "O"), None)


def _read(smiles: str) -> tuple[Chem.Mol | None, str | None]:
    """The sanitized molecule of a guarded SMILES, or the reason why it is invalid; the caller blocks RDKit's log."""
    try:
        mol = Chem.MolFromSmiles(smiles, _PARSER)
    except RuntimeError as error:
        return None, f"invalid SMILES: {first_line(error)}"
    if mol is None:
        return None, _explain_failure(smiles)
    n_heavy = mol.GetNumHeavyAtoms()
    if not n_heavy:
        return None, "no heavy atom: only hydrogen"
    if n_heavy > MAX_HEAVY_ATOMS:
        return None, _explain_size(n_heavy)
    return mol, None


@lru_cache(maxsize=_MAX_SHARED)
def _read_shared(smiles: str) -> tuple[Chem.Mol | None, str | None]:
    """As `_read`; a search reads each decoded molecule several times. The molecules must not be changed."""
    return _read(smiles)


def _explain_size(n_heavy: int) -> str:
    return f"too large: {n_heavy} heavy atoms; at most {MAX_HEAVY_ATOMS} are supported"


def _explain_failure(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles, UNSANITIZED)
    return f"invalid SMILES: {_shorten(smiles)}" if mol is None else _explain_problems(mol)


def _explain_problems(mol: Chem.Mol) -> str:
    """Why RDKit cannot sanitize a molecule; atoms are numbered from 1 in the order of the SMILES."""
    for problem in Chem.DetectChemistryProblems(mol):
        if problem.GetType() == "AtomValenceException":
            atom = mol.GetAtomWithIdx(problem.GetAtomIdx())
            return f"impossible valence: atom {atom.GetIdx() + 1} ({atom.GetSymbol()}) has too many bonds"
        if problem.GetType() in ("KekulizeException", "AtomKekulizeException"):
            return "cannot be kekulized: a ring of aromatic (lowercase) atoms has no alternating double bonds"
    return "invalid molecule: RDKit cannot sanitize it"


def _explain_characters(text: str) -> str:
    for position, letter in enumerate(text, start=1):
        if not (letter.isascii() and letter.isprintable()):
            name = unicodedata.name(letter, "a control character").lower()
            kind = "whitespace" if letter.isspace() else "invalid character"
            return f"{kind}: U+{ord(letter):04X} ({name}) at position {position}; expected printable ASCII"
    return f"invalid character: in {_shorten(text)}"


def _is_missing(raw: object) -> bool:
    return raw is None or type(raw).__name__ in ("NAType", "NaTType") or (isinstance(raw, Real) and raw != raw)


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"


def _warn_of_word(text: str) -> list[str]:
    """A warning for a short cell that RDKit can read but that is more likely a word, an element or an abbreviation."""
    if not (text in _WORDS or (len(text) <= 2 and text.isalpha() and text.isupper() and text != "CC")):
        return []
    mol = Chem.MolFromSmiles(text, _PARSER)
    formula = rdMolDescriptors.CalcMolFormula(mol) if mol is not None else ""
    return [f"possibly a word: {text} is read as the molecule {formula}"] if formula else []


def _needs_pipeline(smiles: str, mol: Chem.Mol) -> bool:
    """Whether the ChEMBL pipeline could change a molecule with this canonical SMILES."""
    if "[" in smiles or "." in smiles:
        rest = _UNCHANGED_GROUPS.sub("", smiles)
        if "[" in rest or "." in rest:
            return True
    return ("=N" in smiles or "N=" in smiles) and mol.HasSubstructMatch(_IMIDIC_ACID)


def _run_pipeline(mol: Chem.Mol, smiles: str) -> tuple[str, list[str]]:
    """The SMILES of the standardized parent of a molecule, and the changes as warnings."""
    from chembl_structure_pipeline import exclude_flag, standardizer  # its import costs more than RDKit's own

    warnings = []
    if any(atom.GetAtomMapNum() for atom in mol.GetAtoms()):
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
        warnings.append("atom map numbers removed")
    if any(atom.GetIsotope() for atom in mol.GetAtoms()):
        warnings.append("isotope labels removed")
    is_metallic = exclude_flag.exclude_flag(mol, includeRDKitSanitization=False)
    if is_metallic:
        warnings.append("metal or boron cluster: charges and bonds kept as written")
    before = Chem.MolToSmiles(_write_sulfoxides(standardizer.get_isotope_parent_mol(mol)))
    whole = standardizer.standardize_mol(mol)
    parts = Chem.MolToSmiles(_write_sulfoxides(standardizer.get_isotope_parent_mol(whole))).split(".")
    if len(parts) > 1:
        parent, _ = standardizer.get_parent_mol(whole)
    else:  # like get_parent_mol for a single molecule, without reading the lists of salts from disk each time
        parent = standardizer.uncharge_mol(standardizer.get_isotope_parent_mol(whole))
    after = _organic_part(Chem.MolToSmiles(_write_sulfoxides(parent)), parts, is_metallic)
    kept = after.split(".")
    n_broken = len(parts) - len(before.split("."))
    if n_broken > 0:
        warnings.append("bond to a metal broken")
    if len(parts) > 1:
        stripped = dict.fromkeys(part for part in parts if part not in kept and _neutralize(part) not in kept)
        if stripped:
            warnings.append(f"salt or solvent stripped: {', '.join(stripped)}")
        if "." not in after and sum(part not in stripped for part in parts) > 1:
            warnings.append("copies of the molecule removed")
    if not set(kept) <= set(before.split(".")):
        has_charge = any(atom.GetFormalCharge() for atom in Chem.MolFromSmiles(before, UNSANITIZED).GetAtoms())
        if has_charge:
            warnings.append("charges neutralized")
        elif n_broken <= 0 or not set(kept) <= {_neutralize(part) for part in parts}:
            warnings.append("functional groups normalized")
    return after, warnings


def _organic_part(after: str, parts: list[str], is_metallic: bool) -> str:
    """The organic part of a salt of which ChEMBL's lists contain every part, else what is left of it.

    The lists hold small alcohols as solvents, so that hydrogen chloride is what is left of ethanol hydrochloride; of
    sodium benzoate, both parts are left.
    """
    kept = after.split(".")
    if is_metallic and any(_is_complex(part) for part in kept):
        return after
    candidates = [part for part in (kept if any(map(_has_carbon, kept)) else parts) if _has_carbon(part)]
    organic = dict.fromkeys(map(_neutralize, candidates))
    if not organic or (len(kept) == 1 and _has_carbon(after)):
        return after
    return ".".join(organic)


def _is_complex(smiles: str) -> bool:
    """Whether a part has a metal with ligands, or carbon: not a lone ion."""
    return sum(atom.GetAtomicNum() > 1 for atom in Chem.MolFromSmiles(smiles, UNSANITIZED).GetAtoms()) > 1


def _has_carbon(smiles: str) -> bool:
    return any(atom.GetAtomicNum() == 6 for atom in Chem.MolFromSmiles(smiles, UNSANITIZED).GetAtoms())


def _neutralize(smiles: str) -> str:
    from chembl_structure_pipeline import standardizer

    mol = Chem.MolFromSmiles(smiles, _PARSER)
    return smiles if mol is None else Chem.MolToSmiles(standardizer.uncharge_mol(mol))


def _write_sulfoxides(mol: Chem.Mol) -> Chem.Mol:
    """[S+][O-] as S=O, as in every SMILES that skips the pipeline; the chirality of the sulfur is kept."""
    mol = Chem.RWMol(mol)
    matches = mol.GetSubstructMatches(_CHARGED_SULFOXIDE)
    if matches:
        Chem.Kekulize(mol, clearAromaticFlags=True)  # RDKit may have perceived a ring with [S+] as aromatic
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

_UNCHANGED_GROUPS = re.compile(
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
