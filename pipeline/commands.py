"""The commands that work on files rather than runs: featurize, train, sample, encode, novelty, decode, ..."""

import json
import re
import shutil
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from molvae.errors import InputError
from molvae.extras import require
from molvae.files import write_text
from molvae.folders import new_folder
from molvae.seeds import integer_seed
from molvae.tables import Kinds, kind_of, writing
from molvae.workers import LocalProcesses, Mapper

from . import terminal
from .tables import check_ending

if TYPE_CHECKING:
    from molvae.codec import Codec, Decoded
    from molvae.datasets import MoleculeFile
    from molvae.features.views import FeatureSettings

_CHUNK_ROWS = 10_000
_SAMPLED_ROWS = 50_000
_PIECE_ROWS = 500
_MOLECULE_ENDINGS = (".csv", ".smi", ".parquet")
_POINT_ENDINGS = (".parquet", ".csv")
_SHOWN_ROWS = 50
_EVALUATED = 5000

_Texts = list[str | None]


def sample(
    n: int,
    out: Path,
    seed: int,
    codec_name: str | None,
    tries: int,
    windows: list[str],
    guidance: float,
    noise: float | None,
    temperature: float | None,
    spread: float | None,
) -> None:
    """Write n draws from the codec's prior."""
    check_ending(out, _MOLECULE_ENDINGS)
    wanted = dict(map(_window, windows))
    codec = _codec(codec_name)
    kinds: Kinds = {"smiles": str, "raw_smiles": str, "reason": str}
    n_valid = n_within = 0
    distinct: set[int] = set()
    with terminal.showing(), terminal.bar("sample", n, "molecules") as bar, writing(out, kinds) as writer:
        for begin in range(0, n, _SAMPLED_ROWS):
            chunk_seed = seed if begin == 0 else integer_seed(seed, f"sample from {begin}")
            size = min(_SAMPLED_ROWS, n - begin)
            rows = codec.sample(
                size,
                seed=chunk_seed,
                tries=tries,
                windows=wanted,
                guidance=guidance,
                noise=noise,
                temperature=temperature,
                spread=spread,
            )
            writer.write(_decoded_table(rows))
            valid = [row.smiles for row in rows if row.smiles is not None]
            n_valid += len(valid)
            n_within += _count_within(valid, wanted) if wanted else 0
            distinct.update(map(hash, valid))
            bar.advance(len(rows))
    _say(f"{n:,} drawn, {n_valid:,} are molecules, {len(distinct):,} of them distinct: {out}")
    if wanted:
        hint = "" if n_within else "; it may lie beyond what the codec knows, or --guidance may be too weak"
        _say(f"{n_within:,} of them within {' and '.join(windows)}, by their own properties{hint}")


def encode(
    source: Path,
    out: Path,
    smiles_column: str | None,
    id_column: str | None,
    codec_name: str | None,
    remove_stereo: bool,
    mapper: Mapper | None = None,
) -> None:
    """Write one point, or the reason why there is none, for each row of a molecule file."""
    from molvae.datasets import open_molecules

    check_ending(out, _POINT_ENDINGS)
    mapper = mapper or LocalProcesses()
    file = open_molecules(source, smiles_column, id_column, mapper=mapper)
    codec = _codec(codec_name)
    points = _point_names(codec.n_latent)
    kinds: Kinds = {"id": str} if file.id_column else {}
    kinds |= {"smiles": str, "ok": bool, "reason": str, **dict.fromkeys(points, float)}
    reasons: Counter[str] = Counter()
    warnings: Counter[str] = Counter()
    n = 0
    with terminal.showing(), terminal.bar("encode", None, "molecules") as bar, writing(out, kinds) as writer:
        for ids, smiles, reason, warning in _standardized(file, mapper):
            usable = [row for row, text in enumerate(smiles) if text is not None]
            encoding = codec.encode([smiles[row] or "" for row in usable], remove_stereo=remove_stereo)
            for place, row in enumerate(usable):
                smiles[row], reason[row] = encoding.smiles[place], encoding.reason[place]
            z = np.full((len(ids), codec.n_latent), np.nan, np.float32)
            z[usable] = encoding.z
            texts = {"id": ids, "smiles": smiles, "reason": reason}
            table = pd.DataFrame(texts, dtype=object).assign(ok=[why is None for why in reason])
            writer.write(pd.concat([table, pd.DataFrame(z, columns=points)], axis=1))
            reasons.update(kind_of(why) for why in reason if why)
            for place, row in enumerate(usable):  # what the codec says of the canonical text, the file may have said
                said = filter(None, [warning[row], encoding.note[place]])
                warnings.update({kind_of(part) for note in said for part in note.split("; ")})
            n += len(ids)
            bar.advance(len(ids))
            bar.expect(file.fraction_read)
    for note in file.notes:
        _say(f"note: {note}")
    _say(f"{n:,} rows, {n - reasons.total():,} encoded: {out}")
    for kind, count in reasons.most_common():
        _say(f"  {count:,} not: {kind}")
    for kind, count in warnings.most_common():
        _say(f"  {count:,} with a warning: {kind}")


