"""Training and prediction on TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from .engine import Engine, flat
from .inspection import FeatureTap


class TensorFlowEngine(Engine):
    """Engine on TensorFlow: a `tf.function` for each dtype, of relaxed shape."""

    def _compile(self) -> None:
        self._functions: dict[Any, Any] = {}

    def _train(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
        import tensorflow as tf

        key = ("train", x.dtype)
        if key not in self._functions:
            signature = [
                tf.TensorSpec([None, None, *x.shape[2:]], x.dtype),
                tf.TensorSpec([None, None, *y.shape[2:]], y.dtype),
                tf.TensorSpec([None, None], tf.float32),
            ]
            self._functions[key] = tf.function(self._train_block, input_signature=signature)
        return self._functions[key](x, y, w)

    def _train_block(self, x: Any, y: Any, w: Any) -> Any:
        import tensorflow as tf

        self.traces["train"] += 1
        model, optimizer = self.model, self.model.optimizer

        def step(i: Any, losses: Any) -> tuple[Any, Any]:
            with tf.GradientTape() as tape:
                proba = model(self._floats(x[i]), training=True)
                losses_of_images = tf.cast(self.loss.function(y[i], proba), tf.float32)
                loss = tf.reduce_mean(losses_of_images * w[i])
                if model.losses:
                    loss += tf.add_n(model.losses)
                objective = optimizer.scale_loss(loss)
            gradients = tape.gradient(objective, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            return i + 1, losses.write(i, tf.cast(loss, tf.float32))

        steps = tf.shape(x)[0]
        start = (0, tf.TensorArray(tf.float32, size=steps))
        _, losses = tf.while_loop(lambda i, _: i < steps, step, start, parallel_iterations=1)
        return losses.stack()

    def _forward(self, x: np.ndarray, sample: bool) -> tuple[Any, Any]:
        import tensorflow as tf

        name = "sample" if sample else "forward"
        key = (name, x.dtype)
        if key not in self._functions:

            def run(x: Any) -> Any:
                self.traces[name] += 1
                with FeatureTap(self.model, sample=sample) as tap:
                    proba = self.model(self._floats(x), training=False)
                return tf.cast(proba, tf.float32), tf.cast(flat(tap.features), tf.float32)

            signature = [tf.TensorSpec([None, *x.shape[1:]], x.dtype)]
            self._functions[key] = tf.function(run, input_signature=signature)
        return self._functions[key](x)
