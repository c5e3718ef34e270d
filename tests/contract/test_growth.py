"""What it costs to grow: the files that an architecture folder, a configuration or an elementwise op touches.

Each is added to a copy of the sources; build, selection, machine model and inspection must take it from there.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import gpukern.model.configurations
import gpukern.model.machine
import gpukern.model.memory
from gpukern.model import build
from tests.platform import kernels
from tests.platform.library import FOLDER, MACHINE, ROOT, machine_rules, run_ninja

SELECTS = """
#include <cstdio>
#include "gemm/select.h"
using namespace gpukern;
using namespace gpukern::gemm;
int main() {
  Problem p;
  p.m = p.n = p.k = 4096;
  p.a = p.b = p.d = {4096, 1, 0, 16};
  Device d{};
  d.vendor = Vendor::nvidia, d.target = 75, d.sm_count = 40, d.shared_bytes = 64 * 1024;
  const Choice c = select(p, d, built_for_all());
  std::printf("%s/%s", kFolders[c.folder].name, kFolders[c.folder].configurations[c.index].id);
  for (int r = 0; r < kFolders[c.folder].count; ++r) std::printf(" %s", kFolders[c.folder].configurations[r].id);
}
"""


class Tree:
    """A copy of csrc/, and which of its files were changed or added, a new folder of kernels as one."""

    def __init__(self, to: Path) -> None:
        self.csrc = to / "csrc"
        shutil.copytree(ROOT / "csrc", self.csrc)

    def replace(self, name: str, *texts: tuple[str, str]) -> None:
        path = self.csrc / name
        content = path.read_text()
        for right, wrong in texts:
            assert content.count(right) == 1, (name, right, content.count(right))
            content = content.replace(right, wrong)
        path.write_text(content)

    def add_folder(self, name: str, device: str = "") -> None:
        """simt under another name, where `device` is given for devices of that condition alone."""
        to = self.csrc / "gemm/arch" / name
        shutil.copytree(self.csrc / "gemm/arch/simt", to)
        for path in to.iterdir():
            path.write_text(re.sub(r"\bsimt\b", name, path.read_text()))
        if device:
            serves = r"return d\.vendor == Vendor::host \? (\"[^\"]*\") : nullptr;"
            changed, count = re.subn(serves, rf"return {device} ? nullptr : \1;", (to / "tiles.h").read_text())
            assert count == 1
            (to / "tiles.h").write_text(changed)

    def touched(self) -> set[str]:
        """Files that differ; those of a folder that the tree does not have are that folder."""
        found = set()
        for path in (p for p in self.csrc.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            name = path.relative_to(self.csrc)
            ours = ROOT / "csrc" / name
            if not ours.parent.exists():
                found.add(name.parent.as_posix())
            elif not ours.exists() or ours.read_bytes() != path.read_bytes():
                found.add(name.as_posix())
        return found

    def rules(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """The build's rules, of this tree."""
        spec = importlib.util.spec_from_file_location("rules_of_a_copy", self.csrc / "build_rules.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    def selects(self) -> list[str]:
        """What runs a float32 product on Turing, and the other configurations of its folder."""
        source, program = self.csrc.parent / "selects.cpp", self.csrc.parent / "selects"
        source.write_text(SELECTS)
        run(f"{build.compiler()} -std=c++20 -I{self.csrc} {source} -o {program}")
        return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def run(command: str) -> None:
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_an_architecture_folder_is_that_folder_and_the_registry(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.add_folder("turing", "d.vendor == Vendor::nvidia && d.target == 75")
    tree.replace(
        "gemm/registry.h",
        ('#include "arch/wgmma/tiles.h"\n', '#include "arch/wgmma/tiles.h"\n#include "arch/turing/tiles.h"\n'),
        (" F(simt)\n", " F(turing) F(simt)\n"),
    )
    assert tree.touched() == {"gemm/arch/turing", "gemm/registry.h"}

    rules = tree.rules(monkeypatch)
    gpu = rules.Gpu("cuda", "nvcc", "13.0", Path(), (), "", ("sm_75", "sm_80", "sm_90", "sm_100", "sm_120"))
    plan = rules.plan_objects(gpu)
    assert {"sm_75", "sm_120"} <= set(plan.targets["gemm/arch/turing"])
    assert {o.name for o in plan.objects if "turing" in o.name} == {
        f"gemm_arch_turing_{name}_gpu" for name in ("float", "half", "integers", "launch")
    }
    assert "#define GPUKERN_BUILT_turing 1" in rules.built_header({"targets": plan.targets, "backend": "cuda"})

    assert tree.selects()[0].startswith("turing/")

    with monkeypatch.context() as patch:
        patch.setattr(build, "root", lambda: tree.csrc.parent)
        patch.setattr(build, "rules", lambda: rules)
        assert {Path(source).parent.name for source, _ in build.commands(Path("to")).values()} >= {"turing", "simt"}

    name = "void gpukern::gemm::turing::product<gpukern::gemm::turing::s128x128, float>(gpukern::gemm::turing::Params)"
    assert kernels.key_of(name) == "turing/s128x128 f32" and kernels.room_of(name) == "turing"


@pytest.mark.slow
def test_the_model_runs_an_added_folder(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.add_folder("turing")
    tree.replace("gemm/registry.h", ("arch/simt/tiles.h", "arch/turing/tiles.h"), (" F(simt)\n", " F(turing)\n"))
    run_ninja("machine", lambda: "\n".join(machine_rules()) + "\n")
    flags = build.flags().replace("-Icsrc", f"-I{tree.csrc}").replace("-O1 -g1", "-O0")
    sources = [(tree.csrc / "gemm/arch/turing" / f"{name}.cu", build.WATCHED) for name in ("float", "launch")]
    sources += [(tree.csrc / "gemm/split/split.cu", build.WATCHED)]
    sources += [(tree.csrc / "platform/model/harness_product.cpp", ""), (ROOT / "tests/contract/added_folder.cpp", "")]
    objects = []
    for source, watched in sources:
        objects.append(str(tree.csrc.parent / f"{source.stem}.o"))
        run(f"{build.compiler()} {flags} {watched} -x c++ -c {source} -o {objects[-1]}")
    library = tree.csrc.parent / "libadded.so"
    run(f"{build.compiler()} -shared {' '.join(objects)} {ROOT / MACHINE} -Wl,-rpath,{ROOT / FOLDER} -o {library}")
    ctypes.CDLL(str(ROOT / MACHINE))
    found = ctypes.CDLL(str(library))
    for name in ("product", "counts"):
        getattr(found, f"gpukern_model_{name}").restype = ctypes.c_char_p
    for module in (gpukern.model.machine, gpukern.model.memory):
        monkeypatch.setattr(module, "library", lambda: found)
    a, b = torch.randint(-4, 5, (1, 35, 40)).float(), torch.randint(-4, 5, (1, 40, 33)).float()
    folder, _ = gpukern.model.configurations.place_of("simt/s32x32")
    got = gpukern.model.machine.product(folder, 2, torch.empty(1, 35, 33), a, b, precision="strict")
    assert torch.equal(got.double(), a.double() @ b.double())


def test_a_configuration_is_one_line(tree: Tree) -> None:
    tree.replace(
        "gemm/arch/simt/tiles.h",
        (
            "    ROW(s32x32,   kSingle,",
            "    ROW(s64x128,  kSingle,  64, 128, 16, 4, 8)   \\\n    ROW(s32x32,   kSingle,",
        ),
    )
    assert tree.touched() == {"gemm/arch/simt/tiles.h"}
    assert "s64x128" in tree.selects()


CUBE = """struct Cube {
  static constexpr Spec spec{.name = "cube", .args = "Tensor input", .doc = "x times x times x.", .aten = ""};
  template <class V> static GPUKERN_HD V apply(V x) { return x * x * x; }
};

using Ops = List<Cube, """
LISTS = """
#include <cstdio>
#include "formulas/ops/families.h"
#include "formulas/ops/activation.h"
using namespace gpukern::elementwise;
using namespace gpukern::elementwise::common;
template <class... Ops> void print(List<Ops...>) {
  ((std::printf("%s %s %d\\n", Ops::spec.name, Ops::spec.args, has_variant<Ops>(1))), ...);
}
int main() { print(activation::Ops{}); }
"""


def test_an_elementwise_op_is_one_file(tree: Tree) -> None:
    """Its struct: the list from which schemas, kernels and loops are made has it, and its first derivative."""
    tree.replace("formulas/ops/activation.h", ("using Ops = List<", CUBE))
    assert tree.touched() == {"formulas/ops/activation.h"}
    source, program = tree.csrc.parent / "lists.cpp", tree.csrc.parent / "lists"
    source.write_text(LISTS)
    run(f"{build.compiler()} -std=c++20 -w -I{tree.csrc} {source} -o {program}")
    printed = subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[0] == "cube Tensor input 1" and len(printed) > 10
