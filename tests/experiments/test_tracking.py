"""Callbacks see every round once, wherever it is computed; MLflow and TensorBoard get them."""

import doctest
import sys
import threading
import warnings

import pytest

from al_tf.errors import RunFailedError
from al_tf.experiments import FinishedRound, load_records, run_experiment, trackers
from al_tf.experiments.trackers import MLflowTracker, TensorBoardTracker, make_tracker

from ..test_cli import FAST, al_tf  # noqa: F401  # a fixture
from .helpers import fast_config, numbers

ROUNDS = [(s, seed, r) for s in ("random", "margin") for seed in (0, 1) for r in range(3)]


def key(done):
    return tuple(done.record[name] for name in ("strategy", "seed", "round"))


class Collector:
    """Keep what a callback is called with."""

    def __init__(self):
        self.seen, self.earlier, self.threads = [], [], set()

    def __call__(self, done):
        self.seen.append(done)
        self.threads.add(threading.current_thread())

    def catch_up(self, rounds):
        assert not self.seen
        self.earlier += rounds


def run(folder, jobs=0, rounds=2, **settings):
    settings = {"on_round": settings.pop("on_round", ())} | {"progress": False, "jobs": jobs}
    return run_experiment(fast_config(rounds=rounds), folder, **settings)


@pytest.mark.parametrize("jobs", [0, 2])
def test_a_callback_sees_every_round_of_any_process_once_and_in_order(tmp_path, jobs):
    collector = Collector()
    run(tmp_path / "study", jobs, on_round=collector)
    assert sorted(map(key, collector.seen)) == sorted(ROUNDS)
    for name in ("random-seed0", "margin-seed1"):
        of_run = [done for done in collector.seen if done.run == name]
        assert [done.record["round"] for done in of_run] == [0, 1, 2]
        assert [done.is_last for done in of_run] == [False, False, True]
    first = collector.seen[0]
    assert (first.study, first.config) == ("study", fast_config(rounds=2))
    assert first.meta["data_fingerprint"]
    recorded = load_records(tmp_path / "study")
    for done in collector.seen:
        row = recorded.query(
            "strategy == @done.record['strategy'] and seed == @done.record['seed']"
        )
        assert dict(done.record)["accuracy"] == row["accuracy"].iloc[done.record["round"]]


def test_a_function_is_a_callback_and_several_are_called(tmp_path):
    seen, collector = [], Collector()
    run(tmp_path, on_round=[seen.append, collector])
    assert seen == collector.seen
    assert isinstance(seen[0], FinishedRound)


def test_rounds_of_earlier_calls_are_given_to_those_who_ask_and_to_no_one_else(tmp_path):
    run(tmp_path, rounds=1)
    collector, seen = Collector(), []
    run(tmp_path, on_round=[collector, seen.append])
    assert sorted(map(key, collector.earlier)) == [k for k in sorted(ROUNDS) if k[2] < 2]
    assert sorted(map(key, collector.seen)) == [k for k in sorted(ROUNDS) if k[2] == 2]
    assert seen == collector.seen
    again = Collector()
    run(tmp_path, on_round=again)
    assert (len(again.earlier), again.seen) == (len(ROUNDS), [])


def test_a_callback_that_raises_is_named_once_and_costs_no_record(tmp_path):
    calls, other = [], Collector()

    def breaks(done):
        calls.append(done)
        raise OSError("the server is gone")

    with pytest.warns(
        UserWarning, match=r"breaks failed at random-seed0, round 0.*server"
    ) as caught:
        run(tmp_path / "tracked", on_round=[breaks, other])
    assert (len(calls), len(caught)) == (1, 1)
    assert "all records are kept" in str(caught[0].message)
    assert len(other.seen) == len(ROUNDS)
    run(tmp_path / "plain")
    assert numbers(tmp_path / "tracked").equals(numbers(tmp_path / "plain"))


def test_a_callback_that_cannot_catch_up_is_not_called_any_more(tmp_path):
    class Broken(Collector):
        def catch_up(self, rounds):
            raise ValueError("no room")

    run(tmp_path, rounds=1)
    broken = Broken()
    with pytest.warns(UserWarning, match="Broken failed at the rounds recorded before"):
        run(tmp_path, on_round=broken)
    assert broken.seen == []


def test_what_was_recorded_before_a_failure_is_seen(tmp_path):
    collector = Collector()
    config = fast_config(strategies="fails_late", rounds=4, seeds=1)
    with pytest.raises(RunFailedError):
        run_experiment(config, tmp_path, jobs=0, progress=False, on_round=collector)
    assert [d.record["round"] for d in collector.seen if d.run == "fails_late-seed0"] == [0, 1, 2]


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_package_that_is_missing_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'al-tf\[{name}\]'"):
        make_tracker(name)


def test_an_unknown_tracker_is_refused():
    with pytest.raises(
        ValueError, match=r"Unknown tracker 'wandb'\. Expected one of: 'mlflow', 'te"
    ):
        make_tracker("wandb")


def need(package):
    return pytest.importorskip(
        package, reason=f"{package} is not installed: `make test-tracking` installs and tests it"
    )


@pytest.fixture
def mlflow(monkeypatch):
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        return need("mlflow")


