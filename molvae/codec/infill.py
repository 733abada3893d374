"""Infilling: the gaps of a SMILES are filled, and its given atoms and bonds are kept."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice, product

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from molvae.autoencoder import Autoencoder
from molvae.autoencoder.corruption import MaskTokens
from molvae.errors import InputError
from molvae.feature_spec import END, MASK, PAD
from molvae.features.tokens import TokenFeaturizer, split_symbols
from molvae.seeds import generator, integer_seed

GAP = "_"
"""Marks a gap; this character never occurs in a SMILES."""
MAX_GAPS = 5
MAX_TRIES = 100_000

_BATCH_SIZE = 512
_N_DRAWS = 8  # a log-probability varies by about 0.8 nats with one noise vector, by 0.3 with eight
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


def infill(
    model: Autoencoder,
    featurizer: TokenFeaturizer,
    fragment: str,
    *,
    has_view: bool,
    n: int,
    seed: int,
    temperature: float,
    lengths: Sequence[int],
    tries: int,
) -> pd.DataFrame:
    """Fill the gaps of a fragment; the table of `Codec.infill`.

    Parameters
    ----------
    model : Autoencoder
        The model of the codec.
    featurizer : TokenFeaturizer
        The tokens that the model reconstructs.
    fragment : str
        SMILES with gaps.
    has_view : bool
        Whether the encoder reads other features than these tokens.
    n, seed, temperature, lengths, tries
        As for `Codec.infill`.

    Returns
    -------
    DataFrame
        One row per unique molecule, the most probable first.
    """
    _check_numbers(n, temperature, lengths, tries)
    pieces = _split_at_gaps(fragment)
    from_encoder = _encodes_gaps(model, has_view)
    draws = torch.Generator().manual_seed(integer_seed(seed, "infill"))
    templates, sizes = _templates(featurizer, fragment, pieces, lengths, tries, generator(seed, "infill lengths"))
    repeats = torch.where(sizes.sum(1) > 0, -(-tries // len(sizes)), 1)
    token_smiles = featurizer.token_texts
    n_drawn: Counter[tuple[str, ...]] = Counter()
    scores: dict[tuple[str, ...], float] = {}
    for start in range(0, len(templates), _BATCH_SIZE):
        rows = templates[start : start + _BATCH_SIZE]
        rows = rows[:, : int((rows != PAD).sum(1).max())]
        repeated = torch.arange(len(rows)).repeat_interleave(repeats[start : start + _BATCH_SIZE])
        for chosen in repeated.split(_BATCH_SIZE):
            template = rows[chosen]
            z, noise = _latent(model, template, from_encoder, draws)
            given = template.masked_fill(template == END, PAD) if _is_end_untrained(model) else template
            completed, log_probability = model.token_decoder.complete(z, noise, given, temperature, draws)
            tokens = iter(completed[template == MASK].tolist())
            for gaps, score in zip(sizes[start + chosen].tolist(), log_probability.tolist(), strict=True):
                filling = tuple("".join(token_smiles[i] for i in islice(tokens, size)) for size in gaps)
                n_drawn[filling] += 1
                scores[filling] = max(scores.get(filling, -np.inf), score)
    return _table(model, featurizer, pieces, n_drawn, scores if from_encoder else None, n, draws)


def _encodes_gaps(model: Autoencoder, has_view: bool) -> bool:
    """Whether the encoder was trained on sequences with masked tokens."""
    return isinstance(model.corruption, MaskTokens) and not has_view


def _latent(model: Autoencoder, templates: Tensor, from_encoder: bool, draws: Generator) -> tuple[Tensor, Tensor]:
    """Latent vectors and noise levels for the decoder: encoded templates, or noise at level 1."""
    if from_encoder:
        unique, row = templates.unique(dim=0, return_inverse=True)
        return model.encode(unique)[row], torch.zeros(len(templates))
    return torch.randn(len(templates), model.bottleneck.n_latent, generator=draws), torch.ones(len(templates))


def _is_end_untrained(model: Autoencoder) -> bool:
    return isinstance(model.corruption, MaskTokens) and model.corruption.is_hidden_scored


def _table(
    model: Autoencoder,
    featurizer: TokenFeaturizer,
    pieces: list[str],
    n_drawn: Counter[tuple[str, ...]],
    scores: dict[tuple[str, ...], float] | None,
    n: int,
    draws: Generator,
) -> pd.DataFrame:
    """One row per unique molecule; if `scores` is None, the SMILES are scored here."""
    from molvae.chem.molecules import read_decoded

    counts = {"tried": n_drawn.total(), "invalid": 0, "altered": 0, "duplicates": 0, "unique": 0}
    reasons: Counter[str] = Counter()
    kept = []
    for filling, times in n_drawn.items():
        completed = "".join(part for pair in zip(pieces, (*filling, ""), strict=True) for part in pair)
        molecule = read_decoded(completed)
        if molecule.smiles is None:
            counts["invalid"] += times
            reasons[(molecule.reason or "").split(":")[0]] += times
        elif not _keeps_fragment(pieces, filling):
            counts["altered"] += times
        else:
            kept.append((molecule.smiles, filling, completed, times))
    if scores is None:
        values = _log_probabilities(model, featurizer, [completed for _, _, completed, _ in kept], draws)
    else:
        values = [scores[filling] for _, filling, _, _ in kept]
    best: dict[str, tuple[str, str, float]] = {}
    total: Counter[str] = Counter()
    for (smiles, filling, _, times), value in sorted(
        zip(kept, values, strict=True), key=lambda pair: (-pair[1], pair[0][2])
    ):
        best.setdefault(smiles, (smiles, GAP.join(filling), value))
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
            level = torch.ones(len(part))
            scores = [model.token_decoder.complete(z.expand(len(part), -1), level, x, 0.0, None)[1] for z in noise]
            values[part] = (torch.stack(scores).logsumexp(0) - math.log(_N_DRAWS)).numpy()
    return [float(value) for value in values]


def _templates(
    featurizer: TokenFeaturizer,
    fragment: str,
    pieces: list[str],
    lengths: Sequence[int],
    tries: int,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Token rows with MASK in the gaps (C, L), and the lengths of their gaps (C, gaps), the shortest first."""
    features = featurizer.encode(pieces)
    for reason in features.reason:
        if reason is not None:
            raise InputError(f"infill: {fragment!r}: {reason}")
    ids = [[int(i) for i in row if i not in (PAD, END)] for row in features.x]
    longest = featurizer.length - 1 - sum(map(len, ids))
    n_gaps, choices = len(pieces) - 1, sorted(set(lengths))
    n_all = len(choices) ** n_gaps
    if n_all <= max(tries, len(choices)):
        chosen = list(product(choices, repeat=n_gaps))
    else:
        chosen = sorted({tuple(int(i) for i in row) for row in random.choice(choices, (tries, n_gaps))})
    fitting = sorted((row for row in chosen if sum(row) <= longest), key=lambda row: (sum(row), row))
    if not fitting:
        raise InputError(
            f"infill: {fragment!r} has {sum(map(len, ids))} tokens without its gaps, and the codec generates at most "
            f"{featurizer.length - 1}; give a shorter fragment or smaller `lengths`"
        )
    templates = torch.full((len(fitting), featurizer.length), PAD)
    for row, sizes in zip(templates, fitting, strict=True):
        tokens = [*ids[0]]
        for size, piece in zip(sizes, ids[1:], strict=True):
            tokens += [MASK] * size + piece
        row[: len(tokens) + 1] = torch.tensor([*tokens, END])
    return templates, torch.tensor(fitting)


