"""gpukern.nn against torch.nn: constructors, initialisation, state_dict, forward, backward, replacing and restoring."""

from __future__ import annotations

import copy
import itertools
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import gpukern
import gpukern.nn

ACTIVATIONS: dict[str, list[dict[str, Any]]] = {
    "ReLU": [{}],
    "ReLU6": [{}],
    "LeakyReLU": [{}, {"negative_slope": 0.2}],
    "ELU": [{}, {"alpha": 0.5}],
    "GELU": [{}, {"approximate": "tanh"}],
    "SiLU": [{}],
    "Mish": [{}],
    "Softplus": [{}, {"beta": 2.0, "threshold": 3.0}],
    "Hardswish": [{}],
    "Hardsigmoid": [{}],
    "Hardtanh": [{}, {"min_val": -0.5, "max_val": 2.0}],
    "LogSigmoid": [{}],
    "Sigmoid": [{}],
    "Tanh": [{}],
}


def same(ours: Tensor, theirs: Tensor, tolerance: float = 1e-9) -> None:
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert torch.allclose(ours, theirs, rtol=tolerance, atol=tolerance), (ours - theirs).abs().max()


def both_ways(ours: nn.Module, theirs: nn.Module, x: Tensor, tolerance: float = 1e-9) -> None:
    """Equal results and equal gradients of the input and of every parameter, in float64."""
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    results = [module(value) for module, value in zip((ours, theirs), inputs)]
    same(*results)
    weight = torch.randn_like(results[0])
    grads = [
        torch.autograd.grad((result * weight).sum(), [value, *module.parameters()])
        for module, value, result in zip((ours, theirs), inputs, results)
    ]
    for a, b in zip(*grads):
        same(a, b, tolerance)


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, choices in ACTIVATIONS.items() for o in choices])
def test_activation(name: str, options: dict[str, float]) -> None:
    ours, theirs = getattr(gpukern.nn, name)(**options), getattr(nn, name)(**options)
    assert isinstance(ours, type(theirs)) and repr(ours) == repr(theirs)
    # torch's gradient of hardsigmoid multiplies by 1 / 6 as a float32, in float64 too
    tolerance = 1e-7 if name == "Hardsigmoid" else 1e-9
    both_ways(ours, theirs, torch.randn(3, 50, dtype=torch.float64) * 4, tolerance)


@pytest.mark.parametrize(
    "name", ["ReLU", "ReLU6", "LeakyReLU", "ELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid", "Hardtanh"]
)
def test_activation_in_place(name: str) -> None:
    x = torch.randn(64)
    expected = getattr(nn, name)()(x)
    result = getattr(gpukern.nn, name)(inplace=True)(x)
    assert result is x
    same(x, expected, 1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias: bool) -> None:
    torch.manual_seed(3)
    ours = gpukern.nn.Linear(7, 5, bias=bias, dtype=torch.float64)
    torch.manual_seed(3)
    theirs = nn.Linear(7, 5, bias=bias, dtype=torch.float64)
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for shape in [(7,), (4, 7), (2, 3, 7), (0, 7)]:
        both_ways(ours, theirs, torch.randn(*shape, dtype=torch.float64))


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh"])
def test_linear_with_activation(activation: str) -> None:
    ours = gpukern.nn.Linear(6, 4, activation=activation, dtype=torch.float64)
    theirs = nn.Linear(6, 4, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 6, dtype=torch.float64)
    with torch.no_grad():  # the fused form
        same(ours(x), getattr(torch if hasattr(torch, activation) else functional, activation)(theirs(x)))
    act = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}[activation]()
    both_ways(ours, nn.Sequential(theirs, act), x)
    assert f"activation='{activation}'" in repr(ours)


CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "bias": bias}
    for kernel, stride, padding, dilation, groups, bias in itertools.product(
        [1, 3, (2, 3)], [1, 2, (1, 2)], [0, 1, (2, 1), "same", "valid"], [1, 2], [1, 2], [True, False]
    )
    if not (padding == "same" and stride != 1)
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("channels_last", [False, True])
def test_convolution_over_its_arguments(channels_last: bool) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for options in CONVOLUTIONS:
        torch.manual_seed(1)
        ours = gpukern.nn.Conv2d(4, 6, **options, dtype=torch.float64)
        torch.manual_seed(1)
        theirs = nn.Conv2d(4, 6, **options, dtype=torch.float64)
        assert all(torch.equal(ours.state_dict()[k], v) for k, v in theirs.state_dict().items())
        x = torch.randn(2, 4, 7, 6, dtype=torch.float64).contiguous(memory_format=layout)
        both_ways(ours, theirs, x)
        assert ours(x).stride() == theirs(x).stride(), options


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_convolution_padding_modes(mode: Literal["zeros", "reflect", "replicate", "circular"]) -> None:
    ours = gpukern.nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode, dtype=torch.float64)
    theirs = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode, dtype=torch.float64)
    theirs.load_state_dict(ours.state_dict())
    both_ways(ours, theirs, torch.randn(2, 2, 6, 5, dtype=torch.float64))


