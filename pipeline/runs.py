"""How runs begin, are taken up again and end."""

import sys
from collections.abc import Sequence
from pathlib import Path

from molvae.errors import InputError

from .campaign import Campaign, molecules_path
from .manifest import Manifest
from .run_dir import RUNS, RunDir, write_campaign


def load(campaign: Path | None, changes: Sequence[str]) -> Campaign:
    """A campaign that can be carried out, as far as can be told beforehand: library, codec and lead can be read.

    Raises:
        InputError: what is wrong with campaign, library, codec or lead.
    """
    from molvae.codec import load_codec  # brings torch
    from molvae.datasets import open_molecules
    from molvae.features.views import decodes_to_smiles

    loaded = Campaign.load(campaign, changes)
    section = loaded.molecules
    open_molecules(molecules_path(section), section.smiles_column, section.id_column)
    if loaded.train is not None and not decodes_to_smiles(loaded.train.features.decoder_output):
        raise InputError(
            f"[train.features] decoder_output = {loaded.train.features.decoder_output!r}: a search needs a codec that "
            "generates molecules; use smiles or selfies"
        )
    if loaded.train is None:
        codec = load_codec(loaded.finished_codec)
        if not codec.writes_molecules:
            raise InputError(
                f"codec {codec.name}: rebuilds {codec.featurizer.describe()}, and a search needs molecules"
            )
        if loaded.lead is not None:
            encoding = codec.encode([loaded.lead.smiles], remove_stereo=loaded.search.remove_stereo)
            if not encoding.ok[0]:
                where = f"[lead] smiles {loaded.lead.smiles}"
                raise InputError(f"{where}: codec {codec.name} cannot start from it: {encoding.reason[0]}")
    return loaded


def start(campaign: Campaign, out: Path | None) -> RunDir:
    """A new run folder that holds the resolved campaign and nothing else yet; without `out`, runs/NAME-TIME.

    Raises:
        InputError: `out` holds something already, or another process begins a run there.
    """
    run = RunDir.create_named(Path(RUNS), campaign.name) if out is None else RunDir.create(out)
    with run.lock():
        if run.campaign.exists():
            raise InputError(f"{run.path}: another process has begun a run here; give another --out")
        write_campaign(run, campaign.to_toml())
    return run


def unfinished(campaign: Campaign) -> RunDir | None:
    """The newest run in `runs` of just this campaign that is neither complete nor being worked on."""
    text = campaign.to_toml()
    for path in sorted(Path(RUNS).glob(f"{campaign.name}-*/campaign.toml"), reverse=True):
        run = RunDir.open(path.parent)
        if path.read_text(encoding="utf-8") == text and not is_complete(run) and not run.is_locked():
            return run
    return None


def is_complete(run: RunDir) -> bool:
    """Whether the last stage was closed and nobody has changed its files since."""
    manifest = Manifest.read(run.validate)
    return manifest is not None and manifest.is_whole(run.validate)


def finish(run: RunDir) -> None:
    """Place what people open at the top of a complete run, and let `latest` point to it."""
    run.publish()
    try:
        run.point_latest()
    except OSError as error:
        print(f"molvae: {RUNS}/latest could not be moved here ({error})", file=sys.stderr)
