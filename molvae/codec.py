"""The codec: molecules to points and back; the one place where SMILES meet tensors."""

import hashlib
import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from molvae.autoencoder import Autoencoder, ModelSettings, build
from molvae.bundled import bundled, bundled_codecs
from molvae.errors import CodecError, InputError
from molvae.feature_spec import END, PAD, FeatureSpec
from molvae.features.store import FeatureStore
from molvae.features.tokens import TokenFeaturizer
from molvae.files import PART_PREFIX, sha256_of
from molvae.latent.prior import PRIORS, GaussianPrior
from molvae.seeds import generator, integer_seed
from molvae.settings import Settings

VERSION = 1
DEFAULT_NAME = "moses"
CODEC_NAME, WEIGHTS_NAME, PRIOR_NAME, CARD_NAME = "codec.json", "weights.safetensors", "prior.safetensors", "README.md"
_BATCH = 512


class SamplingSettings(Settings):
    """How molecules are drawn: the noise level told to the decoder, and the temperature of its tokens."""

    noise: float = Field(0.6, ge=0, le=1)
    temperature: float = Field(0.5, ge=0, le=10)


@dataclass(frozen=True)
class Encoding:
    """One row per input, in order.

    z: (n, D) float32; NaN rows where not ok.
    ok: (n,) bool.
    reason: why a row is not ok, in words; None where it is.
    smiles: canonical SMILES as encoded; None where the input is no molecule.
    note: what was changed before encoding (a salt stripped, stereo dropped); None where nothing was.
    """

    z: np.ndarray
    ok: np.ndarray
    reason: list[str | None]
    smiles: list[str | None]
    note: list[str | None]


@dataclass(frozen=True)
class Decoded:
    """What a point became: the text as written, its canonical SMILES, or the reason why it is no molecule."""

    text: str
    smiles: str | None
    reason: str | None


