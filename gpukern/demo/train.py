"""The demo's network, data and training loop, written once for the functions of either library."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from gpukern import nn as gpukern_nn
from gpukern import ops

BATCH = 64
PEAK_RATE = 0.1
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4


@dataclass(frozen=True)
class Kit:
    """The functions and modules that the network uses.  Everything else in this file is the same for both runs."""

    name: str
    convolution: type[nn.Conv2d]
    linear: type[nn.Linear]
    relu: Callable[[Tensor], Tensor]
    linear_relu: Callable[[Tensor, Tensor, Tensor], Tensor]
    add_relu: Callable[[Tensor, Tensor], Tensor]


TORCH = Kit(
    "torch",
    nn.Conv2d,
    nn.Linear,
    functional.relu,
    lambda x, weight, bias: functional.relu(functional.linear(x, weight, bias)),
    lambda a, b: functional.relu(a + b),
)
GPUKERN = Kit(
    "gpukern",
    gpukern_nn.Conv2d,
    gpukern_nn.Linear,
    lambda x: ops.relu(x),
    lambda x, weight, bias: ops.linear(x, weight, bias, activation="relu"),
    lambda a, b: ops.add_act(a, b, "relu"),
)


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm around a shortcut (He et al. 2016, arXiv 1512.03385)."""

    def __init__(self, kit: Kit, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.kit = kit
        self.first = kit.convolution(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = kit.convolution(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = None
        if stride != 1 or inputs != outputs:
            self.shortcut = kit.convolution(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.kit.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return self.kit.add_relu(y, x if self.shortcut is None else self.shortcut(x))


class Network(nn.Module):
    """(N, 1, 8, 8) -> (N, 10).  Three residual stages of 16, 32 and 64 channels, then a hidden layer of 64."""

    def __init__(self, kit: Kit) -> None:
        super().__init__()
        self.kit = kit
        self.stem = kit.convolution(1, 16, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Block(kit, 16, 16, 1), Block(kit, 16, 32, 2), Block(kit, 32, 64, 2))
        self.hidden = kit.linear(64, 64)
        self.output = kit.linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.kit.relu(self.stem_norm(self.stem(x))))
        x = x.mean((2, 3))
        x = self.kit.linear_relu(x, self.hidden.weight, self.hidden.bias)
        logits: Tensor = self.output(x)
        return logits


@dataclass(frozen=True)
class Digits:
    """8x8 grey images of handwritten digits, with zero mean and unit deviation over the training part."""

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


def load_digits(seed: int, device: torch.device) -> Digits:
    """scikit-learn's copy of the UCI digits (Alpaydin and Kaynak 1998), 1,797 images, every fifth one for the test."""
    from sklearn import datasets

    bunch = datasets.load_digits()
    order = numpy.random.default_rng(seed).permutation(len(bunch.target))
    images = torch.from_numpy(bunch.images[order]).float().unsqueeze(1)
    labels = torch.from_numpy(bunch.target[order]).long()
    held_out = torch.arange(len(labels)) % 5 == 0
    mean, deviation = images[~held_out].mean(), images[~held_out].std()
    images = ((images - mean) / deviation).to(device)
    labels, held_out = labels.to(device), held_out.to(device)
    return Digits(images[~held_out], labels[~held_out], images[held_out], labels[held_out])


@dataclass
class Result:
    """The results of one training run.  seconds: of each epoch's training steps, without evaluation."""

    name: str
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    accuracy: float = 0.0


def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose largest logit is the label's."""
    model.eval()
    with torch.no_grad():
        right: float = (model(images).argmax(1) == labels).float().mean().item()
    model.train()
    return right


def train(kit: Kit, digits: Digits, epochs: int, seed: int, tick: Callable[[float], None]) -> Result:
    """Trains a network from the seed; calls `tick` with the loss after every step."""
    device = digits.train.device
    torch.manual_seed(seed)
    model = Network(kit).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shuffle = torch.Generator().manual_seed(seed)
    steps = steps_of(digits)
    optimizer = torch.optim.SGD(
        model.parameters(), PEAK_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True, foreach=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=epochs * steps, cycle_momentum=False
    )
    result = Result(kit.name)
    for _ in range(epochs):
        order = torch.randperm(len(digits.train), generator=shuffle).to(device)
        started = time.perf_counter()
        for step in range(steps):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            loss = functional.cross_entropy(model(digits.train[chosen]), digits.train_labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            result.losses.append(loss.item())
            tick(result.losses[-1])
        result.seconds.append(time.perf_counter() - started)
    result.accuracy = accuracy(model, digits.test, digits.test_labels)
    return result


def steps_of(digits: Digits) -> int:
    """Steps in an epoch, including the last, smaller batch."""
    return -(-len(digits.train) // BATCH)
