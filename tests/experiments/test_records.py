import json

import pandas as pd
import pytest

from al_tf.errors import RecordError
from al_tf.experiments import load_records, load_results, read_meta, run_experiment
from al_tf.experiments.records import append_record, read_run
from al_tf.files import write_atomically

from .helpers import fast_config


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
        "seconds_query", "seconds_fit", "seconds_eval", "stopped",
    ]  # fmt: skip
    assert len(results) == len(records) == 2 * 2 * 5
    assert sorted(results["n_labeled"].unique()) == [30, 40, 50, 60, 70]
    for record in records.itertuples():
        assert len(record.recall) == 10
        assert len(record.queried) == len(record.queried_labels) == (30, 10)[record.round > 0]
    for _, run in records.groupby(["strategy", "seed"]):
        asked = [i for ids in run["queried"] for i in ids]
        assert len(set(asked)) == 70  # nothing is asked twice
    assert meta["config"] == config.to_dict()
    assert meta["config_hash"] == config.digest
    assert meta["class_names"] == [str(i) for i in range(10)]
    assert {"python", "numpy", "keras", "tensorflow"} <= set(meta["versions"])
    assert len(meta["data_fingerprint"]) == 64


def test_a_folder_without_an_experiment(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No experiment in .* there is no config\.json"):
        load_results(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RecordError, match=r"config.json: not JSON"):
        load_results(tmp_path)


def test_an_experiment_that_has_not_begun_has_an_empty_table(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"config": fast_config().to_dict()}))
    assert load_results(tmp_path).empty
