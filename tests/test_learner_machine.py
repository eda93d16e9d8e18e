"""The learner as a state machine: whatever is done to it, no image is lost, doubled or mislabeled."""

import pickle

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sklearn.linear_model import SGDClassifier

from al_tf import ActiveLearner, get_strategy


class Unreliable(SGDClassifier):
    """Fits unless it is told to be out of order."""

    broken = False

    def fit(self, X, y, **kwargs):
        if Unreliable.broken:
            raise RuntimeError("out of order")
        return super().fit(X[:, 1:], y, **kwargs)

    def predict_proba(self, X):
        return super().predict_proba(X[:, 1:])


class Work(RuleBasedStateMachine):
    """Column 0 of an image is its number, by which it is followed."""

    @initialize(n=st.integers(4, 40), start=st.integers(2, 4), seed=st.integers(0, 99))
    def begin(self, n, start, seed):
        rng = np.random.default_rng(seed)
        features = rng.standard_normal((n, 3))
        self.images = np.column_stack([np.arange(n), features])
        self.labels = np.where(features[:, 0] > 0, "cat", "dog")
        self.labels[:2] = "cat", "dog"
        self.pool = np.arange(start, n)
        self.learner = ActiveLearner(
            Unreliable(loss="log_loss", random_state=seed),
            get_strategy("margin"),
            self.images[:start],
            self.labels[:start],
        )

    def ask(self, share, seed):
        k = max(1, round(share * len(self.pool)))
        asked, images = self.learner.query(self.images[self.pool], n_instances=k, random_state=seed)
        ids = self.pool[asked]
        assert (images[:, 0] == ids).all()
        return ids

    @precondition(lambda self: len(self.pool))
    @rule(share=st.floats(0, 1), seed=st.integers(0, 9))
    def query_and_teach(self, share, seed):
        ids = self.ask(share, seed)
        self.learner.teach(self.images[ids], self.labels[ids])
        self.pool = np.setdiff1d(self.pool, ids)

    @precondition(lambda self: len(self.pool))
    @rule(seed=st.integers(0, 9))
    def ask_twice(self, seed):
        assert (self.ask(0.5, seed) == self.ask(0.5, seed)).all()

    @rule()
    def save_and_load(self):
        self.learner = pickle.loads(pickle.dumps(self.learner))

    @precondition(lambda self: len(self.pool))
    @rule(seed=st.integers(0, 9))
    def die_while_fitting(self, seed):
        """A fit that fails keeps what was labeled; a process killed there goes on from the copy."""
        saved = pickle.dumps(self.learner)
        ids = self.ask(0.3, seed)
        Unreliable.broken = True
        try:
            with pytest.raises(RuntimeError, match="out of order"):
                self.learner.teach(self.images[ids], self.labels[ids])
        finally:
            Unreliable.broken = False
        taught = set(self.learner.X_training[:, 0].astype(int))
        assert taught in (self.labeled_then, self.labeled_then | set(ids.tolist()))
        self.learner = pickle.loads(saved)

    @precondition(lambda self: len(self.pool))
    @rule()
    def wrong_shape(self):
        with pytest.raises(ValueError, match=r"."):
            self.learner.teach(self.images[self.pool[:1], :2], self.labels[self.pool[:1]])

    @property
    def labeled_then(self):
        return set(range(len(self.images))) - set(self.pool.tolist())

    @invariant()
    def labeled_and_pool_are_the_whole(self):
        if not hasattr(self, "learner"):
            return
        ids = self.learner.X_training[:, 0].astype(int)
        assert len(set(ids)) == len(ids)
        assert set(ids) == self.labeled_then
        assert (self.learner.y_training == self.labels[ids]).all()


TestWork = Work.TestCase
TestWork.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
