"""Which features a model rebuilds and which it reads: the table of featurizers, and the way to one that was saved."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from molvae.errors import CodecError
from molvae.features.featurizer import Featurizer
from molvae.features.fingerprints import FingerprintFeaturizer
from molvae.features.graphs import GraphFeaturizer
from molvae.features.tokens import TokenFeaturizer
from molvae.settings import Settings

Form = Literal["smiles", "random_smiles", "selfies", "bits", "counts", "graph"]
"""How a molecule can be written as features."""

FEATURIZER_NAME, VIEW_NAME = "featurizer.json", "view.json"


class FeatureSettings(Settings):
    """What of a molecule is rebuilt, and what the encoder reads.

    rebuilt: the form that the decoder writes; view: the form that the encoder reads, None: the same.
    vocabulary_size: tokens of a vocabulary that is learnt. radius, n_bits: of a Morgan fingerprint.
    labels: of how many molecules, drawn at random, properties are computed for the model to learn.
    label_bits: of so many bits a Morgan fingerprint (radius 2) of the same molecules, to learn too; 0: none.
    hold_out: one molecule in so many is kept out, to test with; which ones, their structures alone say (see
        molvae.datasets.is_held_out). 0 keeps none out.
    """

    rebuilt: Literal["smiles", "selfies", "bits", "counts"] = "smiles"
    view: Form | None = None
    vocabulary_size: int = Field(500, ge=8, le=60_000)
    radius: int = Field(2, ge=0, le=10)
    n_bits: int = Field(1024, ge=8, le=65_536)
    labels: int = Field(0, ge=0)
    label_bits: int = Field(0, ge=0, le=65_536)
    hold_out: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _bits_are_labels(self) -> Self:
        if self.label_bits and not self.labels:
            raise ValueError("label_bits: fingerprints of the labelled molecules; say in `labels` how many those are")
        return self


def learn_featurizer(form: Form, settings: FeatureSettings, corpus: Callable[[], Iterable[str]]) -> Featurizer:
    """The featurizer of a form; what it must know of molecules is learnt from canonical SMILES.

    corpus: gives the molecules to learn from; not called where there is nothing to learn.

    Raises:
        InputError: the corpus is empty, or has more symbols than the vocabulary has places.
    """
    if form == "bits" or form == "counts":
        return FingerprintFeaturizer(form, settings.radius, settings.n_bits)
    if form == "graph":
        return GraphFeaturizer.from_corpus(corpus())
    return TokenFeaturizer.from_corpus(corpus(), settings.vocabulary_size, notation=form)


def form_of(featurizer: Featurizer) -> Form:
    """In which form a featurizer writes molecules."""
    if isinstance(featurizer, TokenFeaturizer):
        return featurizer.notation
    return featurizer.form if isinstance(featurizer, FingerprintFeaturizer) else "graph"


def load_featurizer(path: Path) -> Featurizer:
    """The featurizer that was saved in a file.

    Raises:
        CodecError: the file is missing, damaged, or of a kind not known here.
    """
    try:
        kind = json.loads(path.read_text(encoding="utf-8"))["kind"]
        featurizer = FEATURIZERS[kind]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CodecError(f"{path}: not a readable featurizer ({error}); make it again") from None
    return featurizer.load(path)


FEATURIZERS: dict[str, type[TokenFeaturizer] | type[FingerprintFeaturizer] | type[GraphFeaturizer]] = {
    "tokens": TokenFeaturizer,
    "fingerprint": FingerprintFeaturizer,
    "graph": GraphFeaturizer,
}