def mlflow_runs(tracker, study="study"):
    experiment = tracker.client.get_experiment_by_name(study)
    runs = tracker.client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in runs}


def test_mlflow_has_every_round_at_its_number_of_labels(mlflow, tmp_path):
    tracker = make_tracker("mlflow", tmp_path / "logs")
    results = run(tmp_path / "study", jobs=2, on_round=tracker)
    runs = mlflow_runs(tracker)
    assert sorted(runs) == ["margin-seed0", "margin-seed1", "random-seed0", "random-seed1"]
    for (strategy, seed), own in results.groupby(["strategy", "seed"]):
        logged = runs[f"{strategy}-seed{seed}"]
        history = tracker.client.get_metric_history(logged.info.run_id, "accuracy")
        curve = [(metric.step, metric.value) for metric in history]
        assert curve == list(zip(own["n_labeled"], own["accuracy"], strict=True))
        assert {"f1_macro", "seconds_fit", "n_labeled"} <= set(logged.data.metrics)
        assert logged.data.params["strategy"] == strategy
        assert logged.data.params["seed"] == str(seed)
        assert logged.data.params["model_params"] == '{"max_iter": 15}'
        assert logged.info.status == "FINISHED"
    assert (tmp_path / "logs" / "mlflow.db").exists()


def test_mlflow_goes_on_where_it_stopped(mlflow, tmp_path):
    run(tmp_path / "study", rounds=1)  # not tracked
    for rounds in (1, 2, 2):
        tracker = make_tracker("mlflow", tmp_path / "logs")
        run(tmp_path / "study", rounds=rounds, on_round=tracker)
    runs = mlflow_runs(tracker)
    assert len(runs) == 4
    for logged in runs.values():
        history = tracker.client.get_metric_history(logged.info.run_id, "f1_macro")
        assert [metric.step for metric in history] == [30, 40, 50]


def test_another_study_of_the_same_name_has_runs_of_its_own_in_mlflow(mlflow, tmp_path):
    for place in ("a", "b"):
        config = fast_config(rounds=1, seeds=1, initial=20 if place == "a" else 25)
        tracker = make_tracker("mlflow", tmp_path / "logs")
        tracker_of = {"on_round": lambda done, t=tracker, p=place: t(began(done, p))}
        run_experiment(config, tmp_path / place / "study", jobs=0, progress=False, **tracker_of)
    experiment = tracker.client.get_experiment_by_name("study")
    assert len(tracker.client.search_runs([experiment.experiment_id])) == 4


def began(done, when):
    return FinishedRound(done.study, done.config, {**done.meta, "began": when}, done.record)


@pytest.fixture
def scalars(monkeypatch):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    need("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read(folder, name):
        events = EventAccumulator(str(folder)).Reload()
        return [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(name)]

    return read


def test_tensorboard_has_every_round_at_its_number_of_labels(scalars, tmp_path):
    results = run(tmp_path / "study", jobs=2, on_round=TensorBoardTracker(tmp_path / "logs"))
    for (strategy, seed), own in results.groupby(["strategy", "seed"]):
        (folder,) = tmp_path.glob(f"logs/study/*/{strategy}-seed{seed}")
        curve = scalars(folder, "accuracy")
        assert [step for step, _ in curve] == list(own["n_labeled"])
        assert [value for _, value in curve] == pytest.approx(list(own["accuracy"]))
        assert len(scalars(folder, "seconds_fit")) == 3


def test_tensorboard_goes_on_where_it_stopped(scalars, tmp_path):
    run(tmp_path / "study", rounds=1)  # not tracked
    for rounds in (1, 2, 2):
        tracker = make_tracker("tensorboard", tmp_path / "logs")
        run(tmp_path / "study", rounds=rounds, on_round=tracker)
    folders = list(tmp_path.glob("logs/study/*/*"))
    assert len(folders) == 4
    for folder in folders:
        # Files begun in one second are read in the order of their names, not of their rounds.
        assert sorted(step for step, _ in scalars(folder, "f1_macro")) == [30, 40, 50]


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_the_command_line_tracks_and_says_how_to_look(al_tf, mlflow, scalars, tmp_path, name):  # noqa: F811
    options = ["--track", name, "--track-dir", tmp_path / "logs"]
    code, out, err = al_tf("run", *FAST, "--out", tmp_path / "demo", *options)
    assert code == 0, err
    assert f"Logged to {name}. See it: {name}" in out
    assert str(tmp_path / "logs") in out
    assert list((tmp_path / "logs").rglob("mlflow.db" if name == "mlflow" else "events.out.*"))


def test_a_folder_without_a_tracker_is_a_mistake(al_tf, tmp_path):  # noqa: F811
    code, _, err = al_tf("run", *FAST, "--out", tmp_path / "demo", "--track-dir", tmp_path)
    assert code == 2
    assert "--track-dir needs --track mlflow or --track tensorboard." in err


@pytest.mark.parametrize("tracker", [MLflowTracker, TensorBoardTracker])
def test_the_examples_of_trackers_run(mlflow, scalars, tracker):
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    (example,) = finder.find(tracker, globs=vars(trackers).copy())
    assert runner.run(example) == doctest.TestResults(0, len(example.examples))