def novelty(
    source: Path,
    out: Path,
    smiles_column: str | None,
    id_column: str | None,
    codec_name: str | None,
    percentile: float,
    reference: Path | None,
    remove_stereo: bool,
    mapper: Mapper | None = None,
) -> None:
    """Write how strange each molecule of a file is to a codec, and why those that are out of its domain are."""
    from molvae.codec.domain import Nearest
    from molvae.datasets import open_molecules

    check_ending(out, _POINT_ENDINGS)
    mapper = mapper or LocalProcesses()
    file = open_molecules(source, smiles_column, id_column, mapper=mapper)
    codec = _codec(codec_name)
    codec.applicability_domain([], percentile=percentile)  # fails before the file is read
    nearest = None
    if reference is not None:
        rows = _standardized(open_molecules(reference, mapper=mapper), mapper)
        library = (text for _, smiles, _, _ in rows for text in smiles)
        nearest = Nearest(text for text in library if text is not None)
    numbers = [f"{name}_{unit}" for unit in ("nats", "percentile") for name in ("reconstruction", "language")]
    numbers += ["log_density", "density_percentile", "novelty", *(["nearest_similarity"] if nearest else [])]
    kinds: Kinds = {"id": str} if file.id_column else {}
    kinds |= {"smiles": str, "is_out": bool, **dict.fromkeys(numbers, float)}
    kinds |= {"nearest_training": str, "reason": str} if nearest else {"reason": str}
    n, counts, unread = 0, Counter[str](), Counter[str]()
    with terminal.showing(), terminal.bar("novelty", None, "molecules") as bar, writing(out, kinds) as writer:
        for ids, smiles, reason, _ in _standardized(file, mapper):
            table = codec.applicability_domain(
                smiles, percentile=percentile, reference=nearest, remove_stereo=remove_stereo
            )
            table["reason"] = [why or said for why, said in zip(reason, table["reason"], strict=True)]
            flags = [None if pd.isna(flag) else bool(flag) for flag in table["is_out"]]
            is_read = table["reconstruction_nats"].notna()
            for flag, read, why in zip(flags, is_read, table["reason"], strict=True):
                counts["no molecule" if flag is None else "unread" if not read else "out" if flag else "in"] += 1
                if not read:
                    unread[kind_of(why)] += 1
            writer.write(table.assign(id=pd.Series(ids, dtype=object), is_out=pd.Series(flags, dtype=object)))
            n += len(ids)
            bar.advance(len(ids))
            bar.expect(file.fraction_read)
    for note in file.notes:
        _say(f"note: {note}")
    _say(f"{n:,} rows, {counts['in']:,} in the domain, {counts['out']:,} stranger than {percentile:g} %: {out}")
    for kind, count in unread.most_common():
        _say(f"  {count:,} not read: {kind}")


