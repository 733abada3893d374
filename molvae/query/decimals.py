"""Columns of the user that hold decimal numbers as text, such as `7.10`: numbers in a query, text in its result."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from molvae.candidates.files import known_columns

_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?<!\d{16})")


class DecimalColumn(NamedTuple):
    """A text column whose cells are decimal numbers; each number has one text, so that it can be restored.

    Parameters
    ----------
    numbers : Series
        The numbers, float64.
    texts : mapping of float to str
        Number -> its text.
    """

    numbers: pd.Series
    texts: Mapping[float, str]

    def restore(self, numbers: pd.Series) -> pd.Series:
        """The texts of numbers, if they come from this column.

        Parameters
        ----------
        numbers : Series
            A column of the result of a query.

        Returns
        -------
        Series
            The texts; the numbers if one of them is not in the column.
        """
        is_missing = numbers.isna()
        if not pd.api.types.is_float_dtype(numbers) or not set(numbers[~is_missing]) <= self.texts.keys():
            return numbers
        return pd.Series([None if one != one else self.texts[one] for one in numbers], numbers.index, dtype=object)


def decimal_columns(table: pd.DataFrame) -> dict[str, DecimalColumn]:
    """The columns of the user that are text, but can be compared as numbers, such as `7.10` and `6`.

    Parameters
    ----------
    table : DataFrame
        Candidate table.

    Returns
    -------
    dict of str to DecimalColumn
        By the name of the column.
    """
    found = {}
    known = known_columns(table)
    for name in map(str, table):
        texts = [text for text in table[name] if isinstance(text, str)] if name not in known else []
        if not texts or not all(map(_DECIMAL.fullmatch, texts)):
            continue
        text_of = {float(text): text for text in texts}
        if all(text_of[float(text)] == text for text in texts):
            numbers = [float(text) if isinstance(text, str) else None for text in table[name]]
            found[name] = DecimalColumn(pd.Series(numbers, table.index, dtype=float), text_of)
    return found
