"""scikit-learn models as terms: their predictions, and no file that could run code."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from molvae import CodecTransformer, FingerprintTransformer
from molvae.chem.fingerprints import morgan_bits, morgan_counts
from molvae.codec import ToyCodec
from molvae.errors import InputError
from molvae.scoring.scorers.registry import read_term
from molvae.scoring.scorers.sklearn_model import SklearnScorer
from molvae.workers import Serial

skops = pytest.importorskip("skops.io", reason="needs the extra qsar")

SMILES = ToyCodec().molecules[:60]
Y = np.array([float(one.count("c")) for one in SMILES])
SHAPE = {"shape": "higher", "low": 0, "high": 6}
RAW = ["Cc1ccccc1", "not a molecule", "CCCCN.Cl"]


def scorer(model: object, path: Path, **keys: object) -> SklearnScorer:
    skops.dump(model, path)
    return SklearnScorer(read_term({"sklearn": str(path), **SHAPE, **keys}))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.skops"


def double(x: np.ndarray) -> np.ndarray:
    return 2 * x


def test_a_pipeline_reads_smiles(path: Path) -> None:
    model = make_pipeline(FingerprintTransformer(n_bits=512), StandardScaler(), Ridge()).fit(SMILES, Y)
    found = scorer(model, path)
    values = found(RAW, Serial())
    expected = model.predict(["Cc1ccccc1", "CCCCN"])
    np.testing.assert_allclose(values.value, [expected[0], np.nan, expected[1]])
    assert values.reasons[0] is None
    assert "expected one SMILES" in str(values.reasons[1])
    assert list(found.identity()) == [str(path)]


def test_a_pipeline_of_latent_vectors_stores_the_name_of_the_codec(path: Path) -> None:
    model = make_pipeline(CodecTransformer("moses"), GaussianProcessRegressor(RBF(5.0) + WhiteKernel(), optimizer=None))
    model.fit(SMILES[:20], Y[:20])
    found = scorer(model, path)
    assert path.stat().st_size < 200_000  # no weights
    np.testing.assert_allclose(found(SMILES[20:24], Serial()).value, model.predict(SMILES[20:24]), rtol=1e-6)
    # a molecule that the codec cannot encode costs its own value only
    values = found([SMILES[20], "C[Si](C)(C)C"], Serial())
    assert np.isnan(values.value).tolist() == [False, True]
    assert values.reasons[1]


@pytest.mark.parametrize(("features", "compute"), [("ecfp4_bits", morgan_bits), ("ecfp4_counts", morgan_counts)])
def test_a_model_of_fingerprints_gets_those_of_its_length(features: str, compute, path: Path) -> None:
    model = Ridge().fit(compute(SMILES, 2, 1024), Y)
    values = scorer(model, path, features=features)(SMILES[:3], Serial()).value
    np.testing.assert_allclose(values, model.predict(compute(SMILES[:3], 2, 1024)), rtol=1e-4)
    with pytest.raises(InputError, match="ecfp4_counts"):
        scorer(model, path)


@pytest.mark.parametrize("classes", [("0", "1"), ("inactive", "active"), (False, True)])
def test_a_classifier_gives_the_probability_of_class_1(classes: tuple[object, object], path: Path) -> None:
    labels = np.array([classes[int(value > 3)] for value in Y])
    model = make_pipeline(FingerprintTransformer(n_bits=256), LogisticRegression()).fit(SMILES, labels)
    column = list(model.classes_).index(classes[1])
    values = scorer(model, path)(SMILES[:3], Serial()).value
    np.testing.assert_allclose(values, model.predict_proba(SMILES[:3])[:, column])


def test_a_random_forest_is_trusted(path: Path) -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(morgan_bits(SMILES, 2, 128), Y > 3)
    values = scorer(forest, path, features="ecfp4_bits")(SMILES[:3], Serial()).value
    assert ((values >= 0) & (values <= 1)).all()


def test_untrusted_types_and_pickles_are_refused(path: Path, tmp_path: Path) -> None:
    model = make_pipeline(FingerprintTransformer(n_bits=64), FunctionTransformer(double), Ridge()).fit(SMILES, Y)
    with pytest.raises(InputError, match=r"not trusted: .*double"):
        scorer(model, path)
    for name in ("model.pkl", "model.joblib"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match="pickle can run any code"):
            SklearnScorer(read_term({"sklearn": str(tmp_path / name), **SHAPE}))  # type: ignore[arg-type]


def test_wrong_files_and_models_give_one_sentence(path: Path) -> None:
    term = {"sklearn": str(path), **SHAPE}
    with pytest.raises(InputError, match="no such file"):
        SklearnScorer(read_term(term))  # type: ignore[arg-type]
    path.write_text("no zip")
    with pytest.raises(InputError, match=r"skops\.io\.dump"):
        SklearnScorer(read_term(term))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="with predict, got StandardScaler"):
        scorer(StandardScaler(), path)
    bits = pd.DataFrame(morgan_bits(SMILES, 2, 64))
    with pytest.raises(InputError, match="classes 0 and 1, got low, mid"):
        scorer(LogisticRegression().fit(bits.to_numpy(), np.where(Y > 3, "mid", "low")), path)
    with pytest.raises(InputError, match="CalibratedClassifierCV"):
        scorer(LinearSVC().fit(bits.to_numpy(), (Y > 3).astype(int)), path, features="ecfp4_bits")
