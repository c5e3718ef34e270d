"""What selection believes of a device it has not seen: the limits that vendors publish."""

from __future__ import annotations

import pytest

from gpukern import _C

# CUDA programming guide, "Technical specifications per compute capability": kilobytes of shared memory that a block may
# have; processors of the part that device.cpp names.  AMD: LDS of a workgroup, compute units, lanes of a wave.
LIMITS = {
    "sm_75": (64, 40, 32),
    "sm_80": (163, 108, 32),
    "sm_86": (99, 84, 32),
    "sm_89": (99, 142, 32),
    "sm_90": (227, 132, 32),
    "sm_90a": (227, 132, 32),
    "sm_100": (227, 148, 32),
    "sm_120": (99, 170, 32),
    "gfx90a": (64, 104, 64),
    "gfx942": (64, 304, 64),
    "gfx950": (160, 256, 64),
    "gfx1100": (64, 96, 32),
    "gfx1201": (64, 64, 32),
}
L2 = {"sm_75": 4, "sm_80": 40, "sm_86": 6, "sm_89": 96, "sm_90": 50, "sm_90a": 50, "sm_100": 126, "sm_120": 96}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_the_vendors(name: str) -> None:
    shared, processors, wave = LIMITS[name]
    device = _C.describe_device(name)
    assert (device["shared_bytes"], device["sm_count"], device["wave"]) == (shared * 1024, processors, wave)
    assert device["target"] == name.replace("sm_90a", "sm_90")
    assert name not in L2 or device["l2_bytes"] == L2[name] * 2**20


def test_every_known_device_has_limits() -> None:
    with pytest.raises(ValueError, match="known are") as error:
        _C.describe_device("no such device")
    known = str(error.value).split("known are ")[1].split("\n")[0].split(", ")
    assert set(known) - {"cpu"} == set(LIMITS)
