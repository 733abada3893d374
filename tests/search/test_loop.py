import json

import numpy as np
import pandas as pd
import pytest

from molvae.candidates.columns import PROPOSAL_COLUMNS, check_table
from molvae.errors import InputError
from molvae.search.loop import LoopSettings, SearchSettings, optimize, search
from molvae.search.optimizers import OPTIMIZERS, EvolutionSettings

SMALL = LoopSettings(
    proposals=32,
    batch_size=8,
    patience=6,
    levels=((0.0, 0.0),),
    evolution=EvolutionSettings(opening=16, population=30),
)
LEAD = "CC(=O)N1CCOCC1"
BENZOYL_MORPHOLINE = "O=C(c1ccccc1)N1CCOCC1"


def run(codec, oracle, budget=40, **changes):
    return search(codec, oracle, budget, **({"settings": SMALL} | changes))


def assert_same(one, two):
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    np.testing.assert_array_equal(one.latent, two.latent)
    assert one.latent.dtype == two.latent.dtype == np.float32
    for name in ("funnel", "history", "notes", "stop_reason"):
        assert getattr(one, name) == getattr(two, name)


# What reaches the oracle


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
@pytest.mark.parametrize("budget", [1, 7, 8, 9, 40])
def test_exactly_the_budget_of_distinct_molecules_reaches_the_oracle(codec, recorder, method, budget):
    oracle = recorder()
    result = run(codec, oracle, budget, method=method)
    assert len(oracle.seen) == len(set(oracle.seen)) == budget
    assert result.table["smiles"].tolist() == oracle.seen
    assert result.stop_reason == "budget"
    assert max(map(len, oracle.calls)) <= SMALL.batch_size


def test_scored_starts_count_and_come_first(codec, recorder):
    oracle = recorder()
    starts = [LEAD, "CCC(=O)Nc1ccccc1", "CCNC(C)=O"]
    table = run(codec, oracle, 20, start=starts).table
    assert oracle.calls[0] == [LEAD, "CCC(=O)Nc1ccccc1", "CCNC(C)=O"]
    assert len(oracle.seen) == len(set(oracle.seen)) == 20
    assert table["round"].tolist()[:4] == [0, 0, 0, 1]
    assert table["parent_id"].isna().tolist()[:3] == [True] * 3


def test_the_same_start_in_other_words_is_scored_once(codec, recorder):
    oracle = recorder()
    result = run(codec, oracle, 10, start=[LEAD, "O=C(C)N1CCOCC1", "C1COCCN1C(C)=O", LEAD, "CCNC(C)=O"])
    assert oracle.calls[0] == [LEAD, "CCNC(C)=O"]
    assert result.notes[0] == f"start 2 (O=C(C)N1CCOCC1): the same molecule as start 1 ({LEAD}); used once"
    assert len(result.notes) == 3


def test_more_starts_than_budget_are_cut_and_said(codec, recorder):
    oracle = recorder()
    result = run(codec, oracle, 5, start=codec.molecules[:9])
    assert oracle.seen == codec.molecules[:5]
    assert result.notes == ["start: 9 molecules, but a budget of 5: only the first are scored"]
    assert (result.table["round"] == 0).all()


def test_many_starts_are_scored_in_portions_and_all_are_round_0(codec, recorder):
    oracle = recorder()
    table = run(codec, oracle, 25, start=codec.molecules[:20]).table
    assert list(map(len, oracle.calls)) == [8, 8, 4, 5]
    assert table["round"].tolist() == [0] * 20 + [1] * 5


# Starts


def test_starts_that_cannot_be_used_are_reported_before_anything_is_scored(codec, recorder):
    told, oracle = [], recorder()

    def notify(note):
        assert oracle.calls == []
        told.append(note)

    result = run(codec, oracle, 10, start=["C1CC", LEAD, None, "CCCCCCCCCCCC"], notify=notify)
    assert told == result.notes
    assert len(told) == 3
    assert told[0].startswith("start 1 (C1CC): not used: not a SMILES")
    assert told[1].startswith("start 3 (None): not used: empty")
    assert told[2] == "start 4 (CCCCCCCCCCCC): not used: not among the toy's molecules"
    assert oracle.calls[0] == [LEAD]


def test_no_usable_start_is_an_error_with_the_reasons(codec, recorder):
    with pytest.raises(
        InputError, match=r"start: none of 2 molecules can be used: start 1 \(C1CC\).*; start 2 \(CCCC\)"
    ):
        run(codec, recorder(), start=["C1CC", "CCCC"])
    with pytest.raises(InputError, match=r"start: none of 1 molecules can be used: start 1 \(x\)"):
        run(codec, recorder(), start=["x"])


