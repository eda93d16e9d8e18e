"""The engines of this process: one for each architecture, built when it is first asked for."""

from __future__ import annotations

import functools
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from .device import without_start_messages
from .engine import Engine
from .jax_engine import JaxEngine
from .tensorflow_engine import TensorFlowEngine

if TYPE_CHECKING:
    import keras

ModelFn = Callable[..., "keras.Model"]

_MAX_ENGINES = 8
_engines: OrderedDict[Any, Engine] = OrderedDict()
_engines_lock = threading.Lock()


def get_engine(
    model_fn: ModelFn,
    model_params: dict[str, Any] | None,
    input_shape: tuple[int, ...],
    n_classes: int,
) -> Engine:
    """Return the kept engine of this architecture, building it at the first call."""
    key = (_content_key(model_fn), _content_key(model_params or {}), input_shape, n_classes)
    with _engines_lock:
        if key not in _engines:
            build = functools.partial(model_fn, input_shape, n_classes, **(model_params or {}))
            _engines[key] = _engine_class()(build, n_classes)
            if len(_engines) > _MAX_ENGINES:
                _engines.popitem(last=False)
        _engines.move_to_end(key)
        return _engines[key]


def _content_key(value: Any) -> Any:
    """Key by content what scikit-learn's ``clone`` copies, by identity what it does not."""
    import joblib

    if isinstance(value, functools.partial):
        return _content_key(value.func), joblib.hash((value.args, value.keywords))
    return value if callable(value) else joblib.hash(value)


def _engine_class() -> type[Engine]:
    with nullcontext() if "keras" in sys.modules else without_start_messages():
        import keras

    backends = {"tensorflow": TensorFlowEngine, "jax": JaxEngine}
    backend = keras.backend.backend()
    if backend not in backends:
        raise RuntimeError(
            f"KERAS_BACKEND={backend!r} is not supported; use one of {', '.join(backends)}."
        )
    return backends[backend]
