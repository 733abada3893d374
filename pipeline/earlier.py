"""The start of a run: when it was, which earlier runs of the campaign count, and the molecules that they reported.

All of this is written when a run starts. A resumed run therefore gives the same candidates, whatever has become of the
earlier runs.
"""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.errors import first_line
from molvae.files import link_or_copy, replacing, sha256_of, write_text

from . import clock, terminal
from .run_dir import MANIFEST, SEARCH_STATE, RunDir

SEEN_COLUMNS = ("smiles", "first_seen", "first_run")
_TABLE = "candidates.parquet"


def record_start(run: RunDir, campaign: str, *, continues: bool = False) -> None:
    """Write the time of the start, the molecules that earlier complete runs have reported, and the search to continue.

    Earlier runs are those in the same folder, if its name is `runs`. Molecules of runs that have been removed since
    count if an earlier run has recorded them.

    Parameters
    ----------
    run : RunDir
        The new run, without settings yet.
    campaign : str
        Name of the campaign.
    continues : bool, default=False
        Whether the run continues the search of the last complete run, whose state is then recorded, too.
    """
    shutil.rmtree(run.earlier_molecules.parent, ignore_errors=True)  # of a start that was killed
    earlier = _complete_runs(run, campaign)
    seen, names = _seen(earlier)
    if len(seen):
        run.earlier_molecules.parent.mkdir()
        _write(seen, run.earlier_molecules)
    content: dict[str, object] = {"created": clock.now(), "earlier": sorted(names)}
    if continues and earlier:
        content["last"] = earlier[0].path.name
        content["not_continued"] = _record_search(run, earlier[0])
    write_text(run.start, json.dumps(content, indent=1) + "\n")


def copy_start(source: RunDir, run: RunDir) -> None:
    """Let the same earlier runs count for a run as for another one.

    Parameters
    ----------
    source : RunDir
        The other run.
    run : RunDir
        The new run, without settings yet.
    """
    folder = run.earlier_molecules.parent
    shutil.rmtree(folder, ignore_errors=True)
    if source.earlier_molecules.parent.is_dir():
        for path in source.earlier_molecules.parent.rglob("*"):
            if path.is_file():
                link_or_copy(path, folder / path.relative_to(source.earlier_molecules.parent))
    try:
        content = dict(json.loads(source.start.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # of an earlier release
        content = {"earlier": []}
    content |= {"created": clock.now(), "derived_from": source.path.name}
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


class ContinuedSearch(NamedTuple):
    """The search that a run may continue.

    Parameters
    ----------
    run : str
        Name of the run that it is from.
    problem : str
        Why it cannot be continued; "" if its manifest and its state are in `RunDir.earlier_search`.
    """

    run: str
    problem: str


def continued_search(run: RunDir) -> ContinuedSearch | None:
    """The search that a run may continue, as recorded at its start.

    Parameters
    ----------
    run : RunDir
        The run.

    Returns
    -------
    ContinuedSearch or None
        None if there was no earlier run, or if the campaign does not continue.
    """
    try:
        content = json.loads(run.start.read_text(encoding="utf-8"))
        return ContinuedSearch(str(content["last"]), str(content["not_continued"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _record_search(run: RunDir, last: RunDir) -> str:
    """Record manifest and state of a search; return why that is not possible, or "" if it is."""
    try:
        outputs = json.loads((last.search / MANIFEST).read_text(encoding="utf-8"))["outputs"]
        hashes = {str(one["path"]): str(one["sha256"]) for one in outputs}
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"the manifest of its search is not readable ({first_line(error)})"
    hashes = {name: sha256 for name, sha256 in hashes.items() if name.split("/")[0] == SEARCH_STATE}
    if not hashes:
        return 'it kept no state of its search, because it ran without [run] continue_from = "last"'
    run.earlier_search.mkdir(parents=True)
    try:
        for name, sha256 in hashes.items():
            link_or_copy(last.search / name, run.earlier_search / name)
            if sha256_of(run.earlier_search / name) != sha256:
                return f"the state of its search is damaged ({name})"
        shutil.copyfile(last.search / MANIFEST, run.earlier_search / MANIFEST)
    except FileNotFoundError as error:
        return f"the state of its search is incomplete ({Path(str(error.filename)).name})"
    return ""


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
