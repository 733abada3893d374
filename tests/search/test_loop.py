import json
import shutil

import numpy as np
import pandas as pd
import pytest

from molvae.candidates.columns import PROPOSAL_COLUMNS, check_table
from molvae.codec import ToyCodec
from molvae.errors import InputError
from molvae.search.loop import optimize
from molvae.search.optimizers import OPTIMIZERS, Outcome
from molvae.search.settings import SearchSettings

SMALL = {
    "proposals": 32,
    "proposals_per_call": 4,
    "batch_size": 8,
    "patience": 6,
    "evolution": {"n_initial": 16, "population": 30},
}
LEAD = "CC(=O)N1CCOCC1"


def run(codec, oracle, budget=40, *, method="evolution", settings=SMALL, notify=lambda note: None, **changes):
    settings = SearchSettings.from_dict(settings | {"method": method}, "test")
    return optimize(oracle, budget=budget, codec=codec, settings=settings, notify=notify, **changes)


def in_order(result):
    """The table in the order of scoring."""
    return result.table.sort_values("latent_row", ignore_index=True)


def assert_same(one, two):
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    pd.testing.assert_frame_equal(one.history, two.history, check_exact=True)
    np.testing.assert_array_equal(one.latent, two.latent)
    assert one.latent.dtype == two.latent.dtype == np.float32
    for name in ("funnel", "notes", "stop_reason"):
        assert getattr(one, name) == getattr(two, name)


# Calls of the oracle


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
@pytest.mark.parametrize("budget", [1, 7, 8, 9, 40])
def test_the_oracle_scores_exactly_budget_distinct_molecules(codec, recorder, method, budget):
    oracle = recorder()
    result = run(codec, oracle, budget, method=method)
    assert len(oracle.seen) == len(set(oracle.seen)) == budget
    assert in_order(result)["smiles"].tolist() == oracle.seen
    assert result.stop_reason == "budget"
    assert max(map(len, oracle.calls)) <= SMALL["batch_size"]


def test_start_molecules_are_scored_first_and_count_towards_the_budget(codec, recorder):
    oracle = recorder()
    starts = [LEAD, "CCC(=O)Nc1ccccc1", "CCNC(C)=O"]
    table = in_order(run(codec, oracle, 20, start=starts))
    assert oracle.calls[0] == [LEAD, "CCC(=O)Nc1ccccc1", "CCNC(C)=O"]
    assert len(oracle.seen) == len(set(oracle.seen)) == 20
    assert table["round"].tolist()[:4] == [0, 0, 0, 1]
    assert table["parent_id"].isna().tolist()[:3] == [True] * 3


def test_equivalent_smiles_of_a_start_are_scored_once(codec, recorder):
    oracle = recorder()
    result = run(codec, oracle, 10, start=[LEAD, "O=C(C)N1CCOCC1", "C1COCCN1C(C)=O", LEAD, "CCNC(C)=O"])
    assert oracle.calls[0] == [LEAD, "CCNC(C)=O"]
    assert [note.split()[1] for note in result.notes] == ["2", "3", "4"]
    assert all("start 1 " in note for note in result.notes)


def test_starts_beyond_the_budget_are_dropped_and_reported(codec, recorder):
    oracle = recorder()
    result = run(codec, oracle, 5, start=codec.molecules[:9])
    assert oracle.seen == codec.molecules[:5]
    assert len(result.notes) == 1
    assert "9" in result.notes[0]
    assert "5" in result.notes[0]
    assert (result.table["round"] == 0).all()


def test_many_starts_are_scored_in_batches_and_are_round_0(codec, recorder):
    oracle = recorder()
    table = in_order(run(codec, oracle, 25, start=codec.molecules[:20]))
    assert list(map(len, oracle.calls)) == [8, 8, 4, 5]
    assert table["round"].tolist() == [0] * 20 + [1] * 5


