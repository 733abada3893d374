"""Hooks of the documentation site (mkdocs.yml): pages from outside docs/, generated pages, and links between pages."""

import ast
import inspect
import posixpath
import re
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from molvae.pipeline.cli import app

import molvae

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/molvae/molvae/blob/main/"
RAW = "https://raw.githubusercontent.com/molvae/molvae/main/"

OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "data/README.md": "data/index.md",
    "data/druglike/README.md": "data/druglike.md",
    "data/moses/README.md": "data/moses.md",
}
"""Files of the repository -> their pages on the site."""

PACKAGES = {
    "codec": "Codecs",
    "search": "Search",
    "scoring": "Scoring",
    "qsar": "QSAR models",
    "checks": "Checks",
    "candidates": "Candidate tables",
    "query": "Queries",
    "report": "Reports",
    "estimators": "scikit-learn",
    "datasets": "Molecule files",
    "chem": "Chemistry",
    "features": "Features",
    "latent": "Latent vectors",
    "autoencoder": "Autoencoders",
    "training": "Training",
    "benchmark": "Evaluation",
    "errors": "Errors",
    "settings": "Settings",
    "plugins": "Plug-ins",
    "workers": "Worker processes",
}
"""Public packages and modules of molvae, in the order of the navigation -> titles of their API pages."""

CAMPAIGNS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "pipeline" / "campaigns").glob("*.toml"))]
NOTEBOOKS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]

_LINK = re.compile(r"(?<=\]\()([^)#\s]+)(?=[)#])")
_CODE = re.compile(r"^(?:```.*?^```|(?: {4}.*\n)+)", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill in the API section of the navigation."""
    pages = [{"molvae": "api/index.md"}, *({title: f"api/{package}.md"} for package, title in PACKAGES.items())]
    for entry in config.nav or []:
        if "API" in entry:
            entry["API"] = pages
    return config


@event_priority(100)  # before the plugins, which convert the notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are kept outside docs/, and those that are generated."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for notebook in NOTEBOOKS:
        files.append(File(notebook, str(ROOT), config.site_dir, config.use_directory_urls))
    for package, title in PACKAGES.items():
        files.append(File.generated(config, f"api/{package}.md", content=_api_page(package, title)))
    files.append(File.generated(config, "api/index.md", content=_api_index()))
    files.append(File.generated(config, "commands.md", content=_commands()))
    files.append(File.generated(config, "campaigns.md", content=_campaigns()))
    return files


@event_priority(100)
def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Change relative links: to a page of the site if there is one, else to the file in the repository."""
    path = page.file.src_uri
    source = next((source for source, target in OUTSIDE.items() if target == path), f"docs/{path}")

    def resolve(match: re.Match[str]) -> str:
        link = match[1]
        if link.startswith(RAW):
            target = link.removeprefix(RAW)
        elif ":" in link:
            return link
        else:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        page_path = "campaigns.md" if target in CAMPAIGNS else OUTSIDE.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(page_path):
            return posixpath.relpath(page_path, posixpath.dirname(path) or ".")
        return REPOSITORY + target

    if path.startswith("api/"):
        return markdown
    pieces, end = [], 0
    for code in _CODE.finditer(markdown):
        pieces += [_LINK.sub(resolve, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, _LINK.sub(resolve, markdown[end:])])


def _modules(package: str) -> list[str]:
    """The public modules of a package; those that define names exported by molvae come first."""
    path = ROOT / "molvae" / package
    if not path.is_dir():
        return [f"molvae.{package}"]
    files = [file.relative_to(ROOT).with_suffix("") for file in path.rglob("*.py") if not file.stem.startswith("_")]
    exported = {getattr(molvae, name).__module__ for name in molvae.__all__}
    return sorted((".".join(file.parts) for file in files), key=lambda module: (module not in exported, module))


def _api_page(package: str, title: str) -> str:
    return "\n\n".join([f"# {title}", *(f"::: {module}" for module in _modules(package))]) + "\n"


def _api_index() -> str:
    """Two tables: the names that molvae exports, and its packages and modules."""
    names = [
        f"| [`molvae.{name}`][molvae.{name}] | {(inspect.getdoc(getattr(molvae, name)) or '').splitlines()[0]} |"
        for name in molvae.__all__
    ]
    packages = [
        f"| [{title}]({package}.md) | `molvae.{package}` | {_summary(package)} |" for package, title in PACKAGES.items()
    ]
    lines = [
        "# API reference",
        "",
        "| name | |",
        "|---|---|",
        *names,
        "",
        "| part | package or module | |",
        "|---|---|---|",
        *packages,
    ]
    return "\n".join(lines) + "\n"


def _summary(package: str) -> str:
    """The first line of the docstring of a package or module."""
    path = ROOT / "molvae" / package
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()[0]


def _commands() -> str:
    """The help of every command, as the terminal prints it."""
    group = typer.main.get_command(app)
    with typer.Context(group, info_name="molvae", terminal_width=100) as context:
        texts = [("molvae", group.get_help(context))]
        texts += _command_texts(group, context)
    sections = [f"## {name}\n\n```text\n{text}\n```" for name, text in texts]
    return "\n\n".join(["# Commands", *sections]) + "\n"


def _command_texts(group: Any, context: typer.Context) -> list[tuple[str, str]]:
    """The name and the help of each command of a group, and of its subcommands."""
    texts = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        with typer.Context(command, info_name=name, parent=context) as inner:
            texts.append((inner.command_path, command.get_help(inner)))
            if hasattr(command, "list_commands"):
                texts += _command_texts(command, inner)
    return texts


def _campaigns() -> str:
    """The bundled campaign files, whose comments explain every setting."""
    intro = "# Campaign files\n\nThe settings of `molvae design`. Copy a bundled file and edit it."
    files = [f"## {Path(path).name}\n\n```toml\n{(ROOT / path).read_text(encoding='utf-8')}```" for path in CAMPAIGNS]
    return "\n\n".join([intro, *files]) + "\n"
