"""Searches, checks, metrics, candidate tables and reports from Python, without the pipeline and Prefect."""

import subprocess
import sys
from pathlib import Path

import molvae

SCRIPT = """
import sys
from pathlib import Path

import molvae
from molvae.codec import ToyCodec
from molvae.report.report import funnel_steps
from molvae.workers import Serial

codec, reference = ToyCodec(), {"CC(=O)Nc1ccccc1": "acetanilide"}
result = molvae.optimize(lambda smiles: [1 / len(one) for one in smiles], budget=30, codec=codec)
settings = molvae.ChecksSettings(mol_weight=[100, 250])
candidates = molvae.build_candidates(result.table, reference, settings=settings)
molvae.write_candidates(Path(), candidates)
assert len(molvae.read_candidates(Path())) == 30
report = molvae.Report("amides", candidates, funnel_steps(candidates, result.funnel), result.history)
molvae.write_report(Path("report.html"), report)

explanation = molvae.explain(Path(), candidates["candidate_id"][0])
assert explanation.rank_passed == 1
assert candidates["smiles"][0] in str(explanation)
assert "<svg" in explanation._repr_html_()

other = molvae.build_candidates(result.table.iloc[5:], reference, settings=settings)
comparison = molvae.compare_candidates(other, candidates)
assert comparison.counts()["new"][0] == 5
assert "<svg" in comparison._repr_html_()

table = molvae.check_molecules(["O=C(C)Nc1ccccc1", "C1CC"], reference=reference)
assert table["smiles"].tolist() == ["CC(=O)Nc1ccccc1", None]
assert not table["passed"].any()

Path("generated.smi").write_text("CCO\\nCCN\\n")
metrics = molvae.evaluate_file("generated.smi", "generated.smi", mapper=Serial())
assert metrics.to_dict()["moses"] == molvae.evaluate_smiles(["CCO", "CCN"], ["CCO", "CCN"], mapper=Serial()).moses()

loaded = [name for name in sys.modules if name.split(".")[0] == "prefect" or name.startswith("molvae.pipeline")]
assert not loaded, loaded
"""


def test_search_checks_report_and_metrics_work_without_the_pipeline(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "candidates.csv", "candidates.parquet", "candidates.sdf", "generated.smi", "report.html"
    }  # fmt: skip


def test_public_names_are_sorted_and_documented() -> None:
    assert set(molvae.__all__) == set(molvae._HOME)
    for name in molvae.__all__:
        assert getattr(molvae, name).__doc__, name