def test_salts_are_stripped_and_said(codec, recorder):
    result = run(codec, recorder(), 10, start=["CC(=O)N1CCOCC1.Cl"])
    assert result.notes == [f"start 1 (CC(=O)N1CCOCC1.Cl): salt or solvent stripped: Cl; used as {LEAD}"]
    assert result.table["smiles"][0] == LEAD
    assert result.table["raw_smiles"][0] == "CC(=O)N1CCOCC1.Cl"


def test_a_start_that_does_not_come_back_from_its_code_is_reported(recorder, codec):
    forgetful = type(codec)(strangers={LEAD: "CCNC(C)=O"})
    notes = run(forgetful, recorder(), 10, start=["CCNC(C)=O", LEAD]).notes
    assert notes == [
        f"start 2 ({LEAD}): does not come back exactly from its own code, but as CCNC(C)=O; "
        "the search starts near it, not from it"
    ]


def test_a_single_text_is_one_start(codec, recorder):
    oracle = recorder()
    run(codec, oracle, 10, start=LEAD)
    assert oracle.calls[0] == [LEAD]


@pytest.mark.parametrize("wrap", [tuple, np.array, pd.Series, iter])
def test_starts_may_come_as_any_sequence(codec, recorder, wrap):
    oracle = recorder()
    run(codec, oracle, 10, start=wrap([LEAD, "CCNC(C)=O"]))
    assert oracle.calls[0] == [LEAD, "CCNC(C)=O"]


@pytest.mark.parametrize(("start", "problem"), [([], "an empty list"), (3, "expected a list of SMILES, got int")])
def test_what_is_no_list_of_starts_is_refused(codec, recorder, start, problem):
    with pytest.raises(InputError, match=f"start: {problem}"):
        run(codec, recorder(), start=start)


# What comes back


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
def test_the_table_the_points_and_the_funnel_belong_together(codec, recorder, method):
    result = run(codec, recorder(), method=method, start=[LEAD])
    table = check_table(result.table, PROPOSAL_COLUMNS, "test")
    assert list(table) == ["candidate_id", "smiles", "raw_smiles", "round", "parent_id", "latent_row", "score"]
    assert table["candidate_id"][0] == "C000001"
    assert result.latent.shape == (40, codec.n_latent)
    again = codec.decode(result.latent[table["latent_row"]])
    assert [came.smiles for came in again] == table["smiles"].tolist()
    counts = result.funnel
    assert list(counts) == ["n_proposed", "n_valid", "n_unique", "n_scored", "n_failed_score"]
    assert counts["n_proposed"] >= counts["n_valid"] >= counts["n_unique"] >= counts["n_scored"] == 40
    assert counts["n_failed_score"] == 0
    assert (counts["n_proposed"] - 1) % SMALL.proposals == 0


def test_parents_are_molecules_scored_in_an_earlier_round(codec, recorder):
    table = run(codec, recorder(), 60, start=[LEAD]).table.set_index("candidate_id")
    children = table[table["parent_id"].notna()]
    assert len(children) > 40
    assert (table.loc[children["parent_id"], "round"].to_numpy() < children["round"].to_numpy()).all()


def test_the_history_counts_every_round(codec, recorder):
    heard = []
    result = run(codec, recorder(), start=codec.molecules[:3], progress=heard.append)
    history = pd.DataFrame(result.history)
    assert heard == result.history
    assert history["round"].tolist() == list(range(len(history)))
    assert history["calls"].tolist() == history["new"].cumsum().tolist()
    assert history["calls"].iloc[-1] == 40
    assert history["best"].is_monotonic_increasing
    assert history["best"].iloc[-1] == result.table["score"].max()
    assert history["top10"].iloc[-1] == pytest.approx(result.table["score"].nlargest(10).mean())
    assert history["median"][0] == result.table["score"][:3].median()
    json.dumps(result.history, allow_nan=False)


