"""What our networks and the scheduler are built on: diffusers' classes, once somebody asks for what only they have.

A config that the weights are stored with is all that a run of the command line needs of them, and diffusers takes
longer to import than a short interpolation to compute. So in its process `Network` and `Scheduler` begin on a base of
their own. The first time that somebody asks for more (`save_pretrained`, `from_pretrained`,
`enable_gradient_checkpointing`, ...), or makes one when diffusers is there, its classes take the place of that base,
also under what is there already: from then on a MotionVAE is a ModelMixin, a ConsistencyScheduler a SchedulerMixin, and
nothing of ours is left between. In everybody else's process they are that from the start.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from vidcm.core.alone import is_alone


class Config(dict):
    """What an instance was made with; read as attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"this config has no {name!r}, only: {', '.join(self)}") from None


class Light:
    """What a run needs of diffusers' ConfigMixin, under its names. Whatever else is asked for, diffusers has."""

    _internal_dict: Config

    def register_to_config(self, **settings: Any) -> None:
        self._internal_dict = Config({**self.__dict__.get("_internal_dict", {}), **settings})

    @property
    def config(self) -> Config:
        return self._internal_dict

    def __getattr__(self, name: str) -> Any:
        # Python's protocols and libraries look for names with "_", torch for those of weights that it is about to add.
        if name.startswith("_") or "_internal_dict" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        meet_diffusers()
        return getattr(self, name)


class LightModule(Light, nn.Module):
    def __getattr__(self, name: str) -> Any:
        try:
            return nn.Module.__getattr__(self, name)  # a weight, a buffer or a module
        except AttributeError:
            return Light.__getattr__(self, name)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype


class Meeting(type):
    """Of classes that diffusers is asked for what they do not have."""

    def __getattr__(cls, name: str) -> Any:
        if not name.startswith("_"):
            meet_diffusers()
        return type.__getattribute__(cls, name)


class Network(LightModule, metaclass=Meeting):
    """A network with a config: its `__init__` is `configured`."""


class Scheduler(Light, metaclass=Meeting):
    """Where sampling goes: its `__init__` is `configured`."""

    config_name = "scheduler_config.json"


def meet_diffusers() -> None:
    """Put Network and Scheduler on diffusers' classes, if they are not."""
    if issubclass(Network, Light):
        from diffusers.configuration_utils import ConfigMixin
        from diffusers.models.modeling_utils import ModelMixin
        from diffusers.schedulers.scheduling_utils import SchedulerMixin

        Network.__bases__ = (ModelMixin, ConfigMixin)
        Scheduler.__bases__ = (SchedulerMixin, ConfigMixin)


def configured(init: Callable[..., None]) -> Callable[..., None]:
    """What `__init__` is given, and its defaults, become the config of an instance once it is made."""
    signature = inspect.signature(init)

    @functools.wraps(init)
    def making(self: Any, *given: Any, **named: Any) -> None:
        if "diffusers" in sys.modules:
            meet_diffusers()
        bound = signature.bind(self, *given, **named)
        bound.apply_defaults()
        init(self, *given, **named)
        self.register_to_config(**{name: value for name, value in bound.arguments.items() if name != "self"})

    return making


if not is_alone():
    meet_diffusers()
