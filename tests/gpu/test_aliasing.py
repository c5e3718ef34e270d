"""What shares memory with the tensor that is written, on the device: the calls of tests/contract/test_aliasing.py.

A kernel reads the addend and the residual with the element that it writes; all else that lies there is copied first.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.contract import test_aliasing as calls
from tests.oracle import ops as catalogue
from tests.oracle.entries import IN_PLACE, PRODUCTS, TAILED, Product


@pytest.fixture(autouse=True)
def on_the_device() -> Iterator[None]:
    with torch.device("cuda"):
        yield


@pytest.mark.parametrize("p", PRODUCTS + IN_PLACE + TAILED, ids=calls.names)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_products(p: Product, dtype: torch.dtype) -> None:
    calls.check_product(p, dtype)


@pytest.mark.parametrize("p", [p for p in PRODUCTS if p.name in calls.WIDENED], ids=calls.names)
def test_products_that_are_written_in_a_wider_type(p: Product) -> None:
    calls.test_products_that_are_written_in_a_wider_type(p)


@pytest.mark.parametrize("form", ["out", "in place"])
@pytest.mark.parametrize("case", catalogue.FIRST, ids=catalogue.ids(catalogue.FIRST))
def test_elementwise(case: catalogue.Case, form: str) -> None:
    calls.test_elementwise(case, form)
