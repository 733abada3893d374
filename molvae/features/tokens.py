"""SMILES to token ids and back, by byte-pair encoding over atoms and bonds.

A MOSES molecule has 35 symbols (atoms, bonds, brackets, ring digits) on average, but only 8 byte-pair tokens, and a
decoding step costs the same for both. No token ends within an atom: every symbol of several characters (Cl, [nH], %10)
is mapped to one character first.

References
----------
.. [1] Gage 1994, A new algorithm for data compression.
.. [2] Sennrich et al. 2016, doi:10.18653/v1/P16-1162.
.. [3] SMILES pair encoding: Li and Fourches 2021, doi:10.1021/acs.jcim.0c01127.
"""

import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from molvae.errors import CodecError, InputError
from molvae.feature_spec import BEGIN, END, MASK, PAD, FeatureSpec
from molvae.features.featurizer import Features, read_description, write_description

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # molvae runs several processes, each with one thread

Notation = Literal["smiles", "random_smiles", "selfies"]
SPECIALS = {"<pad>": PAD, "<begin>": BEGIN, "<end>": END, "<mask>": MASK}
_LONG_SYMBOL = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d")
_FIRST_PRIVATE = 0xE000  # long symbols become characters of Unicode's private use area
_MERGE_ROWS = 100_000  # the trainer needs 2.7 kB per molecule; with more, held-out molecules have as many tokens
_LENGTH_ROWS = 2_000  # molecules that are tokenized at a time to find the longest


