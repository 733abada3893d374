import re

import pandas as pd
import pytest

from molvae.search.loop import optimize


@pytest.fixture(scope="module")
def result(codec):
    def oracle(smiles):
        size = [float(len(one)) for one in smiles]
        return pd.DataFrame({"value_<size>": size, "score": [size / 100 for size in size]})

    return optimize(oracle, budget=24, codec=codec)


def test_the_repr_is_one_line_with_the_best_molecule(result):
    assert "\n" not in repr(result)
    assert "24 molecules" in repr(result)
    assert result.table["smiles"][0] in repr(result)
    assert "budget" in repr(result)


def test_the_html_shows_the_best_ten_with_structures(result):
    html = result._repr_html_()
    assert html.count("<svg") == html.count("</svg>") == 10
    shown = re.findall(r">(C\d{6})</td>", html)
    assert shown == result.table["candidate_id"].tolist()[:10]
    assert ">value_&lt;size&gt;</th>" in html
    assert "http" not in html


def test_without_scores_nothing_is_called_best(codec):
    result = optimize(lambda smiles: [None] * len(smiles), budget=3, codec=codec)
    assert "3 molecules" in repr(result)
    assert "best" not in repr(result)
    assert result._repr_html_().count("<svg") == 3


def test_an_empty_result_has_a_repr(codec):
    empty = type(codec)(reach=-1.0)
    with pytest.warns(UserWarning, match="after 0 molecules"):
        result = optimize(lambda smiles: [], budget=5, codec=empty)
    assert "0 molecules" in repr(result)
    assert "<svg" not in result._repr_html_()


def test_fields_cannot_be_replaced(result):
    with pytest.raises(AttributeError):
        result.table = None
