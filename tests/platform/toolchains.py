"""The paths of the tools that inspect GPU code on a machine without a GPU, and how to get them from packages alone.

CUDA: nvcc of the build, cuobjdump and nvdisasm from PyPI (requirements-dev.txt).  HIP: clang, lld and llvm of Debian by
apt, and the HIP headers, device bitcode and library of a newer Debian suite, unpacked below build/hip and never
installed.  What is missing raises `Missing`: one line with what to do.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "csrc"))

import build_rules as rules  # noqa: E402

HIP_FOLDER = ROOT / "build" / "hip"
LLVM = "22"
HIP_PACKAGES = [f"{tool}-{LLVM}" for tool in ("clang", "lld", "llvm", "clang-tools")] + ["libamdhip64-5"]
SUITES = ("experimental", "sid", "forky")  # tried in this order for HIP 7
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Missing(RuntimeError):
    """A toolchain that this machine lacks."""


def run(*command: str | Path, **options: Any) -> str:
    """Standard output; where the command fails, an error with its last output."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options
    )
    if done.returncode:
        raise RuntimeError(f"{Path(str(command[0])).name} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def timed(*command: str | Path) -> tuple[str, float]:
    """The command's output, and the user and system seconds of it and its children."""
    with tempfile.TemporaryFile("w+") as words:
        child = subprocess.Popen(
            [str(c) for c in command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=words, stderr=words
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        words.seek(0)
        output = words.read()
    if child.returncode:
        raise RuntimeError(f"{Path(str(command[0])).name} failed:\n{output[-4000:]}")
    return output, used.ru_utime + used.ru_stime


def parallel(function: Any, items: Any) -> list[Any]:
    """function(item) of each, as many at a time as there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        return list(pool.map(function, items))


def demangle(names: list[str]) -> dict[str, str]:
    tool = shutil.which("c++filt") or shutil.which(f"llvm-cxxfilt-{LLVM}")
    if not tool:
        raise Missing("no c++filt; install binutils")
    text = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return dict(zip(names, text.split("\n")))


# ---- CUDA ------------------------------------------------------------------------------------------------------------


@cache
def cuda_tools() -> Path:
    """The folder of cuobjdump and nvdisasm."""
    found = importlib.util.find_spec("nvidia")
    places = [Path(p) / "cu13" / "bin" for p in (found.submodule_search_locations or [])] if found else []
    for place in places:
        if (place / "nvdisasm").exists() and (place / "cuobjdump").exists():
            return place
    raise Missing("no cuobjdump or nvdisasm; run: pip install -r requirements-dev.txt")


@cache
def cuda_gpu() -> rules.Gpu:
    """nvcc, for all targets that the `targets` files name."""
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    found = [p / "bin" / "nvcc" for p in [*homes, Path("/usr/local/cuda")] if (p / "bin" / "nvcc").exists()]
    compiler = str(found[0]) if found else shutil.which("nvcc")
    if not compiler:
        raise Missing("no nvcc in CUDA_HOME, on PATH or in /usr/local/cuda/bin, so the CUDA code cannot be inspected")
    version = rules.first_number(rules.output_of(compiler, "--version").split("release")[-1])
    known = tuple(rules.output_of(compiler, "--list-gpu-code").split())
    return rules.Gpu("cuda", compiler, version, Path(compiler).resolve().parent.parent, (), "all targets", known)


# ---- HIP -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hip:
    """clang as a HIP compiler, and what stands in for a ROCm installation."""

    clang: str
    rocm: Path
    version: str

    def tool(self, name: str) -> str:
        return f"{name}-{LLVM}"

    @property
    def flags(self) -> list[str]:
        """The flags of setup.py's rule for HIP, and where the headers are."""
        generated = (HIP_FOLDER / "generated").as_posix()
        return [
            *("-x", "hip", "-std=c++20", "-DNDEBUG", f"-I{rules.CSRC}", f"-I{generated}", "-O3"),
            *("-fPIC", "-fvisibility=hidden", f"--rocm-path={self.rocm}", "-D__HIP_PLATFORM_AMD__=1"),
        ]

    @property
    def gpu(self) -> rules.Gpu:
        return rules.Gpu("hip", self.clang, self.version, self.rocm, (), "all targets")


def may_install() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and bool(shutil.which("apt-get"))


def apt_install(packages: list[str]) -> None:
    missing = [p for p in packages if "install ok" not in rules.output_of("dpkg-query", "-W", "-f=${Status}", p)]
    if not missing:
        return
    if not may_install():
        raise Missing(f"the HIP code cannot be inspected: as root, run: apt-get install {' '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=environment)
    except RuntimeError as error:
        raise Missing(f"apt-get install {' '.join(missing)} failed, so the HIP code cannot be inspected") from error


@cache
def hip() -> Hip:
    """Downloads what is missing; with a lock, so that two test runs at once do not do it twice."""
    HIP_FOLDER.mkdir(parents=True, exist_ok=True)
    with (HIP_FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        apt_install(HIP_PACKAGES)
        note = HIP_FOLDER / "rocm" / "version.txt"
        if not note.exists():
            unpack_rocm()
    plan = rules.plan_objects(rules.Gpu("hip", "", "", ROOT, (), "all targets"))
    info = {"backend": "hip", "targets": plan.targets}
    rules.write_if_changed(HIP_FOLDER / "generated" / "gpukern_built.h", rules.built_header(info))
    clang = f"clang++-{LLVM}"
    version = rules.first_number(rules.output_of(clang, "--version"))
    return Hip(clang, HIP_FOLDER / "rocm", f"clang {version}, {note.read_text().strip()}")


def unpack_rocm() -> None:
    """HIP's headers, device bitcode and library from the first suite that has HIP 7, by the machine's own mirror."""
    if not shutil.which("apt-get"):
        raise Missing("the HIP headers come by apt, which this machine lacks, so the HIP code cannot be inspected")
    sources = rules.output_of("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()
    mirror = next((uri for uri in sources if "security" not in uri), None)
    for suite in SUITES if mirror else ():
        folder = HIP_FOLDER / "apt" / suite
        shutil.rmtree(folder, ignore_errors=True)
        for part in ("lists/partial", "cache/archives/partial", "deb", "root"):
            (folder / part).mkdir(parents=True)
        (folder / "sources.list").write_text(f"deb [signed-by={KEYS}] {mirror} {suite} main\n")
        options = ["-qq", f"-oDir::Etc::sourcelist={folder}/sources.list", "-oDir::Etc::sourceparts=-"]
        options += [f"-oDir::State::lists={folder}/lists", f"-oDir::Cache={folder}/cache"]
        options += ["-oDir::State::status=/dev/null", "-oAPT::Sandbox::User="]
        try:
            run("apt-get", *options, "update")
            names = run("apt-cache", *options, "pkgnames", "rocm-device-libs-").split()
            numbers = sorted(int(n.rpartition("-")[2]) for n in names if n.rpartition("-")[2].isdigit())
            bitcode = next(f"rocm-device-libs-{n}" for n in reversed(numbers) if n <= int(LLVM))
            wanted = ["libamdhip64-dev", "libamdhip64-7", bitcode]
            run("apt-get", *options, "download", *wanted, cwd=folder / "deb")
        except (RuntimeError, StopIteration):
            continue
        versions = sorted(p.name.rpartition("_")[0] for p in (folder / "deb").glob("*.deb"))
        for package in (folder / "deb").glob("*.deb"):
            run("dpkg", "-x", package, folder / "root")
        rocm, usr = HIP_FOLDER / "rocm", folder / "root" / "usr"
        shutil.rmtree(rocm, ignore_errors=True)
        shutil.copytree(usr / "include", rocm / "include")
        # share/hip/version: without it clang takes HIP for 3.5, and erff and its kin are not declared
        shutil.copytree(usr / "share", rocm / "share")
        shutil.copytree(next(usr.rglob("ocml.bc")).parent, rocm / "amdgcn" / "bitcode")
        (rocm / "lib").mkdir()
        shutil.copy(
            next(p for p in usr.rglob("libamdhip64.so.*") if not p.is_symlink()), rocm / "lib" / "libamdhip64.so"
        )
        hip_version = next(v for v in versions if v.startswith("libamdhip64-dev")).partition("_")[2].partition("-")[0]
        (rocm / "version.txt").write_text(f"HIP {hip_version}\n")
        shutil.rmtree(folder)
        return
    raise Missing("no Debian suite in reach has HIP 7, so the HIP code cannot be inspected")
