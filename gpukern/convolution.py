"""Two-dimensional convolution as a gather of patches (im2col) and one gpukern matrix product.

Everything inside works on images in channels-last order, ``(N, H, W, C)``: a row of a patch is then ``kernel width *
C`` numbers side by side in memory, so the gather copies long runs, and the product's result *is* the next layer's
image.  A channels-last input, weight and result (``model.to(memory_format=torch.channels_last)``) therefore need no
reordering; other layouts cost one copy each.

The gradient with respect to the image is, for stride 1, again a convolution (of the gradient with the flipped weight),
so it too is a gather and a product; a scatter-add of patches (col2im) is needed for larger strides only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from . import ops

_Pair = int | tuple[int, ...] | list[int]


class _Geometry(NamedTuple):
    """The geometry of patches, in pixels, as (vertical, horizontal) pairs."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int, int, int]  # top, bottom, left, right; negative ones crop

    def output(self, height: int, width: int) -> tuple[int, int]:
        """The number of patches down and across an image of this size."""
        reach = [self.dilation[i] * (self.kernel[i] - 1) for i in (0, 1)]
        return (
            (height + self.pad[0] + self.pad[1] - reach[0] - 1) // self.stride[0] + 1,
            (width + self.pad[2] + self.pad[3] - reach[1] - 1) // self.stride[1] + 1,
        )

    @property
    def pointwise(self) -> bool:
        """Whether every patch is one pixel, so that nothing has to be gathered."""
        return self.kernel == self.stride == (1, 1) and not any(self.pad)

    def numbers(self, rows: int, columns: int) -> list[int]:
        """The list that the CPU loops take."""
        return [*self.kernel, *self.stride, *self.dilation, self.pad[0], self.pad[2], rows, columns]

    def transposed(self) -> _Geometry:
        """For stride 1: the geometry of the convolution that carries gradients back to the image."""
        down, across = (self.dilation[i] * (self.kernel[i] - 1) for i in (0, 1))
        top, bottom, left, right = self.pad
        return self._replace(pad=(down - top, down - bottom, across - left, across - right))


def _gather(image: Tensor, g: _Geometry) -> Tensor:
    """(N, H, W, C) -> (N * patches, kernel height * kernel width * C)."""
    count, height, width, channels = image.shape
    rows, columns = g.output(height, width)
    if g.pointwise:
        return image.reshape(-1, channels)
    if _has_loop(image):
        result: Tensor = torch.ops.gpukern.gather_patches.default(image, g.numbers(rows, columns))
        return result
    if any(g.pad):
        top, bottom, left, right = g.pad
        image = functional.pad(image, (0, 0, left, right, top, bottom))
    n, h, w, c = image.stride()
    view = image.as_strided(
        (count, rows, columns, *g.kernel, channels),
        (n, h * g.stride[0], w * g.stride[1], h * g.dilation[0], w * g.dilation[1], c),
    )
    return view.reshape(count * rows * columns, g.kernel[0] * g.kernel[1] * channels)


def _scatter(patches: Tensor, g: _Geometry, shape: tuple[int, ...]) -> Tensor:
    """The adjoint of `_gather`: adds every patch to the pixels it was read from.  Without a CPU loop it adds one
    shifted slice for each pixel of the kernel."""
    count, height, width, channels = shape
    rows, columns = g.output(height, width)
    if g.pointwise:
        return patches.reshape(shape)
    if _has_loop(patches):
        result: Tensor = torch.ops.gpukern.scatter_patches.default(patches, g.numbers(rows, columns), shape)
        return result
    top, bottom, left, right = g.pad
    parts = patches.reshape(count, rows, columns, *g.kernel, channels)
    full = patches.new_zeros(
        count, height + max(top, 0) + max(bottom, 0), width + max(left, 0) + max(right, 0), channels
    )
    # Where an image was cropped (negative padding), patches start inside it.
    first_row, first_column = max(-top, 0), max(-left, 0)
    for i in range(g.kernel[0]):
        for j in range(g.kernel[1]):
            row, column = first_row + i * g.dilation[0], first_column + j * g.dilation[1]
            full[
                :,
                row : row + (rows - 1) * g.stride[0] + 1 : g.stride[0],
                column : column + (columns - 1) * g.stride[1] + 1 : g.stride[1],
            ] += parts[:, :, :, i, j]
    return full[:, max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]


def _has_loop(t: Tensor) -> bool:
    """Whether the CPU loops of csrc/convolution take the tensor: one with data, not wrapped by vmap or a fake mode."""
    plain = type(t) is Tensor and t.device.type == "cpu" and t.dtype in (torch.float32, torch.float64)
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor(t) or torch._C._functorch.is_legacy_batchedtensor(t)
    return plain and not wrapped


