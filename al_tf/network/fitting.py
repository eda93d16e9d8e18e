"""What one fit does: how many gradient steps it takes, and from which weights it starts."""

from __future__ import annotations

FIT_MODES = ("scratch", "warm", "warm_weights", "shrink_perturb")
"""What a fit may start from; `KerasImageClassifier` describes each."""


def gradient_steps(n_images: int, *, epochs: int, batch_size: int, min_steps: int) -> int:
    """Return how many gradient steps a fit takes: those of `epochs` passes, or `min_steps`."""
    return max(-(-n_images * epochs // batch_size), min_steps)
