"""What torch's tracers need to know of the ops: results without data, batching rules, and how Dynamo sees a call.

The kernels need none of it; it runs while a model is traced, exported or mapped over a batch. Each subject has a module
of its own; this one registers all of them.
"""

from __future__ import annotations

from typing import Any

from . import batching, dynamo, fakes_elementwise, fakes_products
from .info import load_extension


def register() -> None:
    """Called once by the package."""
    catalogue: dict[str, dict[str, Any]] = {}
    for entry in load_extension().elementwise_catalogue():
        catalogue.setdefault(entry["name"], entry)
    fakes_products.register()
    fakes_elementwise.register(catalogue)
    batching.register(catalogue)
    dynamo.register()
