"""einsum: torch's whole syntax, in both formats, against float64, torch, and torch's errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import gpukern
from gpukern import reference
from tests.oracle import fills, products
from tests.oracle.strategies import LAYOUTS, laid_out

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]

# equation and shapes
CASES: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ij,jk->ik", ((3, 4), (4, 5))),
    ("ij,jk", ((3, 4), (4, 5))),
    ("ba,cb", ((3, 4), (5, 3))),  # the result's names in order: ac
    ("aB,Bc", ((3, 4), (4, 5))),  # capitals before small letters
    ("ij,kj->ik", ((3, 4), (5, 4))),
    ("ji,jk->ki", ((4, 3), (4, 5))),
    ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
    ("bhqd,bhkd->bhqk", ((2, 3, 4, 5), (2, 3, 6, 5))),
    ("bqhd,bkhd->bhqk", ((2, 4, 3, 5), (2, 6, 3, 5))),
    ("bhqk,bkhd->bqhd", ((2, 3, 4, 6), (2, 6, 3, 5))),
    ("nchw,oc->nohw", ((2, 3, 4, 5), (6, 3))),
    ("abcd,cdef->abef", ((2, 3, 4, 5), (4, 5, 3, 2))),
    ("abcd,dcef->feab", ((2, 3, 4, 5), (5, 4, 3, 2))),
    ("i,i->", ((7,), (7,))),
    ("i,i", ((7,), (7,))),
    ("ij,ij->", ((3, 4), (3, 4))),
    ("ij,ij->i", ((3, 4), (3, 4))),
    ("ij,ij->ij", ((3, 4), (3, 4))),
    ("ij,ji->ij", ((3, 4), (4, 3))),
    ("i,j->ij", ((3,), (4,))),
    ("i,j->ji", ((3,), (4,))),
    ("i,j", ((3,), (4,))),
    ("ij,kl->", ((3, 4), (5, 2))),
    ("ij,k->ik", ((3, 4), (5,))),  # j is summed in the first alone
    ("ii,ij->ij", ((3, 3), (3, 4))),  # a diagonal
    ("ii,jj->ij", ((3, 3), (4, 4))),
    ("iij,ji->j", ((3, 3, 4), (4, 3))),
    ("ij,jj->i", ((3, 4), (4, 4))),
    ("aab,b->a", ((3, 3, 1), (4,))),  # an extent of 1 broadcasts
    ("ij,jk->ik", ((3, 1), (4, 5))),
    ("ij,jk->ik", ((3, 4), (1, 5))),
    ("ij,jk->ik", ((3, 1), (1, 5))),
    ("bij,bjk->bik", ((1, 3, 4), (2, 4, 5))),
    ("...ij,...jk->...ik", ((2, 3, 4), (2, 4, 5))),
    ("...ij,...jk->...ik", ((6, 1, 3, 4), (2, 4, 5))),
    ("...ij,jk->...ik", ((6, 2, 3, 4), (4, 5))),
    ("i...,i...->...", ((3, 2, 4), (3, 4))),
    ("i...j,j->i...", ((3, 2, 4), (4,))),
    ("...,...", ((2, 3), (3,))),
    ("i...,j...->ij", ((3, 2), (4, 2))),  # the ellipsis is summed
    ("...i,...i", ((2, 3), (2, 3))),
    (",ij->ij", ((), (3, 4))),
    (",", ((), ())),
    (" i j , j k -> i k ", ((3, 4), (4, 5))),
    ("ij,jk,kl->il", ((3, 4), (4, 5), (5, 2))),
    ("i,ij,j->", ((3,), (3, 4), (4,))),
    ("bi,bj,bk->bijk", ((2, 3), (2, 4), (2, 5))),
    ("bn,anm,bm->ba", ((2, 5), (3, 5, 4), (2, 4))),
    ("ij,ij,ij->ij", ((3, 4), (3, 4), (3, 4))),
    ("ab,bc,cd,de->ae", ((2, 3), (3, 4), (4, 5), (5, 2))),
    ("i->", ((4,),)),
    ("ij->ji", ((3, 4),)),
    ("ii->i", ((3, 3),)),
    ("ii", ((3, 3),)),
    ("...ij->...ji", ((2, 3, 4),)),
    ("ij,jk->ik", ((3, 0), (0, 5))),
    ("bij,bjk->bik", ((0, 3, 4), (0, 4, 5))),
]  # fmt: skip
IDS = [f"{equation.replace(' ', '_')}-{i}" for i, (equation, _) in enumerate(CASES)]


def check(got: Tensor, equation: str, tensors: list[Tensor]) -> None:
    """Within the bound of products; every operand may be rounded to the stored type on the way."""
    expected = reference.einsum(equation, *tensors)
    size = reference.einsum(equation, *[t.double().abs() for t in tensors])
    k = max(1, max((t.numel() for t in tensors), default=1))
    unit, base = torch.finfo(got.dtype).eps / 2, torch.finfo(torch.float32).eps / 2
    extra = 1 if got.dtype == torch.float64 else len(tensors) * unit / (base * products.slack(k)) + 1
    verdict = products.judge(got, expected, size * extra, k, store_ulps=2)
    assert verdict, f"{equation}: {verdict.text}"


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_values(case: tuple[str, tuple[tuple[int, ...], ...]], dtype: torch.dtype) -> None:
    equation, shapes = case
    tensors = [fills.normal(*s, dtype=dtype) for s in shapes]
    got = gpukern.einsum(equation, *tensors)
    assert (got.dtype, got.shape) == (dtype, torch.einsum(equation, *tensors).shape)
    check(got, equation, tensors)
    assert torch.equal(gpukern.einsum(equation, tensors), got)  # operands as one list


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64, torch.complex64, torch.bool])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_other_types_are_as_torchs(case: tuple[str, tuple[tuple[int, ...], ...]], dtype: torch.dtype) -> None:
    equation, shapes = case
    tensors = [(torch.randn(s) * 100).to(dtype) for s in shapes]
    outcomes: list[Any] = []
    for function in (gpukern.einsum, torch.einsum):
        try:
            outcomes.append(function(equation, *tensors))
        except RuntimeError as error:
            outcomes.append(str(error).splitlines()[0])
    if isinstance(outcomes[1], str):
        assert outcomes[0] == outcomes[1]
    elif dtype == torch.complex64:  # two BLAS calls may add in two orders: each is held to its bound, not to the other
        wide = [t.to(torch.complex128) for t in tensors]
        exact, size = torch.einsum(equation, *wide), torch.einsum(equation, *[t.abs() for t in wide])
        k = max(t.numel() for t in tensors)
        assert outcomes[0].dtype == outcomes[1].dtype and outcomes[0].shape == outcomes[1].shape
        assert bool(((outcomes[0] - exact).abs() <= 2 * products.slack(k) * 2.0**-24 * size).all())
    else:
        torch.testing.assert_close(*outcomes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_strides(layout: str) -> None:
    for equation, shapes in CASES:
        tensors = [laid_out(s, torch.float64, layout) for s in shapes]
        torch.testing.assert_close(gpukern.einsum(equation, *tensors), torch.einsum(equation, *tensors))


def test_sublists() -> None:
    a, b = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 4, 5, dtype=torch.float64)
    calls: list[tuple[Any, ...]] = [
        (a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]),
        (a, [0, 1, 2], b, [0, 2, 3]),
        (a, [..., 1, 2], b, [..., 2, 3], [..., 1, 3]),
        (a, [0, 30, 51], b, [0, 51, 3], [3, 30]),
        (a, (0, 1, 2), [2, 0]),
        (a, [0, 1, 2]),
        (a, [51, 25, 26]),
    ]
    for args in calls:
        got = gpukern.einsum(*args)
        torch.testing.assert_close(got, torch.einsum(*args))
        torch.testing.assert_close(got, reference.einsum(*args))


WRONG: list[tuple[Any, ...]] = [
    (),
    ("ij",),
    ("ij,jk", torch.ones(2, 3)),
    ("ij", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk,kl", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk->il", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk->iik", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk->ik", torch.ones(2, 3), torch.ones(4, 4)),
    ("ii,ij->j", torch.ones(2, 3), torch.ones(2, 4)),
    ("i,jk->ik", torch.ones(2, 3), torch.ones(3, 4)),
    ("ijk,jk->ik", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij...,jk...k->ik", torch.ones(2, 3), torch.ones(3, 4)),
    ("...i...,ij->j", torch.ones(2, 3), torch.ones(3, 4)),
    ("..i,ij->j", torch.ones(2, 3), torch.ones(3, 4)),
    ("i.j,jk->ik", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk->i..k", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk->...i...k", torch.ones(2, 3), torch.ones(3, 4)),
    ("i1,1k->ik", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk-ik", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk->ik->", torch.ones(2, 3), torch.ones(3, 4)),
    ("ij,jk->i,k", torch.ones(2, 3), torch.ones(3, 4)),
    ("...ij,...jk->...ik", torch.ones(2, 2, 3), torch.ones(3, 3, 4)),
    ("ij,jk->ik", torch.ones(2, 3), torch.ones(3, 4, dtype=torch.float64)),
    ("ij,jk->ik", torch.ones(2, 3), 4),
    ("ij,jk->ik", [torch.ones(2, 3), None]),
    (3, torch.ones(2, 3)),
    (torch.ones(2), [52]),
    (torch.ones(2), [-1]),
    (torch.ones(2), [0], torch.ones(2), [1, 2]),
    (torch.ones(2), torch.ones(2)),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_refused_in_torchs_words(number: int) -> None:
    messages = []
    for function in (gpukern.einsum, torch.einsum):
        with pytest.raises(Exception) as caught:
            function(*WRONG[number])
        messages.append((caught.type, str(caught.value).splitlines()[0]))
    assert messages[0] == messages[1]


@given(data=st.data())
def test_random_equations(data: st.DataObject) -> None:
    """Any names in any order in up to four operands, some of them repeated, an ellipsis here and there."""
    names = "abcdE"
    extents = {name: data.draw(st.integers(1, 4), label=name) for name in names}
    hidden = tuple(data.draw(st.lists(st.integers(1, 3), max_size=2), label="ellipsis"))
    parts, shapes = [], []
    for _ in range(data.draw(st.integers(1, 4), label="operands")):
        part = data.draw(st.lists(st.sampled_from(names), max_size=3))
        ones = {name for name in part if part.count(name) == 1 and data.draw(st.integers(0, 5)) == 0}
        shape = [1 if name in ones else extents[name] for name in part]
        if bool(hidden) and data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(part)))
            kept = hidden[data.draw(st.integers(0, len(hidden))) :]
            part.insert(at, "...")
            shape[at:at] = kept
        parts.append("".join(part))
        shapes.append(tuple(shape))
    used = sorted({c for part in parts for c in part if c != "."})
    equation = ",".join(parts)
    if data.draw(st.booleans(), label="explicit"):
        output = [*data.draw(st.permutations(used))][: data.draw(st.integers(0, len(used)))] if used else []
        if data.draw(st.booleans()):
            output.insert(data.draw(st.integers(0, len(output))), "...")
        equation += "->" + "".join(output)
    torch.manual_seed(data.draw(st.integers(0, 2**32 - 1)))
    tensors = [torch.randn(s, dtype=torch.float64) for s in shapes]
    try:
        expected = torch.einsum(equation, *tensors)
    except RuntimeError as error:
        with pytest.raises(RuntimeError) as caught:
            gpukern.einsum(equation, *tensors)
        assert str(caught.value).splitlines()[0] == str(error).splitlines()[0]
        return
    torch.testing.assert_close(gpukern.einsum(equation, *tensors), expected)


@pytest.mark.parametrize("path", [[0, 1, 0, 1], [1, 2, 0, 1], [2, 0, 1, 0], None])
def test_a_path_is_followed(path: list[int] | None) -> None:
    a, b, c = (torch.randn(s, dtype=torch.float64) for s in ((2, 9), (9, 3), (3, 8)))
    got = torch.ops.gpukern.einsum("ij,jk,kl->il", [a, b, c], path=path)
    torch.testing.assert_close(got, a @ b @ c)


def test_opt_einsum_finds_the_path_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package, which torch does not need: the arguments it gets and the path that is followed."""
    requests: list[Any] = []

    class StandIn:
        @staticmethod
        def contract_path(equation: str, *operands: Tensor, optimize: Any) -> tuple[list[tuple[int, int]], str]:
            requests.append((equation, [t.shape for t in operands], optimize))
            return [(1, 2), (0, 1)], ""

    monkeypatch.setattr(torch.backends.opt_einsum, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.opt_einsum, "get_opt_einsum", lambda: StandIn)
    monkeypatch.setattr(torch.backends.opt_einsum, "enabled", True)
    a, b, c = (torch.randn(s, dtype=torch.float64) for s in ((2, 9), (9, 3), (3, 8)))
    torch.testing.assert_close(gpukern.einsum("ij,jk,kl->il", a, b, c), a @ b @ c)
    assert requests == [("ij,jk,kl->il", [a.shape, b.shape, c.shape], torch.backends.opt_einsum.strategy)]
    gpukern.einsum("ij,jk->ik", a, b)
    assert len(requests) == 1  # nothing to choose


