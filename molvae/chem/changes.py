"""What changed from one molecule to another: the groups that were replaced, and the atoms that were kept."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rdkit import Chem, rdBase
from rdkit.Chem import rdRascalMCES

from molvae.chem import molecules
from molvae.chem.scaffolds import murcko

_MIN_SIMILARITY = 0.2  # below, a comparison takes long and tells nothing
_MIN_COMMON = 0.4
_MAX_WIDENED = 3
_MAX_CONDENSED = 12
_MIN_PART = 3
_MAX_MATCHES = 16
_EXCHANGES = "[C,N,O,S] [c,n,o,s]"  # atoms that may replace each other within a chain or a ring


@dataclass(frozen=True)
class Replacement:
    """One part of a molecule that was replaced.

    Parameters
    ----------
    before, after : str
        The part before and after, as a condensed formula (`OCH3`), a name (`phenyl`) or a SMILES with attachment points
        (`*c1ccc(*)cc1`); `H` for hydrogen, "" for a part that is only inserted or removed.
    site : str
        Where it is attached: `aromatic C`, `C`, `N`, ...; "" for several places.
    """

    before: str
    after: str
    site: str = ""

    def __str__(self) -> str:
        """The replacement as text."""
        at = f" on {self.site}" if self.site else ""
        if not self.before:
            return f"{self.after} inserted"
        if not self.after:
            return f"{self.before} removed"
        if self.before == self.after:
            return f"{self.before} moved"
        return f"{self.before} -> {self.after}{at}"


@dataclass(frozen=True)
class Change:
    """The difference between two molecules.

    Parameters
    ----------
    before, after : str
        SMILES of the molecules.
    replacements : tuple of Replacement
        What was replaced; empty if the structures differ too much, or only in stereo or charges.
    before_atoms, after_atoms : tuple of int
        The atoms that were removed and added, as positions in the SMILES. Of a bond that changed, both atoms.
    common : tuple of (int, int)
        The atoms that both molecules share, as positions in the two SMILES.
    kind : {"none", "stereo", "charge", "groups", "large", "unknown"}
        Nothing; only stereo; only charges or hydrogens; replaced groups; structures with little in common; not
        compared, because a molecule is invalid.
    scaffolds : (str, str)
        Bemis-Murcko scaffolds of the two molecules.
    n_inverted : int
        Number of shared stereocenters with the opposite configuration.
    """

    before: str
    after: str
    replacements: tuple[Replacement, ...] = ()
    before_atoms: tuple[int, ...] = ()
    after_atoms: tuple[int, ...] = ()
    common: tuple[tuple[int, int], ...] = ()
    kind: str = "groups"
    scaffolds: tuple[str, str] = ("", "")
    n_inverted: int = 0

    @property
    def has_same_scaffold(self) -> bool:
        """Whether both molecules have the same Bemis-Murcko scaffold."""
        return self.scaffolds[0] == self.scaffolds[1]

    def __str__(self) -> str:
        """The change in a line of text, such as `OH -> OCH3 on aromatic C`."""
        inverted = f"stereocenters inverted: {self.n_inverted}"
        if self.replacements:
            return "; ".join([*map(str, self.replacements), *([inverted] if self.n_inverted else [])])
        return {
            "none": "the same molecule",
            "stereo": inverted if self.n_inverted else "stereo only",
            "charge": "charges or hydrogens only",
            "large": f"little in common (shared heavy atoms: {len(self.common)})",
        }.get(self.kind, "not compared")


def compare_structures(before: str, after: str, seconds: int = 2) -> Change:
    """Find what changed from one molecule to another.

    The kept atoms are the maximum common edge substructure of RASCAL [1]_, which may have several parts, such as both
    sides of a linker that was replaced, or its largest connected part, whichever explains more atoms. Parts that are
    attached to other atoms in the second molecule count as changed, and so do rings of which several atoms differ. A
    small change of a functional group is described with the whole group: `OH -> OCH3`, not `H -> CH3`.

    Parameters
    ----------
    before, after : str
        Canonical SMILES.
    seconds : int, default=2
        Time limit of the comparison.

    Returns
    -------
    Change

    References
    ----------
    .. [1] Raymond, Gardiner and Willett 2002, doi:10.1093/comjnl/45.6.631.

    Examples
    --------
    >>> str(compare_structures("Oc1ccccc1", "COc1ccccc1"))
    'OH -> OCH3 on aromatic C'
    >>> str(compare_structures("O=C(NC1CC1)c1ccccc1", "O=C(NCC1CC1)c1ccccc1"))
    'CH2 inserted'
    """
    try:
        mols = molecules.parse(before), molecules.parse(after)
        scaffolds = murcko(before), murcko(after)
    except ValueError:
        return Change(before, after, kind="unknown")
    if before == after:
        same = tuple((i, i) for i in range(mols[0].GetNumAtoms()))
        return Change(before, after, common=same, kind="none", scaffolds=scaffolds)
    pairs = [_Pair(*mols, core) for core in _common_parts(*mols, seconds)]
    if not pairs:
        return Change(before, after, kind="large", scaffolds=scaffolds)
    pair = min(pairs, key=_Pair.size)  # the first if equal
    if pair.n_places > 1:  # where the shared part is symmetric, changes may belong to the same atom
        pair = min((pair, *pair.mirrored()), key=_Pair.size)
    common, n_inverted = tuple(sorted(pair.core.items())), pair.n_inverted
    pair.widen()
    replacements = tuple(pair.replacements())
    atoms = pair.changed_atoms()
    kind = "groups"
    if not replacements:
        kind = "stereo" if molecules.without_stereo(before) == molecules.without_stereo(after) else "charge"
    elif len(common) < _MIN_COMMON * max(mol.GetNumAtoms() for mol in mols):
        kind, replacements = "large", ()
    return Change(before, after, replacements, *atoms, common, kind, scaffolds, n_inverted)


def _common_parts(a: Chem.Mol, b: Chem.Mol, seconds: int) -> Iterator[dict[int, int]]:
    """Atoms that the molecules share, found in several ways: atoms of `a` -> those of `b`."""
    for exchanges, is_connected in (("", False), (_EXCHANGES, False), ("", True)):
        options = rdRascalMCES.RascalOptions()
        options.similarityThreshold = _MIN_SIMILARITY
        options.ringMatchesRingOnly = True
        options.completeAromaticRings = True
        options.completeSmallestRings = is_connected
        options.singleLargestFrag = is_connected
        options.allBestMCESs = is_connected
        options.maxBestMCESs = _MAX_MATCHES
        options.timeout = seconds
        options.equivalentAtoms = exchanges
        with rdBase.BlockLogs():
            found = rdRascalMCES.FindMCES(a, b, options)
        for one in found if is_connected else found[:1]:
            yield {
                i: j
                for i, j in one.atomMatches()
                if a.GetAtomWithIdx(i).GetAtomicNum() == b.GetAtomWithIdx(j).GetAtomicNum()
            }


class _Pair:
    """Two molecules, and the atoms that they share."""

    def __init__(self, a: Chem.Mol, b: Chem.Mol, matched: dict[int, int]) -> None:
        self.a, self.b = a, b
        self.core = self._consistent(matched)
        while partial := self._partial_rings():
            self.core = self._consistent({i: j for i, j in self.core.items() if i not in partial})

    @property
    def n_changed(self) -> int:
        """Number of heavy atoms that are not shared."""
        return self.a.GetNumAtoms() + self.b.GetNumAtoms() - 2 * len(self.core)

    @property
    def n_places(self) -> int:
        """Number of places at which the molecules differ."""
        return len(self._changes())

    @property
    def n_inverted(self) -> int:
        """Number of shared stereocenters with the opposite configuration; those with new neighbors do not count."""
        n = 0
        for i, j in self.core.items():
            here, there = self.a.GetAtomWithIdx(i), self.b.GetAtomWithIdx(j)
            tags = here.GetChiralTag(), there.GetChiralTag()
            if not all(tag in _HANDS for tag in tags) or here.GetDegree() != there.GetDegree():
                continue
            order = [self.core.get(neighbor.GetIdx(), -1) for neighbor in here.GetNeighbors()]
            shared = set(self.core.values())
            other = [k if k in shared else -1 for k in (neighbor.GetIdx() for neighbor in there.GetNeighbors())]
            if sorted(order) == sorted(other) and order.count(-1) < 2:
                n += (tags[0] == tags[1]) == _is_odd([order.index(k) for k in other])
        return n

    def size(self) -> tuple[int, int]:
        """How much differs: the number of heavy atoms, and the number of places."""
        return self.n_changed, self.n_places

    def mirrored(self) -> Iterator["_Pair"]:
        """The same molecules, with the shared atoms matched in the other ways that their symmetry allows."""
        shared = sorted(self.core.values())
        part = Chem.RWMol(self.b)
        for j in range(self.b.GetNumAtoms() - 1, -1, -1):
            if j not in self.core.values():
                part.RemoveAtom(j)
        part.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(part)
        for match in part.GetSubstructMatches(part, uniquify=False, maxMatches=_MAX_MATCHES):
            other = {shared[n]: shared[m] for n, m in enumerate(match)}
            yield _Pair(self.a, self.b, {i: other[j] for i, j in self.core.items()})

    def _partial_rings(self) -> set[int]:
        """Shared atoms of rings that differ in two or more atoms, or in a bond."""
        back = {j: i for i, j in self.core.items()}
        found: set[int] = set()
        broken = self._broken_rings()
        for mol, kept in ((self.a, {i: i for i in self.core}), (self.b, back)):
            for ring in mol.GetRingInfo().AtomRings():
                if len(ring) - len(kept.keys() & set(ring)) > 1 or broken & {kept.get(i) for i in ring}:
                    found |= {kept[i] for i in ring if i in kept}
        return found

    def _broken_rings(self) -> set[int]:
        """Shared atoms at which a ring is opened or closed, except where an atom of the ring is inserted or removed."""
        explained = [replaced.sites for replaced in self._changes()]
        found: set[int] = set()
        for i, j in self._changed_bonds():
            bonds = self.a.GetBondBetweenAtoms(i, j), self.b.GetBondBetweenAtoms(self.core[i], self.core[j])
            if None in bonds and not any({i, j} <= sites for sites in explained):
                found |= {i, j} if any(bond is not None and bond.IsInRing() for bond in bonds) else set()
        return found

    def _consistent(self, matched: dict[int, int]) -> dict[int, int]:
        """The largest part of the match, and the other parts that are attached to it in the same way in both."""
        parts = sorted(self._parts(matched), key=lambda part: (-len(part), part))
        core: dict[int, int] = {}
        for part in parts:
            if core and len(part) < _MIN_PART:
                break
            found = {i: matched[i] for i in part}
            links = {(matched[i], matched[j]) for i, j in _links(self.a, set(core), set(part))}
            if not core or links == _links(self.b, set(core.values()), set(found.values())) != set():
                core |= found
        return core

    def _parts(self, matched: dict[int, int]) -> list[list[int]]:
        """The parts of the match that bonds of both molecules connect."""
        bonds = [
            (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
            for bond in self.a.GetBonds()
            if bond.GetBeginAtomIdx() in matched and bond.GetEndAtomIdx() in matched
        ]
        kept = [(i, j) for i, j in bonds if _bond_type(self.b, matched[i], matched[j]) == _bond_type(self.a, i, j)]
        return _components(matched, kept)

    def widen(self) -> None:
        """Count the atom at which a small change is attached as changed, and a carbonyl group with it."""
        for replaced in self._changes():
            if len(replaced.sites) != 1:
                continue
            (site,) = replaced.sites
            if site not in self.core:
                continue
            is_small = max(len(replaced.before), len(replaced.after)) <= _MAX_WIDENED
            is_small &= not any(self._is_in_ring(mol, i) for mol, i in self._changed(replaced))
            is_crowded = self._n_bonds(replaced, site) > 1
            if is_crowded and not is_small:
                self._drop([site] if self._group(site) else [])
                continue
            if self._has_double_bond(replaced, site) and not self._is_in_ring(self.a, site):
                self._drop([site])
                continue
            for _ in range(2 if is_small else 0):
                dropped = self._group(site)
                if not dropped or len(self.core) <= len(dropped):
                    break
                rest = [n.GetIdx() for n in self.a.GetAtomWithIdx(site).GetNeighbors() if n.GetIdx() not in dropped]
                following = [i for i in rest if i in self.core]
                self._drop(dropped)
                if len(following) != 1 or not self._is_carbonyl(following[0]):
                    break
                site = following[0]

    def _drop(self, atoms: list[int]) -> None:
        for i in atoms if len(self.core) > len(atoms) else ():
            del self.core[i]

    def _n_bonds(self, replaced: "_Replaced", site: int) -> int:
        """Number of atoms that are removed from, or added to, an atom."""
        removed = _neighbors(self.a, [site]) & set(replaced.before)
        added = _neighbors(self.b, [self.core[site]]) & set(replaced.after)
        return max(len(removed), len(added))

    def _has_double_bond(self, replaced: "_Replaced", site: int) -> bool:
        """Whether a part is attached by a double or triple bond."""
        types = [_bond_type(self.a, site, i) for i in replaced.before]
        types += [_bond_type(self.b, self.core[site], j) for j in replaced.after]
        return Chem.BondType.DOUBLE in types or Chem.BondType.TRIPLE in types

    def _changed(self, replaced: "_Replaced") -> Iterator[tuple[Chem.Mol, int]]:
        yield from ((self.a, i) for i in replaced.before)
        yield from ((self.b, j) for j in replaced.after)

    def _is_in_ring(self, mol: Chem.Mol, index: int) -> bool:
        return bool(mol.GetAtomWithIdx(index).IsInRing())

    def _group(self, site: int) -> list[int]:
        """The atom of the core, with its terminal atoms of double and triple bonds, if it has one other bond to it."""
        if self._is_in_ring(self.a, site) or self._is_in_ring(self.b, self.core[site]):
            return []
        shared = [n.GetIdx() for n in self.a.GetAtomWithIdx(site).GetNeighbors() if n.GetIdx() in self.core]
        ends = [i for i in shared if self._is_end(site, i)]
        return [site, *ends] if len(shared) - len(ends) <= 1 else []

    def _is_end(self, site: int, index: int) -> bool:
        """Whether the atom is terminal, and its bond is not a single bond."""
        mol, bond = self.a, self.a.GetBondBetweenAtoms(site, index)
        return mol.GetAtomWithIdx(index).GetDegree() == 1 and bond.GetBondType() != Chem.BondType.SINGLE

    def _is_carbonyl(self, index: int) -> bool:
        neighbors = (n.GetIdx() for n in self.a.GetAtomWithIdx(index).GetNeighbors())
        return any(i in self.core and self._is_end(index, i) for i in neighbors)

    def _changes(self) -> list["_Replaced"]:
        """The parts that differ; parts of both molecules with a common site belong together."""
        back = {j: i for i, j in self.core.items()}
        nodes: list[tuple[bool, list[int], set[int]]] = []
        for is_after, mol, kept in ((False, self.a, set(self.core)), (True, self.b, set(back))):
            others = [i for i in range(mol.GetNumAtoms()) if i not in kept]
            bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
            for part in _components(others, [(i, j) for i, j in bonds if i not in kept and j not in kept]):
                sites = _neighbors(mol, part) & kept
                nodes.append((is_after, part, {back[j] for j in sites} if is_after else sites))
        joined = _components(
            range(len(nodes)),
            [(m, n) for m in range(len(nodes)) for n in range(m) if nodes[m][2] & nodes[n][2]],
        )
        found = []
        for group in joined:
            before = [i for n in group if not nodes[n][0] for i in nodes[n][1]]
            after = [i for n in group if nodes[n][0] for i in nodes[n][1]]
            found.append(_Replaced(before, after, set().union(*(nodes[n][2] for n in group))))
        return found

    def replacements(self) -> list[Replacement]:
        """What was replaced, the largest parts first."""
        found: list[Replacement] = []
        for replaced in sorted(self._changes(), key=lambda one: -len(one.before) - len(one.after)):
            sites = sorted(replaced.sites)
            before = _describe(self.a, replaced.before, {site: n for n, site in enumerate(sites, 1)})
            after = _describe(self.b, replaced.after, {self.core[site]: n for n, site in enumerate(sites, 1)})
            if len(sites) == 1:
                found.append(Replacement(before or "H", after or "H", _site(self.a, sites[0])))
            else:
                found.append(Replacement(before, after))
        return [*_merge_moved(found), *self._bonds()]

    def _bonds(self) -> list[Replacement]:
        """Bonds between shared atoms that differ, without those that an inserted or removed part explains."""
        found = []
        explained = [replaced.sites for replaced in self._changes()]
        for i, j in self._changed_bonds():
            old, new = _bond_text(self.a, i, j), _bond_text(self.b, self.core[i], self.core[j])
            if (old and new) or not any({i, j} <= sites for sites in explained):
                found.append(Replacement(old and f"bond {old}", new and f"bond {new}"))
        return list(dict.fromkeys(found))

    def _changed_bonds(self) -> list[tuple[int, int]]:
        """Pairs of shared atoms, as atoms of the first molecule, between which the bond differs."""
        back = {j: i for i, j in self.core.items()}
        pairs = {
            *_bonds_within(self.a, set(self.core)),
            *(tuple(sorted((back[i], back[j]))) for i, j in _bonds_within(self.b, set(back))),
        }
        return sorted(
            (i, j)
            for i, j in pairs
            if _bond_type(self.a, i, j) != _bond_type(self.b, self.core[i], self.core[j])
        )  # fmt: skip

    def changed_atoms(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The atoms that are not shared, and those of changed bonds."""
        before = set(range(self.a.GetNumAtoms())) - set(self.core)
        after = set(range(self.b.GetNumAtoms())) - set(self.core.values())
        explained = [replaced.sites for replaced in self._changes()]
        for i, j in self._changed_bonds():
            if not any({i, j} <= sites for sites in explained):
                before |= {i, j}
                after |= {self.core[i], self.core[j]}
        return tuple(sorted(before)), tuple(sorted(after))