def test_the_evolution_finds_better_molecules_than_the_prior(codec, recorder):
    best = {method: [] for method in OPTIMIZERS}
    for method in OPTIMIZERS:
        for seed in range(5):
            best[method].append(run(codec, recorder(), 60, seed=seed, method=method).history[-1]["top10"])
    assert np.mean(best["evolution"]) > np.mean(best["prior"]) + 0.3
    assert np.mean(best["evolution"]) > np.mean(best["random_directions"])


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
def test_equal_seeds_give_equal_results_and_others_do_not(codec, recorder, method):
    one, two, other = (run(codec, recorder(), seed=seed, method=method) for seed in (3, 3, 4))
    assert_same(one, two)
    assert one.table["smiles"].tolist() != other.table["smiles"].tolist()


def test_noise_levels_are_shared_among_the_points_and_repeat_with_the_seed(codec, recorder):
    noisy = SMALL.model_copy(update={"levels": ((0.0, 0.0), (0.3, 0.5), (0.6, 1.0))})
    one, two = (run(codec, recorder(), settings=noisy) for _ in range(2))
    assert_same(one, two)
    assert one.table["smiles"].tolist() != run(codec, recorder()).table["smiles"].tolist()


# Oracles that behave oddly


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
@pytest.mark.parametrize("value", [0.0, -7.5, 1e300, float("nan"), None, float("-inf")])
def test_constant_failed_and_infinite_scores_are_survived(codec, recorder, method, value):
    result = run(codec, recorder(answer=lambda smiles, score: [value] * len(smiles)), 30, method=method)
    failed = value is None or not np.isfinite(value)
    assert len(result.table) == 30
    assert result.funnel["n_failed_score"] == (30 if failed else 0)
    assert result.table["score"].isna().all() == failed
    assert (result.history[-1]["best"] is None) == failed
    assert any("infinite" in note for note in result.notes) == (value == float("-inf"))


def test_a_failure_is_never_told_as_better_than_a_number(codec, recorder, monkeypatch):
    told = []
    tell = OPTIMIZERS["evolution"].tell

    def listen(self, z, score, asked=None):
        told.append(score)
        tell(self, z, score, asked)

    monkeypatch.setattr(OPTIMIZERS["evolution"], "tell", listen)

    def negative(smiles, score):
        return [None if s.count("N") > 1 else value - 100 for s, value in zip(smiles, score, strict=True)]

    result = run(codec, recorder(answer=negative), 60)
    failed = result.table["score"].isna().to_numpy()
    told = np.concatenate(told)
    assert 0 < failed.sum() < 60
    for row in np.flatnonzero(failed):
        assert told[row] <= np.nanmin(result.table["score"][: row + 1])


def test_a_failure_is_told_as_zero_where_scores_are_not_negative(codec, recorder, monkeypatch):
    told = []
    monkeypatch.setattr(OPTIMIZERS["prior"], "tell", lambda self, z, s, a=None: told.append(s))
    run(codec, recorder(answer=lambda smiles, score: [0.5] + [None] * (len(smiles) - 1)), 16, method="prior")
    assert set(np.concatenate(told)) == {0.5, 0.0}


def test_a_table_with_terms_becomes_columns(codec, recorder):
    def terms(smiles, score):
        size = [float(len(s)) for s in smiles]
        score = [None if s > 25 else 1 / s for s in size]
        return pd.DataFrame({"value_size": size, "score_size": score, "score": score})

    table = run(codec, recorder(answer=terms)).table
    check_table(table, PROPOSAL_COLUMNS, "test")
    assert list(table)[-3:] == ["score", "value_size", "score_size"]
    assert table["value_size"].tolist() == [len(s) for s in table["smiles"]]
    assert table["score"].isna().equals(table["value_size"] > 25)


def test_a_table_that_changes_its_columns_is_refused(codec, recorder):
    def changing(smiles, score):
        table = pd.DataFrame({"score": score})
        return table if smiles == first else table.assign(value_x=1.0)

    first = [LEAD]
    with pytest.raises(InputError, match="had the columns score alone before, and now has value_x"):
        run(codec, recorder(answer=changing), start=first)


def test_an_exception_of_the_oracle_says_what_is_safe(codec, recorder, tmp_path):
    calls = []

    def breaking(smiles):
        calls.append(smiles)
        if len(calls) == 3:
            raise ZeroDivisionError("docking failed")
        return [1.0] * len(smiles)

    for checkpoint, kept in ((None, "are lost"), (tmp_path / "s.npz", f"are kept in {tmp_path / 's.npz'}")):
        calls.clear()
        with pytest.raises(ZeroDivisionError, match="docking failed") as caught:
            run(codec, breaking, checkpoint=checkpoint)
        assert "while scoring 8 molecules in round 2 of the search" in caught.value.__notes__[0]
        assert kept in caught.value.__notes__[0]
    result = run(codec, recorder(answer=lambda smiles, score: [1.0] * len(smiles)), checkpoint=tmp_path / "s.npz")
    assert result.history[2]["calls"] == 24
    assert len(result.table) == 40


