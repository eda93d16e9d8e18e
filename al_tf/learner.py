"""modAL's `ActiveLearner` and `Committee`, mended: drop-in replacements for current scikit-learn.

What differs from modAL 0.4.2.1:

- the query strategy runs exactly once, and its exceptions are passed on;
- fit arguments given to the constructor hold for every later fit;
- new labels are checked without the argument that scikit-learn 1.8 removed, and a label that the
  estimator refuses does not stay in the training set;
- a learner can be printed;
- bootstrap draws come from the learner's own generator, not from numpy's global one;
- data frames can be taught, and committees vote with string labels;
- images of another scale than those of the labeled set (floats in [0, 1] beside uint8) are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import modAL.models
import numpy as np
import scipy.sparse as sp
from modAL.disagreement import vote_entropy_sampling
from modAL.uncertainty import uncertainty_sampling
from sklearn.utils import check_array, check_consistent_length

from .network.rows import (
    append_rows,
    count_rows,
    match_known_scale,
    one_label_per_row,
    take_rows,
    with_rows,
)
from .seeding import RandomState, check_random_state


class _Shared:
    """The query and the printed form, which the learner and the committee have in common."""

    query_strategy: Callable[..., Any]

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        """Name the estimator, the strategy and the number of labels, not the labeled set itself."""
        strategy = getattr(self.query_strategy, "__name__", repr(self.query_strategy))
        return f"{type(self).__name__}({self._contents()}, {strategy})"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self)}

    def _contents(self) -> str:
        raise NotImplementedError

    def query(
        self, X_pool: Any, *query_args: Any, return_metrics: bool = False, **query_kwargs: Any
    ) -> tuple[Any, ...]:
        """Ask the query strategy which images of the pool to label.

        Parameters
        ----------
        X_pool : array-like (n, …)
            The unlabeled pool.
        *query_args, **query_kwargs
            Passed to the strategy: ``n_instances=k`` and ``random_state=…`` among them.
        return_metrics : bool
            Also return the strategy's scores.

        Returns
        -------
        indices : ndarray of int (k,)
            Rows of `X_pool`, best first.
        X : array (k, …)
            ``X_pool[indices]``.
        scores : ndarray of float (k,) or None
            Only with ``return_metrics=True``; None if the strategy gives none.

        Raises
        ------
        ValueError
            For an empty pool. Whatever the strategy raises is passed on.
        """
        X_pool = with_rows(X_pool)
        if count_rows(X_pool) == 0:
            raise ValueError("The pool is empty: there is nothing left to query.")
        result = self.query_strategy(self, X_pool, *query_args, **query_kwargs)
        # A pair of arrays is (indices, scores); anything else, a pair of bare integers too,
        # is indices alone.
        has_scores = isinstance(result, tuple) and len(result) == 2 and np.ndim(result[0]) > 0
        indices, scores = result if has_scores else (np.asarray(result), None)
        rows = take_rows(X_pool, indices)
        return (indices, rows, scores) if return_metrics else (indices, rows)


class ActiveLearner(_Shared, modAL.models.ActiveLearner):
    """An estimator, its labeled set and a query strategy.

    Parameters
    ----------
    estimator : scikit-learn estimator
        `KerasImageClassifier`, or any other with ``fit`` and ``predict_proba``.
    query_strategy : callable
        ``strategy(learner, X_pool, …)`` returning indices, or indices and scores: one of
        `al_tf.get_strategy`, of modAL, or your own.
    X_training, y_training : array-like, optional
        The first labeled set. If given, the estimator is fitted to it at once.
    bootstrap_init : bool
        Fit the first time on a bootstrap sample of the labeled set.
    on_transformed : bool
        modAL's own strategies measure distances after the pipeline's transformers.
    force_all_finite : bool
        Refuse NaN and infinity in new images and labels.
    random_state : int, Generator, RandomState or None
        Seeds the bootstrap draws.
    **fit_kwargs
        Passed to every ``estimator.fit``, the later ones too; ``teach`` may override them.

    Attributes
    ----------
    X_training, y_training : array
        The labeled set so far.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from al_tf import ActiveLearner, get_strategy, load_dataset
    >>> digits = load_dataset("digits")
    >>> x, y = digits.x_train.reshape(-1, 64) / 255, digits.y_train
    >>> learner = ActiveLearner(LogisticRegression(), get_strategy("margin"), x[:50], y[:50])
    >>> pool = np.arange(50, len(x))
    >>> chosen, images = learner.query(x[pool], n_instances=10, random_state=0)
    >>> learner.teach(images, y[pool[chosen]])  # where a person would answer
    >>> len(learner.X_training)
    60
    """

    X_training: Any
    y_training: Any

    def __init__(
        self,
        estimator: Any,
        query_strategy: Callable[..., Any] = uncertainty_sampling,
        X_training: Any = None,
        y_training: Any = None,
        bootstrap_init: bool = False,
        on_transformed: bool = False,
        force_all_finite: bool = True,
        random_state: RandomState = None,
        **fit_kwargs: Any,
    ) -> None:
        if not callable(query_strategy):
            raise TypeError(f"query_strategy must be callable; got {query_strategy!r}.")
        if (X_training is None) != (y_training is None):
            raise ValueError("Give X_training and y_training together, or neither.")
        self.fit_kwargs = fit_kwargs
        self.bootstrap_init = bootstrap_init
        self.random_state = random_state
        self._rng = check_random_state(random_state)
        super().__init__(estimator, query_strategy, on_transformed=on_transformed)
        self.force_all_finite = force_all_finite
        if X_training is not None:
            self.fit(X_training, y_training, bootstrap=bootstrap_init)

    def fit(self, X: Any, y: Any, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        """Replace the labeled set by `X` and `y`, and fit the estimator.

        Parameters
        ----------
        X : array-like (n, …)
        y : array-like (n,) or (n, n_classes)
        bootstrap : bool
            Fit on a bootstrap sample; the labeled set stays whole.
        **fit_kwargs
            Override the constructor's.
        """
        X, y = self._checked_labeled(X, y)
        return self._refit(X, y, bootstrap, fit_kwargs)

    def teach(
        self,
        X: Any,
        y: Any,
        bootstrap: bool = False,
        only_new: bool = False,
        **fit_kwargs: Any,
    ) -> None:
        """Add newly labeled images to the labeled set and fit the estimator again.

        Parameters
        ----------
        X : array-like (k, …)
        y : array-like (k,) or (k, n_classes)
        bootstrap : bool
            Fit on a bootstrap sample.
        only_new : bool
            Fit on `X` and `y` alone, and leave the labeled set as it is.
        **fit_kwargs
            Override the constructor's.

        Raises
        ------
        ValueError
            For images or labels that do not match each other or the labeled set, or that the
            estimator refuses. The labeled set is then as before.
        """
        X, y = self._checked_labeled(X, y)
        X = match_known_scale(X, self.X_training)
        if only_new:
            self._fit_on_new(X, y, bootstrap=bootstrap, **fit_kwargs)
        else:
            self._refit(*self._with_added(X, y), bootstrap, fit_kwargs)

    def _contents(self) -> str:
        labeled = 0 if self.X_training is None else count_rows(self.X_training)
        return f"{self.estimator!r}, {labeled} labeled"

    def _refit(self, X: Any, y: Any, bootstrap: bool, fit_kwargs: dict[str, Any]) -> ActiveLearner:
        before = self.X_training, self.y_training
        self.X_training, self.y_training = X, y
        try:
            self._fit_to_known(bootstrap=bootstrap, **fit_kwargs)
        except Exception:  # Ctrl-C is not one: labels already given are kept then
            self.X_training, self.y_training = before
            raise
        return self

    def _fit_to_known(self, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        return self._fit_on_new(self.X_training, self.y_training, bootstrap=bootstrap, **fit_kwargs)

    def _fit_on_new(
        self, X: Any, y: Any, bootstrap: bool = False, **fit_kwargs: Any
    ) -> ActiveLearner:
        if bootstrap:
            drawn = self._rng.integers(count_rows(X), size=count_rows(X))
            X, y = take_rows(X, drawn), take_rows(y, drawn)
        self.estimator.fit(X, y, **{**self.fit_kwargs, **fit_kwargs})
        return self

    def _with_added(self, X: Any, y: Any) -> tuple[Any, Any]:
        if self.X_training is None:
            return X, y
        try:
            return append_rows(self.X_training, X), append_rows(self.y_training, y)
        except ValueError as error:
            raise ValueError(
                f"New images {np.shape(X)} and labels {np.shape(y)} must have the shapes of the "
                f"labeled set, images {np.shape(self.X_training)} and labels "
                f"{np.shape(self.y_training)}, but for the first axis."
            ) from error

    def _checked_labeled(self, X: Any, y: Any) -> tuple[Any, Any]:
        X, y = with_rows(X), one_label_per_row(y)
        check_consistent_length(X, y)
        for name, values in (("X", X), ("y", y)):
            if isinstance(values, np.ndarray | list) or sp.issparse(values):
                check_array(
                    values,
                    accept_sparse=True,
                    dtype=None,
                    ensure_2d=False,
                    allow_nd=True,
                    ensure_all_finite=self.force_all_finite,
                    input_name=name,
                )
        return X, y


class Committee(_Shared, modAL.models.Committee):
    """Several learners that vote; see `modAL.models.Committee`.

    Learners whose estimators are `KerasImageClassifier` of one architecture share one compiled
    network.

    Parameters
    ----------
    learner_list : list of ActiveLearner
    query_strategy : callable
        ``vote_entropy``, ``consensus_entropy`` or ``max_disagreement`` of `al_tf.get_strategy`,
        or one of modAL's.
    on_transformed : bool
        As in `ActiveLearner`.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from al_tf import ActiveLearner, Committee, get_strategy, load_dataset
    >>> digits = load_dataset("digits")
    >>> x, y = digits.x_train.reshape(-1, 64) / 255, digits.y_train
    >>> members = [
    ...     ActiveLearner(LogisticRegression(C=C), X_training=x[:50], y_training=y[:50])
    ...     for C in (0.01, 1, 100)
    ... ]
    >>> committee = Committee(members, get_strategy("vote_entropy"))
    >>> chosen, images = committee.query(x[50:], n_instances=5, random_state=0)
    >>> committee.teach(images, y[50:][chosen])
    >>> [len(member.X_training) for member in committee]
    [55, 55, 55]
    """

    def __init__(
        self,
        learner_list: list[ActiveLearner],
        query_strategy: Callable[..., Any] = vote_entropy_sampling,
        on_transformed: bool = False,
    ) -> None:
        if not isinstance(learner_list, list) or not learner_list:
            raise TypeError(f"learner_list must be a non-empty list; got {learner_list!r}.")
        super().__init__(learner_list, query_strategy, on_transformed)
        self._remember_labeled()

    def fit(self, X: Any, y: Any, **fit_kwargs: Any) -> Committee:
        """Forget the labeled sets and fit every learner to `X` and `y`."""
        super().fit(X, y, **fit_kwargs)
        self._remember_labeled()
        return self

    def teach(
        self,
        X: Any,
        y: Any,
        bootstrap: bool = False,
        only_new: bool = False,
        **fit_kwargs: Any,
    ) -> None:
        """Add newly labeled images to every learner's labeled set and fit all again."""
        for learner in self.learner_list:
            learner.teach(X, y, bootstrap=bootstrap, only_new=only_new, **fit_kwargs)
        self._set_classes()
        self._remember_labeled()

    def vote(self, X: Any, **predict_kwargs: Any) -> np.ndarray:
        """Return each learner's predicted label, ``(n, n_learners)``."""
        return np.stack([x.predict(X, **predict_kwargs) for x in self.learner_list], axis=1)

    def vote_proba(self, X: Any, **predict_proba_kwargs: Any) -> np.ndarray:
        """Return each learner's class probabilities, ``(n, n_learners, n_classes)``."""
        if self.classes_ is None:
            self._set_classes()
        votes = np.zeros((count_rows(X), len(self.learner_list), self.n_classes_))
        for i, learner in enumerate(self.learner_list):
            columns = np.searchsorted(self.classes_, learner.estimator.classes_)
            votes[:, i, columns] = learner.predict_proba(X, **predict_proba_kwargs)
        return votes

    def _contents(self) -> str:
        return repr(self.learner_list)

    def _remember_labeled(self) -> None:
        self.X_training = self.learner_list[0].X_training
        self.y_training = self.learner_list[0].y_training
