"""For every pytest run, also of notebooks: one thread per process, no progress bars in outputs."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read when NumPy is first imported
os.environ["TQDM_DISABLE"] = "1"
# Makes `tqdm.auto` choose the plain bar, which heeds the line above; see chapters.NO_BARS.
os.environ["SPYDER_PLAIN_BARS"] = "1"
