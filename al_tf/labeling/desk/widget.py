"""`LabelingWidget`: the labeling desk in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .front_end import notebook_module, notebook_style
from .protocol import Desk

try:
    import anywidget
except ImportError as error:
    raise ImportError(
        "The desk in a notebook needs anywidget: pip install 'al-tf[label]'. "
        "`al-tf label` opens the same desk in a browser without it."
    ) from error

if TYPE_CHECKING:
    from ..session import LabelingSession


class LabelingWidget(anywidget.AnyWidget):
    """The desk of a session, in JupyterLab, Colab, VS Code, or a page served by Voilà.

    ::

        session = LabelingSession(learner, "photos", "labels.db", classes=["good", "defective"])
        LabelingWidget(session)

    The screen keeps nothing: it may be reloaded, and shown in several places. After a restart of
    the kernel the same cell goes on where the ledger stands.

    Parameters
    ----------
    session : LabelingSession

    Attributes
    ----------
    session : LabelingSession
    """

    _esm = notebook_module()
    _css = notebook_style()

    def __init__(self, session: LabelingSession) -> None:
        super().__init__()
        self.session = session
        self._desk = Desk(session)
        self.on_msg(self._answer)

    def _answer(self, _: Any, message: Any, __: Any) -> None:
        if isinstance(message, dict) and "ask" in message:
            self.send({"to": message["ask"], "reply": self._desk.handle(message.get("request"))})
