"""SMILES as short rows of token ids, by byte-pair encoding over atoms and bonds, and back.

A molecule of the MOSES set has 35 atoms, bonds, brackets and ring digits on average but only 8 pair-encoded tokens,
and an autoregressive step costs the same for either. No merge can split an atom: every symbol of several characters
(Cl, [nH], %10) is mapped to one character first.

Source: Gage 1994; Sennrich et al. 2016, doi 10.18653/v1/P16-1162; SMILES pair encoding, doi 10.1021/acs.jcim.0c01127.
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

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one thread a process; processes are what runs side by side

Notation = Literal["smiles", "random_smiles", "selfies"]
SPECIALS = {"<pad>": PAD, "<begin>": BEGIN, "<end>": END, "<mask>": MASK}
_LONG_SYMBOL = re.compile(r"\[[^\]]*\]|Br|Cl|%\d\d")
_FIRST_PRIVATE = 0xE000  # long symbols become characters of Unicode's private use area


@dataclass(frozen=True)
class TokenFeaturizer:
    """Canonical SMILES to token ids and back.

    symbols: the atoms, bonds, brackets and ring digits of the corpus.
    merges: pairs of token texts, in the order in which they were learnt.
    length: the most tokens a molecule may have, the closing END counted.
    notation: how a molecule is written: "smiles", canonical; "random_smiles", from another atom and by other ways, the
        same for the same molecule, to be read rather than rebuilt; "selfies" (Krenn et al. 2020,
        doi 10.1088/2632-2153/aba947).
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
        """A vocabulary of at most `vocabulary_size` tokens (specials counted), learnt from canonical SMILES.

        length: the most tokens of a molecule; None takes the longest of the corpus.
        A molecule that the notation cannot write teaches nothing.

        Raises:
            InputError: the corpus is empty, or has more symbols than the vocabulary has places.
        """
        from tokenizers import Tokenizer, models, trainers

        corpus = [text for text, _ in _written(smiles, notation) if text is not None]
        symbols = tuple(sorted({symbol for text in corpus for symbol in split_symbols(text)}))
        if not symbols:
            raise InputError("vocabulary: expected at least one molecule to learn from, got none")
        least = len(SPECIALS) + len(symbols)
        if vocabulary_size < least:
            raise InputError(
                f"vocabulary_size {vocabulary_size}: this corpus needs at least {least} tokens, one a symbol"
            )
        characters = _characters(symbols)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size - len(SPECIALS),
            initial_alphabet=sorted(characters.values()),
            show_progress=False,
            min_frequency=2,
        )
        tokenizer = Tokenizer(models.BPE())
        tokenizer.train_from_iterator((_shorten(text, characters) for text in corpus), trainer)
        plain = {character: symbol for symbol, character in characters.items()}
        merges = tuple(
            (_lengthen(left, plain), _lengthen(right, plain))
            for left, right in json.loads(tokenizer.to_str())["model"]["merges"]
        )
        if length is None:
            draft = cls(symbols, merges, 2**15)
            length = max(len(ids) for ids in draft._ids([_shorten(text, characters) for text in corpus])) + 1
        return cls(symbols, merges, length, notation)

    @property
    def spec(self) -> FeatureSpec:
        """Token ids below the vocabulary's size, in rows of `length`."""
        return FeatureSpec("tokens", len(self.token_texts), self.length)

    @property
    def representation(self) -> str:
        """The notation."""
        return self.notation

    @cached_property
    def token_texts(self) -> tuple[str, ...]:
        """The text of every token, by id; the specials are empty."""
        return ("",) * len(SPECIALS) + self.symbols + tuple(left + right for left, right in self.merges)

    def encode(self, smiles: Sequence[str]) -> Features:
        """Token ids (n, length) uint16, closed by END and filled up with PAD.

        A molecule with a symbol outside the vocabulary, or with too many tokens, is not ok, and its reason names it.
        """
        written = list(_written(smiles, self.notation))
        shortened = [_shorten(text or "", self._symbol_characters) for text, _ in written]
        find_unknown = self._unknown_character.search
        reason = [
            why or (self._name_unknown(text or "") if find_unknown(short) else None)
            for (text, why), short in zip(written, shortened, strict=True)
        ]
        readable = [row for row, why in enumerate(reason) if why is None]
        ids = self._ids([shortened[row] for row in readable])
        n_ids = np.fromiter(map(len, ids), np.int64, len(ids))
        for place in np.flatnonzero(n_ids >= self.length):
            reason[readable[place]] = f"{n_ids[place]} tokens long; the codec reads at most {self.length - 1}"
        rows, lengths = np.array(readable, np.int64)[n_ids < self.length], n_ids[n_ids < self.length]
        x = np.full((len(smiles), self.length), PAD, np.uint16)
        flat = chain.from_iterable(row_ids for row_ids in ids if len(row_ids) < self.length)
        places = np.arange(self.length) < lengths[:, None]
        x[np.repeat(rows, lengths), np.nonzero(places)[1]] = np.fromiter(flat, np.uint16, lengths.sum())
        x[rows, lengths] = END
        return Features(x, np.array([why is None for why in reason], bool), reason)

    def decode(self, x: np.ndarray) -> list[str]:
        """The SMILES of each row (n, any length) up to its END, as written: not yet a molecule."""
        texts = self.token_texts
        ends = np.where((x == END).any(1), (x == END).argmax(1), x.shape[1])
        written = ["".join([texts[i] for i in row[:end]]) for row, end in zip(x.tolist(), ends.tolist(), strict=True)]
        return [_smiles_of_selfies(text) for text in written] if self.notation == "selfies" else written

    def describe(self) -> str:
        """What these features are, in words."""
        what = {"smiles": "SMILES", "random_smiles": "SMILES in any order", "selfies": "SELFIES"}[self.notation]
        return f"{len(self.token_texts):,} tokens of {what}, at most {self.length - 1} a molecule"

    def save(self, path: Path) -> None:
        """Write one JSON file, from which `load` makes the same featurizer again."""
        fields = {"notation": self.notation, "length": self.length, "symbols": self.symbols, "merges": self.merges}
        write_description(path, "tokens", fields)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The featurizer that was saved in a file.

        Raises:
            CodecError: the file is missing, damaged or of another version.
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
        """Why a text cannot be written in this vocabulary, naming every symbol that is missing."""
        missing = dict.fromkeys(symbol for symbol in split_symbols(text) if symbol not in self._symbol_characters)
        return "not in the codec's vocabulary: " + ", ".join(describe_symbol(symbol) for symbol in missing)


