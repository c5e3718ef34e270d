"""gpukern: hand-written CUDA and HIP kernels for matrix products and elementwise ops, behind torch's own names.

    import torch, gpukern
    y = gpukern.linear(x, weight, bias, activation="gelu")   # one pass, in training too
    z = gpukern.silu(y)                                       # differentiable, on CPU and GPU tensors alike

`gpukern.ops.__all__` lists the functions, `gpukern.nn` has modules, `gpukern.enable()` puts the kernels behind torch's
own functions, `gpukern.explain("matmul", a, b)` says which kernel serves a call and why.
"""

from __future__ import annotations

import typing as _typing
from importlib import import_module as _import_module

from . import info as _info

_C = _info.load_extension()

from . import compile as _compile  # noqa: E402  (after the extension: a missing one is reported in one line)
from . import ops  # noqa: E402
from . import tuning as _tuning  # noqa: E402
from .dropin import Stats, disable, enable, enabled_ops, reset_stats, stats  # noqa: E402
from .info import Info, built, info  # noqa: E402
from .ops import *  # noqa: E402, F403
from .ops import __all__ as __all__  # noqa: E402  (where mypy learns what `*ops.__all__` below stands for)
from .selection import available, explain, force, reset_served, served  # noqa: E402

_compile.register()
_tuning.activate()

__version__: str = built()["version"]

if _typing.TYPE_CHECKING:
    from . import model as model
    from . import nn as nn
    from . import reference as reference
else:

    def __getattr__(name: str) -> _typing.Any:
        """Imports gpukern.nn, .reference and .model on first use: most programs need none of them."""
        if name in ("nn", "reference", "model"):
            return _import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [  # noqa: F811
    "Info",
    "Stats",
    "available",
    "disable",
    "enable",
    "enabled_ops",
    "explain",
    "force",
    "info",
    "ops",
    "reset_served",
    "reset_stats",
    "served",
    "stats",
    *ops.__all__,
]

if _typing.TYPE_CHECKING:  # what `import *` leaves where it is
    __all__ += ["_C", "model", "nn", "reference"]
