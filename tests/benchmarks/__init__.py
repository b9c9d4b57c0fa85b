"""Speed, side by side: minigrad, PyTorch, JAX, autograd and MyGrad do the same training steps.

``python -m tests.benchmarks`` (or ``make bench``) runs everything and writes a table, a JSON file
and a bar chart. `workloads.py` says what is computed; one file per library says how.
"""
