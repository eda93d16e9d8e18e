"""Training and prediction on JAX."""

from __future__ import annotations

from typing import Any

import numpy as np

from .engine import Engine, block_steps, filled_up, flat
from .inspection import FeatureTap


class JaxEngine(Engine):
    """Engine on JAX: functions of fixed block shape, the last block filled up and cut short."""

    def _compile(self) -> None:
        import jax

        self._train_jit = jax.jit(self._train_block, donate_argnums=(0, 1, 2))
        self._forward_jit = jax.jit(self._forward_batch, static_argnums=3)

    def _train(self, x: np.ndarray, y: np.ndarray, w: np.ndarray) -> Any:
        steps = len(x)
        x, y, w = (filled_up(a, block_steps(x.shape[1:])) for a in (x, y, w))
        model = self.model
        groups = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
        *values, losses = self._train_jit(*([v.value for v in g] for g in groups), x, y, w, steps)
        for group, new in zip(groups, values, strict=True):
            for variable, value in zip(group, new, strict=True):
                variable.assign(value)
        return losses[:steps]

    def _train_block(
        self, trainable: Any, others: Any, optimizer: Any, x: Any, y: Any, w: Any, steps: Any
    ) -> tuple[Any, Any, Any, Any]:
        import jax
        import jax.numpy as jnp

        self.traces["train"] += 1

        def loss_of(trainable: Any, others: Any, i: Any) -> tuple[Any, Any]:
            proba, others, losses = self.model.stateless_call(
                trainable, others, self._floats(x[i]), training=True, return_losses=True
            )
            return jnp.mean(self.loss.function(y[i], proba) * w[i]) + sum(losses), others

        def step(i: Any, carry: Any) -> Any:
            trainable, others, optimizer, losses = carry
            gradient = jax.value_and_grad(loss_of, has_aux=True)
            (loss, others), gradients = gradient(trainable, others, i)
            trainable, optimizer = self.model.optimizer.stateless_apply(
                optimizer, gradients, trainable
            )
            return trainable, others, optimizer, losses.at[i].set(loss.astype("float32"))

        return jax.lax.fori_loop(
            0, steps, step, (trainable, others, optimizer, jnp.zeros(len(x), jnp.float32))
        )

    def _forward(self, x: np.ndarray, sample: bool) -> tuple[Any, Any]:
        trainable = [v.value for v in self.model.trainable_variables]
        others = [v.value for v in self.model.non_trainable_variables]
        outputs, new = self._forward_jit(trainable, others, x, sample)
        if sample:  # the dropout generators have moved on
            for variable, value in zip(self.model.non_trainable_variables, new, strict=True):
                variable.assign(value)
        return outputs

    def _forward_batch(self, trainable: Any, others: Any, x: Any, sample: bool) -> tuple[Any, Any]:
        self.traces["sample" if sample else "forward"] += 1
        with FeatureTap(self.model, sample=sample) as tap:
            proba, others = self.model.stateless_call(
                trainable, others, self._floats(x), training=False
            )
        return (proba.astype("float32"), flat(tap.features).astype("float32")), others
