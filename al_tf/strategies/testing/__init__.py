"""The conformance kit, which tells whether a function keeps the contract of a query strategy.

A test of your own strategy is one line::

    from al_tf.strategies.testing import check_strategy

    def test_my_strategy():
        check_strategy(my_strategy, needs=("probabilities",))

`check_strategy` runs every function of `CHECKS` on generated pools. On the first failure it raises
`StrategyCheckError` with the name of the check and the case. It needs hypothesis
(``pip install "al-tf[testing]"``) but no TensorFlow: strategies query a `FakeClassifier`.

Two properties are given by the author, and each replaces one check by another:

- ``stochastic``: under one seed, a reordered pool may give other images (``random``, and ``bald``,
  whose dropout masks depend on the position). Checked instead: over many seeds, every image is
  chosen equally often wherever it stands in the pool. A strategy that sees the images can draw at
  random without being stochastic in this sense: it draws after sorting the images by their
  content, as ``badge`` does.
- ``sequential``: a score is the value at the moment of choice, so scores need not descend.

In this package: ``kit`` runs the checks; ``checks`` holds them, one function each; ``cases`` are
the generated situations; ``subject`` is the strategy under test; ``answers`` checks the form of
what it returns; ``fakes`` and ``spies`` are the classifiers.
"""

from .answers import StrategyCheckError
from .checks import CHECKS
from .fakes import FakeClassifier, FakeCommittee, FakeLearner
from .kit import check_strategy

__all__ = [
    "CHECKS",
    "FakeClassifier",
    "FakeCommittee",
    "FakeLearner",
    "StrategyCheckError",
    "check_strategy",
]