def decode(
    source: Path, out: Path, codec_name: str | None, noise: float, temperature: float, seed: int, candidates: int
) -> None:
    """Write one molecule, or the reason why there is none, for each point of a table."""
    check_ending(out, _MOLECULE_ENDINGS)
    codec = _codec(codec_name)
    names, has_ids, chunks = _read_points(source, codec)
    kinds: Kinds = {"id": str} if has_ids else {}
    kinds |= {"raw_smiles": str, "smiles": str, "reason": str}
    n, n_valid = 0, 0
    with terminal.showing(), terminal.bar("decode", None, "points") as bar, writing(out, kinds) as writer:
        for place, chunk in enumerate(chunks):
            z = chunk[names].apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
            chunk_seed = seed if place == 0 else integer_seed(seed, f"decode chunk {place}")
            table = _decoded_table(
                codec.decode(z, noise=noise, temperature=temperature, seed=chunk_seed, beam_size=candidates)
            )
            if has_ids:
                table["id"] = [None if pd.isna(name) else str(name) for name in chunk["id"]]
            writer.write(table)
            n, n_valid = n + len(table), n_valid + int(table["smiles"].notna().sum())
            bar.advance(len(table))
    _say(f"{n:,} points, {n_valid:,} became molecules: {out}")


def evaluate(
    source: Path | None,
    codec_name: str | None,
    n: int | None,
    seed: int | None,
    reference: Path | None,
    train: Path | None,
    json_file: Path | None,
    mapper: Mapper | None = None,
) -> None:
    """Print the figures of a codec, or of a file of SMILES, and write them as JSON where asked.

    n, seed: of a codec's samples; None takes the defaults.
    """
    from molvae.benchmark import comparison
    from molvae.benchmark import evaluate as evaluation
    from molvae.benchmark.distribution import read_canonical
    from molvae.datasets import open_molecules

    mapper = mapper or LocalProcesses()
    if json_file is not None:
        check_ending(json_file, (".json",), "--json")
    require("fcd_torch", "molvae evaluate")  # before anything is sampled
    given = {"--codec": codec_name, "--n": n, "--seed": seed}
    idle = [option for option, value in given.items() if value is not None]
    if source is not None and idle:
        raise InputError(f"{source}: a file is scored as it is, without a codec; leave {', '.join(idle)} away")
    paths = {"FILE": source, "--reference": reference, "--train": train}
    opened = {role: open_molecules(path, mapper=mapper) for role, path in paths.items() if path is not None}
    left_out: Counter[str] = Counter()

    def molecules(role: str) -> Iterator[str]:
        n = 0
        for smiles in read_canonical(_text_rows(opened[role]), mapper):
            if smiles is None:
                left_out[role] += 1
            else:
                n += 1
                yield smiles
        if not n:
            raise InputError(f"{role} {paths[role]}: expected molecules, got {left_out[role]:,} rows that are none")

    def tell(step: str) -> None:
        terminal.say(f"  {step}")

    with terminal.showing():
        if source is None:
            codec = _codec(codec_name)
        reference_smiles = None
        if reference is not None:
            tell(f"reading {reference}")
            reference_smiles = list(molecules("--reference"))
        train_smiles = None if train is None else molecules("--train")
        origin = f"the molecules of {reference}"
        if source is None:
            figures = evaluation.evaluate(
                codec, n or _EVALUATED, reference_smiles, train_smiles, seed or 0, tell, origin, mapper
            )
            table, content = evaluation.format_evaluation(figures), figures.to_dict()
        else:
            of_file = comparison.evaluate_rows(
                _text_rows(opened["FILE"]), reference_smiles, train_smiles, origin, tell, mapper
            )
            table = evaluation.format_file_figures(str(source), of_file)
            content = {"file": str(source), **of_file.to_dict()}
    print(table)
    for role, file in opened.items():
        for note in file.notes:
            _say(f"note: {file.path}: {note}")
        if left_out[role]:
            _say(f"note: {role} {file.path}: {left_out[role]:,} rows are no molecules, and left out")
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1) + "\n")


def query(path: Path, text: str, out: Path | None) -> None:
    """Show the rows of a candidate table that a text asks for: for people on a terminal, as CSV in a pipe."""
    from molvae.query import query as ask

    if out is not None:
        check_ending(out, _MOLECULE_ENDINGS)
    table = ask(path, text)
    if out is not None:
        _write_query(table, out)
        _say(f"{len(table):,} rows: {out}")
    elif sys.stdout.isatty():
        with pd.option_context("display.width", shutil.get_terminal_size().columns, "display.max_colwidth", 48):
            print(table.head(_SHOWN_ROWS).to_string(index=False, na_rep="") if len(table) else "no row")
        if len(table) > _SHOWN_ROWS:
            _say(f"{len(table):,} rows; the first {_SHOWN_ROWS} are shown, -o FILE writes all")
    else:
        table.to_csv(sys.stdout, index=False, lineterminator="\n")


