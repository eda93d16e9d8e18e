"""What a session refuses before it begins, and the settings that all sessions on a ledger share."""

from __future__ import annotations

from typing import Any

from .ledger import LabelLedger


def shared_setting(ledger: LabelLedger, key: str, value: Any) -> Any:
    """Store a setting that all sessions on a ledger share, and refuse another value."""
    known = ledger.settle(key, value)
    if known != value:
        raise ValueError(
            f"{ledger.path} was begun with {key}={known!r}; got {value!r}. Use the same value."
        )
    return value


def check_settings(
    batch_size: int,
    audit: float,
    repeat: float,
    overlap: float,
    target_accuracy: float | None,
    target_recall: float | None,
    lease: float,
) -> None:
    """Raise `ValueError` for a setting outside its range; see `LabelingSession`."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer of 1 or more; got {batch_size!r}.")
    for name, share in (("audit_share", audit), ("repeat_share", repeat)):
        if not 0 <= share <= 0.5:
            raise ValueError(f"{name} must be in [0, 0.5]; got {share!r}.")
    if not 0 <= overlap <= 1:
        raise ValueError(f"overlap must be in [0, 1]; got {overlap!r}.")
    for name, target in (("target_accuracy", target_accuracy), ("target_recall", target_recall)):
        if target is not None and not 0 < target < 1:
            raise ValueError(f"{name} must be in (0, 1); got {target!r}.")
    if not lease > 0:
        raise ValueError(f"lease_minutes must be above 0; got {lease!r}.")


def check_estimator(learner: Any) -> tuple[Any, Any]:
    """Return the learner, if it is one, and its estimator.

    Raises
    ------
    TypeError
        It cannot be trained, or gives no probabilities.
    """
    is_learner = hasattr(learner, "query_strategy") and hasattr(learner, "estimator")
    estimator = learner.estimator if is_learner else learner
    for method in ("fit", "predict_proba"):
        if not hasattr(estimator, method):
            raise TypeError(
                "A session trains an estimator with fit and predict_proba; "
                f"{type(estimator).__name__} has no {method}."
            )
    return (learner if is_learner else None), estimator
