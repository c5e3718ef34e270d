"""gpukern.nn.MLP against torch's modules one by one: values, gradients of both orders, what is kept, transforms."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import gpukern
import gpukern.nn
from tests.gemm.behaviour.test_training import kept

TORCHS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
}
WIDTHS = (5, 7, 6, 3)


def pair(
    activation: str, *features: int, bias: bool = True, dtype: torch.dtype = torch.float64
) -> tuple[gpukern.nn.MLP, nn.Sequential]:
    """Ours and torch's, with the same parameters."""
    mine = gpukern.nn.MLP(*features, activation=activation, bias=bias, dtype=dtype)
    theirs = nn.Sequential()
    for a, b in itertools.pairwise(features):
        theirs.extend([nn.Linear(a, b, bias, dtype=dtype), TORCHS[activation]()])
    theirs = nn.Sequential(*list(theirs)[:-1])
    theirs.load_state_dict(mine.state_dict())
    return mine, theirs


def gradients(model: nn.Module, x: Tensor, call: Callable[..., Tensor] | None = None) -> list[Tensor]:
    x = x.clone().requires_grad_()
    result = model(x) if call is None else call(x)
    weights = torch.linspace(-1, 1, result.numel(), dtype=result.dtype).view(result.shape)
    return [result, *torch.autograd.grad((result * weights).sum(), [x, *model.parameters()])]


def served_as_one(result: Tensor) -> bool:
    node = result.grad_fn
    while node is not None and node.name().startswith(("View", "Reshape", "UnsafeView")):
        node = node.next_functions[0][0]
    return node is not None and node.name() == "GpukernMlpBackward"


