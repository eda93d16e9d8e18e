"""scikit-learn's own estimator checks, on a small dense network."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from al_tf import KerasImageClassifier

from .networks import build_mlp

pytestmark = [
    pytest.mark.keras,
    # one of the checks fits a single class
    pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1:UserWarning"),
    pytest.mark.filterwarnings("ignore:In loss categorical_crossentropy:SyntaxWarning"),
]

CLASSIFIER = KerasImageClassifier(
    build_mlp, epochs=60, min_steps=100, model_params={"learning_rate": 0.02}, random_state=0
)


EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "a repeated image changes the batches of "
    "stochastic gradient descent, a weight does not",
}


@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(CLASSIFIER, expected_failed_checks=EXPECTED, mark="xfail")),
    ids=lambda value: getattr(getattr(value, "func", None), "__name__", "classifier"),
)  # scikit-learn's own parametrization has ids with addresses, which differ between processes
def test_estimator_check(estimator, check):
    check(estimator)