# The end


def test_mode_collapse_ends_the_search_and_is_reported(codec, recorder):
    oracle = recorder()
    result = run(codec, oracle, 1000, method="prior", settings=SMALL.model_copy(update={"patience": 3}))
    assert result.stop_reason == "no new molecule in 3 rounds (96 points)"
    assert [line["new"] for line in result.history[-3:]] == [0, 0, 0]
    assert len(result.table) == len(oracle.seen) == len(set(oracle.seen)) < 360


def test_a_codec_that_writes_no_molecule_gives_an_empty_table(codec, recorder, tmp_path):
    mute = type(codec)(reach=0.0)
    oracle = recorder()
    for _ in range(2):  # the second time from the checkpoint
        result = run(mute, oracle, 10, checkpoint=tmp_path / "s.npz")
        assert oracle.calls == []
        assert result.stop_reason.startswith("no new molecule in 6 rounds")
        assert len(result.table) == 0
        assert result.latent.shape == (0, codec.n_latent)
        assert result.funnel["n_proposed"] == 6 * SMALL.proposals


# Going on


@pytest.mark.parametrize("method", sorted(OPTIMIZERS))
@pytest.mark.parametrize("start", [None, [LEAD, "CCNC(C)=O", "CC(=O)N1CCOCC1.Cl"]])
def test_a_search_broken_off_in_any_round_goes_on_bit_for_bit(codec, recorder, tmp_path, method, start):
    whole_oracle = recorder()
    whole = run(codec, whole_oracle, method=method, start=start)
    assert len(whole_oracle.calls) >= 5
    for broken_at in range(len(whole_oracle.calls)):
        checkpoint = tmp_path / f"{broken_at}.npz"
        first, second = recorder(raise_at=broken_at), recorder()
        with pytest.raises(KeyboardInterrupt):
            run(codec, first, method=method, start=start, checkpoint=checkpoint)
        resumed = run(codec, second, method=method, start=start, checkpoint=checkpoint)
        assert_same(resumed, whole)
        assert first.calls + second.calls == whole_oracle.calls


def test_a_search_broken_off_after_each_round_goes_on_bit_for_bit(codec, recorder, tmp_path):
    def terms(smiles, score):
        return pd.DataFrame({"value_a": [s / 3 for s in score], "score": [None if s > -3 else s for s in score]})

    def stop(line):
        raise KeyboardInterrupt

    whole = run(codec, recorder(answer=terms), start=[LEAD])
    for _ in whole.history:
        with pytest.raises(KeyboardInterrupt):
            run(codec, recorder(answer=terms), start=[LEAD], checkpoint=tmp_path / "s.npz", progress=stop)
    nothing_left = recorder(answer=terms)
    assert_same(run(codec, nothing_left, start=[LEAD], checkpoint=tmp_path / "s.npz"), whole)
    assert nothing_left.calls == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, r"seed 0 \(now 1\)"),
        ({"budget": 41}, r"budget 40 \(now 41\)"),
        ({"method": "prior"}, r"method evolution \(now prior\)"),
        ({"start": [LEAD]}, r"start \[\] \(now \['CC\(=O\)N1CCOCC1'\]\)"),
        ({"settings": LoopSettings()}, r"proposals 32 \(now 256\), batch_size 8 \(now 10\)"),
    ],
)
def test_the_checkpoint_of_another_search_is_refused(codec, recorder, tmp_path, changes, said):
    run(codec, recorder(), 40, checkpoint=tmp_path / "s.npz")
    with pytest.raises(InputError, match=f"s.npz: belongs to another search: .*{said}.*delete it"):
        run(codec, recorder(), **({"budget": 40, "checkpoint": tmp_path / "s.npz"} | changes))


def test_a_checkpoint_that_cannot_be_written_is_said_before_anything_is_scored(codec, recorder, tmp_path):
    oracle = recorder()
    with pytest.raises(InputError, match="the search's state cannot be written"):
        run(codec, oracle, checkpoint=tmp_path / "nowhere" / "s.npz")
    assert oracle.calls == []


