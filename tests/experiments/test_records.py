import gzip
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from al_tf.analysis import report_table
from al_tf.errors import RecordError
from al_tf.experiments import (
    ExperimentConfig,
    load_records,
    load_results,
    read_meta,
    read_study,
    run_experiment,
)
from al_tf.experiments.estimators import build_estimator
from al_tf.experiments.loop import _average_precision
from al_tf.experiments.records import append_record, pack_records, read_run, unpack_records
from al_tf.experiments.setting import make_setting
from al_tf.experiments.study import run_keys, write_meta, write_results
from al_tf.files import write_atomically

from .helpers import fast_config, numbers

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture
def run_file(tmp_path):
    path = tmp_path / "margin-seed0.jsonl"
    for number in range(3):
        append_record(path, {"round": number, "accuracy": 0.1 + 0.2})
    return path


def test_records_come_back_to_the_last_bit(run_file):
    assert [r["round"] for r in read_run(run_file)] == [0, 1, 2]
    assert read_run(run_file)[0]["accuracy"] == 0.1 + 0.2
    assert list(pd.read_json(run_file, lines=True)["round"]) == [0, 1, 2]


def test_no_file_is_no_record(tmp_path):
    assert read_run(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize("length", [1, 10, 31])
def test_a_half_written_last_line_is_left_out_with_a_message(run_file, length):
    whole = run_file.read_bytes()
    line = b'{"round":3,"accuracy":0.30000000000000004}\n'
    run_file.write_bytes(whole + line[:length])
    with pytest.warns(UserWarning, match="line 4 is only half written and is left out; round 3"):
        assert len(read_run(run_file)) == 3
    assert run_file.read_bytes() != whole
    assert len(read_run(run_file, repair=True)) == 3
    assert run_file.read_bytes() == whole


def test_a_line_that_only_lacks_its_end_is_not_guessed_at(run_file):
    run_file.write_bytes(run_file.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="line 3 is only half written"):
        assert len(read_run(run_file)) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"round":0,"accu', "line 2: not a record"),
        (b"\x00\xff\x00", "line 2: not a record"),
        (b"[1, 2]", r"line 2: expected the record of round 1, found \[1, 2\]"),
        (b'{"round":2}', "line 2: expected the record of round 1, found 2"),
        (b"", "line 2: not a record"),
    ],
)
def test_anything_else_is_an_error_that_names_file_and_line(run_file, line, message):
    lines = run_file.read_bytes().splitlines()
    lines[1] = line
    run_file.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(RecordError, match=f"margin-seed0.jsonl, {message}"):
        read_run(run_file)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    def breaks(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, breaks)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_an_experiment_leaves(tmp_path):
    config = fast_config(noise=0.2)
    returned = run_experiment(config, tmp_path, jobs=0, progress=False)
    results, records, meta = load_results(tmp_path), load_records(tmp_path), read_meta(tmp_path)
    pd.testing.assert_frame_equal(returned, results)
    stored = pd.read_csv(tmp_path / "results.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(stored, results, check_dtype=False)
    assert list(results.columns) == [
        "dataset", "strategy", "seed", "round", "n_labeled", "accuracy", "f1_macro",
        "average_precision", "seconds_query", "seconds_fit", "seconds_eval", "stopped",
    ]  # fmt: skip
    assert len(results) == len(records) == 2 * 2 * 5
    assert sorted(results["n_labeled"].unique()) == [30, 40, 50, 60, 70]
    for record in records.itertuples():
        assert len(record.recall) == len(record.average_precision) == 10
        assert len(record.queried) == len(record.queried_labels) == (30, 10)[record.round > 0]
    for _, run in records.groupby(["strategy", "seed"]):
        asked = [i for ids in run["queried"] for i in ids]
        assert len(set(asked)) == 70  # nothing is asked twice
    assert meta["config"] == config.to_dict()
    assert meta["config_hash"] == config.digest
    assert meta["class_names"] == [str(i) for i in range(10)]
    assert {"python", "numpy", "keras", "tensorflow"} <= set(meta["versions"])
    assert len(meta["data_fingerprint"]) == 64


def of_an_earlier_version(out_dir):
    """Take from a study the measure that earlier versions did not record."""
    keys = run_keys(read_meta(out_dir)["config"])
    unpack_records(out_dir, keys)
    for path in (out_dir / "runs").iterdir():
        records = read_run(path)
        path.unlink()
        for record in records:
            del record["average_precision"]
            append_record(path, record)
    (out_dir / "records.jsonl.gz").unlink()
    pack_records(out_dir, keys)
    write_results(out_dir)


def test_average_precision_is_that_of_the_probabilities(tmp_path):
    config = fast_config(seeds=1, rounds=1, eval_every=1)
    run_experiment(config, tmp_path, jobs=0, progress=False)
    setting = make_setting(config, 0)
    for record in load_records(tmp_path).query("round == 0").itertuples():
        model = build_estimator(config, 10)
        model.fit(setting.x_train[record.queried], np.array(record.queried_labels))
        proba, y = model.predict_proba(setting.x_test), setting.data.y_test
        expected = [average_precision_score(y == k, proba[:, k]) for k in range(10)]
        assert record.average_precision == pytest.approx(expected, abs=1e-12)
    results = load_results(tmp_path)
    means = load_records(tmp_path)["average_precision"].map(np.mean)
    assert results["average_precision"].tolist() == means.tolist()


def test_average_precision_of_two_classes_and_of_one_without_test_images():
    y, positive = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    both = _average_precision(y, np.column_stack([1 - positive, positive]))
    assert both == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2])
    three = np.column_stack([1 - positive, positive, np.zeros(4)])
    assert _average_precision(y, three) == [*both, 0.0]


