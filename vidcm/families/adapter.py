"""LoRA (arXiv:2106.09685): a network stays as it is, and small factors beside its linear layers are trained.

y = W x + B A x          A [rank, inputs], B [outputs, rank], B = 0 at first: tuning starts from the network itself

DIR/pytorch_lora_weights.safetensors       what `load_lora_weights` of the stock pipeline takes
    pytorch_lora_weights_2.safetensors     of the second network, where there are two
    adapter.json                           {"base": directory of the network, "rank": ...}
    consistency/                           where few-step sampling goes, if it was tuned for that
"""

import importlib.util
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vidcm.core.errors import UserError
from vidcm.families.checkpoint import written_whole
from vidcm.families.laid import FILE, Laid

NAME = "default"  # peft's, of an adapter in a network
LAYERS = (  # linear layers of the blocks, by the end of their names
    *("to_q", "to_k", "to_v", "to_out.0", "add_k_proj", "add_v_proj"),  # the last two: Wan's attention to an image
    *("net.0.proj", "net.2"),  # feed-forward
    *(f"spatial.{name}" for name in ("qkv", "out")),  # from here on those of our own VideoDiT
    *(f"{part}.{name}" for part in ("temporal", "text") for name in ("q", "kv", "out")),
    *("mlp.0", "mlp.3"),
)


def check_installed() -> None:
    if importlib.util.find_spec("peft") is None:
        raise UserError("LoRA needs peft: pip install 'vidcm[lora]'")


def attach(network: Any, rank: int) -> None:
    """Factors of that rank beside the layers of a transformer of diffusers or our own, drawn from torch's generator."""
    check_installed()
    from diffusers.loaders import PeftAdapterMixin
    from peft import LoraConfig

    if not isinstance(network, PeftAdapterMixin):
        network.__class__ = taking_adapters(type(network), PeftAdapterMixin)
    network.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(LAYERS)), NAME)


@cache
def taking_adapters(kind: type, mixin: type) -> type:
    """A class of ours with what diffusers' models have for adapters. Not a base of ours from the start: its import
    takes a second, which interpolation would wait for."""
    return type(kind.__name__, (kind, mixin), {"__module__": kind.__module__})


def factors(network: nn.Module) -> dict[str, nn.Parameter]:
    """A and B of every layer, under the names of the network."""
    return {name: weight for name, weight in network.named_parameters() if f".{NAME}." in name and ".lora_" in name}


class Adapter(nn.Module):
    """The factors of a network as a module of their own, which shares them: what is trained, averaged, checkpointed.

    Called, it is the network with the factors that it holds; a deep copy has factors of its own, and the same network.
    """

    def __init__(self, network: Any):
        super().__init__()
        self._network = (network,)  # not a submodule
        for name, weight in factors(network).items():
            self.register_parameter(name.replace(".", "/"), weight)

    def __deepcopy__(self, memo: dict) -> "Adapter":
        copied = Adapter(self._network[0])
        for name, weight in self.named_parameters():
            copied.register_parameter(name, nn.Parameter(weight.detach().clone(), weight.requires_grad))
        return copied

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_network"][0], name) if name in ("config", "dtype") else super().__getattr__(name)

    def forward(self, *args: Any, **told: Any) -> Any:
        weights = {name.replace("/", "."): weight for name, weight in self.named_parameters()}
        return functional_call(self._network[0], weights, args, told)


class Bare(nn.Module):
    """A network with its adapter off: the teacher of its own tuning, without a copy. Answers without gradient."""

    def __init__(self, network: Any):
        super().__init__()
        self._network = (network,)  # not a submodule

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_network"][0], name) if name in ("config", "dtype") else super().__getattr__(name)

    @torch.no_grad()
    def forward(self, *args: Any, **told: Any) -> Any:
        network = self._network[0]
        network.disable_adapters()
        try:
            return network(*args, **told)
        finally:
            network.enable_adapters()


def one_or_list(modules: Iterable[nn.Module]) -> nn.Module:
    """The module itself, or a list of several."""
    found = list(modules)
    return found[0] if len(found) == 1 else nn.ModuleList(found)


def merge(network: Any) -> None:
    """W <- W + B A, and the factors are gone."""
    network.fuse_lora()
    network.unload_lora()


# Directories --------------------------------------------------------------------------------------------------------


def weight_name(index: int) -> str:
    return f"pytorch_lora_weights{f'_{index + 1}' if index else ''}.safetensors"


def fill(network: Any, laid: Laid, index: int) -> None:
    """Lay an adapter of a directory on a network. Every factor must be there, finite, and no other."""
    from safetensors.torch import load_file

    path = laid.folder / weight_name(index)
    attach(network, laid.rank)
    wanted = {plain(name): weight for name, weight in factors(network).items()}
    try:
        found = load_file(path)
    except Exception as error:  # safetensors has kinds of its own
        raise UserError(f"{path} cannot be read, take another copy: {' '.join(str(error).split())[:200]}") from error
    for name in sorted(wanted.keys() ^ found.keys()):
        raise UserError(f"{path} does not fit {laid.base}: {'missing' if name in wanted else 'unexpected'} {name}")
    for name, weight in wanted.items():
        if found[name].shape != weight.shape:
            raise UserError(
                f"{path} does not fit {laid.base}: {name} is {list(found[name].shape)}, not {list(weight.shape)}"
            )
        if not found[name].isfinite().all():
            raise UserError(f"{path} holds NaN or infinite values in {name}: take another checkpoint")
        weight.data.copy_(found[name])
        weight.requires_grad_(False)


def save_adapter(folder: str | Path, networks: Iterable[Any], base: str | Path, consistency: Any) -> None:
    """Write the adapters of the networks whole or not at all."""
    from safetensors.torch import save_file

    with written_whole(folder) as aside:
        for index, network in enumerate(networks):
            tensors: dict[str, Tensor] = {
                plain(name): weight.detach().to("cpu", torch.float32).contiguous()
                for name, weight in factors(network).items()
            }
            save_file(tensors, aside / weight_name(index), metadata={"format": "pt"})
            rank = network.peft_config[NAME].r
        told = {"base": str(Path(base).resolve()), "rank": rank}
        (aside / FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        if consistency is not None:
            consistency.save_pretrained(aside / "consistency")


def plain(name: str) -> str:
    """A factor's name in files: diffusers puts the network's in front, and leaves the adapter's out."""
    return "transformer." + name.replace(f".{NAME}.", ".")
