"""The names of devices, and what they stand for on a machine."""

import pytest
import torch

from vidcm.core.devices import DEVICES, present_device
from vidcm.core.errors import UserError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """machine("cuda", ...): pretend that these accelerators are here, and no others."""

    def pretend(*present: str) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in present)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in present)

    return pretend


@pytest.mark.parametrize(("present", "chosen"), [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda")])
def test_auto_takes_an_accelerator_where_there_is_one(machine, present, chosen):
    machine(*present)
    assert present_device("auto") == chosen


@pytest.mark.parametrize("name", DEVICES[1:])
def test_a_device_that_is_here_is_itself(machine, name):
    machine("cuda", "mps")
    assert present_device(name) == name


def test_a_device_that_is_not_here_is_refused_with_those_that_are(machine):
    machine("mps")
    with pytest.raises(UserError, match="device cuda: none here, only mps, cpu"):
        present_device("cuda")
