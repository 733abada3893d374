from collections.abc import Callable

import pytest

from molvae.checks.check import PASS, CheckContext
from molvae.checks.checks import CHECKS, list_checks
from molvae.checks.run import NOT_CHECKED, check_molecules, run_checks
from molvae.checks.settings import ChecksSettings
from molvae.errors import InputError

Only = Callable[..., ChecksSettings]

LIDOCAINE = "CCN(CC)CC(=O)Nc1c(C)cccc1C"


def test_reasons_are_joined_in_the_order_of_the_checks() -> None:
    table = run_checks(["C[NH2+]CCCCCCCC=O"])
    assert table.loc[0, "reason"].startswith("net charge +1; BRENK: ")
    assert table.loc[0, "check_charge"] == "net charge +1"
    assert table.loc[0, "check_rings"] == PASS


@pytest.mark.parametrize(
    ("raw_smiles", "fact"),
    [("c1ccc", "c1ccc"), ("C(C)(C)(C)(C)C", "valence"), ("", "empty"), (None, "empty"), ("C" * 5000, "5,000")],
)
def test_an_invalid_smiles_is_a_row_with_a_reason(raw_smiles: str, fact: str) -> None:
    table = run_checks([LIDOCAINE, raw_smiles, LIDOCAINE])
    assert table["passed"].tolist() == [True, False, True]
    assert table.loc[1, "reason"].startswith("invalid SMILES: ")
    assert fact in table.loc[1, "reason"]
    assert (table.filter(like="check_").loc[1] == NOT_CHECKED).all()


def test_a_check_that_is_off_has_no_column(only: Only) -> None:
    assert list(run_checks([LIDOCAINE], only("logp"))) == ["check_logp", "passed", "failed_checks", "reason"]
    assert list(run_checks([LIDOCAINE], only())) == ["passed", "failed_checks", "reason"]


def test_no_molecules_give_no_rows_and_all_columns(fake_codec: type) -> None:
    table = run_checks([], context=CheckContext([], fake_codec([])))
    assert len(table) == 0
    assert list(table) == [
        *(f"check_{name}" for name, entry in CHECKS.items() if entry.default is not False),
        "passed",
        "failed_checks",
        "reason",
    ]


def test_a_check_without_its_data_is_skipped(only: Only, fake_codec: type) -> None:
    table = run_checks([LIDOCAINE])
    assert {"check_in_reference", "check_in_training"}.isdisjoint(table)
    assert table.attrs["skipped"].keys() == {"in_reference", "in_training", "in_domain"}
    table = run_checks([LIDOCAINE], only("in_domain"), CheckContext([], fake_codec(calibration=None)))
    assert "fake" in table.attrs["skipped"]["in_domain"]
    assert "fake" in run_checks([LIDOCAINE], context=CheckContext([], fake_codec())).attrs["skipped"]["in_training"]


def test_the_domain_is_checked_at_its_percentile(only: Only, fake_codec: type) -> None:
    context = CheckContext([], fake_codec([]))
    assert run_checks([LIDOCAINE], context=context)["check_in_domain"].tolist() == [PASS]
    assert "check_in_domain" not in run_checks([LIDOCAINE], ChecksSettings(in_domain=False), context)
    table = run_checks(["C[NH3+]", "c1ccc", LIDOCAINE], only(in_domain=97.5), context)
    assert table["check_in_domain"].tolist() == ["above 97.5", NOT_CHECKED, PASS]
    assert table["passed"].tolist() == [False, False, True]
    assert "codec" in run_checks([LIDOCAINE], only("in_domain")).attrs["skipped"]["in_domain"]


def test_check_molecules_canonicalizes_molecules_and_reference(fake_codec: type) -> None:
    settings = ChecksSettings(mol_weight=False)
    table = check_molecules(["OCC", "C1CC", "NCC"], settings, reference={"C(O)C": "ethanol"}, codec=fake_codec(["CCN"]))
    assert table["smiles"].tolist() == ["CCO", None, "CCN"]
    assert table.loc[0, "reason"] == "in the reference library as ethanol"
    assert "C1CC" in table.loc[1, "reason"]
    assert table.loc[2, "check_in_training"] == "in the training set"
    assert check_molecules(iter(["OCC"]), settings, reference=["OCC"])["passed"].tolist() == [False]
    with pytest.raises(InputError, match=r"row 2.*C1CC"):
        check_molecules(["CCO"], settings, reference=["CCO", "C1CC"])


CODE = """
from molvae.checks.check import CheckEntry, MissingData
from molvae.checks.limits import read_highest

def count(highest, context):
    return lambda molecules: ["too many N" if one.smiles.count("N") > highest else None for one in molecules]

def skip(limit, context):
    raise MissingData("no assay")

nitrogens = CheckEntry(count, 1.0, read_highest, "few nitrogens")
short = CheckEntry(lambda *_: lambda molecules: [], 1.0, read_highest, "never")
assay = CheckEntry(skip, 1.0, read_highest, "inactive")
other = 3
"""


@pytest.fixture
def install(install_plugin: Callable[..., None]) -> Callable[[str, str], None]:
    """A function that installs an object of CODE as the check of this name."""

    def make(name: str, target: str) -> None:
        install_plugin("extra", "molvae.checks", CODE, **{name: target})

    return make


Install = Callable[[str, str], None]


def test_a_plugin_check_has_settings_and_a_column(install: Install) -> None:
    install("nitrogens", "nitrogens")
    assert list(list_checks()) == [*CHECKS, "nitrogens"]
    table = run_checks(["NCCN", "CCN"], ChecksSettings(mol_weight=False))
    assert table["check_nitrogens"].tolist() == ["too many N", PASS]
    assert "check_nitrogens" not in run_checks(["NCCN"], ChecksSettings(nitrogens=False))
    assert run_checks(["NCCN"], ChecksSettings(nitrogens=2)).loc[0, "check_nitrogens"] == PASS
    with pytest.raises(InputError, match=r"nitrogens.*many"):
        ChecksSettings.from_dict({"nitrogens": "many"}, "campaign.toml")
    with pytest.raises(InputError, match="did you mean nitrogens"):
        ChecksSettings.from_dict({"nitrogen": 2}, "campaign.toml")


def test_a_plugin_can_skip_its_check(install: Install) -> None:
    install("assay", "assay")
    assert run_checks(["C"]).attrs["skipped"]["assay"] == "no assay"


@pytest.mark.parametrize(
    ("name", "target", "fact"),
    [("short", "short", "check short: expected 1"), ("logp", "nitrogens", "logp"), ("other", "other", "CheckEntry")],
)
def test_a_faulty_plugin_is_named(install: Install, name: str, target: str, fact: str) -> None:
    install(name, target)
    with pytest.raises(InputError, match=fact):
        run_checks(["C"])
