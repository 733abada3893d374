import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from molvae.errors import InputError
from molvae.report import page as module
from molvae.report.page import pack, page_style, write_page

VENDOR = Path(module.__file__).parent / "vendor"


def test_vendored_files_are_those_of_the_table() -> None:
    table = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", (VENDOR / "README.md").read_text(), re.M))
    files = {path.name for path in VENDOR.iterdir()} - {"README.md", "LICENSES.txt"}
    assert set(table) == files
    for name, digest in table.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_styles_and_scripts_load_nothing() -> None:
    folder = VENDOR.parent
    for path in [*folder.glob("*.css"), *folder.glob("*.js"), *VENDOR.glob("*.css"), *VENDOR.glob("*.js")]:
        text = module._read(str(path.relative_to(folder)))
        assert "sourceMappingURL" not in text
        assert not re.search(r"@import|</(script|style)", text)
        assert path.suffix == ".js" or "url(" not in text
        assert "\r" not in text  # a browser would compute another digest


def test_packed_data_are_the_same_data() -> None:
    data = {"a": [1, None, "</script>"], "ü": True}
    packed = pack(data)
    assert json.loads(gzip.decompress(base64.b64decode(packed))) == data
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed)
    with pytest.raises(ValueError, match="JSON"):
        pack([float("nan")])


def test_a_page_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_page(tmp_path / "missing" / "page.html", "text")


def test_the_shared_style_has_light_and_dark_colors() -> None:
    assert page_style().count("--bg:") >= 2
    assert "prefers-color-scheme:dark" in page_style()
