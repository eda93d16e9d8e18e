"""Ctrl-C in each phase of a round: the round is lost, what was recorded stays, the same call ends alike."""

import pandas as pd
import pytest

from al_tf.experiments import load_results, loop, run_experiment

from .helpers import fast_config, numbers

pytestmark = pytest.mark.slow

CONFIG = fast_config(seeds=1)
PHASES = {
    "query": "query",
    "fit and evaluate": "_learn",
    "evaluate": "_evaluate",
    "checkpoint": "write_atomically",
    "record": "append_record",
    "clean up": "_remove_checkpoints_before",
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp("undisturbed")
    run_experiment(CONFIG, out_dir, jobs=0, progress=False)
    return out_dir


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 4, 7])
@pytest.mark.parametrize("phase", PHASES)
def test_interrupted_in(phase, call, when, undisturbed, tmp_path, monkeypatch):
    original, calls = getattr(loop, PHASES[phase]), []

    def interrupted(*args, **kwargs):
        calls.append(phase)
        if when == "before" and len(calls) == call:
            raise KeyboardInterrupt
        answer = original(*args, **kwargs)
        if when == "after" and len(calls) == call:
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(loop, PHASES[phase], interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_experiment(CONFIG, tmp_path, jobs=0, progress=False)
    kept = load_results(tmp_path)
    run_experiment(CONFIG, tmp_path, jobs=0, progress=False)
    pd.testing.assert_frame_equal(numbers(tmp_path), numbers(undisturbed))
    whole = load_results(tmp_path).set_index(["strategy", "seed", "round"])
    assert len(kept) < len(whole)
    if len(kept):  # not computed again: even the seconds are those of then
        kept = kept.set_index(["strategy", "seed", "round"])
        pd.testing.assert_frame_equal(whole.loc[kept.index], kept)
    assert not list(tmp_path.rglob(".tmp-*"))