def _keeps_fragment(pieces: list[str], filling: tuple[str, ...]) -> bool:
    """Whether each branch and ring that is closed within the fragment is still closed by the same symbols."""
    empty = _pairs([(symbol, True) for piece in pieces for symbol in split_symbols(piece)])
    symbols = []
    for piece, filled in zip(pieces, (*filling, ""), strict=True):
        symbols += [(symbol, True) for symbol in split_symbols(piece)]
        symbols += [(symbol, False) for symbol in split_symbols(filled)]
    return empty <= _pairs(symbols)


def _pairs(symbols: list[tuple[str, bool]]) -> set[tuple[int, int]]:
    """Pairs of given symbols that open and close the same branch or ring, by their index among the given symbols."""
    pairs: set[tuple[int, int]] = set()
    branches: list[int] = []
    rings: dict[int, int] = {}
    n_given = 0
    for symbol, is_given in symbols:
        index, opened = n_given if is_given else -1, -1
        n_given += is_given
        if symbol == "(":
            branches.append(index)
        elif symbol == ")":
            opened = branches.pop() if branches else -1
        elif symbol.lstrip("%").isdigit():
            ring = int(symbol.lstrip("%"))
            if ring in rings:
                opened = rings.pop(ring)
            else:
                rings[ring] = index
        if opened >= 0 and is_given:
            pairs.add((opened, index))
    return pairs


def _split_at_gaps(fragment: str) -> list[str]:
    """The SMILES before, between and after the gaps."""
    from molvae.chem.molecules import guard

    reason = guard(fragment)
    if reason is not None:
        raise InputError(f"infill: {reason}")
    pieces = fragment.strip().split(GAP)
    if len(pieces) == 1:
        raise InputError(f"infill: {fragment!r} has no gap; mark each gap with {GAP!r}, as in 'c1ccc({GAP})cc1'")
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


def _check_numbers(n: int, temperature: float, lengths: Sequence[int], tries: int) -> None:
    if n < 1:
        raise InputError(f"infill: n: expected at least 1 molecule, got {n}")
    if not 1 <= tries <= MAX_TRIES:
        raise InputError(f"infill: tries: expected 1 to {MAX_TRIES:,}, got {tries}")
    if not 0 <= temperature <= 10:
        raise InputError(f"infill: temperature: expected 0 to 10, got {temperature}")
    if not len(lengths) or min(lengths) < 0:
        raise InputError(
            f"infill: lengths: expected one or more numbers of tokens, 0 or higher, e.g. range(5), got {lengths}"
        )