def _written(smiles: Iterable[str], notation: Notation) -> Iterator[tuple[str | None, str | None]]:
    """Each molecule's text in a notation, or None and the reason."""
    if notation == "smiles":
        yield from ((text, None) for text in smiles)
    elif notation == "random_smiles":
        from molvae.chem.molecules import shuffle_atoms

        for text in smiles:
            try:
                yield shuffle_atoms(text, zlib.crc32(text.encode())), None
            except InputError as error:
                yield None, str(error)
    else:
        import selfies

        for text in smiles:
            try:
                yield selfies.encoder(text), None
            except selfies.EncoderError:
                yield None, "cannot be written as SELFIES"


def _smiles_of_selfies(text: str) -> str:
    import selfies

    try:
        smiles: str = selfies.decoder(text)
    except selfies.DecoderError:
        return ""
    return smiles


def split_symbols(smiles: str) -> list[str]:
    """The atoms, bonds, brackets and ring digits of a SMILES text.

    Example:
        >>> split_symbols("[nH]1cc(Cl)cc1")
        ['[nH]', '1', 'c', 'c', '(', 'Cl', ')', 'c', 'c', '1']
    """
    return re.findall(r"\[[^\]]*\]|Br|Cl|%\d\d|.", smiles)


def describe_symbol(symbol: str) -> str:
    """A SMILES symbol in a chemist's words.

    Example:
        >>> describe_symbol("[C@@H]"), describe_symbol("[O-]"), describe_symbol("[Si]")
        ('stereo centre [C@@H]', 'charged atom [O-]', 'atom [Si]')
    """
    if "@" in symbol:
        return f"stereo centre {symbol}"
    if symbol in "/\\":
        return f"double-bond stereo {symbol}"
    if symbol == ".":
        return "a second fragment (.)"
    if symbol.startswith("["):
        kind = "isotope" if symbol[1:2].isdigit() else "charged atom" if re.search(r"[+-]", symbol) else "atom"
        return f"{kind} {symbol}"
    if symbol[0].isalpha():
        return f"atom {symbol}"
    if symbol[0] == "%" or symbol.isdigit():
        return f"ring closure {symbol}"
    return f"bond {symbol}"


def _characters(symbols: Sequence[str]) -> dict[str, str]:
    """Symbol -> one character: itself, or one of the private use area where it is longer."""
    long = [symbol for symbol in symbols if len(symbol) > 1]
    private = {symbol: chr(_FIRST_PRIVATE + i) for i, symbol in enumerate(long)}
    return {symbol: private.get(symbol, symbol) for symbol in symbols}


def _shorten(text: str, characters: dict[str, str]) -> str:
    """The text with one character a symbol; "\\0" where a long one has none."""
    return _LONG_SYMBOL.sub(lambda match: characters.get(match[0], "\0"), text)


def _lengthen(text: str, plain: dict[str, str]) -> str:
    return "".join(plain[character] for character in text)
