"""Fragments with gaps in, molecules out: a text whose gaps the codec fills, the rest kept as it is given."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Generator, Tensor

from molvae.autoencoder.corruption import MaskTokens
from molvae.errors import InputError
from molvae.feature_spec import END, MASK, PAD
from molvae.features.tokens import TokenFeaturizer, split_symbols
from molvae.seeds import generator, integer_seed

if TYPE_CHECKING:
    from molvae.codec.codec import Codec

GAP = "_"
"""Marks a gap; no SMILES holds it."""
MAX_GAPS = 5
MAX_TRIES = 100_000

_BATCH = 512
_N_POINTS = 8  # one point alone shifts a text's log-probability by about 0.8 nats, eight by 0.3
_COLUMNS = {"smiles": object, "filled": object, "log_probability": float, "n_drawn": int}


def infill(
    codec: "Codec",
    text: str,
    n: int = 10,
    seed: int = 0,
    temperature: float = 1.0,
    lengths: Sequence[int] = range(5),
    tries: int = 1000,
) -> pd.DataFrame:
    """At most n molecules that a SMILES text with gaps can become, the most probable first.

    What the arguments and the table mean: Codec.infill.

    Raises:
        InputError: as there.
    """
    featurizer = codec.featurizer
    hides = isinstance(codec.model.corruption, MaskTokens) and codec.view is None
    if not isinstance(featurizer, TokenFeaturizer) or featurizer.notation != "smiles":
        raise InputError(f"infill: codec {codec.name} rebuilds {featurizer.describe()}; gaps need tokens of SMILES")
    if not (hides or codec.model.is_noise_conditioned):
        raise InputError(
            f"infill: codec {codec.name} (recipe {codec.settings.recipe!r}) has learnt to fill no gaps; "
            "'masked', 'denoising' and 'molecular' on tokens have"
        )
    _check_numbers(n, temperature, lengths, tries)
    pieces = _pieces(text)
    draws = torch.Generator().manual_seed(integer_seed(seed, "infill"))
    templates, sizes = _templates(featurizer, text, pieces, lengths, tries, generator(seed, "infill lengths"))
    repeats = torch.where(sizes.sum(1) > 0, -(-tries // len(sizes)), 1)
    names = featurizer.token_texts
    texts: Counter[tuple[str, ...]] = Counter()
    scores: dict[tuple[str, ...], float] = {}
    for start in range(0, len(templates), _BATCH):
        rows = templates[start : start + _BATCH]
        rows = rows[:, : int((rows != PAD).sum(1).max())]
        drawn = torch.arange(len(rows)).repeat_interleave(repeats[start : start + _BATCH])
        for places in drawn.split(_BATCH):
            part = rows[places]
            z, level = _points(codec, part, hides, draws)
            given = part.masked_fill(part == END, PAD) if _is_end_unlearnt(codec) else part
            written, log_probability = codec.model.token_decoder.complete(z, level, given, temperature, draws)
            tokens = iter(written[part == MASK].tolist())
            for size, score in zip(sizes[start + places].tolist(), log_probability.tolist(), strict=True):
                filling = tuple("".join(names[i] for i in islice(tokens, many)) for many in size)
                texts[filling] += 1
                scores[filling] = max(scores.get(filling, -np.inf), score)
    return _table(codec, pieces, texts, scores if hides else None, n, draws)


def _points(codec: "Codec", templates: Tensor, hides: bool, draws: Generator) -> tuple[Tensor, Tensor]:
    """What the decoder reads: the templates' codes, exact; or noise that says nothing, told to be just that."""
    if hides:
        distinct, places = templates.unique(dim=0, return_inverse=True)
        return codec.model.encode(distinct)[places], torch.zeros(len(templates))
    return torch.randn(len(templates), codec.n_latent, generator=draws), torch.ones(len(templates))


def _is_end_unlearnt(codec: "Codec") -> bool:
    return isinstance(codec.model.corruption, MaskTokens) and codec.model.corruption.is_hidden_scored


def _table(
    codec: "Codec",
    pieces: list[str],
    texts: Counter[tuple[str, ...]],
    scores: dict[tuple[str, ...], float] | None,
    n: int,
    draws: Generator,
) -> pd.DataFrame:
    """The molecules among the fillings, one row each, by the best of its texts; scores None: still to be judged."""
    from molvae.chem.molecules import read_written

    counts = {"tried": texts.total(), "invalid": 0, "altered": 0, "duplicates": 0, "distinct": 0}
    reasons: Counter[str] = Counter()
    kept = []
    for filling, drawn in texts.items():
        whole = "".join(part for pair in zip(pieces, (*filling, ""), strict=True) for part in pair)
        molecule = read_written(whole)
        if molecule.smiles is None:
            counts["invalid"] += drawn
            reasons[(molecule.reason or "").split(":")[0]] += drawn
        elif not _is_held(pieces, filling):
            counts["altered"] += drawn
        else:
            kept.append((molecule.smiles, filling, whole, drawn))
    values = [scores[row[1]] for row in kept] if scores else _log_probabilities(codec, [row[2] for row in kept], draws)
    best: dict[str, list] = {}
    for (smiles, filling, _, drawn), value in sorted(
        zip(kept, values, strict=True), key=lambda pair: (-pair[1], pair[0][2])
    ):
        row = best.setdefault(smiles, [smiles, GAP.join(filling), value, 0])
        row[3] += drawn
    counts["distinct"] = len(best)
    counts["duplicates"] = counts["tried"] - counts["invalid"] - counts["altered"] - counts["distinct"]
    table = pd.DataFrame(list(best.values())[:n], columns=list(_COLUMNS)).astype(_COLUMNS)
    table.attrs = {"counts": counts, "reasons": dict(reasons.most_common())}
    return table


