"""What not every system lets a test do."""

import os

import pytest

needs_symlinks = pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
