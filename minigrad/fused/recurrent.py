"""The LSTM, all time steps in one rule: two products and a dozen in-place passes per step."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import raw
from ..primitive import Rule
from ..rules.special import expit
from .parts import column_sums, marked, real_numbers, row, t

# Arrays are (..., T, n, features): `...` is empty, or the members of an ensemble. The rule has one
# output (..., T + 1, n, h): the hidden states h_1 ... h_T, and last the cell state c_T.


def composed_lstm(
    inputs: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, h: Any, c: Any
) -> Any:
    """The LSTM in plain operations: ``(..., T + 1, n, h)``, the last entry the cell state."""
    size, states = weight_hh.shape[-1], []
    for step in range(inputs.shape[-3]):
        z = np.matmul(inputs[..., step, :, :], t(weight_ih)) + np.matmul(h, t(weight_hh))
        if bias_ih is not None:
            z = z + row(bias_ih) + row(bias_hh)
        i, f, g, o = (z[..., k * size : (k + 1) * size] for k in range(4))
        c = expit(f) * c + expit(i) * np.tanh(g)
        h = expit(o) * np.tanh(c)
        states.append(h)
    return np.stack([*states, c], axis=-3)


def _per_gate(i: float, f: float, g: float, o: float, size: int, like: Any) -> Any:
    """One number per gate, repeated for all its columns: ``(4 size,)``."""
    return np.repeat(np.asarray([i, f, g, o], dtype=like.dtype, like=like), size)


def _lstm_forward(
    inputs: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, h: Any, c: Any
) -> tuple[Any, Any]:
    *lead, steps, n, features = inputs.shape
    lead, size = list(weight_ih.shape[:-2]), weight_hh.shape[-1]
    # All gates through one exponential, as np.tanh takes 1.5 to 3 times as long: sigmoid(z) =
    # 1 / (1 + exp(-z)) and tanh(z) = 2 sigmoid(2 z) - 1. The factors are put into the weights.
    scale = _per_gate(-1.0, -1.0, -2.0, -1.0, size, weight_ih)
    # All input projections in one product; the gates of every step stay in this array.
    rows = inputs.reshape((*inputs.shape[:-3], steps * n, features))
    gates = np.matmul(rows, t(weight_ih * scale[:, None]))  # (..., T n, 4 h)
    if bias_ih is not None:
        gates += row((bias_ih + bias_hh) * scale)
    gates = gates.reshape((*lead, steps, n, 4 * size))
    recurrent = t(weight_hh * scale[:, None]).copy()  # contiguous: a faster product
    # Hidden states h_0 ... h_T and last c_T; cell states c_0 ... c_T; tanh(c_1 ... c_T).
    hidden, cells, squashed = (
        np.empty((*lead, steps + extra, n, size), gates.dtype, like=gates) for extra in (2, 1, 0)
    )
    hidden[..., 0, :, :], cells[..., 0, :, :] = h, c
    product = np.empty((*lead, n, 4 * size), gates.dtype, like=gates)
    with np.errstate(over="ignore"):  # exp(-z) = inf makes the sigmoid 0, as it should be
        for step in range(steps):
            a = gates[..., step, :, :]
            a += np.matmul(hidden[..., step, :, :], recurrent, out=product)
            np.exp(a, out=a)
            a += 1.0
            np.divide(1.0, a, out=a)
            i, f, g, o = (a[..., k * size : (k + 1) * size] for k in range(4))
            g *= 2.0
            g -= 1.0
            new = cells[..., step + 1, :, :]
            out = hidden[..., step + 1, :, :]
            np.multiply(i, g, out=out)
            np.multiply(f, cells[..., step, :, :], out=new)
            new += out
            np.tanh(new, out=squashed[..., step, :, :])
            np.multiply(o, squashed[..., step, :, :], out=out)
    hidden[..., steps + 1, :, :] = cells[..., steps, :, :]
    return hidden[..., 1:, :, :], (gates, hidden, cells, squashed)


def _lstm_joint(
    need: Any, grad: Any, kept: Any, inputs: Any, weight_ih: Any, weight_hh: Any,
    bias_ih: Any, bias_hh: Any, h: Any, c: Any,
) -> Any:  # fmt: skip
    """Back through time; the weights' gradients are one product over all steps at the end."""
    gates, hidden, cells, squashed = kept
    *lead, steps, n, wide = gates.shape
    size = wide // 4
    # The slopes are (1 - a) (a + offset): a (1 - a) for the sigmoids, 1 - g^2 for g.
    offset = np.broadcast_to(_per_gate(0.0, 0.0, 1.0, 0.0, size, gates), (*lead, n, wide)).copy()
    towards = np.empty_like(gates)  # towards the gates' arguments z
    slope = np.empty((*lead, n, wide), gates.dtype, like=gates)
    work = np.empty((*lead, n, size), gates.dtype, like=gates)
    towards_c = grad[..., steps, :, :].copy()
    towards_h = np.zeros_like(towards_c)
    for step in range(steps - 1, -1, -1):
        a, z = gates[..., step, :, :], towards[..., step, :, :]
        i, f, g, o = (a[..., k * size : (k + 1) * size] for k in range(4))
        zi, zf, zg, zo = (z[..., k * size : (k + 1) * size] for k in range(4))
        tanh_c = squashed[..., step, :, :]
        towards_h += grad[..., step, :, :]
        np.multiply(towards_h, tanh_c, out=zo)
        np.multiply(tanh_c, tanh_c, out=work)  # towards c through h: dh o (1 - tanh(c)^2)
        np.subtract(1.0, work, out=work)
        work *= o
        work *= towards_h
        towards_c += work
        np.multiply(towards_c, g, out=zi)
        np.multiply(towards_c, cells[..., step, :, :], out=zf)
        np.multiply(towards_c, i, out=zg)
        towards_c *= f
        np.subtract(1.0, a, out=slope)
        z *= slope
        np.add(a, offset, out=slope)
        z *= slope
        np.matmul(z, weight_hh, out=towards_h)
    stacked = towards.reshape((*lead, steps * n, wide))
    towards_inputs = towards_ih = towards_hh = None
    if need[0]:
        towards_inputs = np.matmul(stacked, weight_ih).reshape((*lead, steps, n, inputs.shape[-1]))
    if need[1]:
        rows = inputs.reshape((*inputs.shape[:-3], steps * n, inputs.shape[-1]))
        towards_ih = np.matmul(t(stacked), rows)
    if need[2]:
        before = hidden[..., :steps, :, :].reshape((*lead, steps * n, size))
        towards_hh = np.matmul(t(stacked), before)
    return (
        towards_inputs, towards_ih, towards_hh,
        column_sums(stacked) if need[3] else None,
        column_sums(stacked) if need[4] else None,
        towards_h if need[5] else None,
        towards_c if need[6] else None,
    )  # fmt: skip