# The result


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
def test_table_latent_vectors_and_funnel_agree(codec, recorder, method):
    result = run(codec, recorder(), method=method, start=[LEAD])
    table = check_table(result.table, PROPOSAL_COLUMNS, "test")
    names = [column.name for column in PROPOSAL_COLUMNS if not column.name.endswith("*")]
    assert list(table) == [name for name in names if name != "front"]  # of several goals only
    assert in_order(result)["candidate_id"].tolist() == [f"C{row:06d}" for row in range(1, 41)]
    assert result.latent.shape == (40, codec.n_latent)
    greedy = table[table["move"].isin(["start", "line"])]
    decoded = codec.decode(result.latent[greedy["latent_row"]])
    assert [one.smiles for one in decoded] == greedy["smiles"].tolist()
    counts = result.funnel
    assert list(counts) == ["n_proposed", "n_valid", "n_unique", "n_infeasible", "n_scored", "n_failed_score"]
    assert counts["n_proposed"] >= counts["n_valid"] >= counts["n_unique"] >= counts["n_scored"] == 40
    assert counts["n_failed_score"] == 0
    assert (counts["n_proposed"] - 1) % SMALL["proposals"] == 0


def test_parents_are_molecules_scored_in_an_earlier_round(codec, recorder):
    table = run(codec, recorder(), 60, start=[LEAD]).table.set_index("candidate_id")
    children = table[table["parent_id"].notna()]
    assert len(children) > 40
    assert (table.loc[children["parent_id"], "round"].to_numpy() < children["round"].to_numpy()).all()


def test_the_history_has_the_counts_and_scores_of_every_round(codec, recorder):
    summaries = []
    result = run(codec, recorder(), start=codec.molecules[:3], progress=summaries.append)
    history = result.history
    pd.testing.assert_frame_equal(pd.DataFrame(summaries), history)
    assert history["round"].tolist() == list(range(len(history)))
    assert history["calls"].tolist() == history["new"].cumsum().tolist()
    assert history["calls"].iloc[-1] == 40
    assert history["best"].is_monotonic_increasing
    assert history["best"].iloc[-1] == result.table["score"].max()
    assert history["top10"].iloc[-1] == pytest.approx(result.table["score"].nlargest(10).mean())
    assert history["median"][0] == in_order(result)["score"][:3].median()
    json.dumps(summaries, allow_nan=False)


def test_evolution_finds_better_molecules_than_the_controls(codec, recorder):
    best = {method: [] for method in OPTIMIZERS}
    for method in OPTIMIZERS:
        for seed in range(5):
            best[method].append(run(codec, recorder(), 60, seed=seed, method=method).history["top10"].iloc[-1])
    assert np.mean(best["evolution"]) > np.mean(best["prior"]) + 0.3
    assert np.mean(best["evolution"]) > np.mean(best["random_directions"])


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
def test_equal_seeds_give_equal_results_and_others_do_not(codec, recorder, method):
    one, two, other = (run(codec, recorder(), seed=seed, method=method) for seed in (3, 3, 4))
    assert_same(one, two)
    assert one.table["smiles"].tolist() != other.table["smiles"].tolist()


# Unusual scores


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
@pytest.mark.parametrize("value", [0.0, -7.5, 1e300, float("nan"), None, float("-inf")])
def test_constant_failed_and_infinite_scores_do_not_stop_the_search(codec, recorder, method, value):
    result = run(codec, recorder(answer=lambda smiles, score: [value] * len(smiles)), 30, method=method)
    failed = value is None or not np.isfinite(value)
    assert len(result.table) == 30
    assert result.funnel["n_failed_score"] == (30 if failed else 0)
    assert result.table["score"].isna().all() == failed
    assert np.isnan(result.history["best"].iloc[-1]) == failed
    assert any("infinite" in note for note in result.notes) == (value == float("-inf"))


