"""gpukern/ops.pyi, what type checkers know of the functions: what its writer writes, whole, and true of the parser."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

import gpukern
from gpukern import products, stubs
from gpukern.entries import functions

MADE_IN_CPP = sorted(set(functions) - set(products.__all__))


def test_the_stubs_are_what_make_stubs_writes() -> None:
    assert stubs.WHERE.read_text() == stubs.stub(), "run: make stubs"


def test_every_public_function_is_in_the_stubs() -> None:
    module = ast.parse(stubs.WHERE.read_text())
    made = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    handed_on = {a.asname for node in module.body if isinstance(node, ast.ImportFrom) for a in node.names if a.asname}
    assert sorted(made) == MADE_IN_CPP and sorted(made | handed_on) == gpukern.ops.__all__


class Taken(TorchFunctionMode):
    """Answers every call that torch's parser takes, and runs none."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> str:
        return "taken"


VALUES = {
    **dict(stubs.TYPES.values()),
    "None": None,
    "Literal[True]": True,
    "Literal[False]": False,
}


@pytest.mark.filterwarnings("ignore:This overload of:UserWarning")  # torch's old order of arguments
@pytest.mark.parametrize("name", MADE_IN_CPP)
def test_the_parser_takes_what_the_stubs_say(name: str) -> None:
    """Every parameter in every one of its types, by keyword, and positional ones by position."""
    for signature in stubs.signatures(name):
        needed = {p.name: VALUES[min(p.types)] for p in signature.parameters if p.default is None}
        for p in signature.parameters:
            for python in p.types:
                given = {**needed, p.name: VALUES[python]}
                with Taken():
                    assert getattr(gpukern, name)(**given) == "taken", (name, given)
        places = [VALUES[min(p.types)] for p in signature.positional()]
        more = {p.name: needed[p.name] for p in signature.parameters if p.keyword_only and p.default is None}
        with Taken():
            assert getattr(gpukern, name)(*places, **more) == "taken", (name, places)


@pytest.mark.parametrize("name", MADE_IN_CPP)
def test_the_stubs_have_every_documented_parameter(name: str) -> None:
    documented = inspect.signature(functions[name]).parameters.values()
    found = next(s for s in stubs.signatures(name) if len(s.parameters) == len(documented))
    for theirs, ours in zip(documented, found.parameters):
        assert theirs.name == ours.name
        assert (theirs.kind is theirs.KEYWORD_ONLY) == ours.keyword_only, theirs
        default = None if theirs.default is theirs.empty else repr(theirs.default).replace("'", '"')
        assert ours.default == default, theirs


def test_a_signature_that_an_earlier_one_covers_is_left_out() -> None:
    """A type checker calls the second one an error: no call comes to it."""
    wide = stubs.parsed("div(Tensor input, Tensor other, *, c10::string_view? mode=None, Tensor out=None)", "div")
    narrow = stubs.parsed("div(Tensor input, Tensor other, *, c10::string_view mode, Tensor out=None)", "div")
    assert wide.covers(narrow) and not narrow.covers(wide)
    elsewhere = stubs.parsed("div(Tensor other, Tensor input, *, c10::string_view mode)", "div")
    assert not wide.covers(elsewhere) and not elsewhere.covers(wide)


def test_what_is_no_signature_is_said() -> None:
    with pytest.raises(ValueError, match="no signature of torch's argument parser: mm"):
        stubs.parsed("mm", "mm")


def test_numbers_stand_where_the_parser_takes_them() -> None:
    takes = gpukern._C.takes
    one = torch.ones(1)
    assert takes("add(Tensor input, Tensor other)", (one, 2.0), {})
    assert not takes("mm(Tensor input, Tensor mat2)", (one, 2.0), {})
    assert not takes("mm(Tensor input, Tensor mat2)", (one,), {"mat": one})
    (add, *_), (mm, *_) = stubs.signatures("add"), stubs.signatures("mm")
    assert add.parameters[1].types == {"Tensor", "_Number"} and mm.parameters[1].types == {"Tensor"}
