"""mypy and pyright on programs that call gpukern: the documents' examples, and a call of every keyword."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpukern.entries import functions

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What --strict adds to pyproject.toml's own settings; not on the command line, so that `make lint`'s cache serves.
STRICT = "# mypy: disallow-untyped-calls, disallow-any-generics, warn-unused-ignores\n"
# What a document's text promises of its examples.
GIVEN = {
    "docs/model.md": "import torch, gpukern\n\na, b, x = torch.ones(8, 8), torch.ones(8, 8), torch.ones(8)\n",
}


def examples() -> dict[str, str]:
    """The programs in the documents, those of one document as one, by a name of their own."""
    found = {}
    for path in DOCUMENTS:
        blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(), flags=re.M | re.S)
        name = path.relative_to(ROOT).as_posix()
        if blocks:
            found["example_" + re.sub(r"\W", "_", name)] = STRICT + GIVEN.get(name, "") + "\n".join(blocks)
    return found


def value(kind: str, key: str) -> str:
    if "List[Tensor]" in kind:
        return "[t, t]"
    if "List" in kind:
        return "[0]"
    if "Tensor" in kind:
        return "t"
    if key == "out_dtype":
        return "torch.float32"
    return {"number": "2.0", "str": '"none"', "bool": "True", "int": "1"}[re.sub(r"Optional\[(\w+)\]", r"\1", kind)]


def calls() -> str:
    """Every function of C++ with its tensors alone, then with each of its other parameters, by the op's schema; last,
    with each flag that its documentation adds."""
    lines = [STRICT + "# pyright: strict", "import torch", "from torch import Tensor", "", "import gpukern", ""]
    lines += ["t: Tensor = torch.ones(2, 2)", "r: Tensor"]
    for name in sorted(functions):
        if name in ("einsum", "tensordot", "chain_matmul"):
            continue  # which are of Python
        op = getattr(torch.ops.gpukern, name)
        parameters = op.default._schema.arguments
        needed = [f"{a.name}={value(str(a.type), a.name)}" for a in parameters if not a.has_default_value()]
        more = [f"{a.name}={value(str(a.type), a.name)}" for a in parameters if a.has_default_value()]
        more += ["out=t"] if "out" in op.overloads() else []
        lines += [f"r = gpukern.{name}({', '.join([*needed, *each])})" for each in [[], *([m] for m in more)]]
        lines.append(f"r = gpukern.{name}({', '.join([*needed, *more])})")
        by_place = [value(str(a.type), a.name) for a in parameters if not a.kwarg_only]
        lines.append(f"r = gpukern.{name}({', '.join(by_place)})")
        flags = set(inspect.signature(functions[name]).parameters) - {a.name for a in parameters} - {"out"}
        lines += [f"gpukern.{name}({', '.join([*needed, flag + '=True'])})" for flag in sorted(flags)]
    return "\n".join(lines) + "\n"


OVERLOADS = (
    STRICT
    + """\
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true, reportDeprecated=false
import torch
from torch import Tensor
from typing_extensions import assert_type

import gpukern
from gpukern import einsum, linear, ops

t = torch.ones(2, 2)
assert_type(gpukern.mm(t, t), Tensor)
assert_type(gpukern.mm(t, t, torch.float32), Tensor)
assert_type(gpukern.mm(t, t, out_dtype=torch.float32, out=t), Tensor)
assert_type(gpukern.add(1, t), Tensor)
assert_type(gpukern.add(t, 2j, alpha=True), Tensor)
assert_type(gpukern.add(t, 2, t), Tensor)  # torch's old order
assert_type(gpukern.pow(2.5, t), Tensor)
assert_type(gpukern.pow(t, 2), Tensor)
assert_type(gpukern.where(t > 0, 1, t), Tensor)
assert_type(gpukern.where(t > 0, t, 1.5), Tensor)
assert_type(gpukern.clamp(t, min=0), Tensor)
assert_type(gpukern.clamp(t, t, t), Tensor)
assert_type(gpukern.clamp_(t, None, 2), Tensor)
assert_type(gpukern.relu(t, True), Tensor)
assert_type(gpukern.relu(t, inplace=True), Tensor)
assert_type(gpukern.relu_(t), Tensor)
assert_type(gpukern.div(t, 2, rounding_mode="floor"), Tensor)
assert_type(linear(t, t, activation="gelu"), Tensor)
assert_type(ops.multi_dot((t, t)), Tensor)
assert_type(einsum("ij,jk->ik", t, t), Tensor)
assert_type(gpukern.chain_matmul(t, t, out=t), Tensor)
assert_type(gpukern.tensordot(t, t, dims=1), Tensor)
assert_type(gpukern.mm_activation_backward(t, t, t, "relu"), Tensor)
assert_type(gpukern.mm_activation_backward(t, t, t, "relu", bias_grad=False), Tensor)
assert_type(gpukern.mm_activation_backward(t, t, t, "relu", bias_grad=True), tuple[Tensor, Tensor])
layer: torch.nn.Module = gpukern.nn.Linear(2, 2, activation="relu")
with gpukern.enable():
    print(gpukern.stats(), gpukern.explain("mm", t, t), gpukern.info())

# What Python refuses, or the parser: where a checker finds nothing, its comment is an error.
gpukern.mm(t)  # type: ignore
gpukern.mm(t, 2)  # type: ignore
gpukern.mm(t, t, "relu")  # type: ignore
gpukern.mm(t, t, activaton="relu")  # type: ignore
gpukern.mm(t, t, torch.float32, activation="relu")  # type: ignore
gpukern.linear(t, t, activation=1)  # type: ignore
gpukern.pow(2, 2)  # type: ignore
gpukern.relu_(1)  # type: ignore
gpukern.relu(t, out=2)  # type: ignore
gpukern.clamp(t, t, 2)  # type: ignore
gpukern.add_(t, t, out=t)  # type: ignore
gpukern.no_such_function(t)  # type: ignore
"""
)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, text in {**examples(), "every_keyword": calls(), "every_overload": OVERLOADS}.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def mypy(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--config-file", "pyproject.toml", *map(str, folder.glob("*.py"))]
    paths = os.pathsep.join((str(ROOT), str(ROOT / "csrc")))
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "MYPYPATH": paths})


def pyright(folder: Path) -> subprocess.CompletedProcess[str]:
    settings = {
        "include": [str(folder), str(ROOT / "gpukern" / "demo")],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "standard",
        "reportMissingModuleSource": False,
        "reportMissingTypeStubs": False,
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--level", "error"]
    # The wheel's own node and pyright, without looking for a newer one.
    env = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    return subprocess.run([*command, "-p", str(folder)], capture_output=True, text=True, cwd=ROOT, env=env)


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_the_examples_and_every_keyword_type_check(
    checker: Callable[[Path], subprocess.CompletedProcess[str]], programs: Path
) -> None:
    """And the wrong calls do not: a `type: ignore` that ignores nothing is an error of both."""
    assert len(list(programs.glob("example_*.py"))) >= 2
    result = checker(programs)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no issues found in" in result.stdout or "0 errors" in result.stdout, result.stdout