def test_a_round_that_is_not_evaluated_has_no_average_precision(tmp_path):
    run_experiment(fast_config(seeds=1, eval_every=2), tmp_path, jobs=0, progress=False)
    by_round = load_records(tmp_path).groupby("round")["average_precision"].count()
    assert by_round.to_dict() == {0: 2, 1: 0, 2: 2, 3: 0, 4: 2}
    assert load_results(tmp_path)["average_precision"].notna().all()


def test_a_study_without_average_precision_is_read_and_grows(tmp_path):
    run_experiment(fast_config(rounds=2), tmp_path, jobs=0, progress=False)
    whole = load_results(tmp_path)
    of_an_earlier_version(tmp_path)
    before = (tmp_path / "results.csv").read_text()
    assert "average_precision" not in before
    pd.testing.assert_frame_equal(load_results(tmp_path), whole.drop(columns="average_precision"))
    for folder in ("round0", "checkpoints"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
    grown = fast_config(rounds=3, strategies="margin,entropy")
    results = run_experiment(grown, tmp_path, jobs=0, progress=False)
    assert "average_precision" not in results  # some rounds lack it
    run_experiment(grown, tmp_path / "at once", jobs=0, progress=False)
    pd.testing.assert_frame_equal(
        numbers(tmp_path).drop(columns="average_precision"),
        numbers(tmp_path / "at once").drop(columns="average_precision"),
    )
    with pytest.raises(ValueError, match=r"lack the column\(s\) average_precision"):
        report_table(results, "average_precision")


def test_a_finished_experiment_is_a_study_of_three_files(tmp_path):
    config = fast_config(model_params={"max_iter": 15, "C": 0.5}, pool=None, stop_kappa=None)
    run_experiment(config, tmp_path, jobs=0, progress=False)
    files = {p.name for p in tmp_path.iterdir() if p.is_file()}
    assert files == {"study.toml", "records.jsonl.gz", "results.csv"}
    assert not (tmp_path / "runs").exists()
    with gzip.open(tmp_path / "records.jsonl.gz", "rt") as lines:
        records = [json.loads(line) for line in lines]
    order = [(r["seed"], r["round"], ["random", "margin"].index(r["strategy"])) for r in records]
    assert order == sorted(order)
    assert len(order) == 2 * 2 * 5
    assert (tmp_path / "records.jsonl.gz").read_bytes()[4:8] == bytes(4)  # no time of day in it
    assert tomllib.loads((tmp_path / "study.toml").read_text())["config"]["pool"] == "none"
    assert ExperimentConfig.from_dict(read_meta(tmp_path)["config"]) == config


def test_packing_keeps_every_digit_and_bytes_do_not_depend_on_when(tmp_path):
    run_experiment(fast_config(), tmp_path, jobs=0, progress=False)
    packed, digest = (tmp_path / "records.jsonl.gz").read_bytes(), read_study(tmp_path)[-1]
    records = load_records(tmp_path)
    keys = run_keys(read_meta(tmp_path)["config"])
    unpack_records(tmp_path, keys)
    (tmp_path / "records.jsonl.gz").unlink()
    pd.testing.assert_frame_equal(load_records(tmp_path), records)
    assert read_study(tmp_path).records_sha256 == digest
    pack_records(tmp_path, keys)
    assert (tmp_path / "records.jsonl.gz").read_bytes() == packed


def test_a_run_s_own_file_goes_before_the_packed_records(tmp_path):
    run_experiment(fast_config(), tmp_path, jobs=0, progress=False)
    unpack_records(tmp_path, [("margin", 0)])
    path = tmp_path / "runs" / "margin-seed0.jsonl"
    append_record(path, read_run(path)[-1] | {"round": 5})
    rounds = load_records(tmp_path).groupby(["strategy", "seed"])["round"].max()
    assert rounds.to_dict() == {
        ("random", 0): 4, ("random", 1): 4, ("margin", 0): 5, ("margin", 1): 4,
    }  # fmt: skip


def test_interrupted_while_packing_nothing_is_lost(tmp_path, monkeypatch):
    run_experiment(fast_config(rounds=1), tmp_path, jobs=0, progress=False)
    before = load_records(tmp_path)
    keys = run_keys(read_meta(tmp_path)["config"])
    unpack_records(tmp_path, keys)
    for step in ("al_tf.experiments.records.write_atomically", "pathlib.Path.unlink"):
        with monkeypatch.context() as patch:
            patch.setattr(step, interrupt)
            with pytest.raises(KeyboardInterrupt):
                pack_records(tmp_path, keys)
        pd.testing.assert_frame_equal(load_records(tmp_path), before)
    pack_records(tmp_path, keys)
    pd.testing.assert_frame_equal(load_records(tmp_path), before)


def interrupt(*_, **__):
    raise KeyboardInterrupt


def as_before(out_dir):
    """Give a study the form of earlier versions: config.json, and a file per run."""
    meta = read_meta(out_dir)
    unpack_records(out_dir, run_keys(meta["config"]))
    (out_dir / "records.jsonl.gz").unlink()
    (out_dir / "study.toml").unlink()
    (out_dir / "config.json").write_text(json.dumps(meta))


def test_a_folder_of_the_form_before_is_read_and_goes_on(tmp_path):
    run_experiment(fast_config(), tmp_path, jobs=0, progress=False)
    before, meta = load_records(tmp_path), read_meta(tmp_path)
    as_before(tmp_path)
    pd.testing.assert_frame_equal(load_records(tmp_path), before)
    assert read_meta(tmp_path) == meta
    run_experiment(fast_config(), tmp_path, jobs=0, progress=False)
    assert not (tmp_path / "config.json").exists()
    assert not (tmp_path / "runs").exists()
    pd.testing.assert_frame_equal(load_records(tmp_path), before)
    assert read_meta(tmp_path) == meta


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda packed, _: packed[:-9], "not a whole gzip file"),
        (lambda packed, _: packed[10:], "not a whole gzip file"),
        (lambda _, text: gzip.compress(text[:-9]), "line 20: not a record"),
        (lambda _, text: gzip.compress(text.replace(b'"round":2', b'"round":3')), "of round 2"),
        (lambda _, text: gzip.compress(b"[1]\n" + text), r"line 1: expected a record, found \[1\]"),
        (lambda _, text: gzip.compress(text.replace(b'"seed"', b'"sead"')), "without strategy or"),
        (lambda _, __: gzip.compress(b"\xff\xff"), "not UTF-8"),
    ],
)
def test_a_damaged_packed_file_is_named(tmp_path, spoil, message):
    run_experiment(fast_config(), tmp_path, jobs=0, progress=False)
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(spoil(path.read_bytes(), gzip.decompress(path.read_bytes())))
    with pytest.raises(RecordError, match=rf"records\.jsonl\.gz.*{message}.*Put the file back"):
        load_records(tmp_path)


