"""The CPU loops of every vector capability that this machine has, each forced in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle.figures import capabilities

HERE = Path(__file__).parent
# Every 16-bit pattern, a sample of values of every op, and that every element is written and nothing else.
TESTS = "every_16_bit or by_strata or random_operands or (poisoned and 1-dtype1)"


@pytest.mark.slow
@pytest.mark.parametrize("capability", capabilities())
def test_values_with_the_loops_of(capability: str) -> None:
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    code = "import torch, gpukern; gpukern.abs(torch.ones(3)); print(gpukern._C.elementwise_counts())"
    served = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert f"host/{capability.upper()}" in served.stdout
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-k", TESTS]
    run = subprocess.run(
        [*command, str(HERE / "test_values.py"), str(HERE / "test_forms.py")],
        env=environment, capture_output=True, text=True, cwd=HERE.parent.parent,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
    assert f"on {capability.upper()}" in run.stdout or capability == "default"
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed and int(passed.group(1)) > 280, run.stdout[-400:]