def test_a_failed_molecule_is_reported_without_a_value(codec, recorder, monkeypatch):
    learned = []
    tell = OPTIMIZERS["evolution"].tell

    def record(self, results):
        learned.append(results.rows(results.outcome == Outcome.SCORED))
        tell(self, results)

    monkeypatch.setattr(OPTIMIZERS["evolution"], "tell", record)

    def negative(smiles, score):
        return [None if s.count("N") > 1 else value - 100 for s, value in zip(smiles, score, strict=True)]

    result = run(codec, recorder(answer=negative), 60)
    score = in_order(result)["score"].to_numpy()
    assert 0 < np.isnan(score).sum() < 60
    np.testing.assert_array_equal(np.concatenate([values[:, 0] for *_, values, _ in learned]), score)


def test_the_terms_of_the_oracle_become_columns(codec, recorder):
    def terms(smiles, score):
        size = [float(len(s)) for s in smiles]
        score = [None if s > 25 else 1 / s for s in size]
        return pd.DataFrame({"value_size": size, "score_size": score, "score": score})

    table = in_order(run(codec, recorder(answer=terms)))
    check_table(table, PROPOSAL_COLUMNS, "test")
    assert list(table)[2:5] == ["score", "value_size", "score_size"]
    assert table["value_size"].tolist() == [len(s) for s in table["smiles"]]
    assert table["score"].isna().equals(table["value_size"] > 25)


def test_a_table_that_changes_its_score_columns_is_refused(codec, recorder):
    def changing(smiles, score):
        table = pd.DataFrame({"score": score})
        return table if smiles == first else table.assign(score_x=1.0)

    first = [LEAD]
    with pytest.raises(InputError, match="score_x"):
        run(codec, recorder(answer=changing), start=first)


def test_a_value_column_that_is_missing_in_a_call_is_nan_there(codec, recorder):
    def changing(smiles, score):
        table = pd.DataFrame({"score": score, "value_a": 1.0})
        return table if smiles == first else table.assign(value_b=2.0).drop(columns="value_a")

    first = [LEAD]
    table = in_order(run(codec, recorder(answer=changing), start=first))
    assert table["value_a"].notna().tolist() == [True] + [False] * (len(table) - 1)
    assert table["value_b"].notna().tolist() == [False] + [True] * (len(table) - 1)


def test_an_exception_of_the_oracle_reports_the_saved_scores(codec, recorder, tmp_path):
    calls = []

    def breaking(smiles):
        calls.append(smiles)
        if len(calls) == 3:
            raise ZeroDivisionError("docking failed")
        return [1.0] * len(smiles)

    for checkpoint, saved in ((None, "checkpoint"), (tmp_path / "saved", str(tmp_path / "saved"))):
        calls.clear()
        with pytest.raises(ZeroDivisionError, match="docking failed") as caught:
            run(codec, breaking, checkpoint=checkpoint)
        for fact in ("8 molecules", "round 2", "16 molecules", saved):
            assert fact in caught.value.__notes__[0]
    result = run(codec, recorder(answer=lambda smiles, score: [1.0] * len(smiles)), checkpoint=tmp_path / "saved")
    assert result.history["calls"][2] == 24
    assert len(result.table) == 40


def test_an_oracle_may_change_its_argument(codec, recorder):
    def clearing(smiles):
        n = len(smiles)
        smiles.clear()
        return [1.0] * n

    assert len(run(codec, clearing, 20).table) == 20


# Early stops


def test_a_search_without_new_molecules_stops_and_reports_it(codec, recorder):
    oracle = recorder()
    result = run(codec, oracle, 1000, method="prior", settings=SMALL | {"patience": 3})
    assert "3 rounds" in result.stop_reason
    assert result.history["new"].tolist()[-3:] == [0, 0, 0]
    assert len(result.table) == len(oracle.seen) == len(set(oracle.seen)) < 360


def test_a_codec_that_decodes_no_valid_molecule_gives_an_empty_table(codec, recorder, tmp_path):
    broken = ToyCodec(reach=0.0)
    oracle = recorder()
    for _ in range(2):  # the second time from the checkpoint
        result = run(broken, oracle, 10, checkpoint=tmp_path / "saved")
        assert oracle.calls == []
        assert "6 rounds" in result.stop_reason
        assert len(result.table) == 0
        assert result.latent.shape == (0, codec.n_latent)
        assert result.funnel["n_proposed"] == 6 * SMALL["proposals"]