class _Patches(Function):
    """`_gather` with derivatives of every order: the map is linear and `_Fold` is its adjoint."""

    generate_vmap_rule = True

    @staticmethod
    def forward(image: Tensor, geometry: _Geometry) -> Tensor:
        return _gather(image, geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.shape, ctx.geometry = tuple(inputs[0].shape), inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return _Fold.apply(grads[0], ctx.geometry, ctx.shape), None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _Patches.apply(tangents[0], ctx.geometry)


class _Fold(Function):
    """`_scatter` with derivatives of every order."""

    generate_vmap_rule = True

    @staticmethod
    def forward(patches: Tensor, geometry: _Geometry, shape: tuple[int, ...]) -> Tensor:
        return _scatter(patches, geometry, shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.geometry, ctx.shape = inputs[1], inputs[2]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return _Patches.apply(grads[0], ctx.geometry), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _Fold.apply(tangents[0], ctx.geometry, ctx.shape)


class _Convolution(Function):
    """One image batch (N, H, W, C) with one weight (O, kh, kw, C), no groups -> (N, rows, columns, O)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(image: Tensor, weight: Tensor, geometry: _Geometry) -> Tensor:
        rows, columns = geometry.output(image.shape[1], image.shape[2])
        flat = weight.reshape(weight.shape[0], -1).t()
        if not (_has_loop(image) and _has_loop(weight)):
            result = ops.mm(_gather(image, geometry), flat)
        else:
            result = image.new_empty(image.shape[0] * rows * columns, weight.shape[0])
            for start, patches in _blocks(image, geometry):
                ops.mm(patches, flat, out=result[start : start + len(patches)])
        return result.view(image.shape[0], rows, columns, weight.shape[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        image, weight, ctx.geometry = inputs
        ctx.save_for_backward(image, weight)
        ctx.save_for_forward(image, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        image, weight = ctx.saved_tensors
        g: _Geometry = ctx.geometry
        grad_image = grad_weight = None
        if ctx.needs_input_grad[0]:
            if g.stride == (1, 1):
                flipped = weight.flip(1, 2).permute(3, 1, 2, 0)
                grad_image = _Convolution.apply(grads[0], flipped, g.transposed())
            else:
                flat = weight.reshape(weight.shape[0], -1)
                patches = ops.mm(grads[0].reshape(-1, weight.shape[0]), flat)
                grad_image = _Fold.apply(patches, g, tuple(image.shape))
        if ctx.needs_input_grad[1]:
            rows = grads[0].reshape(-1, weight.shape[0])
            grad_weight = _weight_gradient(rows, image, g).view(weight.shape)
        return grad_image, grad_weight, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        image, weight = ctx.saved_tensors
        parts = []
        if tangents[0] is not None:
            parts.append(_Convolution.apply(tangents[0], weight, ctx.geometry))
        if tangents[1] is not None:
            parts.append(_Convolution.apply(image, tangents[1], ctx.geometry))
        return parts[0] if len(parts) == 1 else ops.add(*parts)


def _blocks(image: Tensor, g: _Geometry) -> Iterator[tuple[int, Tensor]]:
    """Yields the patches of an image batch, a few images at a time, with the number of the first row.  On the CPU only.

    The buffer is reused and stays in the cache; all patches of a 3x3 kernel at once would be nine images' worth of new
    memory."""
    if g.pointwise:
        yield 0, image.reshape(-1, image.shape[3])
        return
    rows, columns = g.output(image.shape[1], image.shape[2])
    each, numbers = rows * columns, g.numbers(rows, columns)
    size = g.kernel[0] * g.kernel[1] * image.shape[3]
    step = max(1, _BLOCK_BYTES // (each * size * image.element_size()))
    buffer = image.new_empty(min(step, image.shape[0]) * each, size)
    for first in range(0, image.shape[0], step):
        part = image[first : first + step]
        patches = buffer[: len(part) * each]
        torch.ops.gpukern.gather_patches.out(part, numbers, out=patches)
        yield first * each, patches


_BLOCK_BYTES = 1 << 19  # half of the smallest L2 cache of a current server core


def _weight_gradient(rows: Tensor, image: Tensor, g: _Geometry) -> Tensor:
    """(N * patches, O) and the image -> (O, kernel height * kernel width * C)."""
    if torch.is_grad_enabled() or not (_has_loop(image) and _has_loop(rows)):
        return ops.mm(rows.t(), _Patches.apply(image, g))  # it may be differentiated again
    total = rows.new_zeros(rows.shape[1], g.kernel[0] * g.kernel[1] * image.shape[3])
    for start, patches in _blocks(image, g):
        ops.addmm(total, rows[start : start + len(patches)].t(), patches, out=total)
    return total


def _traceable(input: Tensor, weight: Tensor, g: _Geometry, groups: int) -> Tensor:
    """The convolution by torch's own unfold and gpukern products: for tracing (torch.compile, export), where
    channels-last gains nothing, and for groups, which need one product each."""
    top, bottom, left, right = g.pad
    if any(g.pad):
        input = functional.pad(input, (left, right, top, bottom))
    plain = g._replace(pad=(0, 0, 0, 0))
    rows, columns = plain.output(input.shape[2], input.shape[3])
    patches = functional.unfold(input, g.kernel, dilation=g.dilation, stride=g.stride)  # (N, C * kh * kw, patches)
    count, outputs = input.shape[0], weight.shape[0]
    if groups == 1:
        product = ops.matmul(weight.reshape(outputs, -1), patches)
    else:
        split = patches.reshape(count, groups, -1, rows * columns)
        product = ops.matmul(weight.reshape(groups, outputs // groups, -1), split)
    return product.reshape(count, outputs, rows, columns)


def _pair(value: _Pair) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    values = tuple(value)
    if len(values) == 1:
        return values[0], values[0]
    return (values[0], values[1]) if len(values) == 2 else None


def _geometry(weight: Tensor, stride: _Pair, padding: _Pair | str, dilation: _Pair) -> _Geometry | None:
    """None where torch refuses the arguments."""
    steps, gaps = _pair(stride), _pair(dilation)
    if weight.dim() != 4 or steps is None or gaps is None or min(steps) < 1 or min(gaps) < 1:
        return None
    kernel = (weight.shape[2], weight.shape[3])
    if padding == "valid":
        return _Geometry(kernel, steps, gaps, (0, 0, 0, 0))
    if padding == "same":
        if steps != (1, 1):
            return None
        down, across = (gaps[i] * (kernel[i] - 1) for i in (0, 1))
        return _Geometry(kernel, steps, gaps, (down // 2, down - down // 2, across // 2, across - across // 2))
    edges = None if isinstance(padding, str) else _pair(padding)
    if edges is None or min(edges) < 0:
        return None
    return _Geometry(kernel, steps, gaps, (edges[0], edges[0], edges[1], edges[1]))


def _taken(input: Tensor, weight: Tensor, bias: Tensor | None, g: _Geometry | None, groups: int) -> bool:
    """Whether torch would accept the call and a gpukern product serves it."""
    if g is None or input.dim() not in (3, 4) or not input.is_floating_point() or input.layout != torch.strided:
        return False
    others = [weight] if bias is None else [weight, bias]
    if any(t.dtype != input.dtype or t.device != input.device or t.layout != torch.strided for t in others):
        return False
    outputs = weight.shape[0]
    if groups < 1 or outputs == 0 or outputs % groups or input.shape[-3] != weight.shape[1] * groups:
        return False
    if bias is not None and bias.shape != (outputs,):
        return False
    return weight.numel() > 0 and min(g.output(input.shape[-2], input.shape[-1])) > 0


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: _Pair = 1,
    padding: _Pair | str = 0,
    dilation: _Pair = 1,
    groups: int = 1,
) -> Tensor:
    """`torch.nn.functional.conv2d` on gpukern's matrix product.

    input: (N, C, H, W) or (C, H, W); weight: (O, C / groups, kh, kw); bias: (O,) or None; all of one floating-point
    type and device.  Returns (N, O, H', W') in the memory format torch would choose: channels-last where the input or
    the weight is.  Differentiable to every order, forward mode included.  Arguments that torch refuses raise torch's
    errors; what no gpukern product serves (complex numbers, quantised types) is torch's own convolution.

    >>> x, w = torch.randn(8, 3, 32, 32), torch.randn(16, 3, 3, 3)
    >>> gpukern.nn.conv2d(x, w, padding=1).shape
    torch.Size([8, 16, 32, 32])
    """
    kind = input.device.type
    if torch.is_autocast_enabled(kind) and input.is_floating_point() and input.dtype != torch.float64:
        low = torch.get_autocast_dtype(kind)
        input, weight = input.to(low), weight.to(low)
        bias = None if bias is None else bias.to(low)
    g = _geometry(weight, stride, padding, dilation)
    if g is None or not _taken(input, weight, bias, g, groups):
        return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)  # type: ignore[arg-type]
    if input.dim() == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    last = _is_channels_last(input) or _is_channels_last(weight)
    if groups > 1 or torch.compiler.is_compiling():
        result = _traceable(input, weight, g, groups)
        if bias is not None:
            result = ops.add(result, bias.view(-1, 1, 1))
        return result.contiguous(memory_format=torch.channels_last) if last else result
    result = _Convolution.apply(input.permute(0, 2, 3, 1), weight.permute(0, 2, 3, 1), g)
    if bias is not None:
        result = ops.add(result, bias)
    result = result.permute(0, 3, 1, 2)
    return result if last else result.contiguous()


def _is_channels_last(t: Tensor) -> bool:
    """By strides, which vmap can answer (it refuses `is_contiguous` with a memory format)."""
    n, c, h, w = t.stride() if t.dim() == 4 else (0, 0, 0, 0)
    return c == 1 and t.shape[1] <= w <= h <= n and not t.is_contiguous()