# Arguments


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"budget": 0}, "budget: expected a whole number of at least 1, got 0"),
        ({"budget": -3}, "budget: expected"),
        ({"budget": 2.5}, "budget: expected a whole number of at least 1, got 2.5"),
        ({"budget": True}, "budget: expected"),
        ({"budget": "10"}, "budget: expected"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
        ({"method": "evolutoin"}, r"method: unknown method 'evolutoin'; did you mean evolution\?"),
        ({"method": None}, "method: unknown method None; known: evolution, random_directions, prior"),
        ({"oracle": [1, 2]}, "oracle: expected a function of a list of SMILES, got list"),
    ],
)
def test_wrong_arguments_are_refused(codec, recorder, changes, problem):
    with pytest.raises(InputError, match=problem):
        search(**({"codec": codec, "oracle": recorder(), "budget": 10} | changes))


def test_numpy_integers_are_whole_numbers(codec, recorder):
    assert_same(run(codec, recorder(), np.int64(20), seed=np.uint32(3)), run(codec, recorder(), 20, seed=3))


def test_settings_are_checked_and_written_back():
    settings = SearchSettings.from_dict({"budget": 50, "levels": [[0.0, 0.0], [0.4, 0.7]]}, "campaign.toml [search]")
    assert settings.levels == ((0.0, 0.0), (0.4, 0.7))
    assert settings.method == "evolution"
    for data, problem in (
        ({"budgt": 1}, r"budgt: unknown key; did you mean budget\?"),
        ({"budget": 0}, "budget: input should be greater than or equal to 1"),
        ({"method": "evoluton"}, r"method: unknown method 'evoluton'; did you mean evolution\?"),
        ({"levels": []}, r"levels: expected pairs \[noise, temperature\]"),
        ({"levels": [[2.0, 0.0]]}, r"levels: expected pairs \[noise, temperature\]"),
        ({"evolution": {"crosover": 1}}, r"\[evolution\] crosover: unknown key; did you mean crossover\?"),
    ):
        with pytest.raises(InputError, match=problem):
            SearchSettings.from_dict(data, "campaign.toml")


# The public door


def test_optimize_gives_the_best_first_and_failures_last_in_order_of_scoring(codec, recorder):
    def coarse(smiles, score):
        return [None if value < -3.5 else round(value) for value in score]

    best = optimize(recorder(answer=coarse), 60, codec=codec, seed=2)
    check_table(best, PROPOSAL_COLUMNS, "test")
    assert len(best) == 60
    assert best.index.tolist() == list(range(60))
    numbers = best["score"].dropna()
    assert 0 < len(numbers) < 60
    assert numbers.is_monotonic_decreasing
    assert best["score"].isna().to_numpy()[len(numbers) :].all()
    for _, equal in best.groupby("score", dropna=False):
        assert equal["candidate_id"].is_monotonic_increasing
    assert best.attrs["stop_reason"] == "budget"
    assert best.attrs["funnel"]["n_scored"] == 60


def test_optimize_warns_of_what_is_not_as_asked_for(codec, recorder):
    with pytest.warns(UserWarning, match=r"start 1 \(C1CC\): not used"):
        optimize(recorder(), 5, codec=codec, start=["C1CC", LEAD])
    with pytest.warns(UserWarning, match="the search ended after .* of 1000 molecules: no new molecule in"):
        best = optimize(recorder(), 1000, codec=codec, method="prior")
    assert best.attrs["stop_reason"].startswith("no new molecule")


def test_the_stereo_of_a_start_is_dropped_only_when_asked_and_then_said(codec, recorder):
    chiral, flat = "C[C@H](O)CNC(C)=O", "CC(=O)NCC(C)O"
    with pytest.raises(InputError, match=r"none of 1 molecules can be used: .*not among the toy's"):
        optimize(recorder(), 5, codec=codec, start=[chiral])
    oracle = recorder()
    with pytest.warns(UserWarning, match=r"start 1 \(C\[C@H\].*\): stereo dropped; used as CC\(=O\)NCC\(C\)O"):
        optimize(oracle, 5, codec=codec, start=[chiral], remove_stereo=True)
    assert oracle.calls[0] == [flat]


def test_optimize_goes_on_from_a_checkpoint(codec, recorder, tmp_path):
    whole = optimize(recorder(), 60, codec=codec)
    with pytest.raises(KeyboardInterrupt):
        optimize(recorder(raise_at=1), 60, codec=codec, checkpoint=tmp_path / "s.npz")
    pd.testing.assert_frame_equal(
        optimize(recorder(), 60, codec=codec, checkpoint=tmp_path / "s.npz"), whole, check_exact=True
    )