@pytest.mark.parametrize("path", [[0, 1], [0, 0, 0, 1], [0, 3, 0, 1], [-1, 0, 0, 1]])
def test_a_wrong_path_is_refused_in_torchs_words(path: list[int]) -> None:
    operands = [torch.ones(2, 2)] * 3
    messages = []
    for op in (torch.ops.gpukern.einsum, torch.ops.aten.einsum):
        with pytest.raises(RuntimeError) as caught:
            op("ij,jk,kl->il", operands, path=path)
        messages.append(str(caught.value).splitlines()[0])
    assert messages[0] == messages[1]


def served(function: Callable[[], Any]) -> dict[str, int]:
    gpukern.reset_served()
    function()
    return {call: count for call, _, count in gpukern.served()}


def test_products_of_ours_serve_it() -> None:
    x, y, z = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(5, 6)
    assert served(lambda: gpukern.einsum("bij,bjk->bik", x, y)) == {"matrix product": 1}
    assert served(lambda: gpukern.einsum("bij,bjk,kl->bil", x, y, z)) == {"matrix product": 2}
    assert served(lambda: gpukern.einsum("bij,bij->bij", x, x)) == {"mul": 1}
    assert served(lambda: gpukern.einsum("bij->bji", x)) == {}
    views = gpukern.einsum("bij->jib", x)
    assert views.data_ptr() == x.data_ptr()  # as torch's


def test_a_single_matrix_is_one_mm_of_views() -> None:
    """Groups of names that lie in memory in order are viewed, not copied."""
    a, b = torch.randn(2, 3, 4, 5), torch.randn(4, 5, 6)
    with torch.profiler.profile() as profile:
        gpukern.einsum("abcd,cde->abe", a, b)
    assert not [e for e in profile.events() if e.name in ("aten::copy_", "aten::clone")]


def test_operands_of_other_libraries_see_the_call() -> None:
    class Marked(Tensor):
        seen: list[Any] = []  # noqa: RUF012

        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            cls.seen.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    x = torch.ones(2, 2).as_subclass(Marked)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gpukern.einsum("ij,jk", x, torch.ones(2, 2))
        gpukern.tensordot(x, torch.ones(2, 2), 1)
        gpukern.chain_matmul(x, torch.ones(2, 2))
        gpukern.multi_dot([x, torch.ones(2, 2)])
        gpukern.dot(x[0], x[1])
    for function in (gpukern.einsum, gpukern.tensordot, gpukern.chain_matmul, gpukern.multi_dot, gpukern.dot):
        assert function in Marked.seen
