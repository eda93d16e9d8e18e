"""What a package looks like whose own dependency is missing."""

import a_library_that_is_not_installed  # noqa: F401


def strategy(classifier, X, n_instances=1, *, random_state=None):
    """Never reached."""
