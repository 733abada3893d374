"""The PMO tasks against published values."""

import runpy
from pathlib import Path

import pytest

SCORE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "pmo.py"))["score"]

ZINC = "CC[C@@H]1CCCC[C@H]1c1noc(-c2cn3c(n2)COCC3)n1"


@pytest.mark.parametrize(
    ("task", "smiles", "published"),
    [
        # property table of the data set MolGen/ZINC_250K_prop_train_val_split, computed with PyTDC
        ("albuterol_similarity", ZINC, 0.194444),
        ("amlodipine_mpo", ZINC, 0.095698),
        ("celecoxib_rediscovery", ZINC, 0.0625),
        ("deco_hop", ZINC, 0.524572),
        # task files of the data set liuganghuggingface/demodiff_downstream, computed with PyTDC
        ("albuterol_similarity", "CC(C)(C)NCC(O)C1=C(O)C(O)=CC(CO)=C1", 0.981132075471698),
        ("albuterol_similarity", "CC(C)(C)NCC(O)COC(=O)c1cccc(N)c1", 0.5771144278606964),
        (
            "perindopril_mpo",
            "CCOC(=O)[C@H](CSCc1ccc2ccccc2c1)NC(C)C(=O)N1[C@@H]2CCCC[C@@H]2C[C@H]1C(=O)O",
            0.76626102817,
        ),
        ("perindopril_mpo", "CCOC(=O)[C@H](Cc1c[nH]c2ccccc12)NC(C)C(=O)N1C2CCCCC2C[C@H]1C(=O)O", 0.7897862851668316),
        ("perindopril_mpo", "COc1ccccc1C(=O)N1[C@@H](C(=O)Nc2ccc(F)cc2F)C[C@H]2CCCC[C@H]21", 0.5279095799378564),
        ("zaleplon_mpo", "Cc1ccc(NC(=O)c2cccc(Oc3ncccn3)c2)c(C)c1", 0.5023310149673528),
        ("zaleplon_mpo", "COC1=C(N2C=CC=N2)C(C(=O)CC2=CCCC(C#N)=C2)=CC=C1", 0.5255382728122436),
        ("zaleplon_mpo", "Nc1nc(N)c2c(n1)CCC(c1ccccc1)C2", 0.0441147402612192),
    ],
)
def test_scores_equal_the_published_values(task: str, smiles: str, published: float) -> None:
    assert SCORE(task, [smiles])[0] == pytest.approx(published, abs=5e-7)


def test_an_invalid_smiles_has_no_score() -> None:
    assert SCORE("qed", ["CCO", "C("])[1] is None