@dataclass(frozen=True)
class _Replaced:
    """Atoms of the first molecule, those of the second that replace them, and the shared atoms next to them."""

    before: list[int]
    after: list[int]
    sites: set[int]


def _merge_moved(found: list[Replacement]) -> list[Replacement]:
    """Describe a group that is removed at one atom and added at another as moved."""
    merged: list[Replacement] = []
    waiting = list(found)
    while waiting:
        one = waiting.pop(0)
        other = next(
            (
                other
                for other in waiting
                if (one.before, one.after) == (other.after, other.before) and "H" in (one.before, one.after)
            ),
            None,
        )
        if other is None:
            merged.append(one)
        else:
            waiting.remove(other)
            group = one.before if one.after == "H" else one.after
            merged.append(Replacement(group, group))
    return merged


def _links(mol: Chem.Mol, core: set[int], part: set[int]) -> set[tuple[int, int]]:
    """Atoms of a core and of a part that a bond, or a chain of other atoms, connects."""
    others = [i for i in range(mol.GetNumAtoms()) if i not in core and i not in part]
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
    found = {(i, j) for pair in bonds for i, j in (pair, pair[::-1]) if i in core and j in part}
    within = [(i, j) for i, j in bonds if not {i, j} & (core | part)]
    for between in _components(others, within):
        touched = _neighbors(mol, between)
        found |= {(i, j) for i in touched & core for j in touched & part}
    return found