# Checkpoints


@pytest.mark.parametrize(
    ("method", "start"),
    [(name, [LEAD, "CCNC(C)=O", "CC(=O)N1CCOCC1.Cl"]) for name in sorted(OPTIMIZERS)] + [("evolution", None)],
)
def test_a_search_interrupted_in_any_round_resumes_bit_for_bit(codec, recorder, tmp_path, method, start):
    whole_oracle = recorder()
    whole = run(codec, whole_oracle, method=method, start=start)
    assert len(whole_oracle.calls) >= 5
    for round_number in range(len(whole_oracle.calls)):
        checkpoint = tmp_path / str(round_number)
        first, second = recorder(raise_at=round_number), recorder()
        with pytest.raises(KeyboardInterrupt):
            run(codec, first, method=method, start=start, checkpoint=checkpoint)
        resumed = run(codec, second, method=method, start=start, checkpoint=checkpoint)
        assert_same(resumed, whole)
        assert first.calls + second.calls == whole_oracle.calls


def test_a_search_interrupted_after_each_round_resumes_bit_for_bit(codec, recorder, tmp_path):
    def terms(smiles, score):
        return pd.DataFrame({"value_a": [s / 3 for s in score], "score": [None if s > -3 else s for s in score]})

    def stop(summary):
        raise KeyboardInterrupt

    whole = run(codec, recorder(answer=terms), start=[LEAD])
    for _ in range(len(whole.history)):
        with pytest.raises(KeyboardInterrupt):
            run(codec, recorder(answer=terms), start=[LEAD], checkpoint=tmp_path / "saved", progress=stop)
    not_called = recorder(answer=terms)
    assert_same(run(codec, not_called, start=[LEAD], checkpoint=str(tmp_path / "saved")), whole)
    assert not_called.calls == []


def test_a_search_killed_while_it_writes_resumes_bit_for_bit(codec, recorder, tmp_path):
    whole = run(codec, recorder(), start=[LEAD])
    run(codec, recorder(), start=[LEAD], checkpoint=tmp_path / "complete")
    content = (tmp_path / "complete" / "rounds.bin").read_bytes()
    for number in range(len(whole.history) - 1):
        checkpoint = tmp_path / str(number)
        rounds = iter(range(number + 1))

        def stop(summary, rounds=rounds):
            if next(rounds, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(codec, recorder(), start=[LEAD], checkpoint=checkpoint, progress=stop)
        size = (checkpoint / "rounds.bin").stat().st_size
        for n_bytes in (1, 40, len(content)):  # an incomplete record, and a complete one without its state
            (checkpoint / "rounds.bin").write_bytes(content[: size + n_bytes])
            (checkpoint / ".part-state-0123.bin").write_bytes(b"half")
            copy = tmp_path / f"{number}-{n_bytes}"
            shutil.copytree(checkpoint, copy)
            assert_same(run(codec, recorder(), start=[LEAD], checkpoint=copy), whole)


def test_the_error_of_a_damaged_checkpoint_names_the_file(codec, recorder, tmp_path):
    run(codec, recorder(), checkpoint=tmp_path)
    for name in ("rounds.bin", "state.bin"):
        content = (tmp_path / name).read_bytes()
        middle = len(content) // 2
        (tmp_path / name).write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        with pytest.raises(InputError, match=name):
            run(codec, recorder(), checkpoint=tmp_path)
        (tmp_path / name).write_bytes(content)
    run(codec, recorder(), checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"seed": 1}, r"seed 0 \(now 1\)"),
        ({"budget": 39}, r"budget 40 \(now 39\)"),
        ({"method": "prior"}, r"method evolution \(now prior\)"),
        ({"settings": SMALL | {"evolution": {"n_initial": 5}}}, "optimizer .*'n_initial': 16.*'n_initial': 5"),
        ({"start": [LEAD]}, r"start \[\] \(now \['CC\(=O\)N1CCOCC1'\]\)"),
        ({"settings": {}}, r"proposals 32 \(now 200\), proposals_per_call 4 \(now 10\), batch_size 8 \(now 10\)"),
    ],
)
def test_the_checkpoint_of_another_search_is_refused(codec, recorder, tmp_path, changes, fact):
    run(codec, recorder(), 40, checkpoint=tmp_path / "saved")
    with pytest.raises(InputError, match=rf"saved: .*{fact}"):
        run(codec, recorder(), **({"budget": 40, "checkpoint": tmp_path / "saved"} | changes))


