"""What every labelled data set of the package is: a training and a test part."""

from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Training and test examples as host arrays: ``x_train, y_train, x_test, y_test = digits()``.

    The leading axis of every array counts examples. Labels are int64, real inputs float32.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
