"""Infilling: gaps of a SMILES, or attachment points of a fixed part, are filled; given atoms and bonds are kept."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor
from torch.nn.functional import cross_entropy

from molvae.autoencoder import Autoencoder
from molvae.autoencoder.corruption import MaskTokens
from molvae.autoencoder.regularizers import noised
from molvae.autoencoder.trace import DecoderState
from molvae.codec.filling import Filled, LatentRows, fill
from molvae.codec.gaps import CLOSE, GAP, Gap, Grammar, Template, TokenTree, kind_of
from molvae.codec.results import Decoded
from molvae.codec.templates import MAX_ATOMS, template_of_molecule, template_of_writing
from molvae.devices import autocast
from molvae.errors import InputError
from molvae.feature_spec import END, MASK, PAD
from molvae.features.tokens import TokenFeaturizer, split_symbols
from molvae.seeds import generator, integer_seed

if TYPE_CHECKING:
    from molvae.chem.fixed_parts import FixedPart, FixedWriting, KeptPattern

MAX_GAPS = 5
MAX_TRIES = 100_000

_BATCH_SIZE = 512
_N_DRAWS = 8  # a log-probability varies by about 0.8 nats with one noise vector, by 0.3 with eight
_OVERSAMPLING = 2  # with two or more gaps, so many fillings are begun for each that is completed
_N_WRITINGS = 16  # atom orders of a fixed part
_MAX_BEFORE_SECOND = 7  # atoms of a linker before the second fragment; more may follow in its rings and branches
_MAX_MASKS = 4
_MAX_ATOMS = 50
_N_PER_ROW = 2  # fillings per latent vector, of which the one is kept that fits better
_COLUMNS = {"smiles": object, "filled": object, "log_probability": float, "n_drawn": int}


def can_infill(model: Autoencoder, featurizer: TokenFeaturizer, *, has_view: bool) -> bool:
    """Whether a codec can fill gaps: trained with masked tokens, or with a noise-conditioned decoder.

    Parameters
    ----------
    model : Autoencoder
        The model of the codec.
    featurizer : TokenFeaturizer
        The features that the model reconstructs; gaps need SMILES tokens.
    has_view : bool
        Whether the encoder reads other features than these.

    Returns
    -------
    bool
        Whether `infill` works.
    """
    return featurizer.notation == "smiles" and (_encodes_gaps(model, has_view) or model.is_noise_conditioned)


class _Filling(NamedTuple):
    """A filling of the gaps.

    Parameters
    ----------
    raw_smiles : str
        The completed SMILES; empty if it does not end within the maximum length.
    filled : str
        The fillings, joined by the gap mark.
    """

    raw_smiles: str
    filled: str


def infill(
    model: Autoencoder,
    featurizer: TokenFeaturizer,
    fragment: str,
    *,
    has_view: bool,
    n: int,
    seed: int,
    temperature: float,
    atoms: tuple[int, int],
    tries: int,
) -> pd.DataFrame:
    """Fill the gaps or the attachment points of a fragment; the table of `Codec.infill`.

    Parameters
    ----------
    model : Autoencoder
        The model of the codec.
    featurizer : TokenFeaturizer
        The tokens that the model reconstructs.
    fragment : str
        SMILES with gaps or attachment points.
    has_view : bool
        Whether the encoder reads other features than these tokens.
    n, seed, temperature, atoms, tries
        As for `Codec.infill`.

    Returns
    -------
    DataFrame
        One row per unique molecule, the most probable first.
    """
    _check_numbers(n, temperature, atoms, tries)
    part = _read_part(fragment)
    from_encoder = _encodes_gaps(model, has_view)
    draws = torch.Generator().manual_seed(integer_seed(seed, "infill"))
    random = generator(seed, "infill lengths")
    maker = _FragmentTemplates(featurizer, fragment, atoms) if part is None else _PartTemplates(featurizer, part, atoms)
    is_ended = not _is_end_untrained(model)
    n_drawn: Counter[_Filling] = Counter()
    scores: dict[_Filling, float] = {}
    for start in range(0, tries, _BATCH_SIZE):
        n_kept = min(_BATCH_SIZE, tries - start)
        n_begun = n_kept * (_OVERSAMPLING if maker.n_gaps > 1 else 1)
        templates = maker.draw(n_begun, random, exact=not is_ended)
        for one in _fill(model, featurizer, templates, n_kept, temperature, draws, from_encoder, is_ended):
            filling = _Filling(one.raw_smiles if one.is_complete else "", GAP.join(one.fillings))
            n_drawn[filling] += 1
            scores[filling] = max(scores.get(filling, -np.inf), one.log_probability)
    return _table(model, featurizer, part, n_drawn, scores if from_encoder else None, n, draws)


def decode_with(
    model: Autoencoder,
    featurizer: TokenFeaturizer,
    part: "FixedPart | KeptPattern",
    z: np.ndarray,
    *,
    parents: Sequence[str | None],
    noise: np.ndarray,
    temperature: np.ndarray,
    seed: int,
) -> list[Decoded]:
    """Decode latent vectors to molecules that contain a part; see `Codec.decode_with`.

    Parameters
    ----------
    model : Autoencoder
        The model of the codec.
    featurizer : TokenFeaturizer
        Its tokens.
    part : FixedPart or KeptPattern
        What the molecules contain.
    z : ndarray of shape (n, D)
        Latent vectors, float32.
    parents : sequence of str or None
        A molecule for each latent vector whose SMILES gives the order of the atoms.
    noise, temperature : ndarray of shape (n,)
        Noise level and temperature of each row, float32.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    list of Decoded
        One per row.
    """
    from molvae.chem.fixed_parts import FixedPart

    random = generator(seed, "fixed part")
    draws = torch.Generator().manual_seed(integer_seed(seed, "fixed part"))
    parts = [part] if isinstance(part, FixedPart) else _scaffolds(part)
    makers = [_PartTemplates(featurizer, one, (1, MAX_ATOMS)) for one in parts]
    decoded = [Decoded("", None, "no molecule with the pattern to start from")] * len(z)
    templates: list[Template] = []
    rows = []
    for row, parent in enumerate(parents):
        atoms = None if parent is None else part.find(parent)
        own = [
            None if parent is None or atoms is None else template_of_molecule(parent, atoms, random)
            for _ in range(_N_PER_ROW)
        ]
        if any(one is None for one in own):
            if not makers or not np.isfinite(z[row]).all():
                continue
            own = list(makers[int(random.integers(len(makers)))].draw(_N_PER_ROW, random))
        rows.append(row)
        templates += [one for one in own if one is not None]
    for start in range(0, len(rows), _BATCH_SIZE // _N_PER_ROW):
        chunk = rows[start : start + _BATCH_SIZE // _N_PER_ROW]
        index = np.repeat(chunk, _N_PER_ROW)
        level = torch.from_numpy(noise[index])
        filled = fill(
            model.token_decoder,
            _token_tree(featurizer),
            _grammars(templates[start * _N_PER_ROW :][: len(index)], featurizer),
            LatentRows(noised(torch.from_numpy(z[index]), level, draws), level, torch.from_numpy(temperature[index])),
            draws,
            per_group=_N_PER_ROW,
            n_kept=1,
        )
        for one in filled:
            decoded[index[one.row]] = _read(one, part)
    return decoded


@lru_cache(maxsize=16)
def _scaffolds(pattern: "KeptPattern") -> "list[FixedPart]":
    return pattern.scaffolds(_N_WRITINGS, 0)


def _read(filled: Filled, part: "FixedPart | KeptPattern") -> Decoded:
    from molvae.chem.molecules import read_decoded

    if not filled.is_complete:
        return Decoded(filled.raw_smiles, None, "no end token within the maximum length")
    molecule = read_decoded(filled.raw_smiles)
    if molecule.smiles is not None and not part.is_in(molecule.smiles):
        return Decoded(filled.raw_smiles, None, "without the fixed part")
    return Decoded(filled.raw_smiles, molecule.smiles, molecule.reason)


class _FragmentTemplates:
    """Templates of a SMILES with gaps."""

    def __init__(self, featurizer: TokenFeaturizer, fragment: str, atoms: tuple[int, int]) -> None:
        self._atoms = atoms
        pieces = _split_at_gaps(fragment)
        self.n_gaps = len(pieces) - 1
        features = featurizer.encode(pieces)
        for reason in features.reason:
            if reason is not None:
                raise InputError(f"infill: {fragment!r}: {reason}")
        _check_length(featurizer, fragment, int((features.x != PAD).sum()) - len(pieces))
        self._pieces = [split_symbols(piece) for piece in pieces]
        self._ends_freely = [not piece or kind_of(piece[0]) == CLOSE for piece in self._pieces[1:]]
        self._ends_freely[:-1] = [
            is_free and bool(piece) for is_free, piece in zip(self._ends_freely[:-1], self._pieces[1:-1], strict=True)
        ]

    def draw(self, n: int, random: np.random.Generator, *, exact: bool = False) -> list[Template]:
        """Templates with random lengths of those gaps whose end the decoder does not choose."""
        low, high = self._atoms
        least = random.integers(low, high + 1, (n, self.n_gaps))
        if not exact:
            least[:, self._ends_freely] = low
        found: dict[tuple[int, ...], Template] = {}
        for row in map(tuple, least.tolist()):
            if row not in found:
                elements: list[str | Gap] = [*self._pieces[0]]
                for size, piece in zip(row, self._pieces[1:], strict=True):
                    elements += [Gap(size, high), *piece]
                found[row] = Template(tuple(elements))
        return [found[row] for row in map(tuple, least.tolist())]


class _PartTemplates:
    """Templates of a fixed part with attachment points."""

    def __init__(self, featurizer: TokenFeaturizer, part: "FixedPart", atoms: tuple[int, int]) -> None:
        self._writings = _usable_writings(featurizer, part)
        self._is_linked = part.is_linked
        self._low, self._high = max(1, atoms[0]), max(1, atoms[1])
        self.n_gaps = 2 if part.is_linked else part.n_points

    def draw(self, n: int, random: np.random.Generator, *, exact: bool = False) -> list[Template]:
        """Templates of random writings; those of two fragments with random lengths of the linker."""
        chosen = random.integers(len(self._writings), size=n)
        longest = max(self._low, min(self._high, _MAX_BEFORE_SECOND))
        before = random.integers(self._low if self._low <= longest else 1, longest + 1, n)
        found: dict[tuple[int, int], Template] = {}
        keys = [
            (one, size if self._is_linked else 0) for one, size in zip(chosen.tolist(), before.tolist(), strict=True)
        ]
        for key in keys:
            if key not in found:
                found[key] = template_of_writing(self._writings[key[0]], key[1], self._low, self._high)
        return [found[key] for key in keys]


@lru_cache(maxsize=64)
def _usable_writings(featurizer: TokenFeaturizer, part: "FixedPart") -> "list[FixedWriting]":
    """Writings of a part whose symbols are in the vocabulary.

    Raises
    ------
    InputError
        There is none, or the part is too long.
    """
    writings = part.writings(_N_WRITINGS, 0)
    plain = [_remove_points(one.first + (one.second or "")) for one in writings]
    features = featurizer.encode(plain)
    unknown = [reason for reason in features.reason if reason is not None and "tokens long" not in reason]
    if len(unknown) == len(plain):
        raise InputError(f"fixed part {part.smiles!r}: {unknown[0]}")
    lengths = [int((row != PAD).sum()) - 1 for row, ok in zip(features.x, features.ok, strict=True) if ok]
    _check_length(featurizer, part.smiles, min(lengths, default=featurizer.length) + part.n_points)
    return [one for one, ok in zip(writings, features.ok, strict=True) if ok]


def _remove_points(smiles: str) -> str:
    """A SMILES without its attachment points, for counting its tokens."""
    return re.sub(r"\(\[\*:\d+\]\)|\[\*:\d+\]", "", smiles)


def _check_length(featurizer: TokenFeaturizer, fragment: str, n_tokens: int) -> None:
    if n_tokens > featurizer.length - 1:
        raise InputError(
            f"infill: {fragment!r} has {n_tokens} tokens without its gaps, and the codec generates at most "
            f"{featurizer.length - 1}; give a shorter fragment"
        )


def _read_part(fragment: str) -> "FixedPart | None":
    """The fixed part of a fragment with attachment points; None for a fragment with gaps."""
    if not isinstance(fragment, str) or "[*" not in fragment or GAP in fragment:
        return None
    from molvae.chem.fixed_parts import read_fixed_part

    return read_fixed_part(fragment)


def _fill(
    model: Autoencoder,
    featurizer: TokenFeaturizer,
    templates: list[Template],
    n_kept: int,
    temperature: float,
    draws: Generator,
    from_encoder: bool,
    is_ended: bool,
) -> list[Filled]:
    """Fill templates from latent vectors of the masked templates, or from noise at level 1."""
    n = len(templates)
    if from_encoder:
        rows = _mask(featurizer, templates, draws)
        unique, row = rows.unique(dim=0, return_inverse=True)
        z, noise = model.encode(unique)[row], torch.zeros(n)
    else:
        z, noise = torch.randn(n, model.bottleneck.n_latent, generator=draws), torch.ones(n)
    latent = LatentRows(z, noise, torch.full((n,), float(temperature)))
    grammars, tree = _grammars(templates, featurizer), _token_tree(featurizer)
    return fill(model.token_decoder, tree, grammars, latent, draws, per_group=n, n_kept=n_kept, is_end_scored=is_ended)


def _mask(featurizer: TokenFeaturizer, templates: list[Template], draws: Generator) -> Tensor:
    """Token rows (n, L) with one to four MASK in each gap, none in a gap without atoms."""
    sizes = torch.randint(1, _MAX_MASKS + 1, (len(templates), MAX_GAPS + 1), generator=draws).tolist()
    found = torch.full((len(templates), featurizer.length), PAD)
    known: dict[str, list[int]] = {}
    for row, (template, n_masks) in enumerate(zip(templates, sizes, strict=True)):
        ids: list[int] = []
        for number, piece in enumerate(template.pieces()):
            if piece not in known:
                x = featurizer.encode([piece]).x[0]
                known[piece] = [int(i) for i in x if i not in (PAD, END)]
            most = template.most_atoms(number - 1) if number else 0
            ids += [MASK] * min(n_masks[number - 1], most) + known[piece] if number else known[piece]
        ids = [*ids[: featurizer.length - 1], END]
        found[row, : len(ids)] = torch.tensor(ids)
    return found


def _grammars(templates: Sequence[Template], featurizer: TokenFeaturizer) -> list[Grammar]:
    """One grammar per template; equal templates share one, and what it has found."""
    tree = _token_tree(featurizer)
    known: dict[int, Grammar] = {}
    for one in templates:
        if id(one) not in known:
            known[id(one)] = Grammar(one, tree)
    return [known[id(one)] for one in templates]


@lru_cache(maxsize=4)
def _token_tree(featurizer: TokenFeaturizer) -> TokenTree:
    return TokenTree(featurizer)


def _encodes_gaps(model: Autoencoder, has_view: bool) -> bool:
    """Whether the encoder was trained on sequences with masked tokens."""
    return isinstance(model.corruption, MaskTokens) and not has_view


def _is_end_untrained(model: Autoencoder) -> bool:
    return isinstance(model.corruption, MaskTokens) and model.corruption.is_hidden_scored


def _table(
    model: Autoencoder,
    featurizer: TokenFeaturizer,
    part: "FixedPart | None",
    n_drawn: Counter[_Filling],
    scores: dict[_Filling, float] | None,
    n: int,
    draws: Generator,
) -> pd.DataFrame:
    """One row per unique molecule; if `scores` is None, the SMILES are scored here."""
    from molvae.chem.molecules import read_decoded

    counts = {"tried": n_drawn.total(), "invalid": 0, "altered": 0, "duplicates": 0, "unique": 0}
    reasons: Counter[str] = Counter()
    kept = []
    for filling, times in n_drawn.items():
        molecule = read_decoded(filling.raw_smiles)
        if molecule.smiles is None:
            reason = (molecule.reason or "").split(":")[0] if filling.raw_smiles else "no end within the maximum length"
            counts["invalid"] += times
            reasons[reason] += times
        elif part is not None and not part.is_in(molecule.smiles):
            counts["altered"] += times
        else:
            kept.append((molecule.smiles, filling, times))
    if scores is None:
        values = _log_probabilities(model, featurizer, [filling.raw_smiles for _, filling, _ in kept], draws)
    else:
        values = [scores[filling] for _, filling, _ in kept]
    best: dict[str, tuple[str, str, float]] = {}
    total: Counter[str] = Counter()
    for (smiles, filling, times), value in sorted(
        zip(kept, values, strict=True), key=lambda pair: (-pair[1], pair[0][1].raw_smiles)
    ):
        best.setdefault(smiles, (smiles, filling.filled, value))
        total[smiles] += times
    counts["unique"] = len(best)
    counts["duplicates"] = counts["tried"] - counts["invalid"] - counts["altered"] - counts["unique"]
    rows = [(*row, total[smiles]) for smiles, row in best.items()]
    table = pd.DataFrame(rows[:n], columns=list(_COLUMNS)).astype(_COLUMNS)
    table.attrs = {"counts": counts, "reasons": dict(reasons.most_common())}
    return table


def _log_probabilities(
    model: Autoencoder, featurizer: TokenFeaturizer, raw_smiles: list[str], draws: Generator
) -> list[float]:
    """Log-probabilities of SMILES at noise level 1, in nats; minus infinity for a SMILES that is too long.

    Each is the logarithm of the mean probability over _N_DRAWS noise vectors, the same ones for every SMILES.
    """
    features = featurizer.encode(raw_smiles)
    values = np.full(len(raw_smiles), -np.inf)
    noise = torch.randn(_N_DRAWS, model.bottleneck.n_latent, generator=draws)
    rows = np.flatnonzero(features.ok)
    rows = rows[np.argsort((features.x[rows] != PAD).sum(1), kind="stable")]
    for part in np.split(rows, range(_BATCH_SIZE, len(rows), _BATCH_SIZE)):
        if len(part):
            x = torch.from_numpy(features.x[part].astype(np.int64))
            x = x[:, : int((x != PAD).sum(1).max())]
            scores = [_log_probability(model, z.expand(len(part), -1), x) for z in noise]
            values[part] = (torch.stack(scores).logsumexp(0) - math.log(_N_DRAWS)).numpy()
    return [float(value) for value in values]


def _log_probability(model: Autoencoder, z: Tensor, x: Tensor) -> Tensor:
    """Log-probabilities (B,) of token rows (B, L) with END, at noise level 1."""
    total = torch.zeros(len(x))
    with autocast(z.device, "auto"):
        state = model.token_decoder.begin(z, torch.ones(len(x)))
        for token in x.t():
            logits, hidden = model.token_decoder.advance(state)
            total -= torch.where(token == PAD, 0.0, cross_entropy(logits, token, reduction="none"))
            state = DecoderState(hidden, state.context_gates, token)
    return total


def _split_at_gaps(fragment: str) -> list[str]:
    """The SMILES before, between and after the gaps."""
    from molvae.chem.molecules import guard

    reason = guard(fragment)
    if reason is not None:
        raise InputError(f"infill: {reason}")
    pieces = fragment.strip().split(GAP)
    if len(pieces) == 1:
        raise InputError(
            f"infill: {fragment!r} has no gap; mark each gap with {GAP!r}, as in 'c1ccc({GAP})cc1', or each attachment "
            "point, as in '[*:1]c1ccccc1'"
        )
    if len(pieces) - 1 > MAX_GAPS:
        raise InputError(f"infill: {len(pieces) - 1} gaps in {fragment!r}; expected at most {MAX_GAPS}")
    for piece in pieces:
        if piece.count("[") != piece.count("]"):
            raise InputError(
                f"infill: {fragment!r} has a gap inside the brackets of an atom; a gap replaces whole atoms"
            )
    depth = 0
    for symbol in split_symbols(pieces[0]):
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            raise InputError(f"infill: {fragment!r} closes a branch that is not open; no filling is valid")
    return pieces


def _check_numbers(n: int, temperature: float, atoms: tuple[int, int], tries: int) -> None:
    if n < 1:
        raise InputError(f"infill: n: expected at least 1 molecule, got {n}")
    if not 1 <= tries <= MAX_TRIES:
        raise InputError(f"infill: tries: expected 1 to {MAX_TRIES:,}, got {tries}")
    if not 0 <= temperature <= 10:
        raise InputError(f"infill: temperature: expected 0 to 10, got {temperature}")
    if len(atoms) != 2 or not 0 <= atoms[0] <= atoms[1] <= _MAX_ATOMS:
        raise InputError(
            f"infill: atoms: expected the lowest and the highest number of atoms in a gap, from 0 to {_MAX_ATOMS}, got "
            f"{atoms}"
        )