def test_convolution_of_single_images_and_of_none() -> None:
    w = torch.randn(3, 2, 3, 3)
    x = torch.randn(2, 5, 5)
    same(gpukern.nn.conv2d(x, w, padding=1), functional.conv2d(x, w, padding=1), 1e-5)
    assert gpukern.nn.conv2d(torch.randn(0, 2, 5, 5), w).shape == (0, 3, 3, 3)


@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 1, 1), (2, 1, 1), (1, 4, 1), (2, 0, 2)])
def test_convolution_derivatives_of_every_kind(stride: int, padding: int, groups: int) -> None:
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    w = torch.randn(2, 2 // groups, 3, 2, dtype=torch.float64, requires_grad=True)

    def call(x: Tensor, w: Tensor) -> Tensor:
        return gpukern.nn.conv2d(x, w, None, stride, padding, 1, groups)

    assert torch.autograd.gradcheck(
        call, (x, w), check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(call, (x, w))


def test_convolution_under_transforms() -> None:
    x, w = torch.randn(3, 2, 2, 5, 4), torch.randn(2, 2, 3, 2)
    ours = torch.vmap(lambda t: gpukern.nn.conv2d(t, w, padding=1))(x)
    same(ours, torch.vmap(lambda t: functional.conv2d(t, w, padding=1))(x), 1e-5)
    hessians = [
        torch.func.hessian(lambda t, c=conv: c(x[0], t, padding=1).square().sum())(w)
        for conv in (gpukern.nn.conv2d, functional.conv2d)
    ]
    same(hessians[0], hessians[1], 1e-3)
    compiled = torch.compile(gpukern.nn.conv2d, fullgraph=True, backend="aot_eager")
    same(compiled(x[0], w, padding=1), functional.conv2d(x[0], w, padding=1), 1e-5)


def test_convolution_under_autocast() -> None:
    x, w = torch.randn(2, 2, 5, 4), torch.randn(2, 2, 3, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = gpukern.nn.conv2d(x, w), functional.conv2d(x, w)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    same(ours, theirs, 0.05)


@pytest.mark.parametrize(
    "arguments",
    [
        (torch.randn(2, 3, 5, 5), torch.randn(4, 2, 3, 3)),  # channels
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3, 3), torch.randn(3)),  # bias
        (torch.randn(2, 2, 2, 2), torch.randn(4, 2, 3, 3)),  # kernel larger than the image
        (torch.randn(2, 2), torch.randn(4, 2, 3, 3)),  # dimensions
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3)),
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3, 3).double()),  # types
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3, 3), None, 0),  # stride
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3, 3), None, 1, -1),  # padding
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3, 3), None, 2, "same"),
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3, 3), None, 1, 0, 0),  # dilation
        (torch.randn(2, 2, 5, 5), torch.randn(4, 2, 3, 3), None, 1, 0, 1, 3),  # groups
    ],
)
def test_convolution_refuses_in_torchs_words(arguments: tuple[object, ...]) -> None:
    errors = []
    for call in (gpukern.nn.conv2d, functional.conv2d):
        with pytest.raises((RuntimeError, ValueError, TypeError)) as caught:
            call(*arguments)  # type: ignore[arg-type]
        errors.append((caught.type, str(caught.value).splitlines()[0]))
    assert errors[0] == errors[1]


def model() -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(64, 8),
        nn.GELU(),
        nn.Linear(8, 2),
    )


def test_replace_and_restore() -> None:
    theirs = model()
    ours = copy.deepcopy(theirs)
    before = {name: id(parameter) for name, parameter in ours.named_parameters()}
    assert gpukern.nn.replace_modules(ours) is ours
    kinds = [type(module) for module in ours]
    assert kinds == [
        gpukern.nn.Conv2d, nn.BatchNorm2d, gpukern.nn.SiLU, nn.Flatten, gpukern.nn.Linear, gpukern.nn.GELU,
        gpukern.nn.Linear,
    ]  # fmt: skip
    assert before == {name: id(parameter) for name, parameter in ours.named_parameters()}
    x = torch.randn(6, 1, 4, 4)
    same(ours(x), theirs(x), 1e-5)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    gpukern.nn.restore_modules(ours)
    assert [type(module) for module in ours] == [type(module) for module in model()]
    assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_subclasses_are_left_alone_and_activations_are_not_lost() -> None:
    class Special(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return input

    kept = gpukern.nn.replace_modules(nn.Sequential(Special(2, 2)))
    assert type(kept[0]) is Special
    fused = nn.Sequential(gpukern.nn.ReLU(), gpukern.nn.Linear(2, 2, activation="relu"))
    with pytest.raises(ValueError, match=r"^1 is a gpukern\.nn\.Linear with activation='relu'"):
        gpukern.nn.restore_modules(fused)
    assert type(fused[0]) is gpukern.nn.ReLU  # nothing was changed


def test_modules_survive_copying_and_pickling(tmp_path: object) -> None:
    import io

    ours = gpukern.nn.replace_modules(model())
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(loaded.eval()(x), copy.deepcopy(ours).eval()(x))