@dataclass(frozen=True)
class Codec:
    """Molecules to points and back, with the prior that says where molecules lie.

    card: what is told of it (training data, licence, metrics); `property_names` are those of the property head, and
        `training_file` is the bundled file that holds its training set.
    sha256: of its description, which holds the sha256 of every other file; "" for one never saved.
    """

    name: str
    featurizer: TokenFeaturizer
    model: Autoencoder
    settings: ModelSettings
    prior: GaussianPrior
    sampling: SamplingSettings
    card: dict[str, Any]
    sha256: str = ""

    @property
    def n_latent(self) -> int:
        """Dimensions of a point."""
        return self.settings.n_latent

    def encode(self, molecules: Iterable[Any] | str, flatten: bool = False) -> Encoding:
        """Points of molecules, in order: SMILES, a Series of them, or RDKit molecules.

        Each is standardized first (salts stripped, charges neutralized, canonical). One that is no molecule, or that
        holds what the vocabulary does not know, is a row with a reason.

        flatten: drop stereo, and say so in `note`.

        Example:
            >>> encoding = load_codec().encode(["CC(C)(C)c1ccc2occ(CC(=O)Nc3ccccc3F)c2c1"])
            >>> encoding.z.shape, encoding.ok.tolist()
            ((1, 64), [True])
        """
        from molvae.chem import molecules as chem

        rows = [molecules] if isinstance(molecules, str) else list(molecules)
        smiles: list[str | None] = []
        reason: list[str | None] = []
        note: list[str | None] = []
        for row in rows:
            standard = chem.standardize(chem.to_smiles(row))
            flat = chem.flatten(standard.smiles) if flatten and standard.smiles else standard.smiles
            said = [standard.warning, "stereo dropped" if flat != standard.smiles else None]
            smiles.append(flat)
            reason.append(standard.reason)
            note.append("; ".join(filter(None, said)) or None)
        z = np.full((len(rows), self.n_latent), np.nan, np.float32)
        readable = [i for i, text in enumerate(smiles) if text is not None]
        features = self.featurizer.encode([smiles[i] or "" for i in readable])
        for i, why in zip(readable, features.reason, strict=True):
            reason[i] = f"{why} (flatten=True drops stereo)" if why and "stereo" in why and not flatten else why
        places = np.array(readable, np.int64)[features.ok]
        z[places] = encode_features(self.model, features.x[features.ok])
        return Encoding(z, np.array([why is None for why in reason], bool), reason, smiles, note)

    def decode(self, z: np.ndarray, noise: float = 0.0, temperature: float = 0.0, seed: int = 0) -> list[Decoded]:
        """One molecule, or a reason, per point (n, D), in order; greedy and exact unless asked.

        noise: in [0, 1]; how far from the point its molecule may lie: 0 the molecule itself, 1 any molecule.
        temperature: of the tokens; 0 takes the most probable. Above 0 of either, another seed gives other molecules.

        Raises:
            InputError: z is not (n, D), or noise or temperature is out of range.
        """
        points = self._points(z)
        SamplingSettings.from_dict({"noise": noise, "temperature": temperature}, "decode")
        draws = torch.Generator().manual_seed(integer_seed(seed, "decode"))
        finite = np.isfinite(points).all(1)
        decoded = [Decoded("", None, "the point holds NaN or infinity")] * len(points)
        rows = np.flatnonzero(finite)
        for chunk in np.split(rows, range(_BATCH, len(rows), _BATCH)):
            if len(chunk):
                x = self.model.decode(torch.from_numpy(points[chunk]), noise, temperature, draws).numpy()
                for row, text, is_closed in zip(chunk, self.featurizer.decode(x), (x == END).any(1), strict=True):
                    decoded[row] = _read(text, bool(is_closed))
        return decoded

    def draw(self, n: int, seed: int = 0) -> np.ndarray:
        """Points (n, D) float32 from the prior: where the molecules of the training set lie."""
        return self.prior.sample(_count(n), generator(seed, "prior"))

    def sample(self, n: int, seed: int = 0, tries: int = 3) -> list[Decoded]:
        """n molecules from the prior; one that is invalid is decoded again from its point, up to `tries` in all.

        Raises:
            InputError: n is negative, or tries is below 1.
        """
        if tries < 1:
            raise InputError(f"tries: expected at least 1, got {tries}")
        z = self.draw(n, seed)
        decoded = [Decoded("", None, "not decoded")] * n
        left = list(range(n))
        for attempt in range(tries):
            again_seed = integer_seed(seed, f"sample {attempt}")
            again = self.decode(z[left], self.sampling.noise, self.sampling.temperature, again_seed)
            for row, molecule in zip(left, again, strict=True):
                decoded[row] = molecule
            left = [row for row in left if decoded[row].smiles is None]
        return decoded

    def properties(self, z: np.ndarray) -> pd.DataFrame:
        """Properties as a linear function of points (n, D) shows them, one column each, in their own units.

        An estimate from the space alone, which tells how far the space knows a property; nothing is decoded. No columns
        where the codec was trained without labels.
        """
        names = self.card.get("property_names", [])
        head = self.model.property_head
        values = head(torch.from_numpy(self._points(z))).numpy() if head else np.empty((len(z), 0), np.float32)
        return pd.DataFrame(values, columns=names)

    def training_smiles(self) -> list[str] | None:
        """SMILES of the training set, where molvae carries it; else None."""
        path = bundled(self.card.get("training_file", ""))
        if not path.is_file():
            return None
        import gzip

        with gzip.open(path, "rt", encoding="utf-8") as lines:
            next(lines)
            return [line.rstrip("\n") for line in lines]

    def save(self, folder: Path) -> None:
        """Write the codec into a new folder: weights at half precision, everything under a sha256.

        Raises:
            InputError: the folder exists and is not empty.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: exists and is not empty; name a new folder for the codec")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=PART_PREFIX, dir=folder.parent) as draft:
                self._write(Path(draft, folder.name))
                Path(draft, folder.name).replace(folder)
        except OSError as error:
            raise InputError(f"{folder}: the codec could not be written there ({error.strerror})") from None

    def _write(self, folder: Path) -> None:
        folder.mkdir()
        self.featurizer.save(folder)
        weights = {name: value.half().contiguous() for name, value in self.model.state_dict().items()}
        (folder / WEIGHTS_NAME).write_bytes(save_tensors(weights))
        prior = {name: torch.from_numpy(array.astype(np.float32)) for name, array in self.prior.arrays().items()}
        (folder / PRIOR_NAME).write_bytes(save_tensors(prior))
        (folder / CARD_NAME).write_text(write_card(self), encoding="utf-8")
        head = self.model.property_head
        content: dict[str, Any] = {
            "version": VERSION,
            "name": self.name,
            "model": self.settings.model_dump(),
            "spec": asdict(self.featurizer.spec),
            "n_properties": head.linear.out_features if head else 0,
            "prior": "gaussian",
            "sampling": self.sampling.model_dump(),
            "card": self.card,
            "files": {path.name: sha256_of(path) for path in sorted(folder.iterdir())},
        }
        content["sha256"] = _content_sha256(content)
        (folder / CODEC_NAME).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The codec of a folder, every file checked against its sha256.

        Raises:
            CodecError: a file is missing, changed or truncated, or the codec is of a version not known here.
        """
        content = _read_description(folder)
        contents = {name: _checked_bytes(folder / name, digest) for name, digest in content["files"].items()}
        try:
            settings = ModelSettings.from_dict(content["model"], f"{folder / CODEC_NAME} [model]")
            model = build(settings, FeatureSpec(**content["spec"]), content["n_properties"])
            weights = load_tensors(contents[WEIGHTS_NAME])
            model.load_state_dict({name: value.float() for name, value in weights.items()})
            prior = {name: value.double().numpy() for name, value in load_tensors(contents[PRIOR_NAME]).items()}
            sampling = SamplingSettings.from_dict(content["sampling"], f"{folder / CODEC_NAME} [sampling]")
            featurizer = TokenFeaturizer.load(folder)
            model.requires_grad_(False)
            return cls(
                content["name"], featurizer, model, settings, PRIORS[content["prior"]](**prior), sampling,
                content["card"], content["sha256"],
            )  # fmt: skip
        except (KeyError, TypeError, RuntimeError, SafetensorError) as error:
            raise CodecError(f"{folder}: its files do not belong together ({error}); get the codec again") from None

    def _points(self, z: np.ndarray) -> np.ndarray:
        try:
            points = np.asarray(z, np.float32)
        except (TypeError, ValueError):
            raise InputError("decode: expected an array of numbers, one point a row") from None
        if points.ndim == 1 and len(points) == self.n_latent:
            points = points[None]
        if points.ndim != 2 or (points.shape[1] != self.n_latent and points.size):
            raise InputError(f"decode: expected points of shape (n, {self.n_latent}), got {points.shape}")
        return points.reshape(-1, self.n_latent)


