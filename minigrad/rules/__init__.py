"""One derivative rule per NumPy function, one file per topic: read this after ``engine.py``.

A line of the table says: for ``out = f(a, b)``, given the gradient ``g`` of a scalar with respect
to ``out``, this is the gradient towards ``a``, and this the one towards ``b``. The engine sums
gradients back over broadcast axes and casts them to the argument's dtype. All of it is plain NumPy,
so the same line runs on arrays, on Tensors (higher derivatives) and on the GPU.

Names tell what the graph keeps for going back (`Rule`): ``_a`` nothing, ``a_shape`` the shape,
``a`` the value. Constants are Python floats, which never promote float32.

Conventions. At kinks and ties we follow PyTorch: the derivative of ``abs`` and of a norm at 0 is 0,
of ``maximum`` at a tie one half for each side, of ``max`` over an axis shared equally by the ties,
of ``relu`` at 0 it is 0, of ``clip`` at its bounds 1; max-pooling sends it to the first of the
ties. For complex numbers ``g`` is dL/dx - i dL/dy (JAX's convention), so holomorphic rules read as
for reals.
"""

from . import (
    arithmetic,
    convolution,
    fourier,
    indexing,
    linalg,
    plain,
    products,
    reductions,
    shapes,
    special,
    windows,
)

__all__ = [
    "arithmetic",
    "convolution",
    "fourier",
    "indexing",
    "linalg",
    "plain",
    "products",
    "reductions",
    "shapes",
    "special",
    "windows",
]
