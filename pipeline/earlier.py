"""The start of a run: when it was, which earlier runs of the campaign count, and the molecules that they reported.

All of this is written when a run starts. A resumed run therefore gives the same candidates, whatever has become of the
earlier runs.
"""

import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.errors import first_line
from molvae.files import replacing, write_text

from . import clock, terminal
from .run_dir import MANIFEST, RunDir

SEEN_COLUMNS = ("smiles", "first_seen", "first_run")
_TABLE = "candidates.parquet"


def record_start(run: RunDir, campaign: str) -> None:
    """Write the time of the start, and the molecules that earlier complete runs of the campaign have reported.

    Earlier runs are those in the same folder, if its name is `runs`. Molecules of runs that have been removed since
    count if an earlier run has recorded them.

    Parameters
    ----------
    run : RunDir
        The new run, without settings yet.
    campaign : str
        Name of the campaign.
    """
    shutil.rmtree(run.earlier_molecules.parent, ignore_errors=True)  # of a start that was killed
    earlier = _complete_runs(run, campaign)
    seen, names = _seen(earlier)
    if len(seen):
        run.earlier_molecules.parent.mkdir()
        _write(seen, run.earlier_molecules)
    content = {"created": clock.now(), "earlier": sorted(names)}
    write_text(run.start, json.dumps(content, indent=1) + "\n")


def read_seen(run: RunDir) -> pd.DataFrame:
    """The molecules that earlier runs have reported, as recorded at the start of a run.

    Parameters
    ----------
    run : RunDir
        The run.

    Returns
    -------
    DataFrame
        smiles (unique), first_seen (when the first run that reported it was completed, as an ISO date and time in UTC),
        first_run (its name); empty if there is no earlier run.
    """
    if not run.earlier_molecules.exists():
        return _nothing()
    return pd.read_parquet(run.earlier_molecules, columns=list(SEEN_COLUMNS)).astype("str")


def earlier_runs(run: RunDir) -> tuple[str, ...]:
    """The names of the earlier runs that count, as recorded at the start of a run.

    Parameters
    ----------
    run : RunDir
        The run.

    Returns
    -------
    tuple of str
        Names, sorted; those of removed runs included. Empty for a run of an earlier release.
    """
    try:
        names = json.loads(run.start.read_text(encoding="utf-8"))["earlier"]
        return tuple(str(name) for name in names)
    except (OSError, ValueError, LookupError, TypeError):
        return ()


def _complete_runs(run: RunDir, campaign: str) -> list[RunDir]:
    """The complete runs of the campaign, the one completed last first."""
    found: list[tuple[float, str, RunDir]] = []
    for other in run.siblings():
        try:
            if (other.validate / MANIFEST).exists() and other.campaign_name() == campaign:
                found.append((other.completed_at(), other.path.name, other))
        except (OSError, ValueError):  # not readable; `molvae runs` shows it
            continue
    return [other for _, _, other in sorted(found, key=lambda one: one[:2], reverse=True)]


def _seen(earlier: list[RunDir]) -> tuple[pd.DataFrame, set[str]]:
    """The molecules of these runs and of those that they count as earlier; and the names of all of them."""
    tables: list[pd.DataFrame] = []
    names: set[str] = set()
    recorded: set[str] = set()
    for other in earlier:  # the last one has recorded almost all others, which are not read again
        if other.path.name in recorded:
            continue
        try:
            own = pq.read_table(other.validate / _TABLE, columns=["smiles"]).to_pandas()
            before = read_seen(other)
        except (OSError, pa.ArrowException) as error:
            terminal.report(
                f"note: {other.path.name}: not readable, so its molecules count as new ({first_line(error)})"
            )
            continue
        date = clock.iso(other.completed_at())[:-5] + "Z"  # without milliseconds
        tables += [own.assign(first_seen=date, first_run=other.path.name), before]
        recorded |= set(earlier_runs(other))
        names |= {other.path.name, *earlier_runs(other)}
    if not tables:
        return _nothing(), names
    seen = pd.concat(tables, ignore_index=True)[list(SEEN_COLUMNS)]
    seen = seen.sort_values(["smiles", "first_seen", "first_run"], ignore_index=True)
    return seen.drop_duplicates("smiles", ignore_index=True), names


def _nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="str") for name in SEEN_COLUMNS})


def _write(seen: pd.DataFrame, path: Path) -> None:
    """Sorted SMILES share their beginnings, which the encoding stores once."""
    with replacing(path) as part:
        pq.write_table(
            pa.Table.from_pandas(seen, preserve_index=False),
            part,
            compression="zstd",
            use_dictionary=["first_seen", "first_run"],
            column_encoding={"smiles": "DELTA_BYTE_ARRAY"},
        )