def load_codec(name_or_folder: str | Path | None = None) -> Codec:
    """A codec: the default bundled one, a bundled one by name, or one of a folder.

    Raises:
        CodecError: there is none, or its files are not as they were written.
    """
    if name_or_folder is None:
        return Codec.load(bundled(DEFAULT_NAME))
    if isinstance(name_or_folder, str) and name_or_folder in bundled_codecs():
        return Codec.load(bundled(name_or_folder))
    folder = Path(name_or_folder)
    if not folder.is_dir():
        raise CodecError(
            f"codec {str(folder)!r}: no such folder, and no bundled codec; bundled: {', '.join(bundled_codecs())}"
        )
    return Codec.load(folder)


def encode_features(model: Autoencoder, x: np.ndarray) -> np.ndarray:
    """Codes (n, D) float32 of token rows (n, L); rows of like length go together, none pays for a longer one's PAD."""
    if not len(x):
        return np.empty((0, model.bottleneck.n_latent), np.float32)
    lengths = (x != PAD).sum(1)
    order = np.argsort(lengths, kind="stable")
    codes = []
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        tokens = x[rows, : lengths[rows[-1]]].astype(np.int64)
        codes.append(model.encode(torch.from_numpy(tokens)).numpy())
    z = np.empty((len(x), codes[0].shape[1]), np.float32)
    z[order] = np.concatenate(codes)
    return z


def fit_prior(model: Autoencoder, store: FeatureStore, n: int = 200_000, seed: int = 0) -> GaussianPrior:
    """The prior of the codes of at most n molecules of a features folder, drawn at random."""
    rows = np.sort(generator(seed, "prior fit").permutation(len(store))[:n])
    codes = [encode_features(model, store.rows(part)) for part in np.array_split(rows, max(1, len(rows) // 20_000))]
    return GaussianPrior.fit(np.concatenate(codes))


def write_card(codec: Codec) -> str:
    """The model card, as Markdown: what it is for, what it was made from, what was measured."""
    n_parameters = sum(value.numel() for value in codec.model.parameters())
    lines = [
        f"# Codec {codec.name}",
        "",
        f"{codec.n_latent} latent dimensions, {n_parameters:,} parameters, recipe `{codec.settings.recipe}`; "
        f"{codec.featurizer.spec.width} tokens, at most {codec.featurizer.length - 1} a molecule.",
        "",
        *(f"- {key.replace('_', ' ')}: {_in_words(value)}" for key, value in codec.card.items()),
        "",
        "Symbols that it reads: " + " ".join(f"`{symbol}`" for symbol in codec.featurizer.symbols),
        "",
    ]
    return "\n".join(lines)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key.replace('_', ' ')} {_in_words(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _read(text: str, is_closed: bool) -> Decoded:
    from molvae.chem import molecules as chem

    if not is_closed:
        return Decoded(text, None, "the text finds no end")
    standard = chem.canonicalize(text)
    return Decoded(text, standard.smiles, standard.reason)


def _count(n: int) -> int:
    if n < 0:
        raise InputError(f"n: expected 0 or more molecules, got {n}")
    return n


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / CODEC_NAME
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
    except FileNotFoundError:
        raise CodecError(f"{folder}: no codec here ({CODEC_NAME} is missing)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CodecError(f"{path}: damaged ({error}); get the codec again") from None
    if version != VERSION:
        raise CodecError(
            f"{path}: codec version {version}; this release reads version {VERSION}; update molvae, or train it again"
        )
    if content.get("sha256") != _content_sha256(content):
        raise CodecError(f"{path}: changed since it was written (sha256 differs); get the codec again")
    return content


def _checked_bytes(path: Path, digest: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CodecError(f"{path}: cannot be read ({error.strerror}); get the codec again") from None
    if _sha256(data) != digest:
        raise CodecError(f"{path}: changed or truncated since it was written (sha256 differs); get the codec again")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _content_sha256(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return _sha256(json.dumps(rest, sort_keys=True).encode())
