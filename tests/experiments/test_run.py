import gzip
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock

from al_tf import load_dataset
from al_tf.errors import ConfigMismatchError, FolderInUseError, RecordError, RunFailedError
from al_tf.experiments import StrategySpec, load_records, load_results, read_meta, run_experiment
from al_tf.experiments.provenance import provenance, without_places
from al_tf.experiments.records import read_runs, records_text, unpack_records
from al_tf.experiments.setting import make_setting
from al_tf.experiments.study import run_keys, write_meta

from .helpers import fast_config, numbers, results_text


def run(config, out_dir, **options):
    return run_experiment(config, out_dir, jobs=0, progress=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished experiment; nobody writes to it."""
    out_dir = tmp_path_factory.mktemp("finished")
    run(fast_config(strategies="margin,entropy"), out_dir)
    return out_dir


def test_round_zero_is_the_same_for_all_strategies(finished):
    first = load_records(finished).query("round == 0").drop(columns="strategy")
    for _, rows in first.groupby("seed"):
        assert len(rows) == 3
        assert len({str(row) for row in rows.to_dict("records")}) == 1  # timings included
    assert first.groupby("seed")["accuracy"].first().nunique() == 2


def test_adding_a_strategy_changes_no_number_of_the_others(finished, tmp_path):
    run(fast_config(strategies="uncertainty,entropy,margin"), tmp_path)
    more = numbers(tmp_path).query("strategy != 'uncertainty'")
    keys = ["strategy", "seed", "round"]
    pd.testing.assert_frame_equal(
        more.sort_values(keys, ignore_index=True),
        numbers(finished).sort_values(keys, ignore_index=True),
    )


def test_a_seed_gives_every_run_the_same_pool_and_no_label_of_it(tmp_path):
    path = str(tmp_path / "seen")
    config = fast_config(strategies=[StrategySpec("spies", "spies", {"path": path})], seeds=1)
    run(config, tmp_path / "out")
    records = load_records(tmp_path / "out").query("strategy == 'spies'")
    labels = [a for answers in records["queried_labels"] for a in answers]
    for size in (30, 40, 50, 60):
        with np.load(f"{path}-{size}.npz") as seen:
            assert seen["y"].tolist() == labels[:size]
            assert int(seen["n"]) == 600 - size


def test_labels_are_asked_from_the_pool_alone(finished):
    config = fast_config()
    for seed in config.seeds:
        setting = make_setting(config, seed)
        assert len(setting.pool) == len(set(setting.pool)) == 600
        asked = load_records(finished).query(f"seed == {seed}")["queried"]
        assert {i for ids in asked for i in ids} <= set(setting.pool)


def test_the_answers_recorded_are_the_true_labels(finished):
    y = load_dataset("digits").y_train
    for record in load_records(finished).itertuples():
        assert y[record.queried].tolist() == record.queried_labels


def test_a_stratified_start_has_every_class_by_its_share():
    config = fast_config(stratified=True, initial=60)
    setting = make_setting(config, 0)
    counts = np.bincount(setting.data.y_train[setting.initial], minlength=10)
    expected = np.bincount(setting.data.y_train[setting.pool], minlength=10) / 10
    assert abs(counts - expected).max() <= 1
    assert len(set(setting.initial)) == 60


def test_the_same_call_again_does_nothing_and_leaves_the_same_bytes(finished):
    files = ("study.toml", "records.jsonl.gz", "results.csv")
    before = {name: (finished / name).read_bytes() for name in files}
    run(fast_config(strategies="margin,entropy"), finished)
    assert {name: (finished / name).read_bytes() for name in files} == before


@pytest.mark.parametrize("change", [{"strategies": "entropy,margin"}, {"seeds": 3}, {"rounds": 6}])
def test_a_grown_experiment_equals_one_made_at_once(change, tmp_path):
    run(fast_config(), tmp_path / "grown")
    run(fast_config(**change), tmp_path / "grown")
    run(fast_config(**change), tmp_path / "at once")
    assert results_text(tmp_path / "grown") == results_text(tmp_path / "at once")
    pd.testing.assert_frame_equal(numbers(tmp_path / "grown"), numbers(tmp_path / "at once"))


def test_another_config_in_the_folder_is_an_error(finished):
    with pytest.raises(ConfigMismatchError, match="batch: 10 there, 11 asked for"):
        run(fast_config(strategies="margin,entropy", batch=11), finished)


def test_changed_data_in_the_folder_are_an_error(tmp_path):
    run(fast_config(rounds=0), tmp_path)
    write_meta(tmp_path, read_meta(tmp_path) | {"data_fingerprint": "0" * 64})
    with pytest.raises(ConfigMismatchError, match=r"'digits' have changed.*000 then.* now\. Use"):
        run(fast_config(rounds=0), tmp_path)
    meta = read_meta(tmp_path)
    for then, named in (({"pillow": "9.0"}, "9.0"), ({}, "not recorded")):
        write_meta(tmp_path, meta | {"versions": then})
        with pytest.raises(ConfigMismatchError, match=f"Pillow, .* now and was {named} then"):
            run(fast_config(rounds=0), tmp_path)


def test_a_table_of_somebody_else_is_not_overwritten(tmp_path):
    theirs = tmp_path / "results.csv"
    theirs.write_text("mine")
    with pytest.raises(RecordError, match=r"results\.csv would be overwritten, and is of no study"):
        run(fast_config(rounds=0), tmp_path)
    assert theirs.read_text() == "mine"
    assert not (tmp_path / "study.toml").exists()


def test_the_time_of_a_query_is_not_that_of_reading_modal(tmp_path):
    """Reading modAL takes seconds where PyTorch is installed, and happens once in a process."""
    code = f"""
import sys
from al_tf.experiments import loop, run_experiment
from tests.experiments.helpers import fast_config

query, is_there = loop.query, []
loop.query = lambda *given: is_there.append("modAL" in sys.modules) or query(*given)
assert "modAL" not in sys.modules
config = fast_config(strategies="random", seeds=1, rounds=1)
run_experiment(config, {str(tmp_path)!r}, jobs=0, progress=False)
assert is_there == [True], is_there
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_versions_that_changed_on_the_way_are_added(tmp_path):
    run(fast_config(rounds=0), tmp_path)
    meta = read_meta(tmp_path)
    older = meta["versions"] | {"numpy": "1.0"}
    write_meta(tmp_path, meta | {"versions": older})
    for rounds, added in ((0, []), (1, [meta["versions"]]), (1, [meta["versions"]])):
        run(fast_config(rounds=rounds), tmp_path)  # what computes nothing adds nothing
        after = read_meta(tmp_path)
        assert after["versions"] == older
        assert [c["versions"] for c in after.get("continued", [])] == added


def test_two_processes_in_one_folder_are_refused(tmp_path):
    run(fast_config(rounds=0), tmp_path)
    with (
        FileLock(tmp_path / ".locks" / "experiment.lock"),
        pytest.raises(FolderInUseError, match="Another process is running an experiment in"),
    ):
        run(fast_config(rounds=0), tmp_path)


@pytest.mark.parametrize("keep", [1, 3])
def test_a_run_goes_on_from_its_last_record(finished, tmp_path, keep):
    config = fast_config(strategies="margin,entropy")
    run(config, tmp_path)
    unpack_records(tmp_path, [("margin", 1)])
    path = tmp_path / "runs" / "margin-seed1.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:keep]) + b'{"roun')
    last = tmp_path / "checkpoints" / "margin-seed1-round4.npz"
    if keep > 1:  # the model of the record it goes on from
        source = run_to(config, keep - 1, tmp_path / "short")
        source.rename(tmp_path / "checkpoints" / source.name)
    last.unlink()
    with pytest.warns(UserWarning, match=f"line {keep + 1} is only half written"):
        run(config, tmp_path)
    pd.testing.assert_frame_equal(numbers(tmp_path), numbers(finished))


def run_to(config, rounds, out_dir):
    """Return the checkpoint of margin, seed 1 after so many rounds."""
    run(fast_config(strategies="margin,entropy", rounds=rounds), out_dir)
    return out_dir / "checkpoints" / f"margin-seed1-round{rounds}.npz"


def test_one_checkpoint_is_kept_a_run(finished):
    names = sorted(p.name for p in (finished / "checkpoints").iterdir())
    assert names == sorted(
        f"{s}-seed{k}-round4.npz" for s in ("random", "margin", "entropy") for k in (0, 1)
    )


def published(out_dir, copy):
    """Copy of a study what is published: no checkpoints, no models of round 0."""
    copy.mkdir()
    for name in ("study.toml", "records.jsonl.gz", "results.csv"):
        shutil.copy(out_dir / name, copy)
    return copy


@pytest.mark.parametrize("change", [{"strategies": "entropy,margin"}, {"seeds": 3}, {"rounds": 6}])
def test_a_published_study_grows_as_if_made_at_once(change, tmp_path):
    run(fast_config(), tmp_path / "whole")
    copy = published(tmp_path / "whole", tmp_path / "copy")
    run(fast_config(**change), copy)
    run(fast_config(**change), tmp_path / "at once")
    pd.testing.assert_frame_equal(numbers(copy), numbers(tmp_path / "at once"))
    before = load_records(tmp_path / "whole").set_index(["strategy", "seed", "round"])
    after = load_records(copy).set_index(["strategy", "seed", "round"])
    pd.testing.assert_frame_equal(after.loc[before.index], before)  # even the seconds of then


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half", b"\x93NUMPY"])
def test_a_damaged_checkpoint_is_trained_again(damage, tmp_path):
    run(fast_config(), tmp_path / "grown")
    for path in tmp_path.rglob("*.npz"):
        path.write_bytes(damage)
    run(fast_config(rounds=5, strategies="entropy,margin"), tmp_path / "grown")
    run(fast_config(rounds=5, strategies="entropy,margin"), tmp_path / "at once")
    pd.testing.assert_frame_equal(numbers(tmp_path / "grown"), numbers(tmp_path / "at once"))


def made_elsewhere(out_dir, seed):
    """Change what the models of a seed gave, as other versions or another machine would."""
    keys = run_keys(read_meta(out_dir)["config"])
    runs = read_runs(out_dir, keys)
    for (_, run_seed), records in runs.items():
        for record in records:
            record["accuracy"] += 0.001 * (run_seed == seed)
    (out_dir / "records.jsonl.gz").write_bytes(gzip.compress(records_text(runs).encode()))


@pytest.mark.parametrize(
    ("change", "number", "failed"),
    [({"strategies": "entropy,margin"}, 0, ["entropy"]), ({"rounds": 5}, 4, ["random", "margin"])],
)
def test_what_cannot_be_paired_with_a_published_study_is_refused(change, number, failed, tmp_path):
    run(fast_config(), tmp_path / "whole")
    copy = published(tmp_path / "whole", tmp_path / "copy")
    made_elsewhere(copy, seed=1)
    with pytest.raises(RunFailedError, match=f"{len(failed)} of ") as caught:
        run(fast_config(**change), copy)
    for label in failed:
        assert f"{label}-seed1: RecordError" in str(caught.value)
        trace = (copy / "failures" / f"{label}-seed1.txt").read_text()
        assert f"training the model of round {number} again gives other numbers here" in trace
        assert "Add to this study where it was made" in trace
    records = load_records(copy).query("seed == 1")
    assert records["strategy"].nunique() == 2  # no number that is not paired
    assert records["round"].max() == 4


def test_a_damaged_record_stops_before_anything_runs(tmp_path):
    run(fast_config(seeds=1), tmp_path)
    unpack_records(tmp_path, [("margin", 0)])
    path = tmp_path / "runs" / "margin-seed0.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"round":2', b'"round":7'))
    with pytest.raises(
        RecordError, match=r"margin-seed0\.jsonl, line 3: expected the record of round 2"
    ):
        run(fast_config(seeds=1), tmp_path)


def test_a_failing_run_is_named_and_the_others_go_on(tmp_path):
    config = fast_config(strategies="fails_late,margin")
    with pytest.raises(RunFailedError, match="2 of 6 runs failed") as caught:
        run(config, tmp_path)
    assert "fails_late-seed0: ZeroDivisionError: the strategy broke" in str(caught.value)
    trace = (tmp_path / "failures" / "fails_late-seed1.txt").read_text()
    assert "in fails_late" in trace
    rounds = pd.read_csv(tmp_path / "results.csv").groupby("strategy")["round"].max()
    assert rounds.to_dict() == {"random": 4, "fails_late": 2, "margin": 4}


def test_a_pool_too_small_is_said_before_anything_runs(tmp_path):
    with pytest.raises(ValueError, match="ask for 1030 labels, but the pool of digits holds 600"):
        run(fast_config(rounds=100), tmp_path)


def test_evaluating_now_and_then_changes_no_other_number(finished, tmp_path):
    rare = run(fast_config(strategies="margin,entropy", eval_every=2), tmp_path)
    assert sorted(rare["round"].unique()) == [0, 2, 4]
    every = load_results(finished)
    both = rare.merge(every, on=["strategy", "seed", "round"])
    assert len(both) == len(rare)
    assert (both["accuracy_x"] == both["accuracy_y"]).all()


def test_options_that_contradict_each_other(tmp_path):
    with pytest.raises(ValueError, match="go together"):
        run(fast_config(), tmp_path, backend="dask")
    with pytest.raises(ValueError, match="Unknown backend 'ray'"):
        run(fast_config(), tmp_path, backend="ray")
    with pytest.raises(ValueError, match="jobs must be 0 or more"):
        run_experiment(fast_config(), tmp_path, jobs=-1)


def test_records_do_not_say_where_on_the_machine_they_were_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["/opt/bin/al-tf", "run", "--out", str(tmp_path / "a" / "b"), "--data=/home/me/c"]
    monkeypatch.setattr(sys, "argv", [*arguments, "x=/", "--seeds", "3"])
    command = ["al-tf", "run", "--out", "a/b", "--data=c", "x=", "--seeds", "3"]
    assert provenance()["command"] == command


def test_a_source_of_data_does_not_either(tmp_path, monkeypatch):
    monkeypatch.setenv("AL_TF_DATA_DIR", "/srv/sets")
    assert without_places("files in /srv/sets/tiles") == "files in $AL_TF_DATA_DIR/tiles"
    monkeypatch.setenv("AL_TF_DATA_DIR", "data")
    assert without_places("data of 3/4") == "data of 3/4"


def test_a_study_keeps_the_source_of_the_data_it_was_made_with(tmp_path):
    run(fast_config(rounds=0), tmp_path)
    write_meta(tmp_path, read_meta(tmp_path) | {"data_source": "another copy"})
    run(fast_config(rounds=0), tmp_path)
    assert read_meta(tmp_path)["data_source"] == "another copy"
