"""Altered inputs end in a result or in an error of ours, within bounds of time and memory."""

import resource
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.damage import alterations

SECONDS, MEBIBYTES = 5, 600

pytestmark = pytest.mark.filterwarnings("ignore:.*only half written")


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


NAMES = ["idx", "cifar", "image", "archive", "payload", "image_folder", "label_table", "run_records",
         "packed_records", "study", "study_of_the_form_before", "profile", "ledger", "label_studio", "model_notes"]  # fmt: skip


def test_every_target_is_tried(starts):
    assert [target.__name__ for target in starts] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_good_and_nasty_inputs(name, starts, tmp_path):
    for data in starts[getattr(targets, name)]:
        attempt(getattr(targets, name), data, tmp_path)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:::PIL", "ignore:.*left out", "ignore:An image of 16 bits")
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
