"""The engines of this process: one for each architecture, built when it is first asked for."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from .building import ModelFn, NetworkBuilder, content_key
from .device import without_start_messages
from .engine import Engine
from .jax_engine import JaxEngine
from .tensorflow_engine import TensorFlowEngine

if TYPE_CHECKING:
    import keras

_MAX_ENGINES = 8
_engines: OrderedDict[Any, Engine] = OrderedDict()
_engines_lock = threading.Lock()


def get_engine(
    model_fn: ModelFn | keras.Model,
    model_params: dict[str, Any] | None,
    input_shape: tuple[int, ...],
    n_classes: int,
    rescale: bool | None = None,
) -> Engine:
    """Return the kept engine of this architecture, building it at the first call."""
    params = content_key(model_params or {})
    key = (content_key(model_fn), params, input_shape, n_classes, rescale)
    with _engines_lock:
        if key not in _engines:
            engine = _engine_class()
            builder = NetworkBuilder(model_fn, model_params, input_shape, n_classes)
            _engines[key] = engine(builder, n_classes, rescale=rescale)
            if len(_engines) > _MAX_ENGINES:
                _engines.popitem(last=False)
        _engines.move_to_end(key)
        return _engines[key]


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
