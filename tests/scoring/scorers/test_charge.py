import sys
from importlib.util import find_spec

import pytest

from molvae.errors import InputError, MissingPackageError
from molvae.workers import Serial

TERM = {"property": "charge_at_ph", "shape": "window", "low": 0, "high": 1}
needs_extra = pytest.mark.skipif(find_spec("dimorphite_dl") is None, reason="needs the extra charge")


@needs_extra
def test_the_charge_is_a_term(objective, monkeypatch):
    molecules = ["CC(=O)O", "CCN", "CCO", "C1CC"]
    table = objective(it=TERM)(molecules)
    assert table["value_it"].tolist()[:3] == [-1, 1, 0]
    assert table["score"].tolist()[:3] == [0, 1, 1]
    assert "C1CC" in table["unscored_reason"][3]
    assert objective(it=TERM | {"ph": 2})(["CC(=O)O"])["value_it"].tolist() == [0]

    monkeypatch.setattr("molvae.scoring.scorers.charge._MIN_FOR_MAPPER", 2)
    scorer = objective(it=TERM)._scorers["it"]
    values = scorer(molecules, Serial())  # by a mapper, as many molecules are
    assert values.value.tolist()[:3] == [-1, 1, 0]
    assert "C1CC" in values.reasons[3]
    ((name, digest),) = scorer.identity().items()
    assert name.startswith("dimorphite_dl ")
    assert len(digest) == 64


def test_a_missing_package_is_named(objective, monkeypatch):
    monkeypatch.setitem(sys.modules, "dimorphite_dl", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'molvae\[charge\]'"):
        objective(it=TERM)


@pytest.mark.parametrize(
    ("keys", "fact"),
    [
        ({"ph": 15}, r"\[terms\.it\] ph: "),
        ({"ph": "neutral"}, r"ph: "),
        ({"pH": 7}, r"pH: .*not a key of charge_at_ph"),
        ({"low": 2}, r"high: "),
    ],
)
def test_an_invalid_term_is_refused(objective, keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(it=TERM | keys)
