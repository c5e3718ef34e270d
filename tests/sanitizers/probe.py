"""Each planted fault in a forked process: `probe.py LIBRARY REPORTS` prints {name: [report without it, with it]}.

A report is "" if the process ended normally; else the sanitizer's, or the exit status if there is none.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path

import torch

WORDS = {
    "read_past_a_storage": "heap-buffer-overflow",
    "write_past_a_storage": "heap-buffer-overflow",
    "use_after_free": "heap-use-after-free",
    "free_twice": "attempting double-free",
    "write_past_a_block_on_the_stack": "stack-buffer-overflow",
    "use_after_scope": "stack-use-after-scope",
    "signed_overflow": "signed integer overflow",
    "shift_out_of_range": "shift exponent 32 is too large",
    "division_by_zero": "division by zero",
    "index_past_an_array": "__n < this->size()",
    "index_past_a_plain_array": "index 4 out of bounds",
    "index_past_a_vector": "__n < this->size()",
    "bool_that_is_neither": "not a valid value for type 'bool'",
}
ELEMENTS = 64


def report(library: ctypes.CDLL, name: str, planted: int, reports: Path) -> str:
    tensor = torch.ones(ELEMENTS)
    words = reports / f"{name}.{planted}"
    if (child := os.fork()) == 0:
        os.dup2(os.open(words, os.O_CREAT | os.O_WRONLY), 2)
        call = getattr(library, name)
        call(ctypes.c_void_p(tensor.data_ptr()), ctypes.c_int64(ELEMENTS), ctypes.c_int(planted))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if not status:
        return ""
    found = [words, *reports.glob(f"*.{child}")]
    return "".join(p.read_text(errors="replace") for p in found) or f"exit status {status}"


def main(path: str, reports: str) -> None:
    library = ctypes.CDLL(path)
    print(json.dumps({name: [report(library, name, planted, Path(reports)) for planted in (0, 1)] for name in WORDS}))


if __name__ == "__main__":
    main(*sys.argv[1:])
