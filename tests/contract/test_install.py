"""Building and importing: a refusal is one sentence with the command to run, and importing costs and starts nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "csrc"))

import build_rules as rules  # noqa: E402


def python(code: str, *arguments: str, cwd: Path = ROOT, **environment: Any) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env)


def setup_py(prelude: str, *arguments: str, **environment: Any) -> subprocess.CompletedProcess[str]:
    """setup.py with something else than this environment's torch or setuptools."""
    code = f"import runpy, sys; {prelude}; sys.argv = ['setup.py', *sys.argv[1:]]; "
    return python(code + "runpy.run_path('setup.py', run_name='__main__')", *arguments, **environment)


def one_sentence(result: subprocess.CompletedProcess[str], *words: str) -> None:
    lines = result.stderr.strip().splitlines()
    assert result.returncode == 1, result.stderr
    assert len(lines) == 1 and lines[0].startswith("gpukern: "), result.stderr
    for word in words:
        assert word in lines[0]


# ---- the build's refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["build_ext", "bdist_wheel", "dist_info", "editable_wheel"])
def test_no_torch_is_one_sentence(command: str) -> None:
    result = setup_py("sys.modules['torch'] = None", command)
    one_sentence(result, "has no torch", "pip install 'torch>=2.11'", "pip install --no-build-isolation .")


def test_old_torch_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("__version__ = '2.4.1+cu121'\n")
    result = setup_py(f"sys.path.insert(0, {str(tmp_path)!r})", "build_ext")
    one_sentence(result, "torch 2.4.1+cu121 is too old", "pip install 'torch>=2.11'")


def test_broken_torch_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libsomething.so.1: cannot open shared object file')\n")
    result = setup_py(f"sys.path.insert(0, {str(tmp_path)!r})", "build_ext")
    one_sentence(result, "cannot be imported", "libsomething.so.1")


def test_old_setuptools_is_one_sentence() -> None:
    result = setup_py("import setuptools; setuptools.__version__ = '65.5.0'", "build_ext")
    one_sentence(result, "setuptools 65.5.0 is too old", "pip install 'setuptools>=77'")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("GPUKERN_BUILD", "gpu", "GPUKERN_BUILD=gpu is unknown; choose auto, cpu, cuda or hip"),
        ("TORCH_CUDA_ARCH_LIST", "sm_90", "TORCH_CUDA_ARCH_LIST has 'sm_90'; write capabilities like"),
        ("CXX", "no-such-compiler", "no C++ compiler named no-such-compiler; install g++"),
    ],
)
def test_bad_environment_is_one_sentence(tmp_path: Path, name: str, value: str, words: str) -> None:
    nvcc = tmp_path / "bin" / "nvcc"  # a toolkit of its own, so that the answer is the same on every machine
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\n")
    nvcc.chmod(0o755)
    environment = {"CUDA_HOME": str(tmp_path), name: value}
    arguments = ["--build-temp", str(tmp_path), "--build-lib", str(tmp_path)]
    result = setup_py("pass", "-q", "build_ext", *arguments, **environment)
    assert result.returncode == 1 and result.stderr.strip().splitlines()[-1].startswith("gpukern: ")
    assert words in result.stderr and "Traceback" not in result.stderr


def test_a_sanitized_build_is_refused_in_place() -> None:
    result = setup_py("pass", "-q", "build_ext", "--inplace", GPUKERN_SANITIZE="1")
    one_sentence(result, "GPUKERN_SANITIZE=1 is not for the build in place", "make sanitize")


