import pickle

import numpy as np
import pandas as pd
import pytest

from molvae.chem.drawing import draw_colored_svg
from molvae.chem.molecule_table import MoleculeTable, with_structures


@pytest.fixture
def plain():
    return pd.DataFrame(
        {"smiles": ["CCO", None, "no molecule"], "query_smiles": ["CCN", "CCN", "CCC"], "pki": [5.12345, np.nan, 7.0]},
        index=["a", "b", "c"],
    )


def test_it_is_the_same_table(plain):
    plain.attrs["counts"] = {"n": 3}
    table = with_structures(plain)
    assert isinstance(table, pd.DataFrame)
    pd.testing.assert_frame_equal(table, plain, check_frame_type=False)
    assert table.attrs == plain.attrs
    assert table.to_csv() == plain.to_csv()
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(table)), table)


def test_what_pandas_makes_of_it_is_drawn_too(plain):
    table = MoleculeTable(plain)
    made = [table.head(2), table[table["pki"] > 5], table.sort_values("pki"), table.assign(n=1), table.loc[["a"]]]
    made += [table.merge(plain[["pki"]], on="pki"), pd.concat([table, table]), table.copy(), table.query("pki > 6")]
    assert {type(one) for one in made} == {MoleculeTable}
    assert type(table["smiles"]) is pd.Series


def test_structures_are_drawn_with_row_labels_and_values(plain):
    html = MoleculeTable(plain)._repr_html_()
    assert html.count("<svg") == html.count("</svg>") == 3  # CCO, CCN once, CCC
    assert all(f"<th>{label}</th>" in html for label in "abc")
    assert ">5.123<" in html
    assert "no molecule" in html
    assert "nan" not in html.lower().replace("nano", "")


def test_at_most_20_rows_and_12_columns_are_shown_and_the_others_counted():
    columns = {"smiles": ["C" * (i % 9 + 1) for i in range(45)], **{f"x{i:02d}": range(45) for i in range(25)}}
    html = MoleculeTable(columns)._repr_html_()
    assert html.count("<svg") == 20
    assert "first 20 of 45 rows" in html
    assert html.count("<th ") == 12
    assert "x11, x12, x13, x14, x15, x16, x17, x18 and 6 more" in html


def test_columns_without_values_are_named_but_not_shown(plain):
    html = MoleculeTable(plain.assign(reason=None))._repr_html_()
    assert "Columns without values: reason." in html
    assert ">reason</th>" not in html


def test_a_table_without_smiles_is_that_of_pandas(plain):
    numbers = plain[["pki"]]
    assert MoleculeTable(numbers)._repr_html_() == numbers._repr_html_()
    with pd.option_context("display.notebook_repr_html", False):
        assert MoleculeTable(plain)._repr_html_() is None


def test_of_many_smiles_columns_only_the_main_one_is_drawn(candidates):
    html = MoleculeTable(candidates)._repr_html_()
    assert html.count("<svg") == 4
    assert html.index("C000001") < html.index("<svg")


def test_text_is_escaped():
    html = MoleculeTable({"smiles": ["<b>"], "<i>": ["<u>"]})._repr_html_()
    assert not {"<b>", "<i>", "<u>"} & {part + ">" for part in html.split(">")}
    assert "&lt;b&gt;" in html


def test_a_colored_drawing_needs_no_css():
    svg = draw_colored_svg("O=C(N)c1ccc(Br)cc1S")
    assert "class=" not in svg
    assert svg.startswith('<svg width="200" height="150"')
    assert {'stroke="#3b6fd4"', 'fill="#d0342c"', 'fill="#2a8a3c"'} <= set(svg.replace(">", " ").split())
    assert draw_colored_svg("no molecule") == draw_colored_svg(None) == ""
