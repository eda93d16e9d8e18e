"""Training and prediction on JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .engine import Engine, NetworkState, block_steps, filled_up, flat
from .inspection import FeatureTap


class JaxEngine(Engine):
    """Engine on JAX: functions of fixed block shape, the last block filled up and cut short."""

    def _compile(self) -> None:
        import jax

        self._train_jit = _in_a_row(self._train_step)
        self._together_jit = _in_a_row(self._together_step)
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
        before = *([v.value for v in g] for g in groups), np.zeros(len(x), np.float32)
        *values, losses = self._train_jit(steps, before, x, y, w)
        for group, new in zip(groups, values, strict=True):
            for variable, value in zip(group, new, strict=True):
                variable.assign(value)
        return losses[:steps]

    def _train_step(self, i: Any, carry: Any, x: Any, y: Any, w: Any) -> Any:
        self.traces["train"] += 1
        trainable, others, optimizer, losses = carry
        *after, loss = self._step(trainable, others, optimizer, x[i], y[i], w[i])
        return *after, losses.at[i].set(loss)

    def _step(
        self, trainable: Any, others: Any, optimizer: Any, x: Any, y: Any, w: Any
    ) -> tuple[Any, Any, Any, Any]:
        """Take a gradient step on one batch; return the new values and the loss."""
        import jax
        import jax.numpy as jnp

        def loss_of(trainable: Any, others: Any) -> tuple[Any, Any]:
            proba, others, losses = self.model.stateless_call(
                trainable, others, self._floats(x), training=True, return_losses=True
            )
            return jnp.mean(self.loss.function(y, proba) * w) + sum(losses), others

        gradient = jax.value_and_grad(loss_of, has_aux=True)
        (loss, others), gradients = gradient(trainable, others)
        trainable, optimizer = self.model.optimizer.stateless_apply(optimizer, gradients, trainable)
        return trainable, others, optimizer, loss.astype("float32")

    # Many runs as one -------------------------------------------------------------------

    def train_together(
        self,
        states: Sequence[NetworkState],
        pool: np.ndarray,
        rows: Sequence[np.ndarray],
        y: Sequence[np.ndarray],
        w: Sequence[np.ndarray],
    ) -> tuple[list[NetworkState], list[np.ndarray]]:
        """Train R runs of the network, each from its own state on its own batches, as one.

        A step of all runs is one call of the device (`jax.vmap` over their variables, optimizer
        states and generators of dropout). A run whose steps are done stays as it is.

        Parameters
        ----------
        states : sequence of NetworkState (R,)
        pool : ndarray (n, …)
            Images; they stay on the device while it trains.
        rows : sequence of ndarray of int (R,), each (steps of the run, batch)
            Rows of `pool`.
        y, w : sequence of ndarray (R,), each (steps of the run, batch)
            Class indices, and weights.

        Returns
        -------
        states : list of NetworkState (R,)
        losses : list of ndarray of float32 (R,), each (steps of the run,)
        """
        import jax.numpy as jnp

        groups = self._stacked(states)
        steps = np.array([len(run) for run in rows])
        block = block_steps(rows[0].shape[1:])
        on_device = jnp.asarray(pool)
        losses = []
        for start in range(0, steps.max(), block):
            parts = (
                np.stack([filled_up(run[start : start + block], block) for run in batches], axis=1)
                for batches in (rows, y, w)
            )  # (block, R, batch)
            left = np.clip(steps - start, 0, block)
            before = *groups, np.zeros((block, len(states)), np.float32)
            *groups, of_block = self._together_jit(left.max(), before, on_device, *parts, left)
            losses.append(np.asarray(of_block))
        every = np.concatenate(losses)  # (at least the steps of the longest run, R)
        return self._unstacked(groups), [every[:n, run] for run, n in enumerate(steps)]

    def _together_step(
        self, i: Any, carry: Any, pool: Any, rows: Any, y: Any, w: Any, left: Any
    ) -> Any:
        import jax
        import jax.numpy as jnp

        self.traces["train together"] += 1
        *before, losses = carry
        answers = y[i]
        if not self.loss.sparse:
            answers = jax.nn.one_hot(answers, self._n_classes, dtype=jnp.float32)
        *after, loss = jax.vmap(self._step)(*before, pool[rows[i]], answers, w[i])

        def where_it_goes_on(new: Any, old: Any) -> Any:
            return jnp.where((i < left).reshape(-1, *[1] * (new.ndim - 1)), new, old)

        return *jax.tree.map(where_it_goes_on, after, before), losses.at[i].set(loss)

    def _stacked(self, states: Sequence[NetworkState]) -> list[list[np.ndarray]]:
        """Return trainable, other and optimizer variables of all states, each (R, …)."""
        place = {id(variable): i for i, variable in enumerate(self.model.variables)}
        of_network = (self.model.trainable_variables, self.model.non_trainable_variables)
        groups = [
            [np.stack([state.variables[place[id(v)]] for state in states]) for v in variables]
            for variables in of_network
        ]
        of_optimizer = zip(*(state.optimizer for state in states), strict=True)
        return [*groups, [np.stack(values) for values in of_optimizer]]

    def _unstacked(self, groups: Sequence[Sequence[Any]]) -> list[NetworkState]:
        trainable, others, optimizer = ([np.asarray(v) for v in group] for group in groups)
        of_network = [*self.model.trainable_variables, *self.model.non_trainable_variables]
        values = dict(zip(map(id, of_network), [*trainable, *others], strict=True))
        in_order = [values[id(variable)] for variable in self.model.variables]
        return [
            NetworkState([v[run].copy() for v in in_order], [v[run].copy() for v in optimizer])
            for run in range(len(in_order[0]))
        ]

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


def loops_on_device() -> bool:
    """Return whether many steps go to the device in one call.

    Not to a CPU: inside a loop, XLA's convolutions are ten times slower there than outside
    (https://github.com/jax-ml/jax/issues/12868).
    """
    import jax

    return jax.default_backend() != "cpu"


def _in_a_row(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function of `n`, a carry and data: steps 0 … n − 1, each on the last's carry."""
    import jax

    if loops_on_device():
        return jax.jit(
            lambda n, carry, *data: jax.lax.fori_loop(
                0, n, lambda i, carry: step(i, carry, *data), carry
            ),
            donate_argnums=1,
        )
    one_step = jax.jit(step, donate_argnums=1)

    def steps(n: int, carry: Any, *data: Any) -> Any:
        data = jax.device_put(data)
        for i in range(n):
            carry = one_step(i, carry, *data)
        return carry

    return steps