def test_a_checkpoint_that_cannot_be_written_is_reported_before_scoring(codec, recorder, tmp_path):
    oracle = recorder()
    with pytest.raises(InputError, match="nowhere"):
        run(codec, oracle, checkpoint=tmp_path / "nowhere" / "saved")
    assert oracle.calls == []


# Arguments


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"budget": 0}, "budget.* 0"),
        ({"budget": -3}, "budget.*-3"),
        ({"budget": 2.5}, "budget.*2.5"),
        ({"budget": True}, "budget.*True"),
        ({"budget": "10"}, "budget.*'10'"),
        ({"budget": None}, "budget=200"),
        ({"seed": -1}, "seed.*-1"),
        ({"oracle": [1, 2]}, "oracle.*list"),
        ({"settings": 3}, "settings.*int"),
        ({"settings": {"method": "evolutoin"}}, r"settings method: .*evolution\?"),
        ({"settings": {"budgt": 3}}, r"settings budgt: .*budget\?"),
        ({"settings": {"library_starts": 3}}, "library_starts"),
    ],
)
def test_invalid_arguments_are_refused(codec, recorder, changes, problem):
    with pytest.raises(InputError, match=problem):
        optimize(**({"codec": codec, "oracle": recorder(), "budget": 10} | changes))


def test_numpy_integers_are_whole_numbers(codec, recorder):
    assert_same(run(codec, recorder(), np.int64(20), seed=np.uint32(3)), run(codec, recorder(), 20, seed=3))


def test_budget_and_start_may_come_from_the_settings(codec, recorder):
    settings = {"budget": 12, "start": [LEAD], "method": "prior"}
    oracle = recorder()
    assert len(optimize(oracle, codec=codec, settings=settings).table) == 12
    assert oracle.calls[0] == [LEAD]
    oracle = recorder()
    result = optimize(oracle, codec=codec, settings=settings | {"library_starts": 2}, budget=6, start=["CCNC(C)=O"])
    assert oracle.calls[0] == ["CCNC(C)=O"]
    assert len(result.table) == 6


def test_settings_may_be_a_dict_or_an_object(codec, recorder):
    one = optimize(recorder(), codec=codec, budget=30, settings=SMALL)
    two = optimize(recorder(), codec=codec, budget=30, settings=SearchSettings.from_dict(SMALL, "test"))
    assert_same(one, two)


def test_the_table_is_sorted_best_first_with_failures_last(codec, recorder):
    def coarse(smiles, score):
        return [None if value < -3.5 else round(value) for value in score]

    table = optimize(recorder(answer=coarse), budget=60, codec=codec, seed=2).table
    check_table(table, PROPOSAL_COLUMNS, "test")
    assert len(table) == 60
    assert table.index.tolist() == list(range(60))
    numbers = table["score"].dropna()
    assert 0 < len(numbers) < 60
    assert numbers.is_monotonic_decreasing
    assert table["score"].isna().to_numpy()[len(numbers) :].all()
    for _, equal in table.groupby("score", dropna=False):
        assert equal["candidate_id"].is_monotonic_increasing


def test_notes_and_an_early_stop_are_warnings_by_default(codec, recorder):
    with pytest.warns(UserWarning, match=r"start 1 \(C1CC\)"):
        optimize(recorder(), budget=5, codec=codec, start=["C1CC", LEAD])
    with pytest.warns(UserWarning, match=r"stopped after \d+ molecules"):
        result = optimize(recorder(), budget=1000, codec=codec, settings={"method": "prior"})
    assert result.stop_reason != "budget"