@dataclass(frozen=True)
class TokenFeaturizer:
    """Converts canonical SMILES to token ids, and token ids to SMILES.

    Parameters
    ----------
    symbols : tuple of str
        Atoms, bonds, brackets and ring digits of the vocabulary.
    merges : tuple of (str, str)
        Pairs of tokens, in the order in which they were merged.
    length : int
        Maximum number of tokens of a molecule, including END.
    notation : {"smiles", "random_smiles", "selfies"}, default="smiles"
        "smiles": canonical SMILES; "random_smiles": SMILES in a random atom order, always the same for a molecule, only
        as encoder input; "selfies": SELFIES [1]_.

    References
    ----------
    .. [1] Krenn et al. 2020, doi:10.1088/2632-2153/aba947.
    """

    symbols: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    length: int
    notation: Notation = "smiles"

    @classmethod
    def from_corpus(
        cls,
        smiles: Iterable[str],
        vocabulary_size: int = 500,
        length: int | None = None,
        notation: Notation = "smiles",
    ) -> Self:
        """A featurizer with a vocabulary learned from a corpus.

        Parameters
        ----------
        smiles : iterable of str
            Canonical SMILES; molecules that the notation cannot express are skipped. Symbols and the maximum length
            are those of all molecules; merges are learned from at most 100,000 of them, evenly spaced.
        vocabulary_size : int, default=500
            Maximum number of tokens, including the four special tokens.
        length : int, optional
            Maximum number of tokens of a molecule, including END; None takes that of the longest molecule.
        notation : {"smiles", "random_smiles", "selfies"}, default="smiles"
            Notation of the molecules.

        Returns
        -------
        TokenFeaturizer
            The featurizer.

        Raises
        ------
        InputError
            The corpus is empty, or has more symbols than the vocabulary has tokens.
        """
        from tokenizers import Tokenizer, models, trainers

        corpus = [text for text, _ in _notated(smiles, notation) if text is not None]
        symbols = tuple(sorted({symbol for text in corpus for symbol in split_symbols(text)}))
        if not symbols:
            raise InputError("vocabulary: expected at least one molecule to learn from, got none")
        least = len(SPECIALS) + len(symbols)
        if vocabulary_size < least:
            raise InputError(
                f"vocabulary_size {vocabulary_size}: this corpus needs at least {least} tokens, one per symbol"
            )
        characters = _characters(symbols)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size - len(SPECIALS),
            initial_alphabet=sorted(characters.values()),
            show_progress=False,
            min_frequency=2,
        )
        tokenizer = Tokenizer(models.BPE())
        chosen = corpus[:: -(-len(corpus) // _MERGE_ROWS)]
        tokenizer.train_from_iterator((_shorten(text, characters) for text in chosen), trainer)
        plain = {character: symbol for symbol, character in characters.items()}
        merges = tuple(
            (_lengthen(left, plain), _lengthen(right, plain))
            for left, right in json.loads(tokenizer.to_str())["model"]["merges"]
        )
        if length is None:
            draft = cls(symbols, merges, 2**15)
            parts = (corpus[begin : begin + _LENGTH_ROWS] for begin in range(0, len(corpus), _LENGTH_ROWS))
            length = max(len(ids) for part in parts for ids in draft._ids([_shorten(one, characters) for one in part]))
            length += 1
        return cls(symbols, merges, length, notation)

    @property
    def spec(self) -> FeatureSpec:
        """Vocabulary size and maximum number of tokens."""
        return FeatureSpec("tokens", len(self.token_texts), self.length)

    @property
    def representation(self) -> str:
        """The notation."""
        return self.notation

    @cached_property
    def token_texts(self) -> tuple[str, ...]:
        """The text of every token, by id; empty for special tokens."""
        return ("",) * len(SPECIALS) + self.symbols + tuple(left + right for left, right in self.merges)

    def encode(self, smiles: Sequence[str]) -> Features:
        """Token ids of canonical SMILES.

        Parameters
        ----------
        smiles : sequence of str
            Canonical SMILES.

        Returns
        -------
        Features
            `x` of shape (n, length), uint16: tokens, END, then PAD. `ok` is False for a molecule with a symbol outside
            the vocabulary, or with too many tokens.
        """
        notated = list(_notated(smiles, self.notation))
        shortened = [_shorten(text or "", self._symbol_characters) for text, _ in notated]
        find_unknown = self._unknown_character.search
        reason = [
            error or (self._name_unknown(text or "") if find_unknown(short) else None)
            for (text, error), short in zip(notated, shortened, strict=True)
        ]
        readable = [row for row, r in enumerate(reason) if r is None]
        ids = self._ids([shortened[row] for row in readable])
        n_ids = np.fromiter(map(len, ids), np.int64, len(ids))
        for i in np.flatnonzero(n_ids >= self.length):
            reason[readable[i]] = f"{n_ids[i]} tokens long; the codec reads at most {self.length - 1}"
        rows, lengths = np.array(readable, np.int64)[n_ids < self.length], n_ids[n_ids < self.length]
        x = np.full((len(smiles), self.length), PAD, np.uint16)
        flat = chain.from_iterable(row_ids for row_ids in ids if len(row_ids) < self.length)
        inside = np.arange(self.length) < lengths[:, None]
        x[np.repeat(rows, lengths), np.nonzero(inside)[1]] = np.fromiter(flat, np.uint16, lengths.sum())
        x[rows, lengths] = END
        return Features(x, np.array([r is None for r in reason], bool), reason)

    def decode(self, x: np.ndarray) -> list[str]:
        """Raw SMILES of token rows, each up to its END.

        Parameters
        ----------
        x : ndarray of int, shape (n, any)
            Token ids.

        Returns
        -------
        list of str
            Raw SMILES, not checked; empty where SELFIES cannot be decoded.
        """
        texts = self.token_texts
        ends = np.where((x == END).any(1), (x == END).argmax(1), x.shape[1])
        joined = ["".join([texts[i] for i in row[:end]]) for row, end in zip(x.tolist(), ends.tolist(), strict=True)]
        return [_smiles_of_selfies(text) for text in joined] if self.notation == "selfies" else joined

    def describe(self) -> str:
        """Short description of these features."""
        names = {"smiles": "SMILES", "random_smiles": "SMILES with random atom order", "selfies": "SELFIES"}
        return f"{len(self.token_texts):,} tokens of {names[self.notation]}, at most {self.length - 1} per molecule"

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load` restores the featurizer."""
        fields = {"notation": self.notation, "length": self.length, "symbols": self.symbols, "merges": self.merges}
        write_description(path, "tokens", fields)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a featurizer that `save` wrote.

        Parameters
        ----------
        path : Path
            The file that `save` wrote.

        Returns
        -------
        TokenFeaturizer
            An equal featurizer.

        Raises
        ------
        CodecError
            The file is missing, damaged or of another version.
        """
        content = read_description(path, "tokens")
        try:
            merges = tuple((str(left), str(right)) for left, right in content["merges"])
            return cls(tuple(content["symbols"]), merges, int(content["length"]), content["notation"])
        except (KeyError, TypeError, ValueError) as error:
            raise CodecError(f"{path}: not a readable vocabulary ({error})") from None

    @cached_property
    def _symbol_characters(self) -> dict[str, str]:
        return _characters(self.symbols)

    @cached_property
    def _unknown_character(self) -> re.Pattern[str]:
        return re.compile(f"[^{re.escape(''.join(self._symbol_characters.values()))}]")

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer, models

        characters = self._symbol_characters
        ids = {_shorten(text, characters): i for i, text in enumerate(self.token_texts) if text}
        merges = [(_shorten(left, characters), _shorten(right, characters)) for left, right in self.merges]
        return Tokenizer(models.BPE(vocab={**SPECIALS, **ids}, merges=merges))

    def _ids(self, shortened: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(shortened)]

    def _name_unknown(self, text: str) -> str:
        """The reason why a molecule cannot be tokenized: every symbol that the vocabulary lacks."""
        unknown = dict.fromkeys(symbol for symbol in split_symbols(text) if symbol not in self._symbol_characters)
        return "not in the codec's vocabulary: " + ", ".join(describe_symbol(symbol) for symbol in unknown)


def _notated(smiles: Iterable[str], notation: Notation) -> Iterator[tuple[str | None, str | None]]:
    """Each molecule in a notation and None, or None and the reason."""
    if notation == "smiles":
        yield from ((one, None) for one in smiles)
    elif notation == "random_smiles":
        from molvae.chem.molecules import shuffle_atoms

        for one in smiles:
            try:
                yield shuffle_atoms(one, zlib.crc32(one.encode())), None
            except InputError as error:
                yield None, str(error)
    else:
        import selfies

        for one in smiles:
            try:
                yield selfies.encoder(one), None
            except selfies.EncoderError:
                yield None, "cannot be expressed as SELFIES"


def _smiles_of_selfies(text: str) -> str:
    import selfies

    try:
        smiles: str = selfies.decoder(text)
    except selfies.DecoderError:
        return ""
    return smiles


def split_symbols(smiles: str) -> list[str]:
    """The symbols of a SMILES: atoms, bonds, brackets and ring digits.

    Parameters
    ----------
    smiles : str
        A SMILES or SELFIES.

    Returns
    -------
    list of str
        Symbols, in order.

    Examples
    --------
    >>> split_symbols("[nH]1cc(Cl)cc1")
    ['[nH]', '1', 'c', 'c', '(', 'Cl', ')', 'c', 'c', '1']
    """
    return re.findall(r"\[[^\]]*\]|Br|Cl|%\d\d|.", smiles)


def describe_symbol(symbol: str) -> str:
    """A SMILES symbol and its chemical meaning, for messages.

    Parameters
    ----------
    symbol : str
        One symbol of `split_symbols`.

    Returns
    -------
    str
        Kind and symbol.

    Examples
    --------
    >>> describe_symbol("[C@@H]"), describe_symbol("[O-]"), describe_symbol("[Si]")
    ('stereocenter [C@@H]', 'charged atom [O-]', 'atom [Si]')
    """
    if "@" in symbol:
        return f"stereocenter {symbol}"
    if symbol in "/\\":
        return f"double-bond stereo {symbol}"
    if symbol == ".":
        return "second fragment (.)"
    if symbol.startswith("["):
        kind = "isotope" if symbol[1:2].isdigit() else "charged atom" if re.search(r"[+-]", symbol) else "atom"
        return f"{kind} {symbol}"
    if symbol[0].isalpha():
        return f"atom {symbol}"
    if symbol[0] == "%" or symbol.isdigit():
        return f"ring closure {symbol}"
    return f"bond {symbol}"


def _characters(symbols: Sequence[str]) -> dict[str, str]:
    """Symbol -> one character: the symbol itself, or a character of the private use area for a longer symbol."""
    long = [symbol for symbol in symbols if len(symbol) > 1]
    private = {symbol: chr(_FIRST_PRIVATE + i) for i, symbol in enumerate(long)}
    return {symbol: private.get(symbol, symbol) for symbol in symbols}


def _shorten(text: str, characters: dict[str, str]) -> str:
    """The text with one character per symbol; "\\0" for an unknown long symbol."""
    return _LONG_SYMBOL.sub(lambda match: characters.get(match[0], "\0"), text)


def _lengthen(text: str, plain: dict[str, str]) -> str:
    return "".join(plain[character] for character in text)
