"""The functions people call, with torch's names and signatures.

Each is a C function over torch's own argument parser (csrc/entry), made from the schema of its op in the dispatcher's
library `gpukern`. The signature and the documentation of an elementwise op come from its struct in the catalogue
(csrc/formulas/ops). `help(gpukern.silu)` prints them, `gpukern.ops.__all__` lists the functions.

In-place forms have torch's trailing underscore (`gpukern.relu_(x)` returns x). Wrong arguments raise torch's exception
with torch's text. Functions that torch writes in Python (einsum, tensordot, chain_matmul) are in products.py.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from . import products
from .entries import functions

globals().update(functions)
globals().update({name: getattr(products, name) for name in products.__all__})
__all__ = sorted(functions)


def __getattr__(name: str) -> Callable[..., Tensor]:
    raise AttributeError(f"gpukern has no function {name!r}; gpukern.ops.__all__ lists what there is")
