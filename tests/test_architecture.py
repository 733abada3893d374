"""Imports go down only and form no cycle; torch, RDKit and Prefect are imported only where allowed."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

LAYERS = {
    "pipeline": 9,
    "molvae.search": 8,
    "molvae.estimators": 7,
    "molvae.report": 8,
    "molvae.benchmark": 6,
    "molvae.codec": 5,
    "molvae.training": 6,
    "molvae.features": 4,
    "molvae.autoencoder": 4,
    "molvae.latent": 4,
    "molvae.scoring": 7,
    "molvae.checks": 4,
    "molvae.query": 6,
    "molvae.datasets": 4,
    "molvae.candidates": 5,
    "molvae.qsar": 6,
    "molvae.chem": 3,
    "molvae.settings": 2,
    "molvae.tables": 3,
    "molvae.inputs": 2,
    "molvae.folders": 2,
    "molvae.extras": 2,
    "molvae.workers": 2,
    "molvae.shards": 2,
    "molvae.cluster": 3,
    "molvae.plugins": 2,
    "molvae.errors": 1,
    "molvae.seeds": 1,
    "molvae.feature_spec": 1,
    "molvae.files": 1,
    "molvae.devices": 2,
    "molvae.figures": 2,
    "molvae.bundled": 1,
    "molvae.printable": 1,
}
"""Package or single module -> layer; those of one layer do not import each other."""

PIPELINE = {
    "cli": 10,
    "commands": 9,
    "serving": 8,
    "deploy": 7,
    "flow": 6,
    "reporting": 5,
    "publishing": 4,
    "sweep": 6,
    "fit": 5,
    "featurize": 5,
    "train": 5,
    "search": 5,
    "validate": 5,
    "cleaning": 5,
    "run_description": 5,
    "query_sources": 4,
    "run_states": 4,
    "night": 4,
    "runs": 4,
    "summary": 4,
    "overview": 4,
    "assays": 3,
    "runner": 3,
    "catalogue": 3,
    "earlier": 3,
    "manifest": 3,
    "latent_tables": 3,
    "result_files": 3,
    "text_table": 3,
    "tables": 2,
    "form": 3,
    "schedules": 3,
    "campaign": 2,
    "train_section": 1,
    "progress": 2,
    "run_dir": 2,
    "api": 1,
    "clock": 1,
    "failures": 1,
    "log": 1,
    "terminal": 1,
    "version": 1,
}

ALLOWED = {
    "torch": (
        "molvae.autoencoder",
        "molvae.training",
        "molvae.codec",
        "molvae.latent",
        "molvae.estimators",
        "molvae.benchmark.fcd",
        "molvae.devices",
    ),
    "safetensors": ("molvae.training", "molvae.codec", "molvae.latent"),
    "rdkit": ("molvae.chem", "molvae.workers"),
    "chembl_structure_pipeline": ("molvae.chem",),
    "prefect": (
        "pipeline.flow",
        "pipeline.publishing",
        "pipeline.deploy",
        "pipeline.serving",
        "pipeline.schedules",
        "pipeline.api",
    ),
}

AUTOENCODER_PARTS = {"corruption", "encoders", "bottlenecks", "decoders", "reconstruction", "regularizers"}


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int
    is_for_types: bool = False

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = sorted([*(ROOT / "molvae").rglob("*.py"), *(ROOT / "pipeline").rglob("*.py")])
MODULES = {module_name(path): path for path in PATHS}


def read_imports(module: str) -> Iterator[Import]:
    """Every import of a module, including lazy ones in functions; `from package import submodule` is resolved."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `pipeline` is installed as `molvae.pipeline`: relative imports work under both names.
            assert node.level == 0 or module.startswith("pipeline."), f"{module}:{node.lineno}"
            above = module.split(".")[: -node.level] if node.level else []
            source = ".".join(filter(None, [*above, node.module]))
            inner = [f"{source}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else source for name in inner]
        else:
            continue
        for name in dict.fromkeys(names):
            yield Import(module, name, node.lineno, id(node) in for_types)


IMPORTS = [found for module in MODULES for found in read_imports(module)]


def package_of(module: str) -> str | None:
    return next((package for package in LAYERS if module == package or module.startswith(f"{package}.")), None)


def is_inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_modules_and_imports_are_found() -> None:
    assert len(MODULES) > 40
    assert any(found.imported == "molvae.errors" for found in IMPORTS)


def test_every_module_has_a_layer() -> None:
    without_layer = [module for module in MODULES if module != "molvae" and package_of(module) is None]
    assert not without_layer, f"give a layer to {without_layer}"
    parts = {module.split(".")[1] for module in MODULES if module.startswith("pipeline.")}
    assert parts <= PIPELINE.keys(), f"give a layer to {parts - PIPELINE.keys()}"


def test_imports_go_down() -> None:
    wrong = []
    for found in IMPORTS:
        above, below = package_of(found.importer), package_of(found.imported)
        if above is None or below is None or above == below or found.importer == "molvae":
            continue
        if LAYERS[above] <= LAYERS[below] and not found.is_for_types:
            wrong.append(str(found))
    assert not wrong, "\n".join(wrong)


def test_pipeline_imports_go_down() -> None:
    wrong = []
    for found in IMPORTS:
        if found.importer.startswith("pipeline.") and found.imported.startswith("pipeline."):
            above, below = found.importer.split(".")[1], found.imported.split(".")[1]
            is_lower_pair = {above, below} <= {"log", "terminal", "api", "campaign", "run_dir", "tables"}
            if above != below and PIPELINE[above] <= PIPELINE[below] and not is_lower_pair:
                wrong.append(str(found))
    assert not wrong, "\n".join(wrong)


def test_commands_do_not_import_each_other() -> None:
    prefix, shared = "pipeline.commands.", "pipeline.commands.declaration"
    inner = [found for found in IMPORTS if found.importer.startswith(prefix) and found.imported.startswith(prefix)]
    assert inner
    assert not [str(found) for found in inner if found.imported != shared]


def test_no_import_cycles() -> None:
    """Lazy imports count; imports for types alone do not."""
    below: dict[str, set[str]] = {module: set() for module in MODULES}
    for found in IMPORTS:
        if found.imported in MODULES and found.imported != found.importer and not found.is_for_types:
            below[found.importer].add(found.imported)
    below["molvae"] = set()  # imports a module lazily, at the first use of a name
    done: set[str] = set()
    while ready := {module for module in below if module not in done and below[module] <= done}:
        done |= ready
    assert done == set(MODULES), f"in an import cycle, or import from one: {sorted(set(MODULES) - done)}"


@pytest.mark.parametrize("library", ALLOWED)
def test_library_is_imported_only_where_allowed(library: str) -> None:
    uses = [found for found in IMPORTS if found.imported == library or found.imported.startswith(f"{library}.")]
    assert uses
    wrong = [str(found) for found in uses if not is_inside(found.importer, ALLOWED[library])]
    assert not wrong, "\n".join(wrong)


def test_no_package_imports_its_own_init() -> None:
    wrong = [
        str(found)
        for found in IMPORTS
        if MODULES.get(found.imported, Path()).name == "__init__.py" and found.importer.startswith(f"{found.imported}.")
    ]
    assert not wrong, "\n".join(wrong)


def test_autoencoder_parts_do_not_import_each_other() -> None:
    prefix = "molvae.autoencoder."
    wrong = [
        str(found)
        for found in IMPORTS
        if found.importer.removeprefix(prefix) in AUTOENCODER_PARTS
        and found.imported.startswith(prefix)
        and found.imported.removeprefix(prefix) in AUTOENCODER_PARTS
    ]
    assert not wrong, "\n".join(wrong)


def test_no_vague_module_names() -> None:
    vague = {"utils", "common", "helpers", "base", "misc"}
    assert not [module for module in MODULES if vague & set(module.split("."))]
