"""`molvae pick`: which candidates to order or to make."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molvae.errors import InputError

from .. import terminal
from .declaration import command

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from molvae.candidates.selection import Selection
    from molvae.datasets import MoleculeFile

    from ..catalogue import FoundTable

_ENDINGS = (".csv", ".xlsx", ".sdf", ".html")
_ID_COLUMNS = ("candidate_id", "id")


@command
def pick(
    *,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Runs, such as latest, folders of runs, or candidate files.")
    ],
    n: Annotated[int, typer.Option("-n", metavar="N", help="Number of molecules to pick.")] = 24,
    diversity: Annotated[
        float, typer.Option("--diversity", metavar="SHARE", help="0: the best by score; 1: as different as possible.")
    ] = 0.5,
    per_scaffold: Annotated[
        int | None,
        typer.Option(
            "--per-scaffold", metavar="N", help="Largest number of picks with the same Bemis-Murcko scaffold."
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            "--where", metavar="SQL", help="Condition for molecules that may be picked. Default: passed, score above 0."
        ),
    ] = None,
    include: Annotated[
        Path | None, typer.Option("--include", metavar="FILE", help="Molecules or ids that must be picked.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option("--exclude", metavar="FILE", help="Molecules or ids that must not be picked.")
    ] = None,
    exclude_similarity: Annotated[
        float | None,
        typer.Option("--exclude-similarity", metavar="T", help="Also exclude molecules this similar (Tanimoto)."),
    ] = None,
    alternates: Annotated[
        int,
        typer.Option(
            "--alternates", metavar="N", help="Replacements for each pick, with the same scaffold if possible."
        ),
    ] = 0,
    method: Annotated[str, typer.Option("--method", help="maxmin, butina or sphere.")] = "maxmin",
    cutoff: Annotated[
        float, typer.Option("--cutoff", metavar="S", help="Lowest similarity within a cluster (butina, sphere).")
    ] = 0.5,
    latent_weight: Annotated[
        float,
        typer.Option(
            "--latent-weight", metavar="SHARE", help="Weight of the latent vectors in the similarity, 0 to 1."
        ),
    ] = 0.5,
    plate: Annotated[
        int | None,
        typer.Option("--plate", metavar="WELLS", help="24, 48, 96 or 384. Default: the smallest that is enough."),
    ] = None,
    excel: Annotated[bool, typer.Option("--excel", help="Write a .csv that Excel reads as UTF-8.")] = False,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Plate table: .csv, .xlsx, .sdf or .html (to print); repeatable."
        ),
    ] = None,
) -> None:
    """Pick diverse molecules with high scores, to order or to make.

    The condition of --where is written as in `molvae query`. FILE contains molecules in any format that molvae reads,
    or ids of candidates. An alternate is the most similar molecule, with the same scaffold if possible. Alternates
    have no well.

    \b
    Examples:
      molvae pick latest
      molvae pick latest -n 48 --alternates 1 -o picks.csv -o plate.html
      molvae pick latest --where "passed and logp < 3 and not has('[N+]')"
      molvae pick latest --per-scaffold 2 --exclude ordered.csv -o picks.sdf
    """
    from molvae.candidates.plates import assign_wells, list_wells, smallest_plate, write_picks
    from molvae.candidates.selection import pick_candidates
    from molvae.report.plates import write_plates

    from ..catalogue import find_tables
    from ..result_files import write_result
    from ..tables import check_ending

    files = out or []
    for path in files:
        check_ending(path, _ENDINGS)
    if excel and not any(path.suffix.lower() == ".csv" for path in files):
        raise InputError("--excel: expected an output file that ends in .csv, such as -o picks.csv")
    if plate is not None:
        list_wells(plate)  # refuses other sizes
    if exclude_similarity is not None and exclude is None:
        raise InputError("--exclude-similarity needs --exclude FILE, the molecules to compare with")
    found = find_tables(runs)
    table, eligible, latent = _read(found, where)
    if where is None and len(table) and include is None and not eligible.any():
        raise InputError(
            f"expected candidates that passed every check and have a score above 0, got none of {len(table):,}; give "
            "another condition with --where"
        )
    lists = [[] if path is None else _read_list(path) for path in (include, exclude)]
    selection = pick_candidates(
        table,
        n,
        diversity=diversity,
        method=method,  # type: ignore[arg-type]  # pick_candidates checks it
        latent=latent,
        latent_weight=latent_weight,
        cutoff=cutoff,
        per_scaffold=per_scaffold,
        include=lists[0],
        exclude=lists[1],
        exclude_similarity=exclude_similarity,
        alternates=alternates,
        eligible=eligible,
    )
    _print(selection)
    size = plate or smallest_plate(len(selection.picks))
    placed = assign_wells(selection.table, size)
    for path in files:
        if path.suffix.lower() == ".html":
            title = f"{len(selection.picks):,} picks of {', '.join(_names(found))}"
            write_plates(path, placed, size=size, title=title, summary=selection.describe(), notes=selection.notes)
        elif path.suffix.lower() == ".xlsx":
            short = [name for name in placed if not str(name).startswith("check_")]
            write_result(placed[short], path, title="")
        else:
            write_picks(path, placed, excel=excel)
        terminal.report(f"{path}: {len(selection.picks):,} picks, {len(selection.alternates):,} alternates")


def _read(
    found: "list[FoundTable]", where: str | None
) -> "tuple[pd.DataFrame, np.ndarray, np.ndarray | dict[str, np.ndarray] | None]":
    """The candidates of the runs as one table, which of them may be picked, and the latent vectors."""
    import numpy as np

    from molvae.candidates.build import is_eligible
    from molvae.candidates.files import read_candidates
    from molvae.candidates.merging import merge_candidates

    names = _names(found)
    tables: dict[str, pd.DataFrame] = {}
    tables |= {name: read_candidates(one.path, may_hold_more=True) for name, one in zip(names, found, strict=True)}
    if where is None:
        eligible = {name: is_eligible(table).to_numpy() for name, table in tables.items()}
    else:
        eligible = _select(dict(zip(names, found, strict=True)), tables, where)
    latent = _read_latent(dict(zip(names, found, strict=True)))
    if len(found) == 1:
        return tables[names[0]], eligible[names[0]], None if latent is None else latent[names[0]]
    merged, flags = merge_candidates(tables, eligible)
    n_repeated = int(np.sum([len(table) for table in tables.values()])) - len(merged)
    terminal.report(f"{len(found)} runs: {', '.join(names)}; {len(merged):,} molecules, {n_repeated:,} of several runs")
    if len({tuple(name for name in map(str, table) if name.startswith("score_")) for table in tables.values()}) > 1:
        terminal.report("note: the runs have different objectives, but their scores are compared directly")
    return merged, flags, latent


def _select(found: "dict[str, FoundTable]", tables: "dict[str, pd.DataFrame]", where: str) -> "dict[str, np.ndarray]":
    """The rows of each table that a condition selects."""
    from dataclasses import replace

    import numpy as np

    from molvae.query import query

    from ..query_sources import query_sources

    sources = query_sources([replace(one, run=name) for name, one in found.items()])
    selected = query(sources, where)
    for note in selected.attrs["notes"]:
        terminal.report(f"note: {note}")
    needed = ["candidate_id", *(["run"] if len(found) > 1 else [])]
    if any(name not in selected for name in needed):
        raise InputError(f"--where: expected a condition, or a SELECT of the columns {' and '.join(needed)}")
    runs = selected["run"] if len(found) > 1 else [next(iter(found))] * len(selected)
    keys = set(zip(runs, selected["candidate_id"], strict=True))
    return {
        name: np.array([(name, one) in keys for one in table["candidate_id"]], dtype=bool)
        for name, table in tables.items()
    }


def _names(found: "list[FoundTable]") -> list[str]:
    """Unique names of the tables; the path where runs have the same name."""
    names = [one.run for one in found]
    return [one.run if names.count(one.run) == 1 else str(one.path) for one in found]


def _read_latent(found: "dict[str, FoundTable]") -> "dict[str, np.ndarray] | None":
    """The latent vectors of each run.

    None if a table is not from a run, or if the vectors are not readable or of different codecs.
    """
    import numpy as np

    from molvae.errors import first_line

    from ..manifest import Manifest
    from ..run_dir import RunDir

    latent: dict[str, np.ndarray] = {}
    codecs = set()
    for name, one in found.items():
        run = RunDir(one.path if one.path.is_dir() else one.path.parent)
        manifest = Manifest.read(run.search)
        if manifest is None or "codec" not in manifest.inputs or not run.latent.is_file():
            return None
        try:
            latent[name] = np.load(run.latent, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            terminal.report(f"note: {run.latent}: not readable ({first_line(error)})")
            return None
        codecs.add(manifest.inputs["codec"].sha256)
    if len(codecs) > 1:
        terminal.report("note: the runs have different codecs, whose latent vectors cannot be compared")
        return None
    return latent


def _read_list(path: Path) -> list[str]:
    """The molecules or ids of a file, as they are written."""
    from molvae.datasets import open_molecules

    try:
        file = open_molecules(path)
    except InputError as error:
        by_id = _open_ids(path)
        if by_id is None:
            reason, option, _ = str(error).partition("; give its name with --smiles-column")
            hint = f"; name the column smiles or, if it holds ids, {_ID_COLUMNS[0]}" if option else ""
            raise InputError(reason + hint) from None
        file = by_id
    items: list[str] = []
    n_malformed = 0
    for chunk in file:
        n_malformed += int(chunk["raw"].isna().sum())
        items += [raw.strip() for raw in chunk["raw"] if isinstance(raw, str)]
    if n_malformed:
        terminal.report(f"note: {path}: {n_malformed:,} rows without a molecule are skipped")
    if items and items[0].lower() in _ID_COLUMNS:  # the header of a list of ids
        del items[0]
    for note in file.notes_without_options:
        if not note.startswith("ids are read"):  # ids of the list are not used
            terminal.report(f"note: {path}: {note}")
    if not items:
        raise InputError(f"{path}: expected molecules or ids of candidates; no row has one")
    return items


def _open_ids(path: Path) -> "MoleculeFile | None":
    """A table with ids of candidates and without SMILES, opened as if the ids were SMILES; None if it is none."""
    from molvae.datasets import open_molecules

    for name in _ID_COLUMNS:
        with contextlib.suppress(InputError):
            return open_molecules(path, smiles_column=name)
    return None


def _print(selection: "Selection") -> None:
    """Print the picks as a list: on one line each if the terminal is wide enough, else on two."""
    import shutil
    import sys

    table = selection.table
    is_pick = table["role"] == "pick"
    columns = {
        "": [str(position) if pick else "" for position, pick in zip(table["position"], is_pick, strict=True)],
        "id": table["candidate_id"].tolist(),
        **({"run": table["run"].tolist()} if "run" in table else {}),
        "score": ["-" if score != score else f"{score:.3f}" for score in table["score"]],
        "scaffold": [f"S{number}" if number else "-" for number in table["scaffold_number"]],
        "SMILES": table["smiles"].tolist(),
        "why": table["pick_reason"].tolist(),
    }
    head, cells = list(columns), [list(map(str, row)) for row in zip(*columns.values(), strict=True)]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    is_wide = not sys.stdout.isatty() or sum(widths) + 2 * len(widths) <= shutil.get_terminal_size().columns
    for row in [head, *cells]:
        texts = [f"{row[0]:>{widths[0]}}"]
        texts += [f"{text:<{width}}" for text, width in zip(row[1:-1], widths[1:-1], strict=True)]
        if is_wide:
            print("  ".join([*texts, row[-1]]).rstrip())
        else:
            print("  ".join(texts).rstrip())
            if row is not head:
                print(" " * (widths[0] + 4) + row[-1])
    for line in selection.describe():
        terminal.report(line)
    for note in selection.notes:
        terminal.report(f"note: {note}")
