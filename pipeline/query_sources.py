"""Candidate tables as the sources of a query, with the latent vectors and codecs of their runs."""

import tomllib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from molvae.errors import first_line

from . import terminal
from .catalogue import FoundTable
from .run_dir import RunDir

if TYPE_CHECKING:
    from molvae.query import Source


def query_sources(tables: Sequence[FoundTable]) -> "list[Source]":
    """The sources of a query.

    Parameters
    ----------
    tables : sequence of FoundTable
        The tables, from `find_tables`.

    Returns
    -------
    list of Source
        One per table, in order, for `molvae.query.query`.
    """
    return [_describe(one) for one in tables]


def _describe(table: FoundTable) -> "Source":
    """With the latent vectors and the codec of the run, by its settings, which may be those of an earlier version."""
    from molvae.query.request import Source

    run = RunDir(table.path if table.path.is_dir() else table.path.parent)
    if not run.campaign.is_file():
        return Source(table.path, table.run, table.campaign, table.date)
    try:
        settings = tomllib.loads(run.campaign.read_text(encoding="utf-8"))
        section = dict(settings.get("codec") or {})
    except (RecursionError, OSError, ValueError, TypeError) as error:
        terminal.report(
            f"note: {run.campaign}: not readable ({first_line(error)}), so the codec is not known; "
            "latent_distance and domain use the default one"
        )
        return Source(table.path, table.run, table.campaign, table.date)
    codec = run.codec if settings.get("train") else section.get("folder") or section.get("name")
    latent = run.latent if run.latent.is_file() else None
    return Source(table.path, table.run, table.campaign, table.date, latent, codec)
