import gzip

import pytest

from molvae.bundled import bundled
from molvae.chem import ring_systems as module
from molvae.chem.molecules import canonicalize, shuffle_atoms
from molvae.chem.ring_systems import bundled_ring_systems, count_ring_systems, distinct_ring_systems, ring_systems
from molvae.errors import InputError

CYCLOSPORIN = (
    "C/C=C/C[C@@H](C)[C@@H](O)[C@H]1C(=O)N[C@@H](CC)C(=O)N(C)CC(=O)N(C)[C@@H](CC(C)C)C(=O)N[C@@H](C(C)C)C(=O)N(C)"
    "[C@@H](CC(C)C)C(=O)N[C@@H](C)C(=O)N[C@H](C)C(=O)N(C)[C@@H](CC(C)C)C(=O)N(C)[C@@H](CC(C)C)C(=O)N(C)"
    "[C@@H](C(C)C)C(=O)N1C"
)
CASES = [
    ("CCO", []),
    ("c1ccc(-c2ccccc2)cc1", ["c1ccccc1", "c1ccccc1"]),
    ("Cc1ccc2[nH]ccc2c1", ["c1ccc2[nH]ccc2c1"]),  # fused
    ("C1CCC2(CC1)CCNC2", ["C1CCC2(CC1)CCNC2"]),  # spiro
    ("OC1CN2CCC1CC2", ["C1CN2CCC1CC2"]),  # bridged
    ("O=C1CCCN1C", ["O=C1CCCN1"]),  # a double bond to the ring belongs to it
    ("CC(C)=C1CCCC1", ["C=C1CCCC1"]),
    ("C1CCCC1=C1CCNCC1", ["C=C1CCCC1", "C=C1CCNCC1"]),  # between two ring systems
    ("C1CCCC1=CC=C1CCCC1", ["C=C1CCCC1", "C=C1CCCC1"]),
    ("CN=S1(=O)CCCC1", ["N=S1(=O)CCCC1"]),
    ("O=[N+]([O-])c1ccccc1", ["c1ccccc1"]),
    ("Cn1cccc1", ["c1cc[nH]c1"]),
    ("Cn1ncc2ccccc21", ["c1ccc2[nH]ncc2c1"]),  # 1H- and 2H-indazole differ
    ("Cn1cc2ccccc2n1", ["c1ccc2n[nH]cc2c1"]),
    ("O=c1cc[nH]cc1", ["O=c1cc[nH]cc1"]),  # tautomers differ
    ("Oc1ccncc1", ["c1ccncc1"]),
    ("C[C@H]1CC[C@@H](O)CC1", ["C1CCCCC1"]),  # stereo and isotopes do not count
    ("[2H]C1CCCC1", ["C1CCCC1"]),
    ("C[NH+]1CCCCC1", ["C1CCNCC1"]),  # charges do not count
    ("C[N+]1(C)CCCCC1", ["C1CCNCC1"]),
    ("C[n+]1ccccc1", ["c1ccncc1"]),
    ("C[n+]1ccn(C)c1", ["c1c[nH]cn1"]),
    ("c1nn[n-]n1", ["c1nn[nH]n1"]),
    ("O=C1C(=Cc2cccc[n+]2C)CSC1", ["C=C1CSCC1=O", "c1ccncc1"]),
    ("C1CC[N+]2(CC1)CCCC2", ["C1CC[N+]2(CC1)CCCC2"]),  # but those without which there is no molecule
    ("C[N+]1([O-])CCCCC1", ["[O-][NH+]1CCCCC1"]),
    ("[O-][n+]1ccccc1", ["[O-][n+]1ccccc1"]),
    ("[O-][S+]1CCCC1", ["O=S1CCCC1"]),  # one way to write a sulfoxide
    ("O=S1CCCC1", ["O=S1CCCC1"]),
    ("CC1(C)OB(c2ccccc2)OC1(C)C", ["B1OCCO1", "c1ccccc1"]),
    ("c1ccccc1.Cl.C1CC1", ["C1CC1", "c1ccccc1"]),
]


@pytest.mark.parametrize(("smiles", "expected"), CASES)
def test_ring_systems(smiles: str, expected: list[str]) -> None:
    assert ring_systems(smiles) == expected
    assert distinct_ring_systems(smiles) == sorted(set(expected))
    for system in expected:
        assert ring_systems(system) == [system] == [canonicalize(system).smiles]
    assert ring_systems(shuffle_atoms(smiles, seed=1)) == expected


def test_a_macrocycle_is_one_ring_system() -> None:
    (system,) = ring_systems(CYCLOSPORIN)
    assert system.count("N") == system.count("=O") + system.count("O=") == 11
    assert "@" not in system


def test_molecules_are_counted_once() -> None:
    assert count_ring_systems(["c1ccc(-c2ccccc2)cc1", "Cc1ccccc1", "CCO", "C1CC1"]) == {"c1ccccc1": 2, "C1CC1": 1}
    with pytest.raises(InputError, match="C1CC"):
        count_ring_systems(["C1CC"])


def test_an_invalid_smiles_is_an_error() -> None:
    with pytest.raises(InputError, match="C1CC"):
        ring_systems("C1CC")


def test_the_bundled_table_holds_common_ring_systems_and_no_others() -> None:
    table = bundled_ring_systems()
    assert len(table) > 5_000
    assert min(table.values()) >= 2
    assert max(table, key=table.__getitem__) == "c1ccccc1"
    for smiles in ("Cn1c(=O)c2c(ncn2C)n(C)c1=O", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc21", "C1CN2CCC1CC2"):
        assert all(table[system] > 10 for system in ring_systems(smiles))
    assert not {"C1=CC2=C1C=C2", "c1ccc2c(c1)C1CC2=C1"} & table.keys()
    sample = list(table)[::97]
    assert [ring_systems(one) for one in sample] == [[one] for one in sample]


def test_the_bundled_table_counts_the_moses_training_set() -> None:
    """Every ring system of the first molecules is in the table, unless one molecule alone has it."""
    with gzip.open(bundled("moses_train.csv.gz"), "rt") as lines:
        next(lines)
        smiles = [next(lines).strip() for _ in range(500)]
    found = count_ring_systems(smiles)
    table = bundled_ring_systems()
    assert all(table[system] >= n for system, n in found.items() if n > 1)
    assert sum(system in table for system in found) > 0.95 * len(found)


def test_a_missing_table_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TABLE", "gone.csv.gz")
    with pytest.raises(InputError, match=r"gone\.csv\.gz"):
        bundled_ring_systems.__wrapped__()