@pytest.mark.parametrize("activation", TORCHS)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_torchs(activation: str, bias: bool) -> None:
    for features, shape in itertools.product(((5, 3), (5, 7, 3), WIDTHS), ((4, 5), (2, 3, 5), (5,), (0, 5))):
        mine, theirs = pair(activation, *features, bias=bias)
        x = torch.randn(*shape, dtype=torch.float64)
        for one, two in zip(gradients(mine, x), gradients(theirs, x)):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)
        assert served_as_one(mine(x)) == (len(features) > 2 and x.dim() > 1)
        with torch.no_grad():
            torch.testing.assert_close(mine(x), theirs(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_bits_are_those_of_the_layers_one_by_one(dtype: torch.dtype) -> None:
    for activation in ("relu", "gelu", "silu"):
        mine = gpukern.nn.MLP(*WIDTHS, activation=activation, dtype=dtype)
        x = torch.randn(33, 5).to(dtype)
        layers = nn.Sequential(*mine)
        for one, two in zip(gradients(mine, x), gradients(layers, x)):
            assert torch.equal(one, two)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "exp"])
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_of_both_orders(activation: str, bias: bool) -> None:
    shapes = [(3, 4), (5, 4), (2, 5), (3, 2)] + [(5,), (2,), (3,)] * bias
    inputs = [(torch.rand(*s, dtype=torch.float64) / 2 + 0.1).requires_grad_() for s in shapes]

    def call(x: Tensor, *rest: Tensor) -> Tensor:
        result: Tensor = torch.ops.gpukern.mlp(x, rest[:3], rest[3:], activation)
        return result

    assert served_as_one(call(*inputs)) == (activation != "exp")  # whose gradient reads its result
    assert torch.autograd.gradcheck(call, inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(call, inputs)


def test_only_what_is_asked_for_is_computed() -> None:
    mine, theirs = pair("gelu", *WIDTHS)
    x = torch.randn(4, 5, dtype=torch.float64)
    for asking in itertools.product((False, True), repeat=6):
        for model in (mine, theirs):
            model.zero_grad()
            for parameter, asks in zip(model.parameters(), asking):
                parameter.requires_grad_(asks)
        if not any(asking):
            assert mine(x).grad_fn is None
            continue
        for model in (mine, theirs):
            model(x).square().sum().backward()
        for one, two, asks in zip(mine.parameters(), theirs.parameters(), asking):
            assert (one.grad is not None) == asks
            if asks:
                torch.testing.assert_close(one.grad, two.grad)


def test_the_gradient_before_each_activation_ends_a_product() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Names(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.names: list[str] = []

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.names.append(func._schema.name)
            return func(*args, **(kwargs or {}))

    mine = gpukern.nn.MLP(*WIDTHS, activation="gelu")
    loss = mine(torch.randn(4, 5, requires_grad=True)).sum()
    with Names() as seen:
        loss.backward()
    assert seen.names.count("gpukern::mm_activation_backward_bias_grad") == 2
    assert seen.names.count("gpukern::mm") == 4 and not any("elementwise" in name for name in seen.names)


def test_as_many_bytes_are_saved_as_by_the_modules() -> None:
    for activation in ("relu", "gelu"):
        mine, theirs = pair(activation, 64, 128, 128, 32, dtype=torch.float32)
        x = torch.randn(16, 64, requires_grad=True)
        sizes = [sum(t.nbytes for t in kept(m, x)) for m in (mine, theirs)]
        layers = [layer for layer in theirs if isinstance(layer, nn.Linear)]
        biases = sum(layer.bias.nbytes for layer in layers)  # for second derivatives; they are there anyway
        assert sizes[0] <= sizes[1] + biases


def test_what_was_saved_and_is_overwritten_raises() -> None:
    mine = gpukern.nn.MLP(*WIDTHS)
    x = torch.randn(4, 5, requires_grad=True)
    loss = mine(x).sum()
    with torch.no_grad():
        mine[2].weight.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    result = mine(x)
    result.mul_(2)  # nothing reads it
    result.sum().backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        result.sum().backward()


# ---- torch's promises ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_compiled_whole(activation: str) -> None:
    torch._dynamo.reset()
    mine, _ = pair(activation, *WIDTHS, dtype=torch.float32)
    for x in (torch.randn(4, 5), torch.randn(2, 3, 5)):
        compiled = torch.compile(mine, backend="aot_eager", fullgraph=True)
        for one, two in zip(gradients(mine, x), gradients(mine, x, compiled)):
            torch.testing.assert_close(two, one)
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), mine(x))


def test_checkpoint_and_autocast() -> None:
    mine, theirs = pair("gelu", *WIDTHS, dtype=torch.float32)
    x = torch.randn(4, 5)
    for one, two in zip(gradients(mine, x, lambda t: checkpoint(mine, t, use_reentrant=False)), gradients(mine, x)):
        assert torch.equal(one, two)
    with torch.autocast("cpu", torch.bfloat16):
        results = [gradients(model, x) for model in (mine, theirs)]
    assert results[0][0].dtype == torch.bfloat16 and results[0][1].dtype == torch.float32
    for one, two in zip(*results):
        torch.testing.assert_close(one, two, rtol=5e-2, atol=5e-2)


def test_function_transforms() -> None:
    mine, theirs = pair("gelu", *WIDTHS)
    x = torch.randn(4, 5, dtype=torch.float64)
    f = torch.func

    def loss(model: nn.Module) -> Callable[..., Tensor]:
        return lambda p, x: f.functional_call(model, p, (x,)).square().sum()

    parameters = {name: p.detach() for name, p in mine.named_parameters()}
    for transform in (
        f.grad,
        f.jacrev,
        f.jacfwd,
        lambda g: f.vmap(f.grad(g), (None, 0)),
        lambda g: lambda p, x: f.jvp(lambda t: f.grad(g, 1)(p, t), (x,), (x,)),
    ):
        mine_, theirs_ = (transform(loss(model))(parameters, x) for model in (mine, theirs))
        torch.testing.assert_close(mine_, theirs_)


