"""This installation: versions, what was built, which devices are present, what to run to build the rest.

The module also loads the extension, because the same facts (which torch and which Python it was built for) decide
whether it can be loaded. Importing this module touches no device.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

PACKAGE = Path(__file__).resolve().parent


def build_command(**environment: str) -> str:
    """The command that builds gpukern for this Python, from a source tree or into the environment."""
    settings = " ".join(f"{name}='{value}'" for name, value in environment.items())
    where = PACKAGE.parent
    build = "pip install --no-build-isolation --force-reinstall --no-deps"
    if (where / "setup.py").exists():
        return f"{settings} {sys.executable} {where / 'setup.py'} build_ext --inplace".strip()
    return f"{settings} {build} <the gpukern source folder>".strip()


def built() -> dict[str, Any]:
    """The facts that the build wrote beside the extension (built.json); {} where nothing was built."""
    try:
        facts: dict[str, Any] = json.loads((PACKAGE / "built.json").read_text())
    except (OSError, ValueError):
        return {}
    return facts


def release(version: str) -> tuple[str, ...]:
    """("2", "13") of "2.13.0+cpu": two builds of torch have compatible C++ classes if this is equal."""
    return tuple(version.split("+")[0].split(".")[:2])


def load_extension() -> ModuleType:
    """Imports gpukern._C; an ImportError says in one line what to run."""
    facts = built()
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    if not facts or not any((PACKAGE / f"_C{suffix}").exists() for suffix in suffixes):
        reason = (
            "is not built" if not facts else f"is built for Python {facts['python']}, not {platform.python_version()}"
        )
        raise ImportError(
            f"gpukern in {PACKAGE.parent} {reason}; run: {build_command()}"
            " (or leave this folder, if gpukern is installed elsewhere)"
        )
    if release(facts["torch"]) != release(torch.__version__):
        raise ImportError(
            f"gpukern was built against torch {facts['torch']} and this is torch {torch.__version__}; "
            f"rebuild it, run: {build_command()}"
        )
    try:
        return importlib.import_module("gpukern._C")
    except ImportError as error:
        raise ImportError(
            f"gpukern's extension, built against torch {facts['torch']}, does not load with torch {torch.__version__} "
            f"({error}); rebuild it, run: {build_command()}"
        ) from None


# ---- devices ---------------------------------------------------------------------------------------------------------


def found_nvcc() -> str | None:
    for name in ("CUDA_HOME", "CUDA_PATH"):
        path = Path(os.environ.get(name, "/nowhere")) / "bin" / "nvcc"
        if path.exists():
            return str(path)
    usual = "/usr/local/cuda/bin/nvcc"
    return shutil.which("nvcc") or (usual if Path(usual).exists() else None)


def gpus_of_the_driver() -> list[dict[str, Any]]:
    """Name and target of each NVIDIA GPU the driver lists, without a CUDA context; [] without a driver."""
    command = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rsplit(",", 1) for line in text.splitlines() if "," in line]
    return [{"name": name.strip(), "target": f"sm_{cap.strip().replace('.', '')}"} for name, cap in rows]


def gpus_of_torch() -> list[dict[str, Any]]:
    """The devices torch can use. Starts the driver, so it is called only when the user asks for the information."""
    if not torch.cuda.is_available():
        return []
    rows = []
    for ordinal in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(ordinal)
        amd = getattr(facts, "gcnArchName", "") if torch.version.hip else ""
        rows.append(
            {
                "name": facts.name,
                "target": amd.split(":")[0] or f"sm_{facts.major}{facts.minor}",
                "memory_bytes": facts.total_memory,
                "multiprocessors": facts.multi_processor_count,
            }
        )
    return rows


def runs_on(compiled: list[str], target: str) -> bool:
    """Whether code compiled for these targets (sm_80, ptx_120, gfx942 ..) runs on a device of that target."""
    if target.startswith("gfx"):
        return any(name == target or name == f"{target[:-2]}-generic" for name in compiled)
    number = int(target[3:])
    for name in compiled:
        kind, _, text = name.partition("_")
        plain = int(text.rstrip("af")) if text.rstrip("af").isdigit() else 0
        if kind == "sm" and (plain == number or (text.isdigit() and plain <= number and plain // 10 == number // 10)):
            return True
        if kind == "ptx" and plain <= number:
            return True
    return False


def advice(facts: dict[str, Any], devices: list[dict[str, Any]]) -> list[str]:
    """One sentence for each missing part, with the command that supplies it."""
    lines = []
    seen = {row["target"] for row in devices} | {row["target"] for row in gpus_of_the_driver()}
    if facts.get("backend") == "cpu":
        if torch.version.hip:
            lines.append(
                f"HIP kernels are not built; put hipcc on PATH, then run: {build_command(GPUKERN_BUILD='hip')}"
            )
        elif found_nvcc():
            lines.append(
                f"CUDA kernels are not built, but nvcc is installed; run: {build_command(GPUKERN_BUILD='cuda')}"
            )
        else:
            then = build_command(CUDA_HOME="/usr/local/cuda")
            lines.append(f"CUDA kernels are not built; install the CUDA toolkit (nvcc), then run: {then}")
    for target in sorted(seen):
        compiled = sorted({name for names in facts.get("targets", {}).values() for name in names})
        if compiled and not runs_on(compiled, target):
            name = "PYTORCH_ROCM_ARCH" if target.startswith("gfx") else "TORCH_CUDA_ARCH_LIST"
            value = target if target.startswith("gfx") else f"{int(target[3:]) // 10}.{int(target[3:]) % 10}"
            lines.append(f"this build has no kernels for {target}; run: {build_command(**{name: value})}")
    if gpus_of_the_driver() and not devices:
        lines.append(
            f"the driver lists a GPU, but torch {torch.__version__} cannot use it; install a CUDA build of torch"
        )
    return lines


# ---- the report ------------------------------------------------------------------------------------------------------


class Info(dict[str, Any]):
    """A dictionary that prints as text."""

    def __str__(self) -> str:
        facts = self["built"]
        lines = [
            f"gpukern {self['version']}",
            f"  torch        {self['torch']['version']}"
            + (f", CUDA {self['torch']['cuda']}" if self["torch"]["cuda"] else "")
            + (f", HIP {self['torch']['hip']}" if self["torch"]["hip"] else ""),
            f"  Python       {self['python']} on {self['platform']}",
            f"  CPU          {self['cpu']['capability']} loops, {self['cpu']['threads']} threads",
            f"  built        {facts['backend']}, against torch {facts['torch']}, by "
            + " and ".join(facts["compilers"].values())
            if facts
            else "  built        nothing",
        ]
        if "-DGPUKERN_BOUNDED_WAITS" in facts.get("flags", {}).get("gpu", ""):
            lines.append(
                "               with GPUKERN_BOUNDED_WAITS, for first runs on a device; for normal use run: make build"
            )
        targets = facts.get("targets", {})
        width = max(map(len, targets), default=0)
        for folder, names in targets.items():
            lines.append(f"               {folder:{width}}  {' '.join(names) or 'not compiled'}")
        rows = [
            f"{i}: {d['name']} ({d['target']}, {d['memory_bytes'] / 2**30:.0f} GiB)"
            for i, d in enumerate(self["devices"])
        ]
        lines += [f"  {'GPUs' if i == 0 else '':12} {row}" for i, row in enumerate(rows or ["none that torch can use"])]
        if self["environment"]:
            lines.append("  environment  " + " ".join(f"{k}={v}" for k, v in self["environment"].items()))
        lines += [f"  {'to do' if i == 0 else '':12} {row}" for i, row in enumerate(self["advice"])]
        return "\n".join(lines)

    __repr__ = __str__


def info() -> Info:
    """Versions, what was built, what was found, and what to run to build the rest.

    The result is a dictionary that prints as text (`python -m gpukern info --json` prints JSON). The call lists the
    GPUs, which starts the driver; importing gpukern does not.
    """
    from importlib.metadata import PackageNotFoundError, version

    facts = built()
    devices = gpus_of_torch()
    try:
        own = facts.get("version") or version("gpukern")
    except PackageNotFoundError:
        own = "unknown"
    return Info(
        version=own,
        python=platform.python_version(),
        platform=platform.platform(terse=True),
        torch={"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip},
        built=facts,
        cpu={"capability": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads()},
        devices=devices,
        environment={k: v for k, v in sorted(os.environ.items()) if k.startswith("GPUKERN_")},
        advice=advice(facts, devices),
    )
