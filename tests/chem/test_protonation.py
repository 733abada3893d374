import sys

import pytest

from molvae.chem.protonation import charge_at_ph
from molvae.errors import InputError, MissingPackageError


@pytest.mark.parametrize(
    ("smiles", "charge"),
    [
        ("CC(=O)Oc1ccccc1C(=O)O", -1),  # aspirin
        ("CC(N)Cc1ccccc1", 1),  # amphetamine
        ("COc1cc2c(cc1OC)C(=O)C(CC1CCN(Cc3ccccc3)CC1)C2", 1),  # donepezil
        ("O=C(O)c1cn(C2CC2)c2cc(N3CCNCC3)c(F)cc2c1=O", 0),  # ciprofloxacin, a zwitterion
        ("c1ccncc1", 0),
        ("Nc1ccccc1", 0),
        ("CNC(N)=N", 1),
        ("COP(=O)(O)O", -2),
        ("C[N+](C)(C)C", 1),
        ("C[N+](=O)[O-]", 0),
        ("CC([NH3+])Cc1ccccc1", 1),  # the charge that is written does not count
        ("CC(=O)[O-]", -1),
        ("CCO", 0),
    ],
)
def test_the_charge_at_ph_7_4(smiles: str, charge: int) -> None:
    pytest.importorskip("dimorphite_dl", reason="needs the extra charge")
    assert charge_at_ph(smiles) == charge


def test_the_charge_depends_on_the_ph() -> None:
    pytest.importorskip("dimorphite_dl", reason="needs the extra charge")
    assert [charge_at_ph("NCC(=O)O", ph) for ph in (0.5, 6, 13)] == [1, 0, -1]


def test_an_invalid_smiles_is_an_error() -> None:
    pytest.importorskip("dimorphite_dl", reason="needs the extra charge")
    with pytest.raises(InputError, match="C1CC"):
        charge_at_ph("C1CC")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dimorphite_dl", None)
    with pytest.raises(MissingPackageError, match=r"molvae\[charge\]"):
        charge_at_ph("CCO")
