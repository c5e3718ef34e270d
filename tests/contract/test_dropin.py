"""gpukern.enable(): what is routed, what is left to torch and why, and that nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import gpukern

OPS = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "vdot", "addr", "addbmm")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    gpukern.disable()
    gpukern.reset_stats()
    yield
    gpukern.disable()
    gpukern.reset_stats()


def operands(dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def make(*shape: int) -> Tensor:
        return (torch.randn(*shape, generator=generator, dtype=torch.float64) * 4).to(dtype)

    return {"a": make(3, 4), "b": make(4, 5), "c": make(3, 5), "v": make(4), "u": make(3),
            "A": make(2, 3, 4), "B": make(2, 4, 5), "C": make(2, 3, 5)}  # fmt: skip


FORMS: dict[str, Callable[[dict[str, Tensor]], Tensor]] = {
    "mm": lambda t: torch.mm(t["a"], t["b"]),
    "mm.out": lambda t: torch.mm(t["a"], t["b"], out=torch.empty_like(t["c"])),
    "addmm": lambda t: torch.addmm(t["c"], t["a"], t["b"], beta=2, alpha=3),
    "addmm.out": lambda t: torch.addmm(t["c"], t["a"], t["b"], alpha=3, out=torch.empty_like(t["c"])),
    "addmm_": lambda t: t["c"].clone().addmm_(t["a"], t["b"], beta=2),
    "bmm": lambda t: torch.bmm(t["A"], t["B"]),
    "bmm.out": lambda t: torch.bmm(t["A"], t["B"], out=torch.empty_like(t["C"])),
    "baddbmm": lambda t: torch.baddbmm(t["C"], t["A"], t["B"], beta=2, alpha=3),
    "baddbmm.out": lambda t: torch.baddbmm(t["C"], t["A"], t["B"], out=torch.empty_like(t["C"])),
    "baddbmm_": lambda t: t["C"].clone().baddbmm_(t["A"], t["B"], alpha=3),
    "mv": lambda t: torch.mv(t["a"], t["v"]),
    "mv.out": lambda t: torch.mv(t["a"], t["v"], out=torch.empty_like(t["u"])),
    "addmv": lambda t: torch.addmv(t["u"], t["a"], t["v"], beta=2, alpha=3),
    "addmv.out": lambda t: torch.addmv(t["u"], t["a"], t["v"], out=torch.empty_like(t["u"])),
    "addmv_": lambda t: t["u"].clone().addmv_(t["a"], t["v"], beta=2),
    "dot": lambda t: torch.dot(t["v"], t["a"][0]),
    "vdot": lambda t: torch.vdot(t["v"], t["a"][0]),
    "addr": lambda t: torch.addr(t["a"], t["u"], t["v"], beta=2, alpha=3),
    "addr.out": lambda t: torch.addr(t["a"], t["u"], t["v"], alpha=3, out=torch.empty_like(t["a"])),
    "addbmm": lambda t: torch.addbmm(t["c"], t["A"], t["B"], beta=2, alpha=3),
    "addbmm.out": lambda t: torch.addbmm(t["c"], t["A"], t["B"], alpha=3, out=torch.empty_like(t["c"])),
    "addbmm_": lambda t: t["c"].clone().addbmm_(t["A"], t["B"], beta=2),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_every_form_is_routed_and_right(form: str, dtype: torch.dtype) -> None:
    t = operands(dtype)
    expected = FORMS[form](t)
    with gpukern.enable():
        result = FORMS[form](t)
    row = gpukern.stats()[form]
    assert row.hits == 1 and not row.fallbacks
    assert result.dtype == expected.dtype and result.stride() == expected.stride()
    slack = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}[dtype]
    assert torch.allclose(result.double(), expected.double(), rtol=slack, atol=slack * 16)
    FORMS[form](t)
    assert gpukern.stats()[form].hits == 1  # torch's own again


@pytest.mark.parametrize("form", FORMS)
def test_integers_are_left_to_torch(form: str) -> None:
    t = operands(torch.int64)
    expected = FORMS[form](t)
    with gpukern.enable():
        assert torch.equal(FORMS[form](t), expected)
    stats = gpukern.stats()
    assert stats[form].hits == 0
    assert stats[form].fallbacks == {"a dtype that gpukern leaves to torch": 1}


WRONG: dict[str, Callable[[], Tensor]] = {
    "shape": lambda: torch.mm(torch.randn(2, 3), torch.randn(4, 5)),
    "dimensions": lambda: torch.mm(torch.randn(2, 3, 4), torch.randn(4, 5)),
    "dtype": lambda: torch.mm(torch.randn(2, 3), torch.randn(3, 4).double()),
    "batch": lambda: torch.bmm(torch.randn(2, 3, 4), torch.randn(3, 4, 5)),
    "vector": lambda: torch.mv(torch.randn(2, 3), torch.randn(4)),
    "addend": lambda: torch.addmm(torch.randn(3), torch.randn(2, 3), torch.randn(3, 4)),
    "addend dtype": lambda: torch.addmm(torch.randn(4).double(), torch.randn(2, 3), torch.randn(3, 4)),
    "alpha": lambda: torch.addmm(torch.randn(4), torch.randn(2, 3), torch.randn(3, 4), alpha=1j),
    "out dtype": lambda: torch.mm(torch.randn(2, 3), torch.randn(3, 4), out=torch.empty(2, 4, dtype=torch.int64)),
    "in place": lambda: torch.randn(3).addmm_(torch.randn(2, 3), torch.randn(3, 3)),
    "expanded out": lambda: torch.mm(torch.randn(2, 3), torch.randn(3, 4), out=torch.empty(1, 4).expand(2, 4)),
    "requires grad": lambda: torch.mm(torch.randn(2, 3, requires_grad=True), torch.randn(3, 4), out=torch.empty(2, 4)),
    "lengths": lambda: torch.dot(torch.randn(2), torch.randn(3)),
    "vectors of two types": lambda: torch.vdot(torch.randn(2), torch.randn(2).double()),
    "matrices for vectors": lambda: torch.addr(torch.randn(2, 2), torch.randn(2, 1), torch.randn(2)),
    "addr's addend": lambda: torch.addr(torch.randn(3, 3), torch.randn(2), torch.randn(3)),
    "addr promotes": lambda: torch.addr(torch.randn(2, 3), torch.randn(2).double(), torch.randn(3)),
    "addr's boolean beta": lambda: torch.addr(torch.randn(2, 3), torch.randn(2), torch.randn(3), beta=True),
    "addr in place": lambda: torch.randn(3).addr_(torch.randn(2), torch.randn(3)),
    "batches": lambda: torch.addbmm(torch.randn(2, 2), torch.randn(3, 2, 4), torch.randn(2, 4, 2)),
    "addbmm's addend": lambda: torch.addbmm(torch.randn(3, 3), torch.randn(2, 2, 4), torch.randn(2, 4, 2)),
    "addbmm in place": lambda: torch.randn(2).addbmm_(torch.randn(2, 2, 4), torch.randn(2, 4, 2)),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_stay_torchs(case: str) -> None:
    outcomes: list[Any] = []
    for routed in (False, True):
        torch.manual_seed(0)
        with gpukern.enable(include=OPS if routed else ()):
            try:
                outcomes.append(WRONG[case]().sum().item())
            except Exception as error:
                outcomes.append((type(error), str(error).splitlines()[0]))
    assert outcomes[0] == outcomes[1]


def test_resizing_out_is_left_to_torch() -> None:
    out = torch.empty(0)
    with gpukern.enable():
        result = torch.mm(torch.ones(2, 3), torch.ones(3, 4), out=out)
    assert result is out and torch.equal(out, torch.full((2, 4), 3.0))
    assert sum(gpukern.stats()["mm.out"].fallbacks.values()) == 1


def test_strange_but_legal_operands() -> None:
    t = operands()
    cases = [
        (t["a"].t(), t["u"]),
        (t["a"].t().contiguous().t(), t["v"]),
        (torch.randn(1, 4, dtype=torch.float64).expand(3, 4), t["v"]),
        (torch.randn(6, 8, dtype=torch.float64)[::2, 1::2], t["v"]),
        (torch.empty(0, 4, dtype=torch.float64), t["v"]),
        (torch.empty(3, 0, dtype=torch.float64), torch.empty(0, dtype=torch.float64)),
    ]
    for matrix, vector in cases:
        expected = torch.mv(matrix, vector), torch.mm(matrix, vector[:, None]), matrix @ vector
        with gpukern.enable():
            results = torch.mv(matrix, vector), torch.mm(matrix, vector[:, None]), matrix @ vector
        for a, b in zip(results, expected):
            assert torch.allclose(a, b)
    with gpukern.enable():
        beta = torch.addmm(torch.full((3, 5), float("nan"), dtype=torch.float64), t["a"], t["b"], beta=0)
    assert torch.allclose(beta, t["a"] @ t["b"])


def test_what_is_made_of_the_routed_ops_is_routed() -> None:
    """Functions with no kernel of their own: the route that each of them takes in the end."""
    t = operands()
    ends: dict[str, Callable[[], Tensor]] = {
        "mm": lambda: torch.tensordot(t["a"], t["b"], 1),
        "bmm": lambda: torch.einsum("bij,bjk->bik", t["A"], t["B"]),
        "dot": lambda: torch.dot(t["v"], t["v"], out=torch.empty((), dtype=torch.float64)),
        "vdot": lambda: torch.vdot(t["v"], t["v"], out=torch.empty((), dtype=torch.float64)),
        "addr.out": lambda: t["a"].clone().addr_(t["u"], t["v"]),
    }
    for form, call in ends.items():
        expected = call()
        gpukern.reset_stats()
        with gpukern.enable():
            torch.testing.assert_close(call(), expected)
        assert gpukern.stats()[form].hits == 1, form


def test_addr_under_autocast_keeps_its_types_when_routed() -> None:
    """torch's list for the CPU has no addr; the route must not take the addmm that serves it for one of the user's."""
    t = operands(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = torch.addr(t["a"], t["u"], t["v"]), torch.dot(t["v"], t["v"])
        with gpukern.enable():
            got = torch.addr(t["a"], t["u"], t["v"]), torch.dot(t["v"], t["v"])
    torch.testing.assert_close(got, expected)
    assert got[0].dtype == torch.float32


def test_alpha_zero_still_multiplies_nan() -> None:
    v = torch.tensor([float("nan"), 1.0])
    with gpukern.enable():
        assert torch.addr(torch.ones(2, 2), v, torch.ones(2), alpha=0)[0].isnan().all()


def train(steps: int = 12) -> tuple[list[float], list[Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16, bias=False), nn.GELU(), nn.Linear(16, 3)
    ).double()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    x, y = torch.randn(32, 8, dtype=torch.float64), torch.randint(0, 3, (32,))
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [p.detach() for p in model.parameters()]


def test_an_unmodified_model_trains_the_same() -> None:
    expected, weights = train()
    with gpukern.enable():
        losses, routed = train()
    assert losses == pytest.approx(expected, rel=1e-9)
    for a, b in zip(routed, weights):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-12)
    stats = gpukern.stats()
    assert stats["addmm"].hits == 2 * 12  # the two layers with bias
    assert stats["mm"].hits > 12  # the layer without, and the backward passes
    assert stats.fallbacks == 0
    assert "addmm" in str(stats)


def test_what_sits_above_is_untouched() -> None:
    t = operands()
    a, b = t["a"].requires_grad_(), t["b"].requires_grad_()
    with gpukern.enable():
        assert torch.autograd.gradcheck(torch.mm, (a, b), check_forward_ad=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(torch.mm, (a, b))
        hessian = torch.func.hessian(lambda x: (x @ b.detach()).square().sum())(a.detach())
        mapped = torch.vmap(torch.mm)(t["A"], t["B"])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = torch.mm(t["a"].detach().float(), t["b"].detach().float())
        compiled = torch.compile(lambda x, y: torch.mm(x, y) + 1, fullgraph=True, backend="aot_eager")
        traced = compiled(a.detach(), b.detach())
        meta = torch.mm(a.detach().to("meta"), b.detach().to("meta"))
    assert low.dtype == torch.bfloat16 and meta.shape == (3, 5)
    assert torch.allclose(hessian, torch.func.hessian(lambda x: (x @ b.detach()).square().sum())(a.detach()))
    assert torch.allclose(mapped, torch.vmap(torch.mm)(t["A"], t["B"]))
    assert torch.allclose(traced, torch.mm(a, b) + 1)


def registered(op: str) -> str:
    return str(torch._C._dispatch_dump_table(f"aten::{op}"))


def test_routes_are_restored_exactly() -> None:
    names = [
        *OPS,
        "mm.out",
        "addmm.out",
        "addmm_",
        "bmm.out",
        "baddbmm.out",
        "baddbmm_",
        "mv.out",
        "addmv.out",
        "addmv_",
        "addr.out",
        "addbmm.out",
        "addbmm_",
    ]
    before = [registered(name) for name in names]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch's notice about overriding a kernel is ours to keep quiet
        for _ in range(50):
            with gpukern.enable():
                assert "gpukern" in registered("mm") or registered("mm") != before[0]
    assert [registered(name) for name in names] == before
    FORMS["mm"](operands())
    assert not gpukern.stats()


def test_blocks_nest_and_name_their_ops() -> None:
    assert gpukern.enabled_ops() == ()
    with gpukern.enable(include=["mm", "bmm"]) as outer:
        assert tuple(outer) == gpukern.enabled_ops() == ("mm", "bmm")
        with gpukern.enable(exclude=["mm"]):
            assert gpukern.enabled_ops() == OPS[1:]
            with gpukern.enable(include=[]):
                assert gpukern.enabled_ops() == ()
        assert gpukern.enabled_ops() == ("mm", "bmm")
    assert gpukern.enabled_ops() == ()
    gpukern.enable()
    assert gpukern.enabled_ops() == OPS
    gpukern.disable()
    assert gpukern.enabled_ops() == ()


def test_a_context_may_be_entered_again() -> None:
    """The second `with` of one object silently enabled nothing."""
    context = gpukern.enable(include=["mm"])
    for _ in range(3):
        with context:
            assert gpukern.enabled_ops() == ("mm",)
            with context:
                assert gpukern.enabled_ops() == ("mm",)
            assert gpukern.enabled_ops() == ("mm",)
        assert gpukern.enabled_ops() == ()
    with context:
        gpukern.disable()
        assert gpukern.enabled_ops() == ()
        with gpukern.enable(include=["bmm"]), context:
            assert gpukern.enabled_ops() == ("mm",)
    assert gpukern.enabled_ops() == ()

    again = gpukern.enable(include=["mm"])
    gpukern.disable()
    with again:
        assert gpukern.enabled_ops() == ("mm",)
    assert gpukern.enabled_ops() == ()


def test_enable_decorates_a_function() -> None:
    seen = []

    @gpukern.enable(include=["mm"])
    def step(depth: int) -> int:
        "What it does."
        seen.append(gpukern.enabled_ops())
        if depth:
            step(depth - 1)
        return depth

    assert gpukern.enabled_ops() == ()  # not before it is called
    assert step(2) == 2 and step(0) == 0
    assert seen == [("mm",)] * 4 and gpukern.enabled_ops() == ()
    assert (step.__name__, step.__doc__) == ("step", "What it does.")

    @gpukern.enable()
    def fails() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert gpukern.enabled_ops() == ()


def test_what_a_context_cannot_decorate_is_said() -> None:
    def items() -> Iterator[int]:
        yield 1

    async def waits() -> None:
        return None

    for context in (gpukern.enable(), gpukern.force("host")):
        for wrong in (items, waits):
            with pytest.raises(TypeError, match=r"cannot decorate .*, a generator or coroutine"):
                context(wrong)
        others: list[Any] = [nn.Linear, 3]
        for other in others:
            with pytest.raises(TypeError, match=r"decorates functions, not"):
                context(other)


def test_a_block_ends_when_its_body_raises() -> None:
    with pytest.raises(KeyError), gpukern.enable():
        raise KeyError
    assert gpukern.enabled_ops() == ()


def test_what_cannot_be_routed_is_said() -> None:
    with pytest.raises(
        ValueError,
        match=rf"^'conv2d' cannot be routed; gpukern routes {', '.join(OPS)}$",
    ):
        gpukern.enable(include=["mm", "conv2d"])
    with pytest.raises(TypeError, match=r"include must be a list of op names"):
        gpukern.enable(include="mm")
    assert gpukern.enabled_ops() == ()


def test_threads_may_call_while_routes_are_switched() -> None:
    t, wide = operands(), operands(torch.int64)
    expected = torch.mm(t["a"], t["b"]), torch.mm(wide["a"], wide["b"])
    stop, wrong = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            results = torch.mm(t["a"], t["b"]), torch.mm(wide["a"], wide["b"])
            if not all(torch.allclose(a, b) for a, b in zip(results, expected)):
                wrong.append(results)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(100):
        with gpukern.enable(include=["mm"]):
            torch.mm(t["a"], t["b"])
    stop.set()
    for worker in workers:
        worker.join()
    assert not wrong and gpukern.stats()["mm"].hits >= 100


def test_counts_add_up_over_threads() -> None:
    t = operands()

    def work() -> None:
        for _ in range(200):
            torch.mm(t["a"], t["b"])

    with gpukern.enable():
        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert gpukern.stats()["mm"].hits == 800


def test_a_process_may_end_while_enabled() -> None:
    code = "import torch, gpukern; gpukern.enable(); torch.mm(torch.ones(2, 2), torch.ones(2, 2)); print('end')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "end", "")
