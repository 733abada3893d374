import shutil
import subprocess
import sys

import pytest

from molvae.bundled import bundled
from molvae.codec import load_codec
from molvae.codec.description import find_codec, read_featurizers
from molvae.errors import CodecError


def test_featurizers_are_those_of_the_loaded_codec():
    codec, stored = load_codec("moses"), read_featurizers(find_codec("moses"))
    assert stored.featurizer == codec.featurizer
    assert stored.view is None
    assert stored.sha256 == codec.sha256


def test_a_changed_vocabulary_is_an_error(tmp_path):
    folder = tmp_path / "codec"
    shutil.copytree(bundled("moses"), folder)
    path = folder / "featurizer.json"
    path.write_text(path.read_text().replace("smiles", "selfies"))
    with pytest.raises(CodecError, match=r"featurizer\.json.*sha256"):
        read_featurizers(folder)


def test_the_error_for_an_unknown_codec_lists_the_bundled_codecs():
    with pytest.raises(CodecError, match=r"'nope'.*druglike, moses"):
        find_codec("nope")


def test_featurizing_starts_without_torch():
    code = "import sys, molvae.pipeline.featurize, molvae.codec.description; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
