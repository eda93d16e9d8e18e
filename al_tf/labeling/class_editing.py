"""`ClassEditing`: how a session adds, renames, merges, describes and removes classes."""

from __future__ import annotations

from .ledger import LabelClass, LabelLedger


class ClassEditing:
    """The half of `LabelingSession` that changes the classes, for all annotators of the ledger.

    Each change is an event, taken back by `LabelingSession.undo` like an answer. The model at hand
    counts merged classes together at once; a new one is trained in the background. All methods
    raise `ClassChangeError` for a change that cannot be made (an empty name, one that a class has
    or had, a merge of a class into itself, removal of a class with answers) and `UnknownLabelError`
    for a class that is not there; nothing is changed then.
    """

    ledger: LabelLedger
    annotator: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes as they are now, in the order in which they were added."""
        return self.ledger.classes

    def add_class(
        self, name: str, *, description: str = "", color: str | None = None, key: str | None = None
    ) -> LabelClass:
        """Add a class after the others; see `LabelLedger.add_class`.

        Examples
        --------
        >>> import tempfile
        >>> from al_tf import LabelingSession, load_dataset
        >>> from al_tf.experiments.logistic import PixelLogistic
        >>> x = load_dataset("digits").x_train[:50]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with LabelingSession(
        ...         PixelLogistic(), x, f"{folder}/labels.db", classes=["good", "bad"]
        ...     ) as session:
        ...         added = session.add_class("scratch", description="A thin line.", color="red")
        ...         renamed = session.rename_class("bad", "defective")
        ...         before = session.classes
        ...         merged = session.merge_classes("scratch", "defective")
        ...         after = session.classes
        >>> before, after, merged.merged
        (('good', 'defective', 'scratch'), ('good', 'defective'), ('scratch',))
        """
        added = self.ledger.add_class(
            name, annotator=self.annotator, description=description, color=color, key=key
        )
        self._reviewed()
        return added

    def change_class(
        self,
        name: str,
        *,
        to: str | None = None,
        description: str | None = None,
        color: str | None = None,
        key: str | None = None,
    ) -> LabelClass:
        """Rename and describe a class in one step; see `LabelLedger.change_class`."""
        changed = self.ledger.change_class(
            name, annotator=self.annotator, to=to, description=description, color=color, key=key
        )
        self._reviewed()
        return changed

    def rename_class(self, name: str, to: str) -> LabelClass:
        """Give a class another name; its answers stay as they are."""
        return self.change_class(name, to=to)

    def describe_class(
        self,
        name: str,
        *,
        description: str | None = None,
        color: str | None = None,
        key: str | None = None,
    ) -> LabelClass:
        """Give a class a description, a color or a key; see `LabelLedger.change_class`."""
        return self.change_class(name, description=description, color=color, key=key)

    def merge_classes(self, name: str, into: str) -> LabelClass:
        """Let all answers of a class count as those of another; see `LabelLedger.merge_classes`."""
        merged = self.ledger.merge_classes(name, into, annotator=self.annotator)
        self._reviewed()
        return merged

    def separate_class(self, name: str) -> LabelClass:
        """Bring a class back that was merged; see `LabelLedger.separate_class`."""
        separated = self.ledger.separate_class(name, annotator=self.annotator)
        self._reviewed()
        return separated

    def remove_class(self, name: str) -> None:
        """Remove a class without answers; see `LabelLedger.remove_class`."""
        self.ledger.remove_class(name, annotator=self.annotator)
        self._reviewed()

    def _reviewed(self) -> None:
        raise NotImplementedError
