"""`molvae sample`: new molecules from a codec's prior."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from molvae.errors import InputError

from .. import terminal
from .declaration import CodecName, MoleculesOut, Seed, command

_CHUNK_ROWS = 50_000

_Window = tuple[float | None, float | None]


@command
def sample(
    *,
    n: Annotated[int, typer.Option("-n", min=1, metavar="N", help="Number of molecules to draw.")],
    out: MoleculesOut,
    seed: Seed = 0,
    codec: CodecName = None,
    tries: Annotated[
        int, typer.Option("--tries", min=1, help="Maximum number of decodings until the SMILES is valid.")
    ] = 3,
    window: Annotated[
        list[str] | None,
        typer.Option("--window", metavar="NAME=LOW:HIGH", help="Target range of a property; may be repeated."),
    ] = None,
    guidance: Annotated[
        float, typer.Option("--guidance", min=0, help="Strength of the windows; 1 applies Bayes' rule.")
    ] = 1.0,
    noise: Annotated[
        float | None, typer.Option("--noise", min=0, max=1, help="Noise level of the decoder. Default: the codec's.")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", min=0, help="0: the most probable token at each step. Default: the codec's."),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(
            "--spread",
            min=0,
            help="Standard deviation of steps added to the draws, relative to that of the prior. Default: the codec's.",
        ),
    ] = None,
) -> None:
    """Draw new molecules from the codec's prior.

    A window is a range of a property of the codec's property head; either end may be left out. The command prints how
    many molecules lie within all windows by their calculated properties. With a window, the default spread is 0. Higher
    noise, temperature and spread increase the variety and lower the share of valid SMILES.

    \b
    Examples:
      molvae sample -n 1000 --seed 1 -o molecules.smi
      molvae sample -n 1000 --window logp=1:2 --window tpsa=:90 -o polar.smi
    """
    from molvae.codec import load_codec
    from molvae.seeds import integer_seed
    from molvae.tables import writing

    from ..latent_tables import DECODED, decoded_table
    from ..tables import MOLECULE_ENDINGS, check_ending

    check_ending(out, MOLECULE_ENDINGS)
    windows = dict(map(_read_window, window or ()))
    loaded = load_codec(codec)
    n_valid = n_within = 0
    unique: set[int] = set()
    kinds = {name: DECODED[name] for name in ("smiles", "raw_smiles", "reason")}
    with terminal.showing(), terminal.bar("sample", n, "molecules") as bar, writing(out, kinds) as writer:
        for begin in range(0, n, _CHUNK_ROWS):
            rows = loaded.sample(
                min(_CHUNK_ROWS, n - begin),
                seed=seed if begin == 0 else integer_seed(seed, f"sample from {begin}"),
                tries=tries,
                windows=windows,
                guidance=guidance,
                noise=noise,
                temperature=temperature,
                spread=spread,
            )
            writer.write(decoded_table(rows))
            valid = [row.smiles for row in rows if row.smiles is not None]
            n_valid += len(valid)
            n_within += _count_within(valid, windows) if windows else 0
            unique.update(map(hash, valid))
            bar.advance(len(rows))
    terminal.report_notes([], writer.notes, out)
    terminal.report(f"{n:,} drawn, {n_valid:,} valid, {len(unique):,} unique: {out}")
    if windows:
        hint = "" if n_within else "; the codec may not cover this range, or --guidance may be too low"
        terminal.report(f"{n_within:,} within {' and '.join(window or ())} by calculated properties{hint}")


def _read_window(option: str) -> tuple[str, _Window]:
    """The name and range of a property, from `logp=1:2.5`, `tpsa=:90` or `qed=0.6:`."""
    name, _, bounds = option.partition("=")
    try:
        low, high = (float(bound) if bound.strip() else None for bound in bounds.split(":"))
    except ValueError:
        raise InputError(f"--window {option}: expected NAME=LOW:HIGH, such as logp=1:2.5 or tpsa=:90") from None
    return name.strip(), (low, high)


def _count_within(smiles: Sequence[str], windows: Mapping[str, _Window]) -> int:
    """The number of molecules whose calculated properties lie within every window, ends included."""
    import numpy as np

    from molvae.chem.properties import compute

    values = compute(smiles, list(windows))
    within = np.ones(len(values), bool)
    for name, (low, high) in windows.items():
        within &= values[name].between(-np.inf if low is None else low, np.inf if high is None else high).to_numpy()
    return int(within.sum())