def _neighbors(mol: Chem.Mol, atoms: Iterable[int]) -> set[int]:
    return {neighbor.GetIdx() for i in atoms for neighbor in mol.GetAtomWithIdx(i).GetNeighbors()}


def _bonds_within(mol: Chem.Mol, atoms: set[int]) -> list[tuple[int, int]]:
    ends = (sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())) for bond in mol.GetBonds())
    return [(i, j) for i, j in ends if i in atoms and j in atoms]


def _bond_type(mol: Chem.Mol, i: int, j: int) -> Chem.BondType | None:
    bond = mol.GetBondBetweenAtoms(i, j)
    return None if bond is None else bond.GetBondType()


_SYMBOLS = {
    Chem.BondType.SINGLE: "-",
    Chem.BondType.DOUBLE: "=",
    Chem.BondType.TRIPLE: "#",
    Chem.BondType.AROMATIC: ":",
}


def _bond_text(mol: Chem.Mol, i: int, j: int) -> str:
    kind = _bond_type(mol, i, j)
    if kind is None:
        return ""
    symbols = sorted(mol.GetAtomWithIdx(index).GetSymbol() for index in (i, j))
    return _SYMBOLS.get(kind, "~").join(symbols)


def _components(nodes: Iterable[int], edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected components of a graph, each in ascending order."""
    parent = {node: node for node in nodes}

    def root(node: int) -> int:
        while parent[node] != node:
            node = parent[node]
        return node

    for i, j in edges:
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    found: dict[int, list[int]] = {}
    for node in sorted(parent):
        found.setdefault(root(node), []).append(node)
    return list(found.values())


_HANDS = frozenset({Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW})


def _is_odd(permutation: list[int]) -> bool:
    """Whether a permutation is odd: an odd number of pairs is out of order."""
    return sum(i > j for n, j in enumerate(permutation) for i in permutation[:n]) % 2 == 1


def _site(mol: Chem.Mol, index: int) -> str:
    atom = mol.GetAtomWithIdx(index)
    if atom.GetSymbol() == "C" and any(_bond_text(mol, index, i) == "C=O" for i in _neighbors(mol, [index])):
        return "C=O"
    return f"aromatic {atom.GetSymbol()}" if atom.GetIsAromatic() else str(atom.GetSymbol())


def _describe(mol: Chem.Mol, atoms: Iterable[int], sites: dict[int, int]) -> str:
    """The parts of a molecule as text, joined by ` + `; `sites` numbers the atoms to which they are attached."""
    wanted = set(atoms)
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
    parts = _components(wanted, [(i, j) for i, j in bonds if i in wanted and j in wanted])
    return " + ".join(sorted(_describe_part(mol, part, sites) for part in parts))


def _describe_part(mol: Chem.Mol, part: list[int], sites: dict[int, int]) -> str:
    smiles = _fragment_smiles(mol, part, {})
    if smiles in _GROUPS:
        return _GROUPS[smiles]
    atoms = [mol.GetAtomWithIdx(i) for i in part]
    is_plain = not any(atom.GetFormalCharge() or atom.GetIsotope() or atom.GetNumRadicalElectrons() for atom in atoms)
    ends = [(sites[j], i, j) for i in part for j in _neighbors(mol, [i]) if j in sites]
    if is_plain and len(part) == 1:
        bond = _bond_type(mol, part[0], ends[0][2]) if len(ends) == 1 else None
        return _PREFIXES.get(bond, "") + _with_hydrogens(atoms[0])
    if is_plain and not any(atom.IsInRing() for atom in atoms) and len(ends) in (1, 2) and len(part) <= _MAX_CONDENSED:
        _, first, came_from = min(ends)
        last = max(ends)[1] if len(ends) == 2 else None
        return _condense(mol, first, came_from, set(part), last).replace("C(#N)", "CN")
    return _fragment_smiles(mol, part, {} if len(ends) == 1 else sites)


def _fragment_smiles(mol: Chem.Mol, part: list[int], sites: dict[int, int]) -> str:
    """The SMILES of a part with attachment points, numbered if there are several."""
    inside = set(part)
    cut = [bond for bond in mol.GetBonds() if (bond.GetBeginAtomIdx() in inside) != (bond.GetEndAtomIdx() in inside)]
    copy = Chem.RWMol(mol)
    for bond in cut:
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        inner, outer = (i, j) if i in inside else (j, i)
        end = Chem.Atom(0)
        end.SetAtomMapNum(sites.get(outer, 0))
        copy.RemoveBond(i, j)
        new = copy.AddAtom(end)
        copy.AddBond(inner, new, bond.GetBondType())
        inside.add(new)
    return str(Chem.MolFragmentToSmiles(copy, sorted(inside), isomericSmiles=True))


def _condense(mol: Chem.Mol, index: int, came_from: int, inside: set[int], last: int | None) -> str:
    """The condensed formula of an acyclic part: the longest branch, or the one to `last`, is written at the end."""
    atom = mol.GetAtomWithIdx(index)
    branches = []
    for neighbor in atom.GetNeighbors():
        other = neighbor.GetIdx()
        if other == came_from or other not in inside:
            continue
        symbol = _PREFIXES.get(_bond_type(mol, index, other), "")
        size = _branch(mol, other, index, inside)
        is_main = last in size
        branches.append((is_main, symbol == "", len(size), symbol + _condense(mol, other, index, inside, last)))
    branches.sort()
    has_tail = last != index and bool(branches) and branches[-1][1] and (branches[-1][0] or last is None)
    texts = [text for *_, text in branches]
    if has_tail and texts.count(texts[-1]) > 1 and last is None:
        has_tail = False
    tail = texts.pop() if has_tail else ""
    if len(texts) == 1 and not tail and len(branches[0][3]) > 2 and last is None:
        return _with_hydrogens(atom) + texts[0]
    counted = ""
    for text in dict.fromkeys(texts):
        n = texts.count(text)
        shown = text if text in _HALOGENS else f"({text})"
        counted += shown + (str(n) if n > 1 else "")
    return _with_hydrogens(atom) + counted + tail


def _branch(mol: Chem.Mol, index: int, came_from: int, inside: set[int]) -> set[int]:
    """The atoms of an acyclic branch."""
    found, waiting = {index}, [index]
    while waiting:
        for other in _neighbors(mol, [waiting.pop()]):
            if other in inside and other != came_from and other not in found:
                found.add(other)
                waiting.append(other)
    return found


_HALOGENS = frozenset({"F", "Cl", "Br", "I"})
_PREFIXES: dict[Chem.BondType | None, str] = {Chem.BondType.DOUBLE: "=", Chem.BondType.TRIPLE: "#"}


def _with_hydrogens(atom: Chem.Atom) -> str:
    n = atom.GetTotalNumHs()
    return str(atom.GetSymbol()) + ("H" + (str(n) if n > 1 else "") if n else "")


_GROUPS = {
    Chem.CanonSmiles(smiles): name
    for smiles, name in {
        "*C#N": "CN",
        "*[N+](=O)[O-]": "NO2",
        "*C(C)C": "isopropyl",
        "*C(C)(C)C": "tert-butyl",
        "*C1CC1": "cyclopropyl",
        "*C1CCC1": "cyclobutyl",
        "*C1CCCC1": "cyclopentyl",
        "*C1CCCCC1": "cyclohexyl",
        "*c1ccccc1": "phenyl",
        "*Cc1ccccc1": "benzyl",
        "*c1ccncc1": "4-pyridyl",
        "*c1cccnc1": "3-pyridyl",
        "*c1ccccn1": "2-pyridyl",
        "*c1ccco1": "2-furyl",
        "*c1ccoc1": "3-furyl",
        "*c1cccs1": "2-thienyl",
        "*c1ccsc1": "3-thienyl",
        "*n1cccc1": "pyrrol-1-yl",
        "*n1cccn1": "pyrazol-1-yl",
        "*n1ccnc1": "imidazol-1-yl",
        "*N1CCC1": "azetidin-1-yl",
        "*N1CCCC1": "pyrrolidin-1-yl",
        "*N1CCCCC1": "piperidin-1-yl",
        "*N1CCNCC1": "piperazin-1-yl",
        "*N1CCN(C)CC1": "4-methylpiperazin-1-yl",
        "*N1CCOCC1": "morpholin-4-yl",
        "*c1cccc2ccccc12": "1-naphthyl",
        "*c1ccc2ccccc2c1": "2-naphthyl",
        "*c1c[nH]c2ccccc12": "indol-3-yl",
        "*c1cc2ccccc2[nH]1": "indol-2-yl",
        "*c1nc2ccccc2[nH]1": "benzimidazol-2-yl",
        "*c1nc2ccccc2s1": "benzothiazol-2-yl",
        "*c1nc2ccccc2o1": "benzoxazol-2-yl",
        "*c1cnc2ccccc2c1": "quinolin-3-yl",
        "*c1ccc2c(c1)OCO2": "1,3-benzodioxol-5-yl",
        "*CCc1ccccc1": "phenethyl",
        "*Oc1ccccc1": "phenoxy",
        "*Nc1ccccc1": "anilino",
        "*C(=O)c1ccccc1": "benzoyl",
        "*c1ccc(F)cc1": "4-fluorophenyl",
        "*c1ccc(Cl)cc1": "4-chlorophenyl",
        "*c1ccc(OC)cc1": "4-methoxyphenyl",
        "*c1ccc(C)cc1": "4-methylphenyl",
    }.items()
}
"""Names of groups with one attachment point."""
