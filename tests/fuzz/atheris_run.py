"""Fuzz one reader with coverage feedback: ``make fuzz TARGET=idx SECONDS=60``.

    python -m tests.fuzz.atheris_run TARGET [libFuzzer options]

Needs atheris. An input that ends in a foreign exception is left as ``crash-…`` in the current folder.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["al_tf"]):
    from tests.fuzz import targets


def main():
    name, options = sys.argv[1], sys.argv[2:]
    target = getattr(targets, name)
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as corpus:
        folder = Path(scratch)
        for number, data in enumerate(targets.seeds(folder)[target]):
            if len(data) < 10**5:
                (Path(corpus) / str(number)).write_bytes(data)

        def one(data):
            try:
                target(data, folder)
            except Exception as error:
                if not targets.allowed(error):
                    raise

        atheris.Setup([sys.argv[0], corpus, *options], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
