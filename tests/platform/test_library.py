"""Many libraries of kernels in one process: none takes another's variables, functions or room in the loader."""

from __future__ import annotations

import ctypes
import shutil
from pathlib import Path

from tests.platform.library import FOLDER, ROOT, model_library

MANY = 24  # the loader has room for the machine's thread variables about ten times


def test_libraries_of_one_process_have_variables_of_their_own() -> None:
    libraries = [model_library(f"one_name{i}", ("tests/platform/one_name.cpp",), f"-DPLANTED={i}") for i in range(2)]
    assert [one.what_is_planted() for one in libraries] == [0, 1]
    assert [libraries[i].count_up() for i in (0, 0, 1, 0)] == [1, 2, 1, 3]


def test_the_machine_of_one_library_is_not_that_of_all() -> None:
    assert hasattr(model_library("one_name0", ("tests/platform/one_name.cpp",), "-DPLANTED=0"), "gpukern_model_counts")
    assert not hasattr(ctypes.CDLL(None), "gpukern_model_counts")


def test_a_process_has_room_for_many_libraries(tmp_path: Path) -> None:
    """Else a test fails by which others its process ran before."""
    model_library("sums", ("tests/platform/sums.cpp",))
    for i in range(MANY):
        copy = shutil.copy(ROOT / FOLDER / "libsums.so", tmp_path / f"lib{i}.so")
        ctypes.CDLL(str(copy))
