"""Candidate tables as the sources of a query."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .catalogue import FoundTable

if TYPE_CHECKING:
    from molvae.query.request import Source


def query_sources(tables: Sequence[FoundTable], sql: str) -> "list[Source]":
    """The sources of a query, with latent vectors and codec if the query may need them.

    Parameters
    ----------
    tables : sequence of FoundTable
        The tables, from `find_tables`.
    sql : str
        The query.

    Returns
    -------
    list of Source
        One per table, in order.
    """
    from molvae.query.request import Source

    needs_codec = re.search(r"latent_distance|domain", sql, re.IGNORECASE) is not None
    sources = [Source(one.path, one.run, one.campaign, one.date) for one in tables]
    return [_with_codec(one) for one in sources] if needs_codec else sources


def _with_codec(source: "Source") -> "Source":
    from .campaign import Campaign
    from .run_dir import RunDir

    run = RunDir(source.path if source.path.is_dir() else source.path.parent)
    if not run.campaign.is_file():
        return source
    campaign = Campaign.load(run.campaign)
    codec = str(run.codec) if campaign.train else campaign.finished_codec
    return replace(source, latent=run.latent if run.latent.is_file() else None, codec=codec)
