"""The representations of decoder output and encoder input: settings, registry, learning and loading of featurizers.

A model reads the representation that it reconstructs, or another one, called the *view* (a heteroencoder: Bjerrum and
Sattarov 2018, doi:10.3390/biom8040131).
"""

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from pydantic import Field, JsonValue, field_validator, model_validator

from molvae.errors import CodecError
from molvae.features.featurizer import Featurizer
from molvae.features.fingerprints import FingerprintFeaturizer
from molvae.features.graphs import GraphFeaturizer
from molvae.features.tokens import TokenFeaturizer
from molvae.plugins import load_plugins
from molvae.settings import Settings

FEATURIZER_NAME, VIEW_NAME = "featurizer.json", "view.json"

Corpus = Callable[[], Iterable[str]]
"""Returns the canonical SMILES to learn from; not called for a featurizer without learned parameters."""

_Options = TypeVar("_Options", bound=Settings)


class FeatureSettings(Settings):
    """Settings of `molvae featurize`: the representations of decoder output and encoder input, and the labels.

    Parameters
    ----------
    decoder_output : str, default="smiles"
        Representation that the decoder reconstructs; one of the `outputs` in FEATURIZERS.
    encoder_input : str, optional
        Representation that the encoder reads; any of those in FEATURIZERS. None: the same as `decoder_output`.
    vocabulary_size : int, default=500
        Vocabulary size of token representations.
    radius : int, default=2
        Radius of Morgan fingerprints, in bonds.
    n_bits : int, default=1024
        Length of Morgan fingerprints.
    options : dict, default={}
        Further settings of a representation, by its name; validated by the `options` of its row in FEATURIZERS.
    labels : int, default=0
        Number of molecules, drawn at random, for which property labels are computed.
    label_bits : int, default=0
        Length of the Morgan fingerprint (radius 2) of labelled molecules, for the term `similarity`; 0: none.
    hold_out : int, default=0
        One molecule in `hold_out` is held out for testing, chosen by its structure (`molvae.datasets.is_held_out`);
        0: none.
    """

    decoder_output: str = "smiles"
    encoder_input: str | None = None
    vocabulary_size: int = Field(500, ge=8, le=60_000)
    radius: int = Field(2, ge=0, le=10)
    n_bits: int = Field(1024, ge=8, le=65_536)
    options: dict[str, dict[str, JsonValue]] = Field({})
    labels: int = Field(0, ge=0)
    label_bits: int = Field(0, ge=0, le=65_536)
    hold_out: int = Field(0, ge=0)

    @field_validator("decoder_output")
    @classmethod
    def _is_output(cls, name: str) -> str:
        known = [output for entry in registered_featurizers().values() for output in entry.outputs]
        if name in _representations() and name not in known:
            raise ValueError(f"a decoder cannot reconstruct this representation; expected one of {', '.join(known)}")
        return _known(name, known)

    @field_validator("encoder_input")
    @classmethod
    def _is_input(cls, name: str | None) -> str | None:
        return None if name is None else _known(name, list(_representations()))

    @field_validator("options")
    @classmethod
    def _are_options(cls, options: dict[str, dict[str, JsonValue]]) -> dict[str, dict[str, JsonValue]]:
        for name, values in options.items():
            kind = entry_of(_known(name, list(_representations()))).options
            if kind is None:
                raise ValueError(f"{name} has no further settings")
            kind.from_dict(values, f"[{name}]")
        return options

    @model_validator(mode="after")
    def _bits_are_labels(self) -> Self:
        if self.label_bits and not self.labels:
            raise ValueError("label_bits: only labelled molecules have fingerprints; set their number in `labels`")
        return self

    def options_of(self, representation: str, kind: type[_Options]) -> _Options:
        """Validated further settings of a representation.

        Parameters
        ----------
        representation : str
            Name of the representation.
        kind : type of Settings
            Class of its settings.

        Returns
        -------
        Settings
            An instance of `kind`; with its defaults if `options` has no entry for the representation.
        """
        return kind.from_dict(self.options.get(representation, {}), f"[features.options.{representation}]")


class _SavedFeaturizer(Featurizer, Protocol):
    @classmethod
    def load(cls, path: Path) -> Self: ...


@dataclass(frozen=True)
class FeaturizerEntry:
    """A row of FEATURIZERS: a class of featurizers, with its representations and their settings.

    Parameters
    ----------
    featurizer : type
        The class; its `load` reads the file that `save` writes. If it has a method `decode`, its features can be
        decoded to SMILES.
    representations : dict of str to callable
        The representations that the class computes, by their names in `[features]`; each callable creates the
        featurizer: ``learn(settings, corpus)``.
    outputs : tuple of str, default=()
        The representations that a decoder can reconstruct.
    options : type of Settings, optional
        Class of the further settings of its representations; ``settings.options_of(representation, kind)`` reads them.
    """

    featurizer: type[_SavedFeaturizer]
    representations: Mapping[str, Callable[[FeatureSettings, Corpus], Featurizer]]
    outputs: tuple[str, ...] = ()
    options: type[Settings] | None = None


