"""A stage is complete if its manifest has the key of the plan and its outputs are unchanged; else it runs again."""

import os
from pathlib import Path

import pytest
from molvae.pipeline import clock
from molvae.pipeline.manifest import Counts, Manifest, Outcome, Plan, file_entry
from molvae.pipeline.run_dir import MANIFEST


class Body:
    """Writes one file and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> Outcome:
        self.calls += 1
        (folder / "out.csv").write_text("a\n1\n")
        return Outcome({"out.csv": 1}, Counts(into=3, kept=1, dropped={"invalid": 2}))


def make_plan(folder: Path, **changes: object) -> Plan:
    source = folder.parent / "in.csv"
    if not source.exists():
        source.write_text("x")
    content: dict = {"settings": {"a": 1}, "seed": 0, "version": 1} | changes
    return Plan("stage", folder=folder, inputs={"source": file_entry(source, folder.parent)}, **content)


def test_a_complete_stage_does_not_run_again(tmp_path: Path) -> None:
    body, folder = Body(), tmp_path / "stage"
    first = make_plan(folder).carry_out(body)
    again = make_plan(folder).carry_out(body)
    assert body.calls == 1
    assert again.reused
    assert again == first.model_copy(update={"reused": True})
    assert first.counts.into == first.counts.kept + sum(first.counts.dropped.values())
    assert [(entry.path, entry.rows) for entry in first.outputs] == [("out.csv", 1)]
    assert first.inputs["source"].path == "in.csv"


@pytest.mark.parametrize("changes", [{"settings": {"a": 2}}, {"seed": 1}, {"version": 2}])
def test_a_changed_plan_runs_again(tmp_path: Path, changes: dict) -> None:
    body, folder = Body(), tmp_path / "stage"
    make_plan(folder).carry_out(body)
    make_plan(folder, **changes).carry_out(body)
    assert body.calls == 2


def test_a_changed_input_runs_again(tmp_path: Path) -> None:
    body, folder = Body(), tmp_path / "stage"
    make_plan(folder).carry_out(body)
    (tmp_path / "in.csv").write_text("y")
    make_plan(folder).carry_out(body)
    assert body.calls == 2


@pytest.mark.parametrize("damage", ["change", "remove", "manifest", "count"])
def test_a_damaged_stage_runs_again(tmp_path: Path, damage: str) -> None:
    body, folder = Body(), tmp_path / "stage"
    make_plan(folder).carry_out(body)
    if damage == "change":
        (folder / "out.csv").write_text("a\n2\n")
    elif damage == "remove":
        (folder / "out.csv").unlink()
    elif damage == "count":
        text = (folder / MANIFEST).read_text()
        assert '"into": 3' in text
        (folder / MANIFEST).write_text(text.replace('"into": 3', '"into": 7'))
    else:
        (folder / MANIFEST).write_text('{"stage": "stage"')
    make_plan(folder).carry_out(body)
    assert body.calls == 2
    assert (folder / "out.csv").read_text() == "a\n1\n"


def test_earlier_files_are_removed_except_the_checkpoint_of_the_plan(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    plan = make_plan(folder)
    folder.mkdir()
    (folder / "partial.csv").touch()
    (folder / "checkpoint-of-another").touch()
    (folder / plan.checkpoint).touch()
    seen = []

    def body(folder: Path) -> Outcome:
        seen.extend(path.name for path in folder.iterdir())
        return Body()(folder)

    plan.carry_out(body)
    assert seen == [plan.checkpoint]
    assert {path.name for path in folder.iterdir()} == {"out.csv", MANIFEST}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_stage_leaves_only_its_checkpoint(tmp_path: Path, error: type[BaseException]) -> None:
    folder = tmp_path / "stage"
    plan = make_plan(folder)

    def body(folder: Path) -> Outcome:
        (folder / plan.checkpoint).touch()
        (folder / "partial.csv").touch()
        raise error

    with pytest.raises(error):
        plan.carry_out(body)
    assert [path.name for path in folder.iterdir()] == [plan.checkpoint]


def test_the_manifest_is_read_back_unchanged(tmp_path: Path) -> None:
    manifest = make_plan(tmp_path / "stage").carry_out(Body())
    assert Manifest.read(tmp_path / "stage") == manifest
    assert manifest.packages["numpy"]
    assert Manifest.read(tmp_path) is None


def two_runs(tmp_path: Path, **changes: object) -> tuple[Plan, Plan]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "two" / "in.csv").write_text("x")
    return make_plan(tmp_path / "one" / "stage"), make_plan(tmp_path / "two" / "stage", **changes)


def test_a_stage_of_another_run_with_the_same_key_is_taken(tmp_path: Path) -> None:
    body = Body()
    one, two = two_runs(tmp_path)
    first = one.carry_out(body)
    taken = two.carry_out(body, [tmp_path / "none", one.folder])
    assert (body.calls, taken.reused_from) == (1, "one")
    assert (taken.counts, taken.outputs, taken.key) == (first.counts, first.outputs, first.key)
    assert (two.folder / "out.csv").samefile(one.folder / "out.csv")
    assert two.finished() == taken


@pytest.mark.parametrize(
    ("change", "uses_seed", "calls"),
    [({"seed": 1}, True, 2), ({"seed": 1}, False, 1), ({"settings": {"a": 2}}, False, 2), ({"version": 2}, False, 2)],
)
def test_a_stage_is_taken_only_if_nothing_that_matters_differs(
    tmp_path: Path, change: dict, uses_seed: bool, calls: int
) -> None:
    body = Body()
    one, two = two_runs(tmp_path, **change)
    one.carry_out(body)
    taken = two.carry_out(body, [one.folder], uses_seed=uses_seed)
    assert body.calls == calls
    assert taken.key == two.key
    assert two.finished() == taken


@pytest.mark.parametrize("damage", ["changed file", "missing file", "other package"])
def test_a_damaged_or_outdated_stage_of_another_run_is_not_taken(tmp_path: Path, damage: str) -> None:
    body = Body()
    one, two = two_runs(tmp_path)
    one.carry_out(body)
    if damage == "changed file":
        (one.folder / "out.csv").write_text("a\n2\n")
    elif damage == "missing file":
        (one.folder / "out.csv").unlink()
    else:
        text = (one.folder / MANIFEST).read_text()
        (one.folder / MANIFEST).write_text(text.replace('"rdkit": "', '"rdkit": "0.'))
    assert two.carry_out(body, [one.folder]).reused_from == ""
    assert body.calls == 2
    assert (two.folder / "out.csv").read_text() == "a\n1\n"


def test_a_stage_is_copied_where_the_file_system_has_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    one, two = two_runs(tmp_path)
    one.carry_out(Body())
    two.carry_out(Body(), [one.folder])
    assert not (two.folder / "out.csv").samefile(one.folder / "out.csv")
    assert (two.folder / "out.csv").read_text() == "a\n1\n"


def test_the_manifest_records_when_the_stage_ran(tmp_path: Path) -> None:
    before = clock.now()
    manifest = make_plan(tmp_path / "stage").carry_out(Body())
    assert before <= manifest.started <= manifest.finished <= clock.now()
