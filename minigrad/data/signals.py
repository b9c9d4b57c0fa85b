"""MNIST-1D: ten short signals, one per digit, blurred until they are about as hard as MNIST.

Real phenomena (double descent, lottery tickets, the gap between dense and convolutional nets) show
up on it within seconds, because an example is 40 numbers instead of 784.
"""

import numpy as np

from minigrad.data.labels import noisy_labels
from minigrad.data.split import Split

# One row per digit, read off its pen stroke: 12 heights from the start of the stroke to its end.
TEMPLATES = np.array(
    [
        [5.0, 6.0, 6.5, 6.75, 7.0, 7.0, 7.0, 7.0, 6.75, 6.5, 6.0, 5.0],
        [5.0, 3.0, 3.0, 3.4, 3.8, 4.2, 4.6, 5.0, 5.4, 5.8, 5.0, 5.0],
        [5.0, 6.0, 6.5, 6.5, 6.0, 5.25, 4.75, 4.0, 3.5, 3.5, 4.0, 5.0],
        [5.0, 6.0, 6.5, 6.5, 6.0, 5.0, 5.0, 6.0, 6.5, 6.5, 6.0, 5.0],
        [5.0, 4.4, 3.8, 3.2, 2.6, 2.6, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0],
        [5.0, 3.0, 3.0, 3.0, 3.0, 5.0, 6.0, 6.5, 6.5, 6.0, 4.5, 5.0],
        [5.0, 4.0, 3.5, 3.25, 3.0, 3.0, 3.0, 3.0, 3.25, 3.5, 4.0, 5.0],
        [5.0, 7.0, 7.0, 6.6, 6.2, 5.8, 5.4, 5.0, 4.6, 4.2, 5.0, 5.0],
        [5.0, 4.0, 3.5, 3.5, 4.0, 5.0, 5.0, 4.0, 3.5, 3.5, 4.0, 5.0],
        [5.0, 4.0, 3.5, 3.5, 4.0, 5.0, 5.0, 5.0, 5.0, 4.7, 4.3, 5.0],
    ]
)

# The paper's constants.
MIN_PADDING, MAX_PADDING = 36, 60  # zeros appended to the 12 heights
LENGTH = TEMPLATES.shape[1] + MAX_PADDING  # 72, the length after stretching
MAX_SHIFT = 48  # circular shift, drawn from 0 ... 47
SCALE = 0.4  # the signal is multiplied by 1 - 0.2 ... 1 + 0.2
SMOOTH_NOISE = 0.25  # standard deviation before the Gaussian filter (sigma = 2)
WHITE_NOISE = 0.02
SHEAR = 0.75  # a straight line of slope -0.375 ... 0.375 over the whole length is taken off
POINTS = 40  # length of the finished example


def mnist1d(n: int = 4000, n_test: int = 1000, seed: int = 0, label_noise: float = 0.0) -> Split:
    """Draw an MNIST-1D set: ``x`` float32 ``(n, 40)``, ``y`` int64 ``(n,)`` in 0 ... 9.

    The recipe: append 36 to 60 zeros to a digit's 12 heights, stretch the result to 72 points,
    scale it, shift it in a circle, put smooth noise where the signal is not, add white noise
    everywhere and a slope, sample 40 points. Finally the whole set, training and test together,
    gets mean 0 and standard deviation 1 (the paper's normalization: two numbers are shared with
    the test set).

    Differences from the published code: its stream of random numbers, so the examples are other
    draws from the same distribution; and classes are balanced over the whole set as evenly as its
    size allows.

    Args:
        n: training examples, at least 1 (the paper's 4000). For nested training sets of several
            sizes take leading rows of one set: ``x_train[:500]``.
        n_test: test examples, at least 0 (the paper's 1000).
        seed: of its own generator; the package's global generator is not touched.
        label_noise: share of the *training* labels that are changed, always to a wrong class, and
            nested over shares (see `noisy_labels`). Inputs and test labels do not depend on it.
    Raises: ValueError for a negative size, no training example, or a share outside [0, 1].
    Source: Greydanus 2020, *Scaling down deep learning*, arXiv 2011.14439; templates and constants
        from the code that the paper publishes (Apache-2.0), https://github.com/greydanus/mnist1d.
    """
    if n < 1 or n_test < 0:
        raise ValueError(
            f"mnist1d: n is {n} and n_test is {n_test}; expected n >= 1 and n_test >= 0; "
            "the paper's sizes are n=4000, n_test=1000"
        )
    if not 0 <= label_noise <= 1:
        raise ValueError(
            f"mnist1d: label_noise is {label_noise}; expected a share in [0, 1]; write 10 % as 0.1"
        )
    generator = np.random.default_rng([seed, 4])
    y = generator.permutation(np.arange(n + n_test) % 10)
    x = signals(y, generator)
    x = ((x - x.mean()) / x.std()).astype(np.float32)
    y_train = noisy_labels(y[:n], label_noise, classes=10, seed=seed)
    return Split(x[:n], y_train, x[n:], y[n:])


def templates() -> np.ndarray:
    """The ten clean signals ``(10, 12)``: unit variance over 6, starting and ending at 0."""
    heights = TEMPLATES / TEMPLATES.std(axis=1, keepdims=True)
    return (heights - heights[:, :1]) / 6


def signals(y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """One noisy signal per label, before normalization: ``y (n,)`` to float64 ``(n, 40)``."""
    n = len(y)
    clean = np.pad(templates(), ((0, 0), (0, MAX_PADDING + 1)))  # (10, 73), zeros behind
    heights = TEMPLATES.shape[1]  # 12

    # Pad and stretch: point j of the 72 lies at this place among the 12 heights and their zeros.
    padding = generator.integers(MIN_PADDING, MAX_PADDING + 1, size=(n, 1))
    place = np.linspace(0, 1, LENGTH) * (heights + padding - 1)  # (n, 72)
    left = place.astype(int)
    label = y[:, None]
    x = clean[label, left] + (place - left) * (clean[label, left + 1] - clean[label, left])
    x *= 1 + SCALE * (generator.random((n, 1)) - 0.5)
    on_signal = place < heights

    # Shift in a circle; smooth noise fills what the signal leaves free.
    shift = generator.integers(0, MAX_SHIFT, size=(n, 1))
    source = (np.arange(LENGTH) - shift) % LENGTH  # (n, 72)
    x = np.take_along_axis(x, source, axis=1)
    on_signal = np.take_along_axis(on_signal, source, axis=1)
    smooth = SMOOTH_NOISE * generator.standard_normal((n, LENGTH)) @ _smoothing_matrix()
    x = np.where(on_signal, x, smooth)
    x += WHITE_NOISE * generator.standard_normal((n, LENGTH))

    slope = SHEAR * (generator.random((n, 1)) - 0.5)
    x -= slope * np.linspace(-0.5, 0.5, LENGTH)
    return x @ _resampling_matrix(LENGTH, POINTS)


def _smoothing_matrix(sigma: float = 2.0) -> np.ndarray:
    """``(72, 72)``: right-multiplying filters rows with a Gaussian, mirrored at both ends."""
    radius = int(4 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    mirrored = np.pad(np.eye(LENGTH), ((0, 0), (radius, radius)), mode="symmetric")  # (72, 88)
    return sum(w * mirrored[:, k : k + LENGTH] for k, w in enumerate(weights))


def _resampling_matrix(length: int, points: int) -> np.ndarray:
    """``(length, points)``: right-multiplying samples rows at even places, linearly."""
    place = np.linspace(0, length - 1, points)
    return np.maximum(0, 1 - np.abs(np.arange(length)[:, None] - place))  # hat functions
