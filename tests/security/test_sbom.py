"""The SBOM lists every pinned package and every library inside pages."""

import importlib.util
from pathlib import Path

from molvae.report.page import _VENDOR

ROOT = Path(__file__).parents[2]


def test_every_pinned_package_and_vendored_library_is_listed() -> None:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "docs" / "sbom.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    bom = module.sbom()
    listed = {one["purl"]: one for one in bom["components"]}
    pinned = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line and line[0] != "#"]
    npm = [purl for purl in listed if purl.startswith("pkg:npm/")]
    assert len(listed) == len(bom["components"]) == len(pinned) + len(npm)
    assert "pkg:pypi/rdkit@" + next(one for one in pinned if one.startswith("rdkit=="))[7:] in listed
    assert listed[next(purl for purl in npm if "rdkit" in purl)]["licenses"] == [{"license": {"name": "BSD-3-Clause"}}]
    files = [entry["name"] for purl in npm for entry in listed[purl]["properties"]]
    assert len(files) == len(list(_VENDOR.iterdir())) - 2
