"""Progress bars: drawn where somebody watches, a few lines in a log."""

import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from al_tf import ExperimentConfig, run_experiment
from al_tf.progress import LogLines, progress_bar


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when a test says so."""
    clock = SimpleNamespace(now=1_000.0)
    monkeypatch.setattr("al_tf.progress.monotonic", lambda: clock.now)
    return clock


def walk(bar, clock, steps, seconds):
    with bar:
        for _ in range(steps):
            clock.now += seconds
            bar.update()


class TestLog:
    def test_a_line_now_and_then_and_the_last(self, clock, capsys):
        walk(progress_bar(total=95, desc="Reading", unit="file"), clock, 95, 1.0)
        lines = capsys.readouterr().err.splitlines()
        assert [re.search(r"(\d+)/95", line)[1] for line in lines] == ["30", "60", "90", "95"]
        assert lines[0].startswith("Reading:  32%|")
        assert "[00:30<01:05," in lines[0]

    def test_the_last_line_is_not_repeated(self, clock, capsys):
        walk(progress_bar(total=30), clock, 30, 1.0)
        assert len(capsys.readouterr().err.splitlines()) == 1

    def test_what_is_short_leaves_no_line(self, clock, capsys):
        walk(progress_bar(total=29), clock, 29, 1.0)
        assert capsys.readouterr().err == ""

    def test_slow_steps_take_a_line_each(self, clock, capsys):
        walk(progress_bar(total=4, initial=2, unit="round"), clock, 2, 600.0)
        lines = capsys.readouterr().err.splitlines()
        assert ["3/4" in lines[0], "4/4" in lines[1], len(lines)] == [True, True, 2]

    def test_an_error_in_the_middle_leaves_how_far_it_came(self, clock, capsys):
        def items():
            for item in range(40):
                clock.now += 1
                yield item
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            list(progress_bar(items(), total=100))
        assert [line[:3] for line in capsys.readouterr().err.splitlines()] == [" 30", " 40"]

    @pytest.mark.parametrize("items", [[3, 1, 2], np.array([3, 1, 2]), iter([3, 1, 2])], ids=type)
    def test_items_are_counted_as_they_pass(self, clock, capsys, items):
        bar = progress_bar(items, desc="Decoding", unit="image")
        assert [(item, setattr(clock, "now", clock.now + 40))[0] for item in bar] == [3, 1, 2]
        assert len(capsys.readouterr().err.splitlines()) == 3

    def test_bytes_without_a_total(self, clock, capsys):
        with progress_bar(desc="archive", unit="B", unit_scale=True) as bar:
            clock.now += 30
            bar.update(5_000_000)
        assert capsys.readouterr().err == "archive: 5.00MB [00:30, 167kB/s]\n"

    def test_none_is_shown_however_long_it_takes(self, clock, capsys):
        walk(progress_bar(total=3, shown=False, delay=1, leave=False), clock, 3, 1e6)
        assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestDrawn:
    def test_in_a_terminal(self, monkeypatch):
        monkeypatch.setattr(sys, "stderr", Terminal())
        with progress_bar(total=2, desc="Reading") as bar:
            bar.update(2)
        assert re.search(r"\rReading: 100%\|.*\| 2/2 \[", sys.stderr.getvalue())

    def test_in_a_notebook_whose_errors_go_to_no_terminal(self, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", SimpleNamespace())
        with progress_bar([1, 2]) as bar:
            assert not isinstance(bar, LogLines)
        assert "\r" in capsys.readouterr().err

    def test_none_where_there_is_no_standard_error(self, monkeypatch):
        monkeypatch.setattr(sys, "stderr", None)
        assert list(progress_bar([1, 2])) == [1, 2]


def test_an_experiment_in_a_log_is_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("al_tf.progress.SECONDS_BETWEEN_LINES", 0.0)
    config = ExperimentConfig(
        strategies="margin", model="logistic", seeds=1, initial=30, batch=10, rounds=1
    )
    run_experiment(config, tmp_path / "demo", jobs=0)
    shown = capsys.readouterr().err
    assert "\r" not in shown
    assert re.fullmatch(r"(demo: .*\d/4 .*\n)*demo: 100%.* 4/4 .*\n", shown)
