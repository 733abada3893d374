"""Reads an assay table: one value per molecule, and a reason for every row that is not used."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from molvae.chem.structures import AXIAL_REMOVED, STEREO_REMOVED
from molvae.datasets.columns import few, find_named, shorten
from molvae.datasets.molecule_file import MoleculeFile, open_molecules
from molvae.datasets.standardized import standardize_file
from molvae.errors import InputError
from molvae.qsar.targets import LOG_UNIT, MOLAR, Target, find_related, find_target, read_unit
from molvae.tables import kind_of, unescape_formula
from molvae.workers import Mapper

MIN_MOLECULES = 10
"""Fewer molecules than this are an error."""

FEW_MOLECULES = 50
"""Fewer molecules than this give a warning."""

NARROW_RANGE = 2.0
"""A smaller range of the target, in log units, gives a warning."""

MAX_SPREAD = 1.0
"""Largest standard deviation of the measurements of one molecule, in log units."""

Task = Literal["regression", "classification"]

USUAL_LOGS = (0.0, 15.0)
"""Values of -log10(mol/L) outside this range give a warning; if most are outside, they are an error."""

_LARGEST = 1e100  # squares and their sums stay finite
_FEW_VALUES = 5
_FEW_OF_CLASS = 10
_RELATIONS = ("relation", "standardrelation", "qualifier", "operator")
_TYPES = ("standardtype", "type", "activitytype", "endpoint", "measurementtype")
_KNOWN_TYPE = re.compile(
    r"p?(ic50|ki|ec50|kd|ac50|xc50|gi50|cc50|ed50|potency|inhibition|activity|efficacy)", re.IGNORECASE
)
_TARGETS = ("targetchemblid", "targetprefname", "targetname", "uniprotid")
_CENSORED = ("<", "<=", ">", ">=", "~", "<<", ">>", "≤", "≥", "≈")
_EXACT = ("=", "==", "")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_INLINE = re.compile(r"^(<=|>=|<<|>>|<|>|~|≤|≥|≈)\s*(?=[\d.+-])")
_MISSING = ("", "nan", "na", "n/a", "none", "null", "<na>")
_POSITIVE = ("active", "true", "yes", "positive")
_NEGATIVE = ("inactive", "false", "no", "negative")
_LABELS = dict.fromkeys(_POSITIVE, 1.0) | dict.fromkeys(_NEGATIVE, 0.0)


@dataclass(frozen=True, eq=False)
class Assay:
    """Measured values of molecules.

    Parameters
    ----------
    path : Path
        The file.
    target : str
        Name of the target column.
    unit : str
        Unit of the values; "" if it is not known, "probability" for classes.
    task : {"regression", "classification"}
        Kind of target.
    table : DataFrame
        One row per molecule: smiles (canonical), value (the median of its measurements, or its class 0 or 1), n (number
        of measurements), spread (their standard deviation; NaN for one measurement) and split ("train", "test" or
        None).
    dropped : DataFrame
        Rows of the file that are not used, in order: row, id, smiles (as in the file), value (as in the file), reason.
    wide : DataFrame
        Molecules whose measurements disagree, which are not used: smiles, n, spread, lowest and highest value.
    n_rows : int
        Number of rows of the file.
    notes : list of str
        Choices made while reading.
    warnings : list of str
        Properties of the data that make the model less reliable.
    """

    path: Path
    target: str
    unit: str
    task: Task
    table: pd.DataFrame
    dropped: pd.DataFrame
    wide: pd.DataFrame
    n_rows: int
    notes: list[str]
    warnings: list[str]

    def count_dropped(self) -> dict[str, int]:
        """Count the rows that are not used.

        Returns
        -------
        dict of str to int
            Kind of reason -> number of rows, most frequent first.
        """
        return dict(Counter(map(kind_of, self.dropped["reason"])).most_common())


def read_assay(
    path: Path | str,
    target: str | None = None,
    *,
    smiles_column: str | None = None,
    unit: str | None = None,
    relation_column: str | None = None,
    split_column: str | None = None,
    where: Mapping[str, Sequence[str]] | None = None,
    max_spread: float | None = None,
    mapper: Mapper | None = None,
) -> Assay:
    """Read an assay table.

    Molecules are standardized. Concentrations are converted to -log10(mol/L). Censored values are not used. Several
    measurements of a molecule are replaced by their median. If the target has two classes (0 and 1, active and
    inactive, true and false), the task is a classification.

    Parameters
    ----------
    path : Path or str
        Molecule file of any format with columns (in an SDF: data fields).
    target : str or None, default=None
        Target column; None looks for the usual names, such as pIC50, pKi, pchembl_value, and IC50 with a unit.
    smiles_column : str or None, default=None
        Name of the SMILES column; None looks for the usual names.
    unit : {"pM", "nM", "uM", "mM", "M", "none"} or None, default=None
        Unit of the target; None looks for it in the name of the target and in a column of units. "none" keeps the
        values as they are.
    relation_column : str or None, default=None
        Column with the relation of each value (=, <, >, <=, >=, ~); None looks for the usual names.
    split_column : str or None, default=None
        Column with train or test in each row.
    where : mapping of str to sequence of str, optional
        Column -> values: only rows with one of these values are used. A table with several types of measurements
        (IC50 and Ki) is an error unless one is selected.
    max_spread : float or None, default=None
        Molecules whose measurements have a larger standard deviation are not used. None means 1.0 for logarithms of
        concentrations, and no limit otherwise.
    mapper : Mapper or None, default=None
        Standardizes the molecules; None takes LocalProcesses().

    Returns
    -------
    Assay

    Raises
    ------
    InputError
        The file or a column cannot be used, the rows are measurements of several types, fewer than 10 molecules remain,
        all values are equal, or most logarithms of concentrations are above 15 or below 0.
    """
    path = Path(path)
    file = open_molecules(path, smiles_column, mapper=mapper)
    notes = file.notes_without_options
    header = [name for name in file.columns if name != file.smiles_column]
    if not header:
        raise InputError(f"{path}: expected a column with values next to {file.smiles_column}; it is the only column")
    if target is not None and target.strip().lower() == str(file.smiles_column).lower():
        raise InputError(f"{path}: column {target} has the SMILES; --target expects the column with the values")
    columns = _Columns(file, smiles_column, mapper)
    found = find_target(path, header, target, unit, lambda name: _has_values(columns[name]))
    if relation_column is None:
        relation_column = find_related(header, found.column, _RELATIONS)
    names = {"text": found.column, "unit": found.units_column}
    names["relation"] = _named(path, header, relation_column, "relation")
    names["split"] = _named(path, header, split_column, "split")
    rows = pd.concat(list(standardize_file(file, mapper, drop_duplicates=False)), ignore_index=True)
    _note_removed(rows, notes)
    for name, column in names.items():
        rows[name] = None if column is None else columns[column]
    reader = _Reader(path, found, notes)
    selected = {_named(path, file.columns, name, "data") or "": values for name, values in (where or {}).items()}
    for column, wanted in selected.items():
        _select(path, rows, column, columns[column], wanted)
    reader.check_types(rows, header, columns, set(selected))
    if _has_decimal_commas(rows["text"]):
        rows["text"] = rows["text"].str.replace(",", ".", regex=False)
        notes.append(f"the commas in column {found.column} are read as decimal points")
    if found.units_column is not None:
        found = reader.target = _resolve_units(path, found, rows)
    _note_columns(found, names, notes)
    used = rows["text"].where(rows["reason"].isna())
    task: Task = "classification" if found.factor is None and _are_classes(used) else "regression"
    value_of = _read_class if task == "classification" else _reader(found)
    values, reasons = _read_values(rows, value_of)
    rows["value"], rows["reason"] = values, reasons
    if max_spread is None and found.unit == LOG_UNIT:
        max_spread = MAX_SPREAD
    reader.task, reader.max_spread = task, math.inf if max_spread is None else max_spread
    return reader.assemble(rows)


@dataclass(eq=False)
class _Reader:
    """The checks of `read_assay`, and its second half: from rows with values to molecules."""

    path: Path
    target: Target
    notes: list[str]
    task: Task = "regression"
    max_spread: float = math.inf
    warnings: list[str] = field(default_factory=list)

    def check_types(self, rows: pd.DataFrame, header: list[str], columns: "_Columns", selected: set[str]) -> None:
        """Refuse measurements of several types, and warn of several targets; rows are the selected ones."""
        used = rows["reason"].isna() & rows["text"].notna()
        column = find_related(header, self.target.column, _TYPES)
        if column is not None and column not in selected:
            counts = _count_texts(columns[column], used)
            if len(counts) > 1 and any(_KNOWN_TYPE.fullmatch(name) for name in counts):
                first = next(name for name in counts if _KNOWN_TYPE.fullmatch(name))
                raise InputError(
                    f"{self.path}: column {column} has several types of measurements ({_list_counts(counts)}); select "
                    f'one with --where "{column}={first}"'
                )
        column = find_related(header, self.target.column, _TARGETS)
        if column is not None and column not in selected:
            counts = _count_texts(columns[column], used)
            if len(counts) > 1:
                self.warnings.append(
                    f"the measurements are of {len(counts)} targets ({_list_counts(counts)}); select one with "
                    f'--where "{column}={next(iter(counts))}"'
                )

    def assemble(self, rows: pd.DataFrame) -> Assay:
        rows["split"] = self._read_split(rows)
        used = rows[rows["reason"].isna()]
        grouped = used.groupby("smiles", sort=False)
        table = grouped["value"].agg(value="median", n="size", spread="std", lowest="min", highest="max").reset_index()
        table["split"] = grouped["split"].agg(self._join_split).to_numpy() if len(table) else None
        if self.task == "classification":
            is_wide = table["lowest"] != table["highest"]
        else:
            is_wide = table["spread"] > self.max_spread
        wide = table[is_wide]
        self._drop_wide(rows, wide)
        kept = table[~is_wide].reset_index(drop=True)
        self._check(kept, rows)
        self._note_duplicates(kept)
        self._warn(kept, wide, rows)
        dropped = rows[rows["reason"].notna()]
        unit = "probability" if self.task == "classification" else self.target.unit
        return Assay(
            self.path, self.target.column, unit, self.task,
            kept[["smiles", "value", "n", "spread", "split"]],
            dropped[["row", "id", "raw", "text", "reason"]].rename(columns={"raw": "smiles", "text": "value"}),
            wide[["smiles", "n", "spread", "lowest", "highest"]].reset_index(drop=True),
            len(rows), self.notes, self.warnings,
        )  # fmt: skip

    def _read_split(self, rows: pd.DataFrame) -> pd.Series:
        """ "train", "test" or None per row; None for all if there is no such column."""
        names = {"train": "train", "training": "train", "test": "test", "testing": "test"}
        labels = rows["split"].map(lambda text: names.get(text.strip().lower()) if isinstance(text, str) else None)
        labels = labels.astype(object).where(labels.notna(), None)
        if rows["split"].notna().any():
            n_other = int(labels.isna().sum())
            missing = {"train", "test"} - set(labels.dropna())
            if missing:
                examples = few([str(text) for text in rows["split"].dropna().unique()[:5]])
                raise InputError(f"{self.path}: split column: expected train and test in its rows, got {examples}")
            if n_other:
                self.notes.append(f"{n_other:,} rows are labeled neither train nor test; the final model uses them")
        return labels

    def _join_split(self, labels: pd.Series) -> str | None:
        """The split of a molecule; a molecule in both splits is a training molecule."""
        found = set(labels.dropna())
        return "train" if "train" in found else next(iter(found), None)

    def _drop_wide(self, rows: pd.DataFrame, wide: pd.DataFrame) -> None:
        spreads = dict(zip(wide["smiles"], wide["spread"], strict=True))
        is_wide = rows["reason"].isna() & rows["smiles"].isin(spreads)
        if self.task == "classification":
            rows.loc[is_wide, "reason"] = "contradictory classes: the molecule has both"
        else:
            rows.loc[is_wide, "reason"] = [
                f"measurements disagree: standard deviation {spreads[smiles]:.2f}"
                for smiles in rows.loc[is_wide, "smiles"]
            ]

    def _check(self, kept: pd.DataFrame, rows: pd.DataFrame) -> None:
        if len(kept) < MIN_MOLECULES:
            reasons = Counter(map(kind_of, rows["reason"].dropna())).most_common(3)
            hint = "; --target chooses another column" if self.target.is_guessed else ""
            why = f" ({', '.join(f'{n:,} {kind}' for kind, n in reasons)})" if reasons else ""
            raise InputError(
                f"{self.path}: expected at least {MIN_MOLECULES} molecules with a value in column "
                f"{self.target.column}, got {len(kept)} of {len(rows):,} rows{why}{hint}"
            )
        if kept["value"].nunique() < 2:
            raise InputError(
                f"{self.path}: all values of column {self.target.column} are equal ({kept['value'][0]:g}); there is "
                "nothing to learn"
            )
        for label in ("train", "test") if kept["split"].notna().any() else ():
            if (kept["split"] == label).sum() < 2:
                raise InputError(f"{self.path}: split column: fewer than 2 molecules are labeled {label}")

    def _note_duplicates(self, kept: pd.DataFrame) -> None:
        several = kept[kept["n"] > 1]
        if len(several) and self.task == "regression":
            self.notes.append(
                f"{len(several):,} molecules have several measurements: their median is used; the median standard "
                f"deviation is {several['spread'].median():.2f}"
            )

    def _warn(self, kept: pd.DataFrame, wide: pd.DataFrame, rows: pd.DataFrame) -> None:
        n_censored = sum(kind_of(reason) == "censored" for reason in rows["reason"].dropna())
        if n_censored:
            self.notes.append(f"{n_censored:,} censored values (<, >, ~) are not used")
        if len(wide):
            limit = "both classes" if self.task == "classification" else f"a spread above {self.max_spread:g}"
            self.warnings.append(f"{len(wide):,} molecules are not used: their measurements have {limit}")
        if len(kept) < FEW_MOLECULES:
            self.warnings.append(f"only {len(kept)} molecules: at least {FEW_MOLECULES} are recommended")
        self._check_logs(kept)
        n_values = kept["value"].nunique()
        if self.task == "regression" and n_values <= _FEW_VALUES:
            self.warnings.append(f"only {n_values} different values; if they are classes, label them 0 and 1")
        rarest = int(kept["value"].value_counts().min())
        if self.task == "classification" and rarest < _FEW_OF_CLASS:
            self.warnings.append(f"only {rarest} molecules of one class: at least {_FEW_OF_CLASS} are recommended")
        span = float(kept["value"].max() - kept["value"].min())
        if self.target.unit == LOG_UNIT and self.task == "regression" and span < NARROW_RANGE:
            self.warnings.append(
                f"the values span {span:.1f} log units: below {NARROW_RANGE:g}, the differences may be mostly noise"
            )

    def _check_logs(self, kept: pd.DataFrame) -> None:
        """Warn of unusual logarithms of concentrations; if most are unusual, the unit is wrong."""
        if self.target.unit != LOG_UNIT or self.task != "regression":
            return
        unusual = kept[~kept["value"].between(*USUAL_LOGS)]
        if not len(unusual):
            return
        converted = self.target.factor is not None or self.target.units_column is not None
        hint = "check the unit" if converted else "if they are concentrations, rename the column, e.g. to IC50 (nM)"
        what = (
            f"{len(unusual):,} of {len(kept):,} values of {self.target.column} are below {USUAL_LOGS[0]:g} or above "
            f"{USUAL_LOGS[1]:g}, e.g. {unusual['value'].iloc[0]:.4g}, which is unusual for {LOG_UNIT}; {hint}"
        )
        if 2 * len(unusual) > len(kept):
            raise InputError(f"{self.path}: {what}")
        self.warnings.append(what)


class _Columns:
    """The cells of columns by name; the file is read again for each, with the column as the id column."""

    def __init__(self, file: MoleculeFile, smiles_column: str | None, mapper: Mapper | None) -> None:
        self._file, self._smiles_column, self._mapper = file, smiles_column, mapper
        self._known: dict[str, list[str | None]] = {}

    def __getitem__(self, name: str) -> list[str | None]:
        if name not in self._known:
            find_named(self._file.path, self._file.columns, name, "data")
            again = open_molecules(self._file.path, self._smiles_column, id_column=name, mapper=self._mapper)
            self._known[name] = [cell for chunk in again for cell in chunk["id"]]
        return self._known[name]


def _note_removed(rows: pd.DataFrame, notes: list[str]) -> None:
    """Note how many molecules lost stereo that a SMILES cannot hold."""
    for kind in (STEREO_REMOVED, AXIAL_REMOVED):
        n_removed = sum(kind in warning for warning in rows["warning"].dropna())
        if n_removed:
            notes.append(f"{n_removed:,} rows: {kind}")


_ValueReader = Callable[[str, str | None], tuple[float, str | None]]
"""Reads a cell and a unit: the value, or NaN with a reason."""


def _read_values(rows: pd.DataFrame, value_of: _ValueReader) -> tuple[list[float], list[str | None]]:
    values: list[float] = []
    reasons: list[str | None] = []
    columns = (rows[name].tolist() for name in ("reason", "text", "relation", "unit"))
    for reason, text, relation, unit in zip(*columns, strict=True):
        value = math.nan
        if reason is None:
            text = unescape_formula(text.strip()) if isinstance(text, str) else ""
            reason = _check_relation(relation, text)
            if reason is None:
                value, reason = value_of(text, unit)
        values.append(value)
        reasons.append(reason)
    return values, reasons


def _check_relation(relation: str | None, text: str) -> str | None:
    sign = unescape_formula(relation.strip()).strip("'\" ") if isinstance(relation, str) else ""
    inline = _INLINE.match(text)
    if sign in _CENSORED:
        return f"censored: {sign} {shorten(text)}"
    if inline:
        return f"censored: {shorten(text)}"
    if sign.lower() in (*_EXACT, *_MISSING):
        return None
    return f"unknown relation: {shorten(sign)}"


def _reader(target: Target) -> _ValueReader:
    """A reader of numbers; concentrations are converted."""

    def read(text: str, unit: str | None) -> tuple[float, str | None]:
        value, reason = _read_number(text)
        if reason is not None or (target.factor is None and target.units_column is None):
            return value, reason
        factor = target.factor
        if factor is None:
            known = None if unit is None else read_unit(unit)
            if known is None:
                return math.nan, f"unknown unit: {shorten(unit)}" if unit else "no unit"
            factor = MOLAR[known]
        if value <= 0:
            return math.nan, f"not positive: {shorten(text)} has no logarithm"
        return -math.log10(value * factor), None

    return read


def _read_number(text: str) -> tuple[float, str | None]:
    if text.lower() in _MISSING:
        return math.nan, "no value"
    try:
        value = float(text)
    except ValueError:
        hint = "; a number has a decimal point and no commas" if re.fullmatch(r"[+-]?[\d.]*,[\d,.]*", text) else ""
        return math.nan, f"not a number: {shorten(text)}{hint}"
    if math.isfinite(value) and abs(value) > _LARGEST:
        return math.nan, f"too large: {shorten(text)}"
    return (value, None) if math.isfinite(value) else (math.nan, f"not a number: {shorten(text)}")


def _read_class(text: str, unit: str | None) -> tuple[float, str | None]:
    if text.lower() in _MISSING:
        return math.nan, "no value"
    value = _class_of(text)
    return (math.nan, f"not a class: {shorten(text)}") if value is None else (value, None)


def _are_classes(column: pd.Series) -> bool:
    """Whether a column has two classes: both occur, and every number is 0 or 1."""
    texts = {text.strip() for text in column.dropna()}
    found = {text: _class_of(text) for text in texts}
    others = [text for text, value in found.items() if value is None]
    n_classes = len(set(found.values()) - {None})
    return n_classes == 2 and all(math.isnan(_read_number(text)[0]) for text in others)


def _class_of(text: str) -> float | None:
    """0 or 1; None if the text is not a class."""
    number = _read_number(text)[0]
    return number if number in (0, 1) else _LABELS.get(text.lower())


def _named(path: Path, header: list[str], name: str | None, what: str) -> str | None:
    return None if name is None else header[find_named(path, header, name, what)]


def _has_values(cells: Sequence[str | None]) -> bool:
    """Whether a cell is a number, with or without a relation, or a class."""
    for cell in cells:
        text = _INLINE.sub("", unescape_formula(cell.strip())) if cell else ""
        if text and (_class_of(text) is not None or math.isfinite(_read_number(text.replace(",", "."))[0])):
            return True
    return False


def _has_decimal_commas(column: pd.Series) -> bool:
    """Whether commas are decimal points: no number has a point, and not all commas can separate thousands."""
    texts = [_INLINE.sub("", text.strip()) for text in column.dropna()]
    with_comma = [text for text in texts if _DECIMAL_COMMA.fullmatch(text)]
    has_point = any("." in text and math.isfinite(_read_number(text)[0]) for text in texts)
    return bool(with_comma) and not has_point and not all(_THOUSANDS.fullmatch(text) for text in with_comma)


def _select(path: Path, rows: pd.DataFrame, column: str, cells: Sequence[str | None], wanted: Sequence[str]) -> None:
    """Drop the rows without one of the wanted values."""
    plain = {text.strip().lower() for text in wanted}
    found = [(cell or "").strip() for cell in cells]
    keep = [text.lower() in plain for text in found]
    if not any(keep):
        known = few(list(dict.fromkeys(text for text in found if text)))
        raise InputError(f"{path}: no row has {column} = {' or '.join(wanted)}; its values: {known}")
    reasons = [
        f"not selected: {column} is {shorten(text) or 'empty'}" if pd.isna(reason) and not is_kept else reason
        for reason, text, is_kept in zip(rows["reason"].tolist(), found, keep, strict=True)
    ]
    rows["reason"] = pd.Series(reasons, index=rows.index, dtype=object)  # None stays None


def _count_texts(cells: Sequence[str | None], used: pd.Series) -> dict[str, int]:
    """How often each text occurs in the used rows, in any case; most frequent first."""
    counts: Counter[str] = Counter()
    names: dict[str, str] = {}
    for cell, is_used in zip(cells, used, strict=True):
        text = (cell or "").strip()
        if is_used and text:
            counts[names.setdefault(text.lower(), text)] += 1
    return dict(counts.most_common())


def _list_counts(counts: Mapping[str, int]) -> str:
    shown = [f"{shorten(name)}: {n:,} rows" for name, n in list(counts.items())[:5]]
    return ", ".join(shown) + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")


def _resolve_units(path: Path, target: Target, rows: pd.DataFrame) -> Target:
    """The target with its unit: if no row has a unit of concentration, all must have the same unit, which is kept."""
    units = Counter(unit.strip() for unit in rows["unit"].dropna() if unit.strip())
    if any(read_unit(unit) for unit in units):
        return target
    if len(units) > 1:
        raise InputError(
            f"{path}: column {target.units_column}: expected units of concentration or one unit, got "
            f"{few(list(units))}; keep the rows of one unit"
        )
    return replace(target, unit=next(iter(units), ""), units_column=None)


def _note_columns(target: Target, columns: dict[str, str | None], notes: list[str]) -> None:
    if target.is_guessed:
        others = f", not from {few(list(target.rivals))}" if target.rivals else ""
        notes.append(f"the target is read from column {target.column}{others} (--target chooses another one)")
    if target.factor is not None:
        unit = next(name for name, factor in MOLAR.items() if factor == target.factor)
        notes.append(f"the values of {target.column} are converted from {unit} to {LOG_UNIT}")
    elif target.units_column is not None:
        notes.append(f"the values of {target.column} are converted to {LOG_UNIT}; units: column {target.units_column}")
    if columns["relation"] is not None:
        notes.append(f"relations are read from column {columns['relation']}")


def training_arrays(assay: Assay) -> tuple[list[str], np.ndarray]:
    """The molecules and values of an assay, as a model takes them.

    Parameters
    ----------
    assay : Assay
        The assay.

    Returns
    -------
    smiles : list of str
        Canonical SMILES.
    y : ndarray of shape (n,)
        Values.
    """
    return assay.table["smiles"].tolist(), assay.table["value"].to_numpy(float)