def test_a_sanitized_build_has_the_loops_of_every_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of AVX512 are left out and the others' levels of optimisation, which would win over the sanitizers' own."""
    usual = list(rules.capabilities())
    monkeypatch.setenv("GPUKERN_SANITIZE", "1")
    found = rules.capabilities()
    assert list(found) == [word for word in usual if word != "AVX512"]
    assert not [flag for flags in found.values() for flag in flags if flag.startswith("-O")]


def test_source_distribution_needs_no_torch(tmp_path: Path) -> None:
    result = setup_py("sys.modules['torch'] = None", "-q", "sdist", "--dist-dir", str(tmp_path))
    assert result.returncode == 0, result.stderr
    import tarfile

    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT).stdout.splitlines()
    wanted = [p for p in tracked if not p.startswith((".ci/", ".git")) and (ROOT / p).exists()]
    assert not set(wanted) - names
    assert not [n for n in names if n.endswith((".so", ".o", ".pyc", "built.json"))]


def test_an_installation_has_what_is_read_where_it_lies(tmp_path: Path) -> None:
    """The machine model's sources and the bench's suites, where the package looks for them."""
    result = setup_py("pass", "-q", "build_py", "--build-lib", str(tmp_path))
    assert result.returncode == 0, result.stderr
    package = tmp_path / "gpukern"
    suites = {p.name for p in (ROOT / "benchmarks" / "suites").glob("*.json")}
    assert suites == {p.name for p in (package / "benchmarks" / "suites").iterdir()}
    assert 'PACKAGE / "benchmarks" / "suites"' in (package / "bench" / "suites.py").read_text()
    assert (package / "csrc" / "elementwise" / "kernel.cuh").exists() and (package / "py.typed").exists()
    assert (package / "ops.pyi").read_text() == (ROOT / "gpukern" / "ops.pyi").read_text()


# ---- which targets ---------------------------------------------------------------------------------------------------

KNOWN = ("sm_75", "sm_80", "sm_86", "sm_87", "sm_88", "sm_89", "sm_90", "sm_100", "sm_110", "sm_103", "sm_120")


def cuda(*wanted: str, known: tuple[str, ...] = KNOWN) -> rules.Gpu:
    return rules.Gpu("cuda", "nvcc", "13.0", Path("/"), wanted, "test", known)


@pytest.mark.parametrize(
    ("targets", "wanted", "compiled"),
    [
        ("sm_80 sm_90 sm_120 ptx", "", "sm_80 sm_90 sm_120 ptx_80"),
        ("sm_80 sm_90 sm_120", "", "sm_80 sm_90 sm_120"),
        ("sm_80 sm_90 ptx", "8.0", "sm_80"),
        ("sm_80 sm_90 ptx", "8.6", "sm_80"),  # runs on a later minor version of its major
        ("sm_80 sm_90 ptx", "9.0", "sm_90"),
        ("sm_90a", "9.0", "sm_90a"),  # the same chip
        ("sm_90a", "10.0", ""),  # but no other
        ("sm_90a", "", "sm_90a"),
        ("sm_80 sm_90 ptx", "10.0", "ptx_80"),  # nothing of that major: PTX
        ("sm_80 sm_90 ptx", "7.0", ""),
        ("sm_75 sm_80 ptx", "7.5+PTX", "sm_75 ptx_75"),
        ("sm_80 sm_90 ptx", "8.0+PTX 9.0", "sm_80 sm_90 ptx_80"),
        ("sm_100 sm_120 ptx", "10.3", "sm_100"),
        ("sm_89 sm_120 ptx", "10.0", "ptx_89"),
        ("sm_80 gfx942 gfx1100", "", "sm_80"),
    ],
)
def test_cuda_targets(targets: str, wanted: str, compiled: str) -> None:
    assert rules.select_cuda(targets.split(), cuda(*wanted.split())) == compiled.split()


def test_plain_words_share_a_front_end() -> None:
    words = ["sm_75", "sm_80", "sm_120", "sm_90a", "ptx_80"]
    flags = rules.target_flags(words, ["sm_75", "sm_80", "sm_90", "sm_120", "sm_90a", "ptx"], cuda())
    assert [f.removeprefix("-gencode=") for f in flags] == [
        "arch=compute_75,code=sm_75",
        "arch=compute_80,code=sm_80",
        "arch=compute_80,code=sm_120",
        "arch=compute_90a,code=sm_90a",
        "arch=compute_80,code=compute_80",
    ]


def test_a_folder_of_younger_words_has_their_front_end() -> None:
    """compute_80 has no mma.sync of 8-bit floats, nor has sm_120's folder if only sm_120 is requested."""
    folder = ["sm_89", "sm_120", "ptx"]
    assert rules.select_cuda(folder, cuda()) == ["sm_89", "sm_120", "ptx_89"]
    assert rules.select_cuda(folder, cuda("12.0+PTX")) == ["sm_120", "ptx_89"]
    assert rules.select_cuda(folder, cuda("8.0")) == []
    assert rules.target_flags(["sm_120", "ptx_89"], folder, cuda()) == [
        "-gencode=arch=compute_89,code=sm_120",
        "-gencode=arch=compute_89,code=compute_89",
    ]


