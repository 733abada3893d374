"""SQL over candidate tables of one or many runs, with functions for molecules."""

from molvae.query.process import query
from molvae.query.request import Source

__all__ = ["Source", "query"]
