"""The logic of the benchmarks' harness; nothing here is timed."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def _importable():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def harness(tmp_path, monkeypatch):
    import _harness

    monkeypatch.setattr(_harness, "RESULTS", tmp_path / "results")
    return _harness


def counted(order, name, values):
    remaining = iter(values)
    return lambda: order.append(name) or {"seconds": next(remaining)}


def test_cases_take_turns_and_the_order_is_reversed(harness):
    order = []
    cases = {"a": counted(order, "a", [3, 1, 2]), "b": counted(order, "b", [30, 10, 20])}
    found = harness.interleaved(cases, 3, show=lambda text: None)
    assert "".join(order) == "abbaab"
    assert found == {"a": {"seconds": [3, 1, 2]}, "b": {"seconds": [30, 10, 20]}}


def test_medians_keep_every_value(harness):
    rows = harness.medians({"a": {"seconds": [9.0, 1.0, 2.0]}})
    assert rows == [{"case": "a", "seconds": 2.0, "values": {"seconds": [9.0, 1.0, 2.0]}}]


def test_table_aligns_and_marks_what_is_missing(harness):
    lines = harness.table(
        [{"case": "a", "n": 1_234_567.0}, {"case": "longer", "n": None}], {"case": "", "n": "n"}
    ).splitlines()
    assert lines[2].split() == ["a", "1,234,567"]
    assert lines[3].split() == ["longer", "-"]
    assert len({len(line) for line in lines}) == 1


def test_results_say_on_what_they_were_measured(harness):
    facts = harness.machine()
    path = harness.write("demo", "nothing at all", [{"case": "a", "seconds": 1 / 3}], facts, n=7)
    content = json.loads(path.read_text())
    assert content["machine"]["cores"] >= 1
    assert content["versions"]["numpy"]
    assert content["n"] == 7
    assert content["rows"] == [{"case": "a", "seconds": 0.33333}]


def test_picture_of_rows_without_a_value_is_drawn(harness):
    rows = [
        {"case": "al_tf", "seconds": 1.0, "values": {"seconds": [1.0]}},
        {"case": "peer", "seconds": None, "values": {}},
    ]
    assert harness.bars("demo", "t", {"g": rows}, "seconds", "s").stat().st_size > 1000


def script(folder, text):
    path = folder / "side.py"
    path.write_text(text)
    return path


def test_a_side_answers_in_its_last_line(harness, tmp_path):
    text = "import json, sys; print('noise'); print(json.dumps({'said': sys.argv[1]}))"
    assert harness.isolated(script(tmp_path, text), "word").answer == {"said": "word"}


def test_a_side_that_fails_shows_its_error(harness, tmp_path):
    with pytest.raises(RuntimeError, match="KeyError: 'gone'"):
        harness.isolated(script(tmp_path, "{}['gone']"))


def test_peak_memory_counts_children(harness, tmp_path):
    child = "import time; x = b'x' * 300_000_000; time.sleep(1)"
    text = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('{{}}')"
    )
    assert harness.isolated(script(tmp_path, text)).peak_bytes > 300e6


def test_flops_of_a_convolution_and_a_dense_layer(harness):
    def layer(kernel, output):
        shape = SimpleNamespace(shape=kernel)
        return SimpleNamespace(kernel=shape, output=SimpleNamespace(shape=output))

    layers = [layer((3, 3, 1, 32), (None, 28, 28, 32)), layer((576, 128), (None, 128)), object()]
    expected = 2 * 28 * 28 * 9 * 32 + 2 * 576 * 128
    assert harness.flops_per_image(SimpleNamespace(layers=layers)) == expected


def test_a_missing_peer_is_skipped_with_the_remedy(harness, tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    with pytest.raises(harness.Skipped, match="make bench-peers"):
        harness.peer_python("scikeras")


def test_ratios_are_to_the_last_row(harness):
    import loop

    rows = loop.compared([{"case": "al_tf", "s": 3.0}, {"case": "peer", "s": 4.0}], "s")
    assert [row["ratio"] for row in rows] == [0.75, 1.0]


class TestRunAll:
    @pytest.fixture
    def run_all(self, harness, monkeypatch):
        import run_all

        def skip(options):
            raise harness.Skipped("no such data")

        def fail(options):
            raise ZeroDivisionError

        self.given = []
        modules = {"startup": self.given.append, "loop": skip, "scale": fail}
        load = lambda name: SimpleNamespace(main=modules[name])  # noqa: E731
        monkeypatch.setattr(run_all.importlib, "import_module", load)
        return run_all

    def test_a_skipped_benchmark_is_said_aloud_and_is_no_failure(self, run_all, capsys):
        assert run_all.main(["--quick", "--only", "loop,startup"]) == 0
        assert self.given == [["--quick"]]
        assert "SKIPPED loop: no such data" in capsys.readouterr().out

    def test_a_failure_does_not_stop_the_others_but_is_reported(self, run_all, capsys):
        assert run_all.main(["--only", "scale,startup"]) == 1
        assert self.given == [[]]
        captured = capsys.readouterr()
        assert "ZeroDivisionError" in captured.err
        assert "FAILED" in captured.out

    def test_an_unknown_name_is_refused(self, run_all, capsys):
        with pytest.raises(SystemExit):
            run_all.main(["--only", "loop,lop"])
        assert "no benchmark lop" in capsys.readouterr().err


def test_wide_measurements_are_kept_for_the_same_code(harness, tmp_path, monkeypatch):
    import strategies

    path = tmp_path / "results" / "kept.jsonl"
    assert strategies.read_kept(path) == {}
    cell = ("margin", 10_000, 100, "al_tf")
    strategies.keep(path, 0, cell, {"seconds": 1.5})
    assert strategies.read_kept(path) == {(0, cell): {"seconds": 1.5}}
    monkeypatch.setattr(strategies, "code_version", lambda: "another")
    assert strategies.read_kept(path) == {}


def test_a_million_rows_are_for_the_strategies_that_claim_them(harness):
    import strategies

    from al_tf.strategies import strategy_info

    args = strategies.parsed(["--million"])
    assert args.pools == [1_000_000]
    cells = strategies.cells(args)
    assert {side for _, _, _, side in cells} == {"al_tf"}
    assert {"max_herding", "margin"} <= {name for name, _, _, _ in cells}
    assert all(strategy_info(name).large_pools for name, _, _, _ in cells)
