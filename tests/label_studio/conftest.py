"""A real Label Studio, from an environment of its own; without it these tests are skipped.

With ``AL_TF_REQUIRE_LABEL_STUDIO=1`` (`make test-label-studio`) they fail in place of being skipped.
"""

import os
from pathlib import Path

import pytest

from .studio import initialized_folder, running

ENVIRONMENT = Path(__file__).parents[2] / ".venv-label-studio"


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/label_studio/" in item.path.as_posix():
            item.add_marker("label_studio")


@pytest.fixture(scope="session")
def program():
    place = Path(os.environ.get("AL_TF_LABEL_STUDIO", ENVIRONMENT / "bin" / "label-studio"))
    if not place.exists():
        text = f"Label Studio is missing at {place}: see `make test-label-studio`"
        if os.environ.get("AL_TF_REQUIRE_LABEL_STUDIO"):
            pytest.fail(text)
        pytest.skip(text)
    return place


@pytest.fixture(scope="session")
def initialized(program):
    return initialized_folder(program)


@pytest.fixture(scope="session")
def documents(tmp_path_factory):
    """What Label Studio may show of this disk."""
    return tmp_path_factory.mktemp("documents").resolve()


@pytest.fixture(scope="session")
def studio(program, initialized, documents, tmp_path_factory):
    with running(program, initialized, tmp_path_factory.mktemp("studio"), documents) as studio:
        yield studio
