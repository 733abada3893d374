"""Latent vectors of candidates, and the functions that need a codec."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from molvae.errors import InputError
from molvae.query.functions import Function
from molvae.query.request import Source

if TYPE_CHECKING:
    from molvae.codec import Codec


class LatentVectors:
    """The latent vectors of the runs and the codec that made them; the codec is loaded when it is needed.

    Parameters
    ----------
    sources : sequence of Source
        The candidate tables, with unique names of runs.
    codec : str, Path or None, default=None
        Name or folder of the codec; None takes that of the runs.
    """

    def __init__(self, sources: Sequence[Source], codec: str | Path | None = None) -> None:
        self._files = {one.run: one.latent for one in sources if one.latent is not None}
        self._codecs = {str(one.codec) if one.codec is not None else None: one.run for one in sources}
        self._given = codec
        self._codec: Codec | None = None
        self._arrays: dict[str, np.ndarray] = {}
        self._queries: dict[str, np.ndarray] = {}

    @property
    def by_row(self) -> bool:
        """Whether rows refer to latent vectors of a run; with another codec they cannot be compared."""
        return bool(self._files) and self._given is None

    @property
    def key(self) -> str:
        """What the values depend on: the hash of the codec."""
        return self.codec().sha256

    def codec(self) -> "Codec":
        """The codec.

        Returns
        -------
        Codec

        Raises
        ------
        InputError
            The runs have different codecs.
        CodecError
            It cannot be loaded.
        """
        if self._codec is None:
            from molvae.codec import load_codec

            if self._given is None and len(self._codecs) > 1:
                pairs = "; ".join(f"{run}: {name or 'the default codec'}" for name, run in self._codecs.items())
                raise InputError(
                    f"query: the runs have different codecs, whose latent vectors cannot be compared ({pairs}); query "
                    "one run, or choose a codec with --codec"
                )
            self._codec = load_codec(self._given if self._given is not None else next(iter(self._codecs)))
        return self._codec

    def prepare(self, function: Function, pattern: str | None) -> None:
        """Load what a call needs, and check its pattern.

        Parameters
        ----------
        function : Function
            A function that needs a codec.
        pattern : str or None
            SMILES that it compares with.

        Raises
        ------
        InputError
            The codec cannot be loaded, or cannot encode the molecule.
        """
        if pattern is not None:
            self._query(pattern)
        else:
            self.values(function, None, ["CCO"])
        if self.by_row and function.name == "latent_distance":
            for run in self._files:
                self._latent(run)

    def values(self, function: Function, pattern: str | None, smiles: Sequence[str]) -> list[float | None]:
        """The values of a function for molecules, which are encoded.

        Parameters
        ----------
        function : Function
            `latent_distance` or `domain`.
        pattern : str or None
            SMILES that `latent_distance` compares with.
        smiles : sequence of str
            The molecules.

        Returns
        -------
        list of float or None
            None for a molecule that the codec cannot encode; `domain` is 100 for it, None if the SMILES is invalid.
        """
        if function.name == "domain":
            table = self.codec().applicability_domain(list(smiles))
            return [None if value != value else value for value in table["domain_percentile"].tolist()]
        encoding = self.codec().encode(list(smiles))
        return _cosine_distances(encoding.z, self._query(pattern or ""))

    def of_rows(
        self, pattern: str, runs: Sequence[str | None], rows: Sequence[int | None], smiles: Sequence[str | None]
    ) -> list[float | None]:
        """Distances of candidates by the latent vectors of their runs.

        Parameters
        ----------
        pattern : str
            SMILES to compare with.
        runs : sequence of str or None
            Run of each candidate.
        rows : sequence of int or None
            Row of each candidate in the latent vectors of its run.
        smiles : sequence of str or None
            SMILES; a candidate of a run without latent vectors is encoded.

        Returns
        -------
        list of float or None
            One per candidate.

        Raises
        ------
        InputError
            A row is not in the latent vectors.
        """
        query = self._query(pattern)
        values: list[float | None] = [None] * len(runs)
        for run in {one for one in runs if one is not None}:
            members = [i for i, one in enumerate(runs) if one == run and rows[i] is not None]
            if run in self._files:
                latent, wanted = self._latent(run), np.array([rows[i] for i in members], dtype=np.int64)
                if len(wanted) and (wanted.min() < 0 or wanted.max() >= len(latent)):
                    raise InputError(
                        f"query: latent_distance: run {run}: latent_row {wanted.max():,}, but {self._files[run]} has "
                        f"{len(latent):,} rows; the table and the latent vectors are of different searches"
                    )
                found = _cosine_distances(latent[wanted], query)
            else:
                encoded = [smiles[i] or "" for i in members]
                found = _cosine_distances(self.codec().encode(encoded).z, query)
            for i, value in zip(members, found, strict=True):
                values[i] = value
        return values

    def _query(self, pattern: str) -> np.ndarray:
        """The latent vector (D,) of the molecule to compare with."""
        if pattern not in self._queries:
            encoding = self.codec().encode([pattern])
            if not encoding.ok[0]:
                raise InputError(
                    f"query: latent_distance('{pattern}'): codec {self.codec().name} cannot encode it: "
                    f"{encoding.reason[0]}"
                )
            self._queries[pattern] = encoding.z[0]
        return self._queries[pattern]

    def _latent(self, run: str) -> np.ndarray:
        if run not in self._arrays:
            path = self._files[run]
            try:
                self._arrays[run] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError):
                raise InputError(
                    f"{path}: latent vectors cannot be read; latent_distance(smiles, ...) encodes the SMILES instead"
                ) from None
            shape, codec = self._arrays[run].shape, self.codec()
            if len(shape) != 2 or shape[1] != codec.n_latent:
                raise InputError(
                    f"{path}: expected {codec.n_latent} latent dimensions, as codec {codec.name} has, got an array of "
                    f"shape {shape}"
                )
            made_by = _codec_of(path)
            if made_by is not None and made_by != codec.sha256:
                raise InputError(
                    f"{path}: made by another codec (sha256 {made_by[:12]}) than {codec.name} is now "
                    f"({codec.sha256[:12]}); latent_distance(smiles, ...) encodes the SMILES instead"
                )
        return self._arrays[run]


def _codec_of(latent: Path) -> str | None:
    """The SHA-256 of the codec of a search, by the manifest next to its latent vectors; None if it is not known."""
    try:
        return str(
            json.loads(latent.with_name("manifest.json").read_text(encoding="utf-8"))["inputs"]["codec"]["sha256"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cosine_distances(z: np.ndarray, query: np.ndarray) -> list[float | None]:
    """1 - cos of latent vectors (n, D) and one (D,); None where they are missing or zero."""
    z, query = np.asarray(z, np.float64), np.asarray(query, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = 1 - z @ query / (np.linalg.norm(z, axis=1) * np.linalg.norm(query))
    return [None if one != one else max(one, 0.0) for one in distance.tolist()]
