"""Data sets, as host NumPy arrays: bundled ones, generators, and verified downloads.

========================  ==================  =================  ===================  ==============
function                  an example          training + test    licence              where from
========================  ==================  =================  ===================  ==============
`digits`                  float32 (64,)       1,437 + 360        CC BY 4.0            bundled
`fashion_mnist`           float32 (784,)      10,000 + 2,000     MIT                  bundled
`fashion_mnist(True)`     float32 (784,)      60,000 + 10,000    MIT                  download
`mnist`                   float32 (784,)      60,000 + 10,000    none stated          download
`cifar10`                 float32 (3,32,32)   50,000 + 10,000    none stated          download
`mnist1d`                 float32 (40,)       any                recipe Apache-2.0    generated
`modular_arithmetic`      int64 (2,)          p * p in all       none needed          generated
`text`                    str                 0.1 to 0.5 MB      public domain        bundled
========================  ==================  =================  ===================  ==============

Labelled sets come as a `Split` (x_train, y_train, x_test, y_test) with int64 labels; pictures lie
in [0, 1]. `batches` walks through arrays, `noisy_labels` corrupts labels, `characters` numbers
letters. Every function has its own seed or takes a generator; none touches NumPy's global one. The
bundled files are 5.6 MB together; ``files/LICENSES.md`` beside them has the notices.
"""

from minigrad.data.batching import batches
from minigrad.data.bundled import FASHION_CLASSES, digits, fashion_mnist
from minigrad.data.downloads import CIFAR10_CLASSES, cifar10, mnist, parse_idx
from minigrad.data.labels import noisy_labels
from minigrad.data.modular import modular_arithmetic
from minigrad.data.signals import mnist1d
from minigrad.data.split import Split
from minigrad.data.texts import characters, text

__all__ = [
    "CIFAR10_CLASSES",
    "FASHION_CLASSES",
    "Split",
    "batches",
    "characters",
    "cifar10",
    "digits",
    "fashion_mnist",
    "mnist",
    "mnist1d",
    "modular_arithmetic",
    "noisy_labels",
    "parse_idx",
    "text",
]
