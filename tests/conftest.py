"""One thread for each of the processes that pytest-xdist starts, set before torch, NumPy and OpenCV are loaded.

Processes that share the cores test by test are faster than threads that share them operation by operation, as small as
the tests' operations are; and threads that wait for each other would take the cores from the other processes. Processes
that tests start take this over. `OMP_NUM_THREADS=2 pytest -n 0` runs with two threads all the same.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # MKL, oneDNN and OpenBLAS obey it too
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and what is shown would be folded to it


def pytest_collection_modifyitems(items):
    """Begin with the tests marked `long`: one that begins last would keep one process waiting for the other."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