_lstm = Rule(_lstm_forward, joint=_lstm_joint, twin=composed_lstm, residual=True, name="lstm")


def lstm(
    inputs: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    state: tuple[Any, Any] | None = None,
) -> tuple[Any, tuple[Any, Any]]:
    r"""Long short-term memory over a whole sequence.

    .. math::
        i, f, o = \sigma(W x_t + U h_{t-1} + b), \quad g = \tanh(\ldots), \quad
        c_t = f c_{t-1} + i g, \quad h_t = o \tanh(c_t)

    Args:
        inputs: ``(T, n, in)``, time first.
        weight_ih: W ``(4 h, in)``, the gates in the order i, f, g, o.
        weight_hh: U ``(4 h, h)``.
        bias_ih, bias_hh: ``(4 h,)`` each (PyTorch has two), or both None.
        state: ``(h_0, c_0)``, each ``(n, h)``; zeros by default.
    In an ensemble all of these have a members axis in front, marked on the weights; inputs without
    the mark are shared.
    Returns: the hidden states ``(T, n, h)`` and the last state ``(h_T, c_T)``, each ``(n, h)``.
    Raises:
        ValueError: for an empty sequence, or shapes that do not fit.
        TypeError: if only one bias is given, or for integer inputs.
    Numerics: the gate g is 2 sigmoid(2 z) - 1: accurate to rounding of 1, not of a tiny g.
    Source: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.
    """
    members, size = getattr(weight_ih, "members", None), weight_hh.shape[-1]
    own = getattr(inputs, "members", None)
    if inputs.ndim != 3 + (own is not None) or inputs.shape[-3] == 0:
        raise ValueError(f"lstm: inputs must be (T, n, in) with T > 0, found {inputs.shape}")
    if inputs.shape[-1] != weight_ih.shape[-1] or weight_ih.shape[-2] != 4 * size:
        raise ValueError(
            f"lstm: inputs (T, n, in), weight_ih (4 h, in) and weight_hh (4 h, h) do not fit: "
            f"found {inputs.shape}, {weight_ih.shape} and {weight_hh.shape}"
        )
    real_numbers("lstm", "inputs", inputs)
    if (bias_ih is None) != (bias_hh is None):
        raise TypeError("lstm: give both bias_ih and bias_hh, or neither")
    if own is not None and members is None:
        raise ValueError(
            f"lstm: the inputs hold {own} ensemble members, but the weights are those of one "
            "model. Mend: build the model inside nn.ensemble"
        )
    if state is None:
        lead = weight_hh.shape[:-2]
        zeros = np.zeros((*lead, inputs.shape[-2], size), inputs.dtype, like=raw(inputs))
        state = (zeros, zeros)
    out = marked(_lstm(inputs, weight_ih, weight_hh, bias_ih, bias_hh, *state), weight_ih)
    steps = inputs.shape[-3]
    parts = (out[..., :steps, :, :], out[..., steps - 1, :, :], out[..., steps, :, :])
    hidden, h, c = (marked(part, weight_ih) for part in parts)
    return hidden, (h, c)
