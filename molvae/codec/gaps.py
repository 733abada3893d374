"""SMILES with gaps as a grammar: which tokens may follow a prefix, so that the given atoms and bonds are kept.

A template is a SMILES in which gaps take the place of some symbols. A decoder that only chooses allowed tokens writes
every given symbol, and closes every branch and ring. A token may begin in a gap and end in the given symbols, or the
other way round, so the decoder can use the tokens that it was trained with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from molvae.feature_spec import END
from molvae.features.tokens import TokenFeaturizer, split_symbols

GAP = "_"
"""Marks a gap; this character never occurs in a SMILES."""

START, ATOM, RING, CLOSE, OPEN, SINGLE, BOND, OTHER = range(8)
_ENDS = (ATOM, RING, CLOSE)  # kinds of symbols after which an atom is complete
_FREE, _PAIRED = -1, -2  # owners of branches: opened by the template and closed in a gap, or closed by the template
_FIRST = {"any": tuple(range(OTHER)), "atom": (ATOM, SINGLE), "close": (CLOSE,)}  # kinds of the first symbol of a gap
_MAX_OVER = 8  # atoms beyond the largest number of a gap that may complete its rings
_MAX_ROOM = 16  # more atoms than any token has
_BONDS = {"-": SINGLE, "/": SINGLE, "\\": SINGLE, "=": BOND, "#": BOND, ":": BOND, "$": BOND}


class Gap(NamedTuple):
    """A gap of a template.

    Parameters
    ----------
    least, most : int
        Smallest and largest number of atoms; beyond the largest, only open rings are completed.
    group : int, default=0
        Gaps of one group may share branches and rings; those of different groups do not.
    begins : {"any", "atom", "close"}, default="any"
        Whether the gap begins with any symbol, with an atom that is bonded to the symbol before by a single bond, or
        with the end of a branch that another gap of the group opened (or is empty).
    """

    least: int
    most: int
    group: int = 0
    begins: Literal["any", "atom", "close"] = "any"


@dataclass(frozen=True)
class Template:
    """A SMILES with gaps.

    A gap that an atom follows ends before the first atom beyond its smallest number of atoms, once the rings and
    branches that no later gap can close are closed. Any other gap ends where the decoder ends it.

    Parameters
    ----------
    elements : tuple of str and Gap
        Symbols of SMILES, and gaps.
    is_renumbered : bool, default=False
        Whether ring closures of the given symbols get the lowest free number, as RDKit writes them; if not, they keep
        theirs.
    """

    elements: tuple[str | Gap, ...]
    is_renumbered: bool = False

    @property
    def n_gaps(self) -> int:
        """Number of gaps."""
        return sum(isinstance(one, Gap) for one in self.elements)

    def pieces(self) -> list[str]:
        """The given symbols before, between and after the gaps.

        Returns
        -------
        list of str
            One string more than there are gaps.
        """
        found = [""]
        for element in self.elements:
            if isinstance(element, Gap):
                found.append("")
            else:
                found[-1] += element
        return found

    def most_atoms(self, gap: int) -> int:
        """Largest number of atoms of a gap.

        Parameters
        ----------
        gap : int
            Number of the gap.

        Returns
        -------
        int
        """
        return [one.most for one in self.elements if isinstance(one, Gap)][gap]


class State(NamedTuple):
    """Where a prefix ends in a template.

    Parameters
    ----------
    at : int
        Index of the element that the next symbol belongs to, or the gap that it may end.
    n_atoms : int
        Atoms of the current gap.
    has_begun : bool
        Whether the current gap has a symbol.
    last : int
        Kind of the last symbol.
    branches : tuple of int
        Owner of each open branch: the group of a gap, or whether the template closes it.
    rings : tuple of (int, int)
        Number and owner of each open ring.
    """

    at: int = 0
    n_atoms: int = 0
    has_begun: bool = False
    last: int = START
    branches: tuple[int, ...] = ()
    rings: tuple[tuple[int, int], ...] = ()


class Grammar:
    """The prefixes that a template allows.

    Parameters
    ----------
    template : Template
        SMILES with gaps.
    tokens : TokenTree
        The vocabulary.
    """

    def __init__(self, template: Template, tokens: "TokenTree") -> None:
        self._elements = template.elements
        self._tokens = tokens
        self._is_renumbered = template.is_renumbered
        self._kind = tokens.kind | {one: kind_of(one) for one in template.elements if isinstance(one, str)}
        self._role = _pair(template.elements)
        self._gap_at = [at for at, one in enumerate(self._elements) if isinstance(one, Gap)]
        self.n_gaps = len(self._gap_at)
        groups = [one.group if isinstance(one, Gap) else None for one in self._elements]
        self._continues = [
            group is not None and group in groups[at + 1 :] for at, group in enumerate(groups)
        ]  # whether a later gap can close what this one opens
        self._reserved = [self._digits_after(at) for at in range(len(groups))]
        self._closers = [
            sum(self._role.get(i, 0) == _FREE for i in range(at, len(groups))) for at in range(len(groups))
        ]
        self._allowed: dict[State, np.ndarray] = {}

    def allowed(self, state: State) -> np.ndarray:
        """Tokens that may follow a prefix.

        Parameters
        ----------
        state : State
            Where the prefix ends.

        Returns
        -------
        ndarray of shape (V,)
            Whether each token may follow; END only if the SMILES may end here. bool.
        """
        element = self._elements[state.at] if state.at < len(self._elements) else None
        if isinstance(element, Gap) and element.least <= state.n_atoms <= element.most - _MAX_ROOM:
            state = state._replace(n_atoms=element.least)  # the same tokens are allowed
        found = self._allowed.get(state)
        if found is None:
            found = np.zeros(self._tokens.n_tokens, bool)
            self._search(self._tokens.root, state, found)
            found[END] = self.can_end(state)
            self._allowed[state] = found
        return found

    def follow(self, state: State, token: int) -> State | None:
        """The state after a token other than END.

        Parameters
        ----------
        state : State
            State before the token.
        token : int
            Token.

        Returns
        -------
        State or None
            None if the token is not allowed.
        """
        for symbol in self._tokens.symbols[token]:
            after = self.step(state, symbol)
            if after is None:
                return None
            state = after
        return state

    def is_free(self, state: State) -> bool:
        """Whether most tokens may follow a prefix, because it ends in a gap.

        Parameters
        ----------
        state : State
            Where the prefix ends.

        Returns
        -------
        bool
        """
        element = self._elements[state.at] if state.at < len(self._elements) else None
        return isinstance(element, Gap) and (state.has_begun or element.begins != "close")

    def begin_of(self, gap: int) -> int:
        """Index of the element that is a gap.

        Parameters
        ----------
        gap : int
            Number of the gap.

        Returns
        -------
        int
            The number of elements if there are fewer gaps.
        """
        return self._gap_at[gap] if gap < len(self._gap_at) else len(self._elements)

    def fillings(self, symbols: Iterable[str]) -> list[str]:
        """The symbols in each gap of a complete SMILES.

        Parameters
        ----------
        symbols : iterable of str
            Symbols that `step` accepts one after the other.

        Returns
        -------
        list of str
            One string per gap.
        """
        found: dict[int, list[str]] = {at: [] for at, one in enumerate(self._elements) if isinstance(one, Gap)}
        state: State | None = State()
        for symbol in symbols:
            state = None if state is None else self.step(state, symbol)
            if state is not None and state.at in found and state.has_begun:
                found[state.at].append(symbol)
        return ["".join(one) for one in found.values()]

    def can_end(self, state: State) -> bool:
        """Whether a prefix is a complete SMILES.

        Parameters
        ----------
        state : State
            Where the prefix ends.

        Returns
        -------
        bool
        """
        if state.branches or state.rings or state.last not in _ENDS:
            return False
        n_atoms = state.n_atoms
        for element in self._elements[state.at :]:
            if not isinstance(element, Gap) or n_atoms < element.least:
                return False
            n_atoms = 0
        return True

    def step(self, state: State, symbol: str) -> State | None:
        """The state after a symbol.

        Parameters
        ----------
        state : State
            State before the symbol.
        symbol : str
            Symbol of a SMILES.

        Returns
        -------
        State or None
            None if the template does not allow the symbol.
        """
        while state.at < len(self._elements):
            element = self._elements[state.at]
            if not isinstance(element, Gap):
                return self._step_given(state, element, symbol)
            if not self._ends_before(state, element, symbol):
                return self._step_gap(state, element, symbol)
            state = state._replace(at=state.at + 1, n_atoms=0, has_begun=False)
        return None

    def _search(self, node: "_Node", state: State, found: np.ndarray) -> None:
        """Mark the tokens below a node of the tree that are allowed."""
        for symbol, child in node.children.items():
            after = self.step(state, symbol)
            if after is not None:
                found[child.token] = True  # every prefix of a token that is no token itself has token 0, PAD
                self._search(child, after, found)
        found[0] = False

    def _step_given(self, state: State, element: str, symbol: str) -> State | None:
        at, branches, rings = state.at, state.branches, state.rings
        kind, role = self._kind[element], self._role.get(at)
        if kind == RING:
            number = self._number(at, element, rings)
            if number is None or symbol != _write_number(number):
                return None
            kept = tuple(one for one in rings if one[0] != number)
            if len(kept) == len(rings):
                kept = (*rings, (number, _FREE if role is None or role == _FREE else role))
            return State(at + 1, 0, False, RING, branches, kept)
        if symbol != element:
            return None
        if kind == OPEN:
            branches = (*branches, _FREE if role == _FREE else _PAIRED)
        elif kind == CLOSE:
            if not branches or state.last not in _ENDS or (branches[-1] == _PAIRED) == (role == _FREE):
                return None
            branches = branches[:-1]
        return State(at + 1, 0, False, kind, branches, rings)

    def _number(self, at: int, element: str, rings: tuple[tuple[int, int], ...]) -> int | None:
        """Ring number that the template has here; None if a gap uses it."""
        role = self._role[at]
        literal = int(element.lstrip("%"))
        taken = {number for number, _ in rings}
        for number, owner in rings:
            if role != _FREE and owner == role:
                return number
        if role == _FREE:  # opens a ring, or closes one that a gap opened
            return literal
        if self._is_renumbered:
            return next(number for number in range(1, 100) if number not in taken)
        return None if literal in taken else literal

    def _ends_before(self, state: State, gap: Gap, symbol: str) -> bool:
        """Whether a gap ends before a symbol, which then belongs to the next element."""
        after = self._elements[state.at + 1] if state.at + 1 < len(self._elements) else None
        if after is None or not self._begins(state, gap, after, symbol):
            return False
        is_whole = state.last in _ENDS or not state.has_begun
        if isinstance(after, str) and self._kind[after] == ATOM:
            if gap.begins == "close" and not state.has_begun:
                return False
            is_whole |= state.last in (SINGLE, OPEN)
        return is_whole and state.n_atoms >= gap.least and self._is_closable(state, gap)

    def _begins(self, state: State, gap: Gap, after: str | Gap, symbol: str) -> bool:
        """Whether a symbol can be the first one of the element after a gap."""
        if symbol == ")":
            if _owns_branch(gap, state.branches):  # else the gap has nothing to close
                is_closed_later = after == ")" and self._role.get(state.at + 1) == _FREE
                return is_closed_later and state.n_atoms >= gap.least
            return isinstance(after, Gap) or after == ")"
        if isinstance(after, Gap):
            return False
        if self._kind[after] == ATOM:
            return self._kind.get(symbol) == ATOM
        if self._kind[after] == RING:
            number = self._number(state.at + 1, after, state.rings)
            return number is not None and symbol == _write_number(number)
        return symbol == after

    def _is_closable(self, state: State, gap: Gap) -> bool:
        """Whether no branch or ring of a gap is open that later gaps cannot close."""
        at = state.at
        if self._continues[at]:
            own_numbers = {number for number, owner in state.rings if owner >= _FREE}
            return self._is_renumbered or own_numbers.isdisjoint(self._reserved[at])
        if self._closers[at]:
            return True
        own = (gap.group, _FREE)
        return not any(one in own for one in state.branches) and not any(owner in own for _, owner in state.rings)

    def _step_gap(self, state: State, gap: Gap, symbol: str) -> State | None:
        at, n_atoms, has_begun, last, branches, rings = state
        kind = self._kind.get(symbol, OTHER)
        if not has_begun and kind not in _FIRST[gap.begins]:
            return None
        is_after_atom, has_room = last in _ENDS, n_atoms < gap.most
        can_add = has_room or (n_atoms < gap.most + _MAX_OVER and any(owner == gap.group for _, owner in rings))
        if kind == ATOM:
            is_allowed, n_atoms = can_add, n_atoms + 1
        elif kind == CLOSE:
            is_allowed, branches = is_after_atom and _owns_branch(gap, branches), branches[:-1]
        elif kind == OPEN:
            is_allowed, branches = is_after_atom and has_room, (*branches, gap.group)
        elif kind in (SINGLE, BOND):
            is_allowed = (is_after_atom or last == OPEN) and can_add
        else:
            changed = _change_ring(gap, rings, int(symbol.lstrip("%")), has_room) if kind == RING else None
            is_allowed = changed is not None and last in (ATOM, RING)
            rings = changed or ()
        return State(at, n_atoms, True, kind, branches, rings) if is_allowed else None

    def _digits_after(self, at: int) -> frozenset[int]:
        """Ring numbers of the given symbols between a gap and the next one."""
        found = []
        for element in self._elements[at + 1 :]:
            if isinstance(element, Gap):
                break
            if self._kind[element] == RING:
                found.append(int(element.lstrip("%")))
        return frozenset(found)


class _Node:
    """A node of the tree of tokens."""

    __slots__ = ("children", "token")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.token = 0


@dataclass(frozen=True, eq=False)
class TokenTree:
    """The tokens of a vocabulary, as a tree of their symbols.

    Parameters
    ----------
    featurizer : TokenFeaturizer
        The vocabulary.
    """

    featurizer: TokenFeaturizer

    @property
    def n_tokens(self) -> int:
        """Number of tokens, special tokens included."""
        return len(self.symbols)

    @cached_property
    def symbols(self) -> list[list[str]]:
        """Symbols of each token; none for a special token."""
        return [split_symbols(text) for text in self.featurizer.token_texts]

    @cached_property
    def kind(self) -> dict[str, int]:
        """Kind of each symbol of the vocabulary."""
        return {symbol: kind_of(symbol) for symbol in self.featurizer.symbols}

    @cached_property
    def root(self) -> _Node:
        """Root of the tree."""
        root = _Node()
        for token, symbols in enumerate(self.symbols):
            node = root
            for symbol in symbols:
                node = node.children.setdefault(symbol, _Node())
            if symbols:
                node.token = token
        return root


def kind_of(symbol: str) -> int:
    """Kind of a symbol of a SMILES.

    Parameters
    ----------
    symbol : str
        Symbol.

    Returns
    -------
    int
        Atom, ring closure, begin or end of a branch, single bond, other bond, or something else.
    """
    if symbol[0].isalpha() or symbol[0] == "[":
        return ATOM
    if symbol[0] == "%" or symbol.isdigit():
        return RING
    return {"(": OPEN, ")": CLOSE, **_BONDS}.get(symbol, OTHER)


def pairs(symbols: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of symbols that open and close the same branch or ring.

    Parameters
    ----------
    symbols : sequence of str
        Symbols of a SMILES.

    Returns
    -------
    list of (int, int)
        Indices of the opening and the closing symbol.
    """
    found = []
    branches: list[int] = []
    rings: dict[int, int] = {}
    for index, symbol in enumerate(symbols):
        kind = kind_of(symbol)
        if kind == OPEN:
            branches.append(index)
        elif kind == CLOSE and branches:
            found.append((branches.pop(), index))
        elif kind == RING:
            number = int(symbol.lstrip("%"))
            if number in rings:
                found.append((rings.pop(number), index))
            else:
                rings[number] = index
    return found