def test_a_folder_that_names_its_ptx_has_one_front_end() -> None:
    folder = ["sm_75", "sm_80", "sm_120", "ptx_75"]
    assert rules.select_cuda(folder, cuda()) == folder
    assert rules.select_cuda(folder, cuda("9.0")) == ["ptx_75"]
    assert rules.target_flags(folder, folder, cuda()) == [
        *(f"-gencode=arch=compute_75,code=sm_{n}" for n in (75, 80, 120)),
        "-gencode=arch=compute_75,code=compute_75",
    ]


def test_cuda_targets_are_those_the_compiler_knows() -> None:
    old = cuda(known=("sm_70", "sm_80", "sm_90"))
    targets = ["sm_80", "sm_90", "sm_90a", "sm_120", "ptx"]
    assert rules.select_cuda(targets, old) == ["sm_80", "sm_90", "sm_90a", "ptx_80"]


@pytest.mark.parametrize(
    ("targets", "wanted", "compiled"),
    [
        ("sm_80 gfx90a gfx942 gfx11-generic", "", "gfx90a gfx942 gfx11-generic"),
        ("sm_80 gfx90a gfx942 gfx11-generic", "gfx942", "gfx942"),
        ("gfx90a gfx11-generic gfx12-generic", "gfx1100", "gfx11-generic"),
        ("gfx90a", "gfx950", ""),
    ],
)
def test_hip_targets(targets: str, wanted: str, compiled: str) -> None:
    gpu = rules.Gpu("hip", "hipcc", "7.2", Path("/"), tuple(wanted.split()), "test")
    assert rules.select_hip(targets.split(), gpu) == compiled.split()


def test_every_object_has_flags_of_its_own() -> None:
    plan = rules.plan_objects(cuda())
    assert len({o.name for o in plan.objects}) == len(plan.objects)
    loops = [o for o in plan.objects if o.source.name == "host_loops.cpp"]
    assert len(loops) == len(rules.families()) * len(rules.capabilities())
    for other in plan.objects:
        if other.source.name not in ("host_loops.cpp", "host_stage.cpp"):
            assert not any(flag.startswith("-m") for flag in other.flags), other
    gpu = [o for o in plan.objects if o.source == Path("csrc/elementwise/gpu.cu")]
    assert len(gpu) == len(rules.families()) and all("-gencode" in o.flags[0] for o in gpu)
    assert not [o for o in rules.plan_objects(None).objects if o.rule == "gpu"]


# ---- importing -------------------------------------------------------------------------------------------------------


def copy_of_the_package(tmp_path: Path) -> Path:
    """The Python files only: what a source folder without a build looks like."""
    ignore = shutil.ignore_patterns("*.so", "built.json", "__pycache__")
    shutil.copytree(ROOT / "gpukern", tmp_path / "gpukern", ignore=ignore)
    (tmp_path / "setup.py").touch()
    return tmp_path


def test_import_without_a_build_says_what_to_run(tmp_path: Path) -> None:
    result = python("import gpukern", cwd=copy_of_the_package(tmp_path), PYTHONPATH=str(tmp_path))
    last = result.stderr.strip().splitlines()[-1]
    assert (
        last.startswith("ImportError: gpukern in ") and "is not built; run: " in last and "setup.py build_ext" in last
    )


