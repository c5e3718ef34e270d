"""The host's cost of launching a Hopper configuration: `python -m benchmarks.launch_cost`.

launch_cost.cu has the real launcher with a CUDA runtime whose calls return at once.  It prints nanoseconds from the
chosen configuration to the runtime's call, the least of several turns of 20,000.  Together with the cost of selection
(selection_cost.py) this is what gpukern adds to a bare launch.  It needs nvcc and no GPU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ["-std=c++20", "-O2", "-DNDEBUG", "-Icsrc", "--expt-relaxed-constexpr", "-cudart=none"]


def main() -> None:
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    nvcc = shutil.which(f"{home}/bin/nvcc") or shutil.which("nvcc")
    if not nvcc:
        raise SystemExit("gpukern: no nvcc on PATH, in CUDA_HOME or in /usr/local/cuda; it compiles the launcher")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "launch_cost"
        source = Path(__file__).with_suffix(".cu").relative_to(ROOT)
        subprocess.run(
            [nvcc, *FLAGS, "-gencode=arch=compute_90a,code=sm_90a", source, "-o", program], cwd=ROOT, check=True
        )
        subprocess.run([program], check=True)


if __name__ == "__main__":
    main()