def learn_featurizer(representation: str, settings: FeatureSettings, corpus: Corpus) -> Featurizer:
    """The featurizer of a representation; its vocabulary, if it has one, is learned from canonical SMILES.

    Parameters
    ----------
    representation : str
        Name of the representation, from FEATURIZERS.
    settings : FeatureSettings
        Sizes of vocabulary and fingerprint, and further settings.
    corpus : callable
        Returns the canonical SMILES to learn from; not called if nothing is learned.

    Returns
    -------
    Featurizer
        A fitted featurizer.

    Raises
    ------
    InputError
        The corpus is empty, or has more symbols than the vocabulary has tokens.
    """
    return entry_of(representation).representations[representation](settings, corpus)


def entry_of(representation: str) -> FeaturizerEntry:
    """The row of FEATURIZERS for a representation.

    Parameters
    ----------
    representation : str
        Name of the representation.

    Returns
    -------
    FeaturizerEntry
        The row.

    Raises
    ------
    ValueError
        No row has this representation.
    """
    _known(representation, list(_representations()))
    return next(entry for entry in registered_featurizers().values() if representation in entry.representations)


def decodes_to_smiles(representation: str) -> bool:
    """Whether a model that outputs this representation can generate molecules.

    Parameters
    ----------
    representation : str
        Name of the representation.

    Returns
    -------
    bool
        True for SMILES and SELFIES, False for fingerprints.
    """
    return hasattr(entry_of(representation).featurizer, "decode")


def load_featurizer(path: Path) -> Featurizer:
    """Load a saved featurizer of any kind.

    Parameters
    ----------
    path : Path
        A JSON file that the method `save` of a featurizer wrote.

    Returns
    -------
    Featurizer
        An equal featurizer.

    Raises
    ------
    CodecError
        The file is missing or damaged, or its kind is not in FEATURIZERS.
    """
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["kind"]
    except (RecursionError, OSError, KeyError, TypeError, ValueError) as error:
        raise CodecError(f"{path}: not a readable featurizer ({error}); create it again") from None
    known = registered_featurizers()
    if not isinstance(kind, str) or kind not in known:
        raise CodecError(
            f"{path}: unknown kind of featurizer {kind!r}; expected one of {', '.join(known)}; install the package "
            "that provides it, or create the file again"
        )
    return known[kind].featurizer.load(path)


def registered_featurizers() -> dict[str, FeaturizerEntry]:
    """All featurizers: built-in ones, and entry points `molvae.featurizers` of installed packages.

    Returns
    -------
    dict of str to FeaturizerEntry
        Kind of a saved featurizer -> its row.
    """
    return FEATURIZERS | load_plugins("molvae.featurizers", FEATURIZERS, FeaturizerEntry)


def _representations() -> Iterator[str]:
    return (name for entry in registered_featurizers().values() for name in entry.representations)


def _known(name: str, known: list[str]) -> str:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
        raise ValueError(f"unknown representation {name!r}; {hint}")
    return name


FEATURIZERS: dict[str, FeaturizerEntry] = {
    "tokens": FeaturizerEntry(
        TokenFeaturizer,
        {
            "smiles": lambda settings, corpus: TokenFeaturizer.from_corpus(corpus(), settings.vocabulary_size),
            "random_smiles": lambda settings, corpus: TokenFeaturizer.from_corpus(
                corpus(), settings.vocabulary_size, notation="random_smiles"
            ),
            "selfies": lambda settings, corpus: TokenFeaturizer.from_corpus(
                corpus(), settings.vocabulary_size, notation="selfies"
            ),
        },
        outputs=("smiles", "selfies"),
    ),
    "fingerprint": FeaturizerEntry(
        FingerprintFeaturizer,
        {
            "bits": lambda settings, corpus: FingerprintFeaturizer("bits", settings.radius, settings.n_bits),
            "counts": lambda settings, corpus: FingerprintFeaturizer("counts", settings.radius, settings.n_bits),
        },
        outputs=("bits", "counts"),
    ),
    "graph": FeaturizerEntry(
        GraphFeaturizer, {"graph": lambda settings, corpus: GraphFeaturizer.from_corpus(corpus())}
    ),
}
"""Kind of a saved featurizer -> its row."""