def _log_probabilities(codec: "Codec", texts: list[str], draws: Generator) -> list[float]:
    """What the language model says of whole texts, in the tokens in which it has learnt to write them; nats.

    The mean probability over a few points that say nothing, the same for all texts. Minus infinity for one in more
    tokens than the codec knows molecules of.
    """
    features = codec.featurizer.encode(texts)
    values = np.full(len(texts), -np.inf)
    points = torch.randn(_N_POINTS, codec.n_latent, generator=draws)
    rows = np.flatnonzero(features.ok)
    rows = rows[np.argsort((features.x[rows] != PAD).sum(1), kind="stable")]
    for part in np.split(rows, range(_BATCH, len(rows), _BATCH)):
        if len(part):
            x = torch.from_numpy(features.x[part].astype(np.int64))
            x = x[:, : int((x != PAD).sum(1).max())]
            level = torch.ones(len(part))
            said = [codec.model.token_decoder.complete(z.expand(len(part), -1), level, x, 0.0, None)[1] for z in points]
            values[part] = (torch.stack(said).logsumexp(0) - math.log(_N_POINTS)).numpy()
    return [float(value) for value in values]


def _templates(
    featurizer: TokenFeaturizer,
    text: str,
    pieces: list[str],
    lengths: Sequence[int],
    tries: int,
    random: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Rows of tokens with MASK in the gaps (C, L), one per combination of lengths (C, gaps), short ones first."""
    features = featurizer.encode(pieces)
    for reason in features.reason:
        if reason is not None:
            raise InputError(f"infill: {text!r}: {reason}")
    ids = [[int(i) for i in row if i not in (PAD, END)] for row in features.x]
    longest = featurizer.length - 1 - sum(map(len, ids))
    n_gaps, steps = len(pieces) - 1, sorted(set(lengths))
    n_all = len(steps) ** n_gaps
    if n_all <= max(tries, len(steps)):
        chosen = list(product(steps, repeat=n_gaps))
    else:
        chosen = sorted({tuple(int(i) for i in row) for row in random.choice(steps, (tries, n_gaps))})
    fitting = sorted((row for row in chosen if sum(row) <= longest), key=lambda row: (sum(row), row))
    if not fitting:
        raise InputError(
            f"infill: {text!r} has {sum(map(len, ids))} tokens beside its gaps, and the codec writes at most "
            f"{featurizer.length - 1}; give a shorter text or fewer tokens in `lengths`"
        )
    templates = torch.full((len(fitting), featurizer.length), PAD)
    for row, sizes in zip(templates, fitting, strict=True):
        tokens = [*ids[0]]
        for size, piece in zip(sizes, ids[1:], strict=True):
            tokens += [MASK] * size + piece
        row[: len(tokens) + 1] = torch.tensor([*tokens, END])
    return templates, torch.tensor(fitting)


def _is_held(pieces: list[str], filling: tuple[str, ...]) -> bool:
    """Whether every bracket and ring that the given text closes by itself is closed by the same symbols still."""
    empty = _pairs([(symbol, True) for piece in pieces for symbol in split_symbols(piece)])
    symbols = []
    for piece, filled in zip(pieces, (*filling, ""), strict=True):
        symbols += [(symbol, True) for symbol in split_symbols(piece)]
        symbols += [(symbol, False) for symbol in split_symbols(filled)]
    return empty <= _pairs(symbols)


def _pairs(symbols: list[tuple[str, bool]]) -> set[tuple[int, int]]:
    """Which given symbol opens and which closes, numbered among those that are given."""
    pairs: set[tuple[int, int]] = set()
    branches: list[int] = []
    rings: dict[int, int] = {}
    n_given = 0
    for symbol, is_given in symbols:
        place, opened = n_given if is_given else -1, -1
        n_given += is_given
        if symbol == "(":
            branches.append(place)
        elif symbol == ")":
            opened = branches.pop() if branches else -1
        elif symbol.lstrip("%").isdigit():
            ring = int(symbol.lstrip("%"))
            if ring in rings:
                opened = rings.pop(ring)
            else:
                rings[ring] = place
        if opened >= 0 and is_given:
            pairs.add((opened, place))
    return pairs


def _pieces(text: str) -> list[str]:
    """The texts before, between and behind the gaps."""
    from molvae.chem.molecules import guard

    reason = guard(text)
    if reason is not None:
        raise InputError(f"infill: {reason}")
    pieces = text.strip().split(GAP)
    if len(pieces) == 1:
        raise InputError(f"infill: {text!r} has no gap; mark each with {GAP!r}, as in 'c1ccc({GAP})cc1'")
    if len(pieces) - 1 > MAX_GAPS:
        raise InputError(f"infill: {len(pieces) - 1} gaps in {text!r}; expected at most {MAX_GAPS}")
    for piece in pieces:
        if piece.count("[") != piece.count("]"):
            raise InputError(f"infill: {text!r} has a gap inside the brackets of an atom; a gap stands for whole atoms")
    depth = 0
    for symbol in split_symbols(pieces[0]):
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            raise InputError(f"infill: {text!r} closes a bracket before one is open; no filling makes it a molecule")
    return pieces


def _check_numbers(n: int, temperature: float, lengths: Sequence[int], tries: int) -> None:
    if n < 1:
        raise InputError(f"infill: n: expected at least 1 molecule, got {n}")
    if not 1 <= tries <= MAX_TRIES:
        raise InputError(f"infill: tries: expected 1 to {MAX_TRIES:,}, got {tries}")
    if not 0 <= temperature <= 10:
        raise InputError(f"infill: temperature: expected 0 to 10, got {temperature}")
    if not len(lengths) or min(lengths) < 0:
        raise InputError(f"infill: lengths: expected numbers of tokens, 0 or more, such as range(5); got {lengths}")