def featurize(
    source: Path,
    out: Path,
    smiles_column: str | None,
    id_column: str | None,
    config: Path | None,
    changes: dict[str, object],
    vocabulary: str | None,
    mapper: Mapper | None = None,
) -> None:
    """Write a features folder, closed by its manifest.

    config: training settings, whose [features] are taken; changes: of single ones.
    vocabulary: a codec whose vocabulary is taken; without it one is learnt.
    """
    from molvae.codec.description import find_codec, read_featurizers
    from molvae.features.views import FeatureSettings

    from .featurize import FeaturePlan, featurize_file

    settings = _feature_settings(config) if config else FeatureSettings()
    settings = FeatureSettings.from_dict(settings.model_dump() | changes, "featurize")
    wanted = FeaturePlan(settings, read_featurizers(find_codec(vocabulary)) if vocabulary else None)
    with terminal.showing(), new_folder(out) as folder:
        manifest = featurize_file(source, folder, smiles_column, id_column, wanted, mapper=mapper)
    counts = manifest.counts
    _say(f"{counts.into:,} read, {counts.kept:,} kept: {out}")
    for reason, count in sorted(counts.dropped.items(), key=lambda item: -item[1]):
        _say(f"  {count:,} dropped: {reason}")
    for note, count in sorted(counts.notes.items(), key=lambda item: -item[1]):
        _say(f"  {count:,} kept with a note: {note}")


def _feature_settings(config: Path) -> "FeatureSettings":
    from molvae.training.config import TrainConfig

    from .train import find_config

    return TrainConfig.from_toml(find_config(config)).features


def train(config: Path, features: Path, out: Path, resume: bool, start: str | None) -> None:
    """Train a codec, and write it once it is done; what a resume needs stands in OUT.training until then."""
    from .train import train_codec

    with terminal.showing():
        codec = train_codec(config, features, out, resume, start)
    _say(f"codec {codec.name}, {codec.n_latent} dimensions: {out}")


def refit(codec_name: str | None, features: Path, out: Path, config: Path | None) -> None:
    """Write a codec with a prior of other molecules."""
    from .train import refit as refit_codec

    with terminal.showing():
        codec = refit_codec(codec_name, features, out, config)
    _say(f"codec {codec.name}, {codec.n_latent} dimensions: {out}")


def sweep(config: Path, features: Path, sizes: str, out: Path, n_molecules: int | None) -> None:
    """Print reconstruction over the size of the code, and write it as table and plot."""
    from .sweep import sweep_features

    with terminal.showing():
        result = sweep_features(config, features, sizes, out, n_molecules)
    print(result.text())
    _say(f"table and plot: {out}")


def _codec(name: str | None) -> "Codec":
    from molvae.codec import load_codec

    return load_codec(name)


