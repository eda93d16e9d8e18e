"""Altered inputs end in a result or in an error of ours, within bounds of time and memory."""

import resource
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets

SECONDS, MEBIBYTES = 5, 600


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    return targets.seeds(tmp_path_factory.mktemp("seeds"))


def attempt(target, data, folder):
    start = time.perf_counter()
    try:
        target(data, folder)
    except Exception as error:
        if not targets.allowed(error) or not str(error):
            raise
    assert time.perf_counter() - start < SECONDS


NAMES = ["idx", "cifar", "image", "archive", "payload", "image_folder", "run_records", "run_config",
         "profile", "ledger", "label_studio", "model_notes"]  # fmt: skip


def test_every_target_is_tried(starts):
    assert [target.__name__ for target in starts] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_good_and_nasty_inputs(name, starts, tmp_path):
    for data in starts[getattr(targets, name)]:
        attempt(getattr(targets, name), data, tmp_path)


@st.composite
def alterations(draw):
    """Return a function that damages bytes: flips, cuts, repeats, inserts, truncates."""
    where = draw(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=4))
    kinds = draw(st.lists(st.sampled_from(["flip", "cut", "repeat", "insert", "truncate"]),
                          min_size=len(where), max_size=len(where)))  # fmt: skip
    what = draw(st.binary(min_size=1, max_size=8))

    def alter(data):
        for place, kind in zip(where, kinds, strict=True):
            i = int(place * len(data))
            if kind == "flip":
                data = data[:i] + what[:1] + data[i + 1 :]
            elif kind == "cut":
                data = data[:i] + data[i + len(what) :]
            elif kind == "repeat":
                data = data[:i] + data[max(0, i - 50) : i] * 3 + data[i:]
            elif kind == "insert":
                data = data[:i] + what + data[i:]
            else:
                data = data[:i]
        return data

    return alter


@pytest.mark.parametrize("name", NAMES)
def test_altered_inputs(name, starts, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    inputs = [data for data in starts[getattr(targets, name)] if len(data) < 10**5] or [b""]

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(inputs), alterations())
    def run(data, alter):
        attempt(getattr(targets, name), alter(data), tmp_path)

    run()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < MEBIBYTES
