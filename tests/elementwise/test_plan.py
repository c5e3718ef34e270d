"""How a call walks memory: the path, the widths, the grid, and division by multiplication."""

from __future__ import annotations

import random

import pytest
import torch

from tests.platform import machine


def block(*shape: int, dtype: torch.dtype = torch.float32, offset: int = 0) -> torch.Tensor:
    """A dense tensor whose address is `offset` elements past a multiple of 64 bytes."""
    count = torch.Size(shape).numel()
    size = torch.empty((), dtype=dtype).element_size()
    raw = torch.empty(count * size + 128 + offset * size, dtype=torch.uint8)
    start = -raw.data_ptr() % 64 + offset * size
    return raw[start : start + count * size].view(dtype).view(shape)


def test_divider_against_division() -> None:
    divide = machine.library().gpukern_model_divide
    random.seed(1)
    divisors = [1, 2, 3, 5, 7, 10, 31, 32, 33, 641, 65535, 65536, 65537, 2**30, 2**31 - 1, 6700417]
    divisors += [random.randrange(1, 2**31) for _ in range(300)]
    for d in divisors:
        edges = [0, 1, d - 1, d, d + 1, 2 * d - 1, 2 * d, 2**31 - 1, 2**31 - 2, (2**31 - 1) // d * d, 2**30]
        for n in [*edges, *(random.randrange(2**31) for _ in range(20))]:
            if 0 <= n < 2**31:
                assert divide(d, n) == n // d, (n, d)


@pytest.mark.parametrize(
    ("dtype", "each"), [(torch.float16, 8), (torch.float32, 4), (torch.float64, 2), (torch.int8, 16), (torch.int32, 4)]
)
def test_dense_is_one_row_of_16_byte_packets(dtype: torch.dtype, each: int) -> None:
    n = 1 << 18
    p = machine.plan(block(n, dtype=dtype), [block(n, dtype=dtype)])
    assert p.path == "rows" and p.lead == 0 and p.widths == (16, 16) and p.count == n // each
    assert p.unroll == 4 and p.threads == 256 and p.blocks == -(-p.count // 1024)
    two = machine.plan(block(n, dtype=dtype), [block(n, dtype=dtype), block(n, dtype=dtype)])
    assert two.unroll == 2 and two.widths == (16, 16, 16)


def test_small_tensors_are_spread_over_the_processors() -> None:
    p = machine.plan(block(4096), [block(4096)], processors=132)
    assert p.unroll == 1 and p.threads == 64 and p.blocks == 16
    assert machine.plan(block(1), [block(1)], processors=132).blocks == 1


def test_the_same_misalignment_is_peeled() -> None:
    p = machine.plan(block(1000, offset=3), [block(1000, offset=3)])
    assert p.lead == 3 and p.widths == (16, 16) and p.count == 251  # (1000 + 3) / 4


def test_different_misalignments_narrow_that_operand_only() -> None:
    p = machine.plan(block(1000), [block(1000, offset=2), block(1000, offset=1), block(1000)])
    assert p.lead == 0 and p.widths == (16, 8, 4, 16)
    p = machine.plan(block(1000, dtype=torch.float16, offset=1), [block(1000, dtype=torch.float16)])
    assert p.lead == 1 and p.widths == (16, 2)


def test_broadcast_operands_keep_rows() -> None:
    out, x = block(64, 256), block(64, 256)
    bias, scale, number = block(256).expand(64, 256), block(64, 1).expand(64, 256), block(1).expand(64, 256)
    p = machine.plan(out, [x, bias, scale])
    assert p.path == "rows" and p.widths == (16, 16, 16, 0) and p.count == 64 * 64
    assert machine.plan(out, [x, number]).widths == (16, 16, 0)


def test_rows_that_are_not_aligned_narrow_the_width() -> None:
    out, x = block(64, 255)[:, :250], block(64, 256)[:, :250]  # a row of 255 floats: 4-byte steps
    assert machine.plan(out, [x]).widths == (4, 16)


def test_a_condition_may_be_bool_beside_any_type() -> None:
    out, condition = block(512, dtype=torch.float16), block(512, dtype=torch.bool)
    p = machine.plan(out, [condition, block(512, dtype=torch.float16)], conditions=1)
    assert p.path == "rows" and p.widths == (16, 8, 16)
    assert machine.plan(out, [condition, block(512, dtype=torch.float16)]).path == "strided"


def test_a_transposed_operand_is_turned_in_tiles() -> None:
    out, x, transposed = block(100, 70), block(100, 70), block(70, 100).t()
    p = machine.plan(out, [x, transposed])
    assert p.path == "tile" and p.across == (False, False, True) and p.blocks == 4 * 3
    assert machine.plan(out, [transposed]).path == "tile"
    batch = block(5, 100, 70).permute(0, 2, 1)
    assert machine.plan(block(5, 70, 100), [batch]).blocks == 5 * 4 * 3
    assert machine.plan(block(4, 70), [block(70, 4).t()]).path == "strided"  # too narrow to gain


def test_anything_else_is_strided() -> None:
    assert machine.plan(block(50), [block(100)[::2]]).path == "strided"
    assert machine.plan(block(50), [block(50, dtype=torch.float64)]).path == "strided"
    assert machine.plan(block(50), [block(50, dtype=torch.bfloat16)]).path == "strided"