def test_a_reason_to_stop_that_is_a_number_is_shown_as_it_is(tmp_path):
    run_experiment(fast_config(seeds=1, rounds=1), tmp_path, jobs=0, progress=False)
    unpack_records(tmp_path, [("margin", 0)])
    path = tmp_path / "runs" / "margin-seed0.jsonl"
    path.write_text(path.read_text().replace('"stopped":null', '"stopped":5', 1))
    (tmp_path / "records.jsonl.gz").unlink()
    assert load_results(tmp_path)["stopped"].tolist() == [5, ""]


def test_strategies_that_start_from_different_models_are_not_compared(tmp_path):
    run_experiment(fast_config(), tmp_path, jobs=0, progress=False)
    unpack_records(tmp_path, [("margin", 1)])
    path = tmp_path / "runs" / "margin-seed1.jsonl"
    first, *rest = path.read_text().splitlines(keepends=True)
    other = json.dumps(json.loads(first) | {"accuracy": 0.5}) + "\n"
    path.write_text(other + "".join(rest))
    with pytest.raises(RecordError, match=r"seed 1, random and margin start from different models"):
        load_results(tmp_path)


def test_a_folder_without_an_experiment(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No experiment in .* there is no study\.toml"):
        load_results(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RecordError, match=r"config.json: not JSON"):
        load_results(tmp_path)
    (tmp_path / "study.toml").write_text("a = = 3")
    with pytest.raises(RecordError, match=r"study.toml: not TOML"):
        load_results(tmp_path)


@pytest.mark.parametrize("config", ["5", "{ strategies = [1], seeds = [0] }", "{ seeds = [0] }"])
def test_a_study_file_without_an_experiments_settings(tmp_path, config):
    (tmp_path / "study.toml").write_text(f"config = {config}")
    with pytest.raises(RecordError, match="with a list of strategies and one of seeds"):
        load_results(tmp_path)


def test_an_experiment_that_has_not_begun_has_an_empty_table(tmp_path):
    write_meta(tmp_path, {"config": fast_config().to_dict()})
    assert load_results(tmp_path).empty
