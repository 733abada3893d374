"""The output of `molvae --version`: the facts that a bug report needs."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = {"torch": "torch", "rdkit": "RDKit", "prefect": "Prefect"}


def installed(package: str) -> str:
    """The version of a package.

    Parameters
    ----------
    package : str
        Its name in the package index.

    Returns
    -------
    str
        The version, else "not installed"; "checkout" for molvae in a checkout that is not installed.
    """
    try:
        return version(package)
    except PackageNotFoundError:
        return "checkout" if package == "molvae" else "not installed"


def describe_version() -> Iterator[str]:
    """Describe this installation, one line at a time; the last line imports torch, which takes seconds.

    Yields
    ------
    str
        The versions of molvae, torch, RDKit and Prefect; the sha256 of each bundled codec; the precision of encoding
        and decoding, and that of training.
    """
    yield f"molvae {installed('molvae')}"
    for package, name in _PACKAGES.items():
        yield f"{name} {installed(package)}"
    from molvae.bundled import bundled_codecs
    from molvae.codec.description import find_codec, read_description
    from molvae.errors import CodecError

    for codec in bundled_codecs():
        try:
            yield f"codec {codec}, sha256 {read_description(find_codec(codec))['sha256'][:12]}"
        except CodecError as error:
            yield f"codec {codec}: {error}"
    if installed("torch") != "not installed":
        from molvae.devices import CODEC_DEVICE, choose_precision, fastest_device

        for work, device in (("encoding and decoding", CODEC_DEVICE), ("training", fastest_device())):
            yield f"precision of {work}: {choose_precision(device)} on {device}"
