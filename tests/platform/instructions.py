"""The primitives of a CUDA device: the assembly of their one instruction in PTX, operands by their names.

A primitive can be compared with the manual's instruction without a GPU; only what the instruction does needs one.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from gpukern.model import build

ROOMS = ("platform", "platform/cuda", "primitives")
# These are no primitives: the headers are read without them.
CUDA = ("cuda.h", "cuda_bf16.h", "cuda_fp16.h", "cuda_runtime.h")
HIP = ("hip/hip_bf16.h", "hip/hip_fp16.h", "hip/hip_runtime.h")
OTHERS = (*CUDA, *HIP, "cstdint", "cstdio", "cstring", "memory", "set", "string_view", "type_traits", "utility")
HEAD = re.compile(
    r"template <> struct (?P<struct>Wgmma\w*<[^>]*>) \{|"
    r"__device__ __forceinline__ (?!constexpr)[\w<>:]+ (?P<name>\w+)\((?P<rest>)"
)


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[(){}\[\]]')


@dataclass(frozen=True)
class Instruction:
    text: str
    volatile: bool
    memory: bool  # the compiler moves no access to memory across it


def preprocessed(csrc: Path, scratch: Path, hip: bool = False) -> str:
    """The primitives as nvcc reads them for sm_90a, or clang as HIP, without what they include of others'."""
    nothing = scratch / "nothing"
    for name in OTHERS:
        (nothing / name).parent.mkdir(parents=True, exist_ok=True)
        (nothing / name).touch()
    headers = [csrc / "platform/hip.h"] if hip else _of_instructions(csrc)
    source = scratch / "all.cpp"
    source.write_text("".join(f'#include "{header}"\n' for header in headers))
    macros = ["-D__HIP__"] if hip else ["-D__CUDACC__", "-D__CUDA_ARCH__=900", "-D__CUDA_ARCH_FEAT_SM90_ALL"]
    command = [build.compiler(), "-E", "-P", "-nostdinc", f"-I{nothing}", *macros, str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _of_instructions(csrc: Path) -> list[Path]:
    """The headers of primitives that stand for instructions, not for tiles made of them."""
    return sorted(p for p in (csrc / "primitives").glob("*.h") if '"../platform/cuda/' in p.read_text())


def instructions(text: str) -> dict[str, list[Instruction]]:
    """Of every primitive that has some; the overloads in their order, of wgmma by the struct."""
    found: dict[str, list[Instruction]] = {}
    text = re.sub(r"\s+", " ", text)
    struct = ""
    for head in HEAD.finditer(text):
        if head["struct"]:
            struct = head["struct"]
            continue
        body = _closed(text, text.index("{", _end(text, head.end() - 1)))
        name = f"{struct}::{head['name']}" if head["name"] in ("shared", "registers") else head["name"]
        for asm in re.finditer(r"\basm (volatile)?\(|\basm(?: volatile)?\(", body):
            inside = _closed(body, asm.end() - 1)[1:-1]
            found.setdefault(name, []).append(_instruction(inside, "volatile" in asm[0]))
    return found


def bodies(text: str) -> dict[str, str]:
    """The bodies of the primitives that call a function of the compiler."""
    found = {}
    text = re.sub(r"\s+", " ", text)
    for head in HEAD.finditer(text):
        if head["name"]:
            body = _closed(text, text.index("{", _end(text, head.end() - 1)))[1:-1].strip()
            found[head["name"]] = body.removeprefix("return ").removesuffix(";")
    return found


def _end(text: str, at: int) -> int:
    return at + len(_closed(text, at))


def _closed(text: str, at: int) -> str:
    """From the bracket at that place to the one that closes it; strings are skipped."""
    depth = 0
    for token in TOKEN.finditer(text, at):
        if token[0] in "({[":
            depth += 1
        elif token[0] in ")}]":
            depth -= 1
            if depth == 0:
                return text[at : token.end()]
    raise ValueError(f"nothing closes what opens at {text[at : at + 40]}")


def _sections(text: str) -> list[str]:
    """What stands between the colons, strings and brackets apart."""
    parts, i, last = [], 0, 0
    while i < len(text):
        if text[i] == '"':
            i += len(re.match(r'"(?:[^"\\]|\\.)*"', text[i:])[0])  # type: ignore[index]
        elif text[i] in "({[":
            i = _end(text, i)
        else:
            if text[i] == ":":
                parts.append(text[last:i])
                last = i + 1
            i += 1
    return [*parts, text[last:], "", "", ""][:4]


def _operands(text: str) -> list[str]:
    """(constraint, expression) as "expression", "=expression" and "+expression"."""
    found, at = [], 0
    while match := re.compile(r'\s*,?\s*"([=+]?)(\w)"\s*\(').match(text, at):
        inside = _closed(text, match.end() - 1)
        found.append(f"{match[1]}{match[2]}:{inside[1:-1].strip()}")
        at = match.end() - 1 + len(inside)
    return found


def _instruction(text: str, volatile: bool) -> Instruction:
    template, outputs, inputs, clobbers = _sections(text.replace('"+" "', '"+'))
    words = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', template)).replace("\\n", " ")
    operands = [*_operands(outputs), *_operands(inputs)]
    instruction = re.sub(
        r"%(\d+)", lambda m: dict(enumerate(operands)).get(int(m[1]), "nothing"), words.replace("%%", "$")
    )
    return Instruction(re.sub(r"\s+", " ", instruction).strip(), volatile, '"memory"' in clobbers)
