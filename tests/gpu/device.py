"""The device that is checked: its facts for results, and which configurations run there."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

RHO: dict[str, float] = {}  # the worst that the tests met of each configuration and type, published with the results


def output_of(*command: str) -> str:
    """Standard output of a command, "" where it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def why_none() -> str:
    """Why no GPU can be used, in a clause; "" where one can."""
    if torch.cuda.is_available():
        return ""
    listed = output_of("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    if not (torch.version.cuda or torch.version.hip):
        found = f", though the driver lists {listed[0]}: install torch for it" if listed else ""
        return f"torch {torch.__version__} is a CPU build{found}"
    return f"torch {torch.__version__} finds no GPU"


@cache
def target() -> str:
    """The compiler's target of the current device: sm_90, gfx942."""
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    if torch.version.hip:
        return str(facts.gcnArchName).split(":")[0]
    return f"sm_{facts.major}{facts.minor}"


def configurations() -> list[Any]:
    """The matrix product configurations whose code runs on the current device."""
    import gpukern
    from gpukern.info import runs_on

    return [r for r in gpukern.available() if runs_on(list(r.targets), target())]


def types(configuration: Any) -> list[torch.dtype]:
    """Of its products without scales."""
    return [getattr(torch, t) for t in configuration.types if not t.startswith("float8")]


def takes_float8(configuration: Any) -> bool:
    """Whether it has scaled products in all layouts, with all scales; Hopper's have some (test_hopper.py)."""
    return any(t.startswith("float8") for t in configuration.types) and not configuration.tma


def how(configuration: Any, dtype: Any) -> dict[str, Any]:
    """The precision that a call needs so that a configuration of float32 can be forced."""
    if str(dtype) != "torch.float32" or "strict" in configuration.precisions:
        return {}
    return {"precision": "bf16x6" if configuration.adds_terms else "tf32"}


def lined(configuration: Any, m: int, n: int, k: int) -> tuple[int, int, int]:
    """The shape, or for Hopper's configurations one that is skinny if they are and whose lines TMA loads without a
    copy."""
    if not configuration.tma:
        return m, n, k
    n = min(n, 2 * configuration.tile[1]) if configuration.tile[1] <= 32 else n
    return tuple(-(-x // 16) * 16 for x in (m, n, k))  # type: ignore[return-value]


def serves(configuration: Any, op: str, *args: Any, **options: Any) -> bool:
    """Whether a configuration can be forced for a call: Hopper's skinny ones take some layouts; all others take every
    layout of their type."""
    import gpukern

    if not configuration.tma:
        return True
    options = (how(configuration, args[0].dtype) if op == "mm" else {}) | options
    with gpukern.force(configuration.name):
        try:
            return bool(gpukern.explain(op, *args, **options).configuration == configuration.name)
        except RuntimeError:
            return False


def others() -> list[str]:
    """Configurations of the tables that have no code for the current device."""
    from tests.platform import record

    mine = {c.name for c in configurations()}
    return [name for name in record.configurations() if name not in mine]


def _smi(*fields: str) -> list[str]:
    """The driver's facts of the current device, by its id: its own order of devices is not torch's."""
    identity = str(getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", ""))
    chosen = [f"--id=GPU-{identity}"] if identity else []
    text = output_of("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader", *chosen)
    values = [v.strip() for v in text.splitlines()[0].split(",")] if text else []
    return values if len(values) == len(fields) else [""] * len(fields)


def driver() -> str:
    if torch.version.hip:
        module = Path("/sys/module/amdgpu/version")
        return module.read_text().strip() if module.exists() else "amdgpu of the kernel"
    return _smi("driver_version")[0] or "unknown"


def clocks() -> dict[str, str]:
    """Clocks, power and temperature at this moment; queried under load they show what a figure was measured at."""
    if torch.version.hip:
        text = output_of("rocm-smi", "--showclocks")
        found = re.findall(r"(sclk|mclk) clock level.*?\((\d+Mhz)\)", text)
        return dict(found[:2])
    fields = ("clocks.sm", "clocks.mem", "clocks.max.sm", "power.draw", "power.limit", "temperature.gpu")
    return {name: value for name, value in zip(fields, _smi(*fields)) if value}


def describe() -> dict[str, Any]:
    """What every result has: device, target, driver, runtime, torch."""
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "device": facts.name,
        "target": target(),
        "driver": driver(),
        "runtime": f"HIP {torch.version.hip}" if torch.version.hip else f"CUDA {torch.version.cuda}",
        "torch": torch.__version__,
        "memory_bytes": facts.total_memory,
        "multiprocessors": facts.multi_processor_count,
    }


def folder_name(device: str) -> str:
    """A device's name as a folder: "NVIDIA H100 80GB HBM3" -> "nvidia-h100-80gb-hbm3"."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "device"