def test_opcheck() -> None:
    weights, biases = [torch.randn(5, 4), torch.randn(3, 5)], [torch.randn(5), torch.randn(3)]
    for asks in (False, True):
        x = torch.randn(2, 4, requires_grad=asks)
        torch.library.opcheck(torch.ops.gpukern.mlp.default, (x, weights, biases, "gelu"))


# ---- the module ------------------------------------------------------------------------------------------------------


def test_it_is_a_sequential_with_its_keys() -> None:
    torch.manual_seed(1)
    mine = gpukern.nn.MLP(4, 8, 2, activation="silu", bias=True)
    torch.manual_seed(1)
    theirs = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 2))
    assert list(mine.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    for one, two in zip(mine.parameters(), theirs.parameters()):
        assert torch.equal(one, two)
    x = torch.randn(3, 4)
    for other in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert torch.equal(other(x), mine(x)) and served_as_one(other(x))
    assert isinstance(mine[:2], nn.Sequential) and torch.equal(mine[2](mine[:2](x)), mine(x))
    assert gpukern.nn.MLP(4, 2, bias=False).state_dict().keys() == {"0.weight"}
    assert gpukern.nn.MLP(4, 3, 2, dtype=torch.float64, device="meta")[0].weight.is_meta
    assert "activation" not in str(gpukern.nn.Linear(2, 2)) and "silu" in repr(mine)


def test_a_module_that_is_more_than_a_layer_is_called() -> None:
    x = torch.randn(3, 5)
    called: list[str] = []

    def hook(*_: Any) -> None:
        called.append("hook")

    mine = gpukern.nn.MLP(*WIDTHS)
    for register in (mine[2].register_forward_hook, mine[1].register_forward_pre_hook):
        handle = register(hook)
        assert not served_as_one(mine(x)) and called.pop() == "hook" and not called
        handle.remove()
    handle = nn.modules.module.register_module_forward_hook(hook)
    assert not served_as_one(mine(x)) and called
    handle.remove()
    assert served_as_one(mine(x))
    normed = copy.deepcopy(mine)
    parametrizations.weight_norm(normed[0])
    torch.testing.assert_close(normed(x), mine(x))
    replaced = copy.deepcopy(mine)
    replaced[1] = nn.Identity()
    assert not served_as_one(replaced(x))
    mixed = copy.deepcopy(mine)
    mixed[0].bias = None
    assert not served_as_one(mixed(x)) and mixed(x).shape == (3, 3)
    back = gpukern.nn.restore_modules(copy.deepcopy(mine))
    assert type(back[0]) is nn.Linear
    torch.testing.assert_close(back(x), mine(x))
    assert served_as_one(gpukern.nn.replace_modules(back)(x))


def test_a_forward_of_an_instance_is_called() -> None:
    """Adapters replace forward so; the chain silently ignored it."""
    x = torch.randn(3, 5)
    for k in range(3):
        mine = gpukern.nn.MLP(*WIDTHS)
        before = mine[k].forward
        mine[k].forward = lambda t, before=before: before(t) * 10  # type: ignore[method-assign]
        one_by_one = x
        for child in mine:
            one_by_one = child(one_by_one)
        assert not served_as_one(mine(x)) and torch.equal(mine(x), one_by_one)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown activation 'swish'; choose one of none, relu"):
        gpukern.nn.MLP(4, 4, 2, activation="swish")
    with pytest.raises(ValueError, match=r"needs the widths of its input and of its output, got \(4,\)"):
        gpukern.nn.MLP(4)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        gpukern.nn.MLP(4, 3, 2)(torch.randn(2, 5))
    a = torch.randn(2, 2)
    with pytest.raises(ValueError, match="there is no layer"):
        torch.ops.gpukern.mlp(a, [], [], "relu")
    with pytest.raises(ValueError, match="there are 2 weights and 1 biases"):
        torch.ops.gpukern.mlp(a, [a, a], [a[0]], "relu")