def _window(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """A property and its range, of the words `logp=1:2.5`, `tpsa=:90` or `qed=0.6:`."""
    name, _, bounds = text.partition("=")
    try:
        low, high = (float(bound) if bound.strip() else None for bound in bounds.split(":"))
    except ValueError:
        raise InputError(f"--window {text}: expected NAME=LOW:HIGH, such as logp=1:2.5 or tpsa=:90") from None
    return name.strip(), (low, high)


def _count_within(smiles: list[str], windows: Mapping[str, tuple[float | None, float | None]]) -> int:
    """How many molecules lie within every window by their own properties, both ends counted in."""
    from molvae.chem.properties import compute

    values = compute(smiles, list(windows))
    within = np.ones(len(values), bool)
    for name, (low, high) in windows.items():
        within &= values[name].between(-np.inf if low is None else low, np.inf if high is None else high).to_numpy()
    return int(within.sum())


def _point_names(n: int) -> list[str]:
    return [f"z_{i:03d}" for i in range(n)]


def _decoded_table(rows: "Iterable[Decoded]") -> pd.DataFrame:
    return pd.DataFrame(
        [(row.raw_smiles, row.smiles, row.reason) for row in rows],
        columns=["raw_smiles", "smiles", "reason"],
        dtype=object,
    )


def _standardized(file: "MoleculeFile", mapper: Mapper) -> Iterator[tuple[_Texts, _Texts, _Texts, _Texts]]:
    """Each chunk of a file, row for row: ids, canonical SMILES, the reason where there is none, and warnings.

    Texts are parsed in worker processes first, so that one which hangs or crashes RDKit is a row with a reason.
    """
    chunks: deque[pd.DataFrame] = deque()

    def pieces() -> Iterator[list[str | None]]:
        for chunk in file:
            chunks.append(chunk)
            for begin in range(0, len(chunk), _PIECE_ROWS):
                yield chunk["raw"].iloc[begin : begin + _PIECE_ROWS].tolist()

    from molvae.chem.molecules import standardize

    answers: list[Any] = []
    for piece in mapper(standardize, pieces()):
        answers += piece
        if len(answers) == len(chunks[0]):  # pieces end where chunks end
            chunk = chunks.popleft()
            reason = [bad or answer.reason for answer, bad in zip(answers, chunk["reason"], strict=True)]
            smiles = [None if why else answer.smiles for answer, why in zip(answers, reason, strict=True)]
            warning = [None if why else answer.warning for answer, why in zip(answers, reason, strict=True)]
            yield chunk["id"].tolist(), smiles, reason, warning
            answers = []


def _text_rows(file: "MoleculeFile") -> Iterator[tuple[str | None, str | None]]:
    """Each row of a file: its text, and the reason why it is no molecule where reading it told that."""
    for chunk in file:
        yield from zip(chunk["raw"].tolist(), chunk["reason"].tolist(), strict=True)


def _read_points(source: Path, codec: "Codec") -> tuple[list[str], bool, Iterator[pd.DataFrame]]:
    """The names of the point columns, whether there are ids, and the rows in chunks.

    Raises:
        InputError: the file cannot be read, or does not hold points of this codec.
    """
    if not source.is_file():
        what = "is not a regular file" if source.exists() else "no such file"
        raise InputError(f"{source}: {what}; give a table of points, as `molvae encode` writes it")
    if source.suffix.lower() not in _POINT_ENDINGS:
        raise InputError(f"{source}: expected points as {' or '.join(_POINT_ENDINGS)}")
    try:
        if source.suffix.lower() == ".parquet":
            parquet = pq.ParquetFile(source)
            columns = parquet.schema_arrow.names
            chunks: Iterator[pd.DataFrame] = (batch.to_pandas() for batch in parquet.iter_batches(_CHUNK_ROWS))
        else:
            reader = pd.read_csv(source, chunksize=_CHUNK_ROWS, dtype=str)
            first = next(reader)
            columns = list(first)
            chunks = chain([first], reader)
    except (ValueError, OSError, StopIteration) as error:
        raise InputError(f"{source}: cannot be read as a table ({str(error).splitlines()[0]})") from None
    names = [name for name in columns if re.fullmatch(r"z_\d+", name)]
    expected = _point_names(codec.n_latent)
    if names != expected:
        found = f"{len(names)} columns {names[0]} to {names[-1]}" if names else f"columns {', '.join(columns[:8])}"
        raise InputError(
            f"{source}: expected the points of codec {codec.name}, columns {expected[0]} to {expected[-1]}; got {found}"
        )
    return names, "id" in columns, chunks


def _write_query(table: pd.DataFrame, out: Path) -> None:
    """The rows of an answer, whatever its columns."""
    if out.suffix.lower() == ".smi" and "smiles" not in table:
        raise InputError(
            f"-o {out}: the answer has no column smiles, which .smi needs; it has {', '.join(map(str, table))}"
        )
    kinds: Kinds = {}
    for name in table:
        column = table[name]
        is_flag, is_whole = pd.api.types.is_bool_dtype(column), pd.api.types.is_integer_dtype(column)
        is_number = pd.api.types.is_numeric_dtype(column)
        kinds[str(name)] = bool if is_flag else int if is_whole else float if is_number else str
    with writing(out, kinds) as writer:
        writer.write(table)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
