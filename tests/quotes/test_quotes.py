"""Numbers in texts are those of the committed files; how to read a failure is said in ``quotes/``."""

import pytest

from tests.quotes import ROOT, benchmark_tables, measurements, studies

PAGES = studies.PAGES | measurements.PAGES | benchmark_tables.PAGES


def in_one_line(text):
    return " ".join(text.split())


@pytest.mark.parametrize("page", PAGES)
def test_numbers_are_those_of_the_files(page):
    text = in_one_line((ROOT / page).read_text())
    sentences = [in_one_line(sentence) for sentence in PAGES[page]()]
    missing = [sentence for sentence in sentences if text.count(sentence) != 1]
    assert not missing, "\n".join(["What the page should hold, once:", *missing])