def _pair(elements: Sequence[str | Gap]) -> dict[int, int]:
    """For each given branch and ring symbol: a number below -2 that it shares with its partner; _FREE without one."""
    given = [(at, one) for at, one in enumerate(elements) if isinstance(one, str)]
    roles = {at: _FREE for at, one in given if kind_of(one) in (OPEN, CLOSE, RING)}
    for number, (first, second) in enumerate(pairs([one for _, one in given])):
        roles[given[first][0]] = roles[given[second][0]] = _PAIRED - 1 - number
    return roles


def _owns_branch(gap: Gap, branches: tuple[int, ...]) -> bool:
    """Whether a gap may close the innermost branch."""
    return bool(branches) and (branches[-1] == gap.group or (branches[-1] == _FREE and gap.begins == "any"))


def _change_ring(
    gap: Gap, rings: tuple[tuple[int, int], ...], number: int, has_room: bool
) -> tuple[tuple[int, int], ...] | None:
    """The open rings after a gap closes or opens one; None if it may not."""
    owner = next((owner for one, owner in rings if one == number), None)
    if owner is None:
        return (*rings, (number, gap.group)) if has_room else None
    if owner == gap.group or (owner == _FREE and gap.begins == "any"):
        return tuple(one for one in rings if one[0] != number)
    return None


def _write_number(number: int) -> str:
    return str(number) if number < 10 else f"%{number}"
