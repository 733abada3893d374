import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from molvae.chem.molecules import Standardized, standardize
from molvae.features import TokenFeaturizer
from molvae.features.featurizer import Features
from molvae.shards import ShardStore, digest_of
from molvae.workers import WorkerFailure

ENVIRONMENT = {"rdkit": "1"}


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    return ShardStore(tmp_path / "shards")


def test_results_are_read_back(store):
    digest = digest_of(standardize, ["CCO"], ENVIRONMENT)
    features = Features(np.ones((2, 3), np.uint16), np.array([True, False]), [None, "too long"])
    results = [Standardized("CCO"), "CCN", None, 1.5, (features, None), WorkerFailure("failed: x"), np.float64(2)]
    assert store.read(digest) is None
    store.write(digest, pickle.dumps(results))
    found = store.read(digest)
    assert [*found[:4], *found[5:]] == [*results[:4], *results[5:]]
    assert np.array_equal(found[4][0].x, features.x)


def test_a_damaged_file_counts_as_missing(store, tmp_path):
    store.write("ab01", pickle.dumps([1, 2]))
    (path,) = tmp_path.glob("shards/ab/ab01")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert store.read("ab01") is None
    path.write_bytes(content[:20])
    assert store.read("ab01") is None


class Attack:
    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("target", ["os.mkdir", "molvae function"])
def test_a_file_cannot_call_functions(store, tmp_path, target):
    class Write:
        def __reduce__(self):
            from molvae.files import write_text

            return write_text, (tmp_path / "made", "text")

    Attack.path = tmp_path / "made"
    store.write("ab02", pickle.dumps([Attack()] if target == "os.mkdir" else [Write()]))
    assert store.read("ab02") is None
    assert not (tmp_path / "made").exists()


def test_the_digest_depends_on_content_only():
    corpus = ["CCO", "c1ccccc1O"]
    used, fresh = TokenFeaturizer.from_corpus(corpus), TokenFeaturizer.from_corpus(corpus)
    used.encode(corpus)  # caches its tokenizer
    copies = ["".join(list(one)) for one in [*corpus, *corpus]]
    assert digest_of(used, [*corpus, *corpus], ENVIRONMENT) == digest_of(fresh, copies, ENVIRONMENT)
    assert digest_of(used, corpus, ENVIRONMENT) != digest_of(used, corpus[::-1], ENVIRONMENT)
    assert digest_of(used, corpus, ENVIRONMENT) != digest_of(used, corpus, {"rdkit": "2"})
    assert digest_of(standardize, corpus, ENVIRONMENT) != digest_of(len, corpus, ENVIRONMENT)


def test_the_digest_is_the_same_in_another_process():
    code = (
        "from molvae.shards import digest_of; from molvae.chem.molecules import standardize; "
        "print(digest_of(standardize, ['CCO', None], {'rdkit': '1'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == digest_of(standardize, ["CCO", None], ENVIRONMENT)
