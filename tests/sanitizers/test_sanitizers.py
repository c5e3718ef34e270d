"""The sanitizers can fail: planted faults, compiled and loaded as the sanitized build is, are reported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from gpukern import _C
from gpukern.info import built
from tests.sanitizers import probe, run

SOURCE = Path(__file__).with_name("faults.cpp")


def test_what_is_tested_is_the_sanitized_build() -> None:
    assert Path(_C.__file__ or "").is_relative_to(run.PACKAGES)
    assert "-fsanitize=address,undefined" in built()["flags"]["cxx"]
    assert "AVX512" not in built()["cpu_capabilities"]


def test_every_fault_is_called() -> None:
    assert re.findall(r"^GPUKERN_FAULT (\w+)\(", SOURCE.read_text(), re.M) == list(probe.WORDS)


@cache
def answers(folder: Path) -> dict[str, tuple[str, str]]:
    library = folder / "faults.so"
    plain = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    flags = ["-std=c++20", "-fPIC", "-shared", *run.rules.SANITIZE, *run.rules.SANITIZE_LINK]
    command = [*run.compiler(), *flags, str(SOURCE), "-o", str(library)]
    subprocess.run(command, check=True, env=plain)
    probing = [sys.executable, str(Path(probe.__file__)), str(library), str(folder)]
    done = subprocess.run(probing, check=True, env=run.environment(folder), capture_output=True, text=True)
    return {name: (sound, wrong) for name, (sound, wrong) in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.mark.xdist_group("planted faults of host code")
@pytest.mark.parametrize("fault", probe.WORDS)
def test_a_planted_fault_is_reported_where_it_is(fault: str, folder: Path) -> None:
    sound, wrong = answers(folder)[fault]
    assert not sound
    assert probe.WORDS[fault] in wrong and f"in {fault}" in wrong
