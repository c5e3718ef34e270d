"""The machine that a run was measured on, and its state."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import torch

PACKAGE = Path(__file__).resolve().parents[1]


def output_of(*command: str, where: Path | None = None) -> str:
    """Standard output of a command, "" where it fails or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=where)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def commit() -> str:
    """The commit of the source tree, `+changes-` and their hash where files differ from it; "" in an installation."""
    root = PACKAGE.parent
    if not (root / "setup.py").exists():
        return ""
    head = output_of("git", "rev-parse", "--short=12", "HEAD", where=root)
    changes = head and output_of("git", "diff", "HEAD", where=root)
    return head + (f"+changes-{hashlib.sha256(changes.encode()).hexdigest()[:6]}" if changes else "")


@cache
def _processor() -> str:
    """The CPU's name as the system has it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


@cache
def _host_cache() -> int:
    """Bytes of the largest cache that a core can fill; 32 MiB where the system does not say."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        found = re.fullmatch(r"(\d+)([KM]?)", path.read_text().strip())
        if found:
            sizes.append(int(found[1]) * {"": 1, "K": 2**10, "M": 2**20}[found[2]])
    return max(sizes, default=32 * 2**20)


def _smi(*fields: str) -> list[str]:
    """The driver's facts about the current device, by its id: the driver's order of devices is not torch's."""
    identity = str(getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", ""))
    chosen = [f"--id=GPU-{identity}"] if identity else []
    text = output_of("nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader", *chosen)
    values = [v.strip() for v in text.splitlines()[0].split(",")] if text else []
    return values if len(values) == len(fields) else [""] * len(fields)


def describe(device: str) -> dict[str, Any]:
    """Device, target, driver, runtime and caches, which every run records."""
    if device == "cpu":
        return {
            "device": _processor(),
            "kind": "cpu",
            "target": torch.backends.cpu.get_cpu_capability(),
            "driver": platform.system() + " " + platform.release().split("-")[0],
            "runtime": "",
            "threads": torch.get_num_threads(),
            "cores": len(os.sched_getaffinity(0)),
            "cache_bytes": _host_cache(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        }
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    hip = torch.version.hip
    module = Path("/sys/module/amdgpu/version")
    driver = (module.read_text().strip() if module.exists() else "amdgpu of the kernel") if hip else ""
    return {
        "device": facts.name,
        "kind": "cuda",
        "target": str(facts.gcnArchName).split(":")[0] if hip else f"sm_{facts.major}{facts.minor}",
        "driver": driver or _smi("driver_version")[0] or "unknown",
        "runtime": f"HIP {hip}" if hip else f"CUDA {torch.version.cuda}",
        "threads": torch.get_num_threads(),
        "multiprocessors": facts.multi_processor_count,
        "cache_bytes": int(getattr(facts, "L2_cache_size", 0)) or 64 * 2**20,
        "memory_bytes": facts.total_memory,
    }


def clocks(device: str) -> dict[str, str]:
    """Clocks, power and temperature at this moment, under load."""
    if device == "cpu":
        text = output_of("lscpu")
        scaling = re.search(r"CPU\(s\) scaling MHz:\s*(\S+)", text)
        now = re.search(r"^cpu MHz\s*:\s*(\S+)", Path("/proc/cpuinfo").read_text(), re.M) if text else None
        load = f"{os.getloadavg()[0]:.2f}"
        found = {"cpu MHz": now[1] if now else "", "scaling": scaling[1] if scaling else "", "load": load}
        return {name: value for name, value in found.items() if value}
    if torch.version.hip:
        text = output_of("rocm-smi", "--showclocks")
        return dict(re.findall(r"(sclk|mclk) clock level.*?\((\d+Mhz)\)", text)[:2])
    names = ("clocks.sm", "clocks.mem", "clocks.max.sm", "power.draw", "power.limit", "temperature.gpu")
    return {name: value for name, value in zip(names, _smi(*names)) if value}


def folder_name(device: str) -> str:
    """A device's name as a folder: "NVIDIA H100 80GB HBM3" is "nvidia-h100-80gb-hbm3"."""
    return re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-") or "device"


def free_memory(device: str) -> int:
    """Bytes that a case may use: the free memory, less a part for other programs."""
    if device != "cpu":
        cached = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()  # torch's cache, available to new tensors
        return int(0.9 * (torch.cuda.mem_get_info()[0] + cached))
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        found = None
    return int(0.6 * 1024 * int(found[1])) if found else 2**32
