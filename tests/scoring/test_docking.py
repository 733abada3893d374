"""Docking: receptors and boxes that cannot be used, and small dockings where AutoDock Vina is installed."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from molvae.chem.ligands import list_stereoisomers, read_coordinates, write_pdbqt
from molvae.errors import InputError, MissingPackageError
from molvae.scoring.objective import Objective, ObjectiveSettings
from molvae.scoring.poses import write_poses
from molvae.scoring.scorers.receptor import box_around, make_box, read_box, read_receptor
from molvae.workers import LocalProcesses

MISSING = [name for name in ("vina", "meeko", "gemmi") if find_spec(name) is None]
needs_docking = pytest.mark.skipif(bool(MISSING), reason=f"needs molvae[docking]: {', '.join(MISSING)}")
needs_dockstring = pytest.mark.skipif(find_spec("dockstring") is None, reason="needs molvae[docking]: dockstring")

ATOM = "ATOM  {number:5d}  C   ALA A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00    {charge:6.3f} {kind:2s}"
WALL = [(x, y, -3.5) for x in (-4, 0, 4) for y in (-4, 0, 4)]
BOX = {"center": [0, 0, 1], "size": [9, 9, 9]}
MOLECULES = ["CO", "C1CC1", "OB(O)C", "C.C", "invalid"]


def pdbqt(atoms=WALL, kind="C"):
    lines = [
        ATOM.format(number=i, x=x, y=y, z=z, charge=0.0, kind="OA" if i == 5 else kind)
        for i, (x, y, z) in enumerate(atoms, start=1)
    ]
    return "REMARK a wall\n" + "\n".join(lines) + "\nTER\n"


@pytest.fixture
def receptor(tmp_path):
    path = tmp_path / "wall.pdbqt"
    path.write_text(pdbqt())
    return path


def objective(mapper=None, **keys):
    return Objective(ObjectiveSettings.from_dict({"terms": {"dock": keys}}, "campaign.toml"), mapper)


# Settings


@pytest.mark.parametrize(
    ("keys", "fact"),
    [
        ({"dock": "a.pdbqt"}, "none of them"),
        ({"dock": "a.pdbqt", "center": [0, 0, 0]}, "got center"),
        ({"dock": "a.pdbqt", **BOX, "config": "conf.txt"}, "center and size and config"),
        ({"dock": "a.pdbqt", **BOX, "margin": 3}, "margin"),
        ({"dock": "a.pdbqt", "target": "DRD2"}, "got dock and target"),
        ({"dock": "a.pdbqt", **BOX, "exhaustivness": 3}, "did you mean exhaustiveness"),
        ({"dock": "a.pdbqt", **BOX, "seed": 0}, "seed"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(**keys)


@needs_dockstring
@pytest.mark.parametrize(
    ("keys", "fact"), [({"target": "drd2"}, "did you mean DRD2"), ({"target": "DRD2", **BOX}, "its own box")]
)
def test_a_target_is_known_and_has_its_box(keys, fact):
    with pytest.raises(InputError, match=fact):
        objective(**keys)


@pytest.mark.parametrize("package", ["vina", "meeko", "dockstring"])
def test_a_missing_package_is_named_with_the_extra(package, receptor, monkeypatch):
    def find(name):
        return None if name == package else object()

    monkeypatch.setattr("molvae.extras.find_spec", find)
    monkeypatch.setattr("molvae.scoring.scorers.docking.find_spec", find)
    monkeypatch.setattr("molvae.scoring.scorers.receptor.find_spec", find)
    keys = {"target": "DRD2"} if package == "dockstring" else {"dock": str(receptor), **BOX}
    with pytest.raises(MissingPackageError, match=rf"{package}.*molvae\[docking\]"):
        objective(**keys)


# Boxes


@pytest.mark.parametrize(("size", "fact"), [([20, 20, 4], "got 4"), ([60, 20, 20], "got 60"), ([20, 20], "three")])
def test_a_box_is_neither_small_nor_large(size, fact):
    with pytest.raises(InputError, match=fact):
        make_box([0, 0, 0], size, "campaign.toml")


def test_a_box_is_read_from_a_configuration_of_vina(tmp_path):
    path = tmp_path / "conf.txt"
    path.write_text("receptor = a.pdbqt\ncenter_x = 1\ncenter_y=-2.5\ncenter_z = 3 # z\n\nsize_x = 20\nsize_y = 21\n")
    with pytest.raises(InputError, match="size_z missing"):
        read_box(path)
    path.write_text(path.read_text() + "size_z = 22\n")
    assert read_box(path) == ((1, -2.5, 3), (20, 21, 22))


def test_a_box_surrounds_a_ligand(tmp_path, receptor):
    assert box_around(receptor, 5.0) == ((0, 0, -3.5), (18, 18, 10))
    flat = tmp_path / "flat.mol"
    atom = "    1.0000    2.0000    {z:.4f} C   0  0  0  0  0  0  0  0  0  0  0  0\n"
    block = "\n\n\n  2  0  0  0  0  0  0  0  0  0999 V2000\n{atoms}M  END\n"
    flat.write_text(block.format(atoms=2 * atom.format(z=3)))
    np.testing.assert_array_equal(read_coordinates(flat), [[1, 2, 3], [1, 2, 3]])
    flat.write_text(block.format(atoms=2 * atom.format(z=0)))
    with pytest.raises(InputError, match="2-D"):
        box_around(flat, 5.0)
    for name, content in (("none.sdf", "nothing"), ("ligand.xyz", ""), ("none.pdb", "END\n")):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=name):
            box_around(tmp_path / name, 5.0)


# Receptors


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("", "no atom"),
        ("HEADER x\n", "line 1.*HEADER"),
        ("ROOT\n" + pdbqt(), "line 1.*rigid"),
        (pdbqt().replace(" C \n", "\n").replace(" C\n", "\n"), "line 2.*none"),
        (pdbqt(kind="Xx"), "line 2.*Xx"),
        ("ATOM      1  C   ALA A   1      -4.000  -4.000  -3.500  1.00  0.00\n", "line 1.*charge"),
        (pdbqt([(90, 90, 90)]), "inside the box"),
    ],
)
def test_a_file_that_vina_cannot_read_is_refused(tmp_path, text, fact):
    path = tmp_path / "receptor.pdbqt"
    path.write_text(text)
    with pytest.raises(InputError, match=fact):
        read_receptor(path, make_box(BOX["center"], BOX["size"], "here"))


def test_a_receptor_is_an_existing_pdbqt_file(tmp_path, receptor):
    box = make_box(BOX["center"], BOX["size"], "here")
    with pytest.raises(InputError, match=r"absent\.pdbqt: cannot be read"):
        read_receptor(tmp_path / "absent.pdbqt", box)
    with pytest.raises(InputError, match=r"expected a receptor as \.pdbqt"):
        read_receptor(receptor.rename(tmp_path / "wall.pdb"), box)


# Dockings


@pytest.mark.parametrize(("most", "n"), [(1, 1), (2, 2), (8, 4)])
def test_stereoisomers_are_listed_up_to_a_number(most, n):
    assert len(set(list_stereoisomers("CC(O)C(N)F", most, seed=1))) == n


@needs_docking
def test_a_ligand_is_the_same_in_every_call():
    assert write_pdbqt("CC(O)CN", 3) == write_pdbqt("CC(O)CN", 3)
    with pytest.raises(InputError, match="for B "):
        write_pdbqt("CB(O)O", 3)


@needs_docking
def test_a_molecule_has_one_value_in_any_batch_and_process(receptor):
    keys = {"dock": str(receptor), **BOX, "exhaustiveness": 1}
    table = objective(**keys)(MOLECULES)
    assert table["value_dock"].notna().tolist() == [True, True, False, False, False]
    assert (table["value_dock"][:2] < 0).all()
    assert [str(reason).split(":")[1].strip() for reason in table["unscored_reason"][2:]] == [
        "element",
        "several fragments",
        "invalid",
    ]
    workers = objective(LocalProcesses(2), **keys)(MOLECULES[::-1])
    np.testing.assert_array_equal(workers["value_dock"][::-1], table["value_dock"])


@needs_docking
def test_the_poses_of_the_best_candidates_have_the_values_of_the_table(receptor, tmp_path):
    scores = objective(dock=str(receptor), **BOX, exhaustiveness=1, n_saved=2, n_poses=2)
    table = scores(["CO", "OB(O)C", "CC(F)O", "C1CC1"])
    table = table.assign(candidate_id=["C1", "C2", "C3", "C4"], smiles=["CO", "CB(O)O", "CC(F)O", "C1CC1"], passed=True)
    assert write_poses(tmp_path / "poses.sdf", scores, table) == 2
    records = (tmp_path / "poses.sdf").read_text().split("$$$$\n")[:-1]
    fields = [_fields(record) for record in records]
    best = pd.DataFrame(fields).query("pose == '1'")
    assert best["candidate_id"].tolist() == ["C1", "C3"]  # C2 has no value
    assert best["value"].astype(float).tolist() == table["value_dock"][[0, 2]].tolist()
    assert best["docked_smiles"].tolist()[1] in list_stereoisomers("CC(F)O", 2, 1)
    assert set(best["receptor"]) == {"wall.pdbqt"}
    path = tmp_path / "first.mol"
    path.write_text(records[0])
    inside = np.abs(read_coordinates(path) - BOX["center"]) <= 4.5 + 1.2  # hydrogens may be outside
    assert inside.all()


@needs_docking
def test_the_identity_changes_with_the_receptor(receptor):
    before = objective(dock=str(receptor), **BOX).identity()
    receptor.write_text(pdbqt(WALL[:-1]))
    after = objective(dock=str(receptor), **BOX).identity()
    assert [key for key in before if before[key] != after[key]] == [str(receptor)]
    assert any("vina" in key for key in before)


@needs_docking
@pytest.mark.slow
def test_a_docking_over_the_time_limit_is_a_reason(receptor):
    keys = {"dock": str(receptor), **BOX, "exhaustiveness": 200, "seconds": 3}
    table = objective(LocalProcesses(1), **keys)(["CCCCCCCCCCCCCCCCCCCCCCCC"])
    assert table["unscored_reason"].tolist() == ["dock: timeout: not finished within 3 s"]


def _fields(record):
    """The fields of an SDF record."""
    parts = record.split(">  <")[1:]
    return {part.split(">\n")[0]: part.split(">\n")[1].strip() for part in parts}