def test_import_with_another_torch_says_what_to_run(tmp_path: Path) -> None:
    folder = copy_of_the_package(tmp_path) / "gpukern"
    for extension in (ROOT / "gpukern").glob("_C*.so"):
        (folder / extension.name).symlink_to(extension)
    facts = json.loads((ROOT / "gpukern" / "built.json").read_text())
    (folder / "built.json").write_text(json.dumps({**facts, "torch": "2.12.1+cpu"}))
    result = python("import gpukern", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    last = result.stderr.strip().splitlines()[-1]
    assert "gpukern was built against torch 2.12.1+cpu and this is torch " in last and "rebuild it, run: " in last


def test_import_starts_no_device() -> None:
    code = """
import torch
before = {line.split()[-1] for line in open('/proc/self/maps') if '.so' in line}
import gpukern
after = {line.split()[-1] for line in open('/proc/self/maps') if '.so' in line}
assert not torch.cuda.is_initialized()
assert not [name for name in after - before if 'libcuda.' in name or 'libamdhip' in name or 'libcudart' in name]
"""
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_import_costs_at_most_a_seventh_of_torchs() -> None:
    """Of CPU time, side by side in one process: 0.05 where this was written, 62 ms beside 1.25 s, and whoever imports
    gpukern imports torch.  A bound in milliseconds would judge the machine and what else runs there."""
    code = """
import time
began = time.process_time(); import torch
between = time.process_time(); import gpukern
print((time.process_time() - between) / (between - began))
"""
    shares = []
    for _ in range(5):  # the best of five: other work on the machine only adds
        shares.append(float(python(code).stdout))
        if shares[-1] <= 1 / 7:
            break
    assert min(shares) <= 1 / 7, shares


def test_a_forked_child_works() -> None:
    code = """
import os, torch, gpukern
a = torch.arange(12.0).reshape(3, 4)
want = a @ a.T
pid = os.fork()
if pid == 0:
    right = torch.equal(gpukern.mm(a, a.T), want) and torch.equal(gpukern.add(a, 1), a + 1)
    os._exit(0 if right else 1)
assert os.waitpid(pid, 0)[1] == 0
assert torch.equal(gpukern.mm(a, a.T), want)
"""
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_info_is_a_page_and_json() -> None:
    import gpukern

    result = subprocess.run(
        [sys.executable, "-m", "gpukern", "info", "--json"], capture_output=True, text=True, cwd=ROOT
    )
    facts = json.loads(result.stdout)
    assert facts["built"] == json.loads(gpukern._C.build_info())
    assert {"version", "torch", "python", "built", "cpu", "devices", "environment", "advice"} <= facts.keys()
    page = subprocess.run([sys.executable, "-m", "gpukern", "info"], capture_output=True, text=True, cwd=ROOT).stdout
    assert page.splitlines()[0] == f"gpukern {facts['version']}" and "built" in page
    assert str(gpukern.info()).splitlines()[0] == page.splitlines()[0]


def test_a_cpu_build_says_how_to_get_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    import gpukern  # noqa: F401

    module = sys.modules["gpukern.info"]
    monkeypatch.setattr(module, "found_nvcc", lambda: "/usr/local/cuda/bin/nvcc")
    monkeypatch.setattr(module, "gpus_of_the_driver", lambda: [{"name": "A", "target": "sm_80"}])
    (line, *_) = module.advice({"backend": "cpu", "targets": {}}, [])
    assert line.startswith("CUDA kernels are not built") and "GPUKERN_BUILD='cuda'" in line
    lines = module.advice({"backend": "cuda", "targets": {"x": ["sm_90"]}}, [])
    assert any("this build has no kernels for sm_80; run: TORCH_CUDA_ARCH_LIST='8.0'" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "target", "runs"),
    [
        ("sm_80", "sm_80", True),
        ("sm_80", "sm_86", True),
        ("sm_86", "sm_80", False),
        ("sm_80", "sm_90", False),
        ("sm_90a", "sm_90", True),
        ("sm_90a", "sm_100", False),
        ("ptx_80", "sm_120", True),
        ("ptx_90", "sm_80", False),
        ("gfx942", "gfx942", True),
        ("gfx11-generic", "gfx1100", True),
        ("gfx942", "gfx950", False),
    ],
)
def test_which_code_runs_where(words: str, target: str, runs: bool) -> None:
    import gpukern  # noqa: F401

    assert sys.modules["gpukern.info"].runs_on(words.split(), target) is runs
