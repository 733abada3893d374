"""Writes an SBOM (CycloneDX 1.5) of the tested packages and of the libraries inside pages: python docs/sbom.py FILE."""

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "molvae" / "report" / "vendor" / "README.md"


def components() -> list[dict[str, Any]]:
    """List the packages of constraints.txt and the libraries in `molvae/report/vendor/`.

    Returns
    -------
    list of dict
        Components of CycloneDX; licences only of installed packages.
    """
    found = []
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M):
        name = re.sub(r"[-_.]+", "-", name).lower()
        found.append(_component("pypi", name, version, _licence(name)))
    libraries: dict[str, dict[str, Any]] = {}
    for cells in re.findall(r"^\| (.+) \|$", VENDOR.read_text(encoding="utf-8"), re.M)[1:]:
        file, name, version, licence, _, digest = cells.split(" | ")
        one = libraries.setdefault(name, _component("npm", name, version, licence))
        one.setdefault("properties", []).append({"name": f"sha256 of {file}", "value": digest})
    return [*found, *libraries.values()]


def _component(kind: str, name: str, version: str, licence: str | None) -> dict[str, Any]:
    purl = f"pkg:{kind}/{name.replace('@', '%40')}@{version.replace('+', '%2B')}"
    one = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    return one | ({"licenses": [{"license": {"name": licence}}]} if licence else {})


def _licence(name: str) -> str | None:
    try:
        facts = metadata(name)
    except PackageNotFoundError:
        return None
    named = [one.split(" :: ")[-1] for one in facts.get_all("Classifier") or () if one.startswith("License :: ")]
    lines = (facts["License-Expression"] or facts["License"] or "").strip().splitlines()
    return lines[0] if len(lines) == 1 else ", ".join(named) or None


def sbom() -> dict[str, Any]:
    """Describe the packages.

    Returns
    -------
    dict
        The SBOM; it has no time, so that the same packages give the same file.
    """
    version = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M)[0]
    subject = {"type": "application", "name": "molvae", "version": version, "purl": f"pkg:pypi/molvae@{version}"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": subject},
        "components": components(),
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(sbom(), indent=1) + "\n", encoding="utf-8")
