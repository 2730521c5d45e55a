"""Networks and the scheduler before and after they have met diffusers."""

import copy
import json
import pickle
import subprocess
import sys
from types import SimpleNamespace

import diffusers
import pytest
import torch
from diffusers import ConfigMixin, ModelMixin, SchedulerMixin

from vidcm.models import network
from vidcm.models.motion_vae import MotionVAE
from vidcm.models.network import Light, LightModule, Network, Scheduler, meet_diffusers
from vidcm.models.scheduler import ConsistencyScheduler
from vidcm.models.video_dit import VideoDiT

SIZES = {"end_channels": 0, "dim": 32, "depth": 2, "heads": 2}


@pytest.fixture
def apart(monkeypatch):
    """As in a process of the command line that has not imported diffusers."""
    monkeypatch.setattr(network, "sys", SimpleNamespace(modules={}))
    before = Network.__bases__, Scheduler.__bases__
    Network.__bases__, Scheduler.__bases__ = (LightModule,), (Light,)
    yield
    Network.__bases__, Scheduler.__bases__ = before


@pytest.fixture
def alone(apart, monkeypatch):
    """And none is installed."""

    def fail():
        raise AssertionError("asked for diffusers")

    monkeypatch.setattr(network, "meet_diffusers", fail)


def tiny() -> VideoDiT:
    torch.manual_seed(0)
    made = VideoDiT(4, 8, **SIZES)
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return made


def answer(net: VideoDiT) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    x, condition = (torch.randn(1, channels, 2, 4, 4, generator=generator) for channels in (4, 8))
    return net(x, torch.ones(1), condition, tau=torch.tensor([[0.2, 0.6]]))


def test_a_run_needs_nothing_of_diffusers(alone):
    net, scheduler = tiny(), ConsistencyScheduler(middle=1.2)
    wanted = answer(net)
    again = VideoDiT(**net.config)
    again.load_state_dict(net.state_dict())
    for other in (again, copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.to(torch.float64).to(torch.float32)):
        torch.testing.assert_close(answer(other.eval()), wanted, rtol=0, atol=0)
    assert scheduler.angles(2) == (scheduler.config.start, 1.2)
    assert (net.dtype, net.device.type, scheduler.anchor["trust"]) == (torch.float32, "cpu", 1.0)
    assert MotionVAE(widths=(4, 8, 8, 16)).config.widths == (4, 8, 8, 16)  # torch looks up the names of its buffers
    assert not hasattr(net, "_hf_hook")  # libraries look for such
    assert net.to(torch.bfloat16).dtype == torch.bfloat16
    assert not hasattr(VideoDiT, "_no_split_modules")


def saved(net: VideoDiT, folder) -> dict[str, bytes]:
    net.save_pretrained(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


ASKING = {
    "a network": lambda net, scheduler, folder: saved(net, folder),
    "a class of networks": lambda net, scheduler, folder: VideoDiT.from_config(net.config),
    "a scheduler": lambda net, scheduler, folder: scheduler.save_pretrained(folder),
    "a class of schedulers": lambda net, scheduler, folder: ConsistencyScheduler.from_config(scheduler.config),
    "memory": lambda net, scheduler, folder: net.enable_gradient_checkpointing(),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_what_diffusers_has_is_there_for_whoever_asks(apart, ask, tmp_path):
    net, scheduler = tiny(), ConsistencyScheduler()
    assert not isinstance(net, ModelMixin)
    ask(net, scheduler, tmp_path)
    assert VideoDiT.__mro__[:3] == (VideoDiT, Network, ModelMixin)
    assert ConsistencyScheduler.__mro__[:3] == (ConsistencyScheduler, Scheduler, SchedulerMixin)
    assert not {Light, LightModule} & {*VideoDiT.__mro__, *ConsistencyScheduler.__mro__}
    assert isinstance(net, ConfigMixin)
    assert isinstance(scheduler, ConfigMixin)


def test_one_that_was_there_before_is_filed_as_one_made_after(apart, tmp_path):
    before = tiny()
    before.register_to_config(dropout=0.25)
    meet_diffusers()
    after = tiny()
    after.register_to_config(dropout=0.25)
    files = saved(before, tmp_path / "before")
    assert files == saved(after, tmp_path / "after")
    told = json.loads(files["config.json"])
    assert told.pop("_class_name") == "VideoDiT"
    assert told.pop("_diffusers_version")
    assert told == {
        **{"latent_channels": 4, "condition_channels": 8, **SIZES},
        **{"mlp_ratio": 4, "dropout": 0.25, "text_channels": 0},
    }
    before.save_pretrained(tmp_path / "parts", max_shard_size="100KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    for folder in ("before", "parts"):
        loaded = VideoDiT.from_pretrained(tmp_path / folder).state_dict()
        assert loaded.keys() == before.state_dict().keys()
        assert all(torch.equal(weight, loaded[name]) for name, weight in before.state_dict().items())


def test_one_that_was_there_before_can_do_what_diffusers_can(apart):
    plain, checkpointed = tiny(), tiny()
    checkpointed.enable_gradient_checkpointing()
    assert checkpointed.is_gradient_checkpointing
    for net in (plain, checkpointed):
        answer(net).square().sum().backward()
    for one, other in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0, atol=0)
    assert plain.num_parameters() == sum(weight.numel() for weight in plain.parameters())


def test_in_a_process_of_others_networks_are_those_of_diffusers_from_the_start(tmp_path):
    """Whoever imports it first, and also where it is the stock classes that file one."""
    code = """
from vidcm.families.motion import MotionFamily
from vidcm.core.shipped import shipped
family = MotionFamily.load(shipped("motion"))
import diffusers
class Theirs(diffusers.DiffusionPipeline):
    def __init__(self, vae, scheduler):
        super().__init__()
        self.register_modules(vae=vae, scheduler=scheduler)
assert isinstance(family.vae, diffusers.ModelMixin)
Theirs(family.vae, family.scheduler).save_pretrained("theirs")
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    filed = {str(file.relative_to(tmp_path / "theirs")) for file in (tmp_path / "theirs").rglob("*.*")}
    assert {"vae/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"} <= filed


def test_one_that_is_made_when_diffusers_is_there_has_met_it(apart, monkeypatch):
    assert not issubclass(VideoDiT, ModelMixin)
    monkeypatch.setattr(network, "sys", SimpleNamespace(modules={"diffusers": diffusers}))
    assert isinstance(tiny(), ModelMixin)
    assert isinstance(ConsistencyScheduler(), SchedulerMixin)


@pytest.mark.parametrize("setting", [{"widht": 3}, {"_width": 3}])
def test_an_unknown_setting_is_refused(apart, setting):
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        VideoDiT(**setting)


def test_what_nobody_has_is_an_attribute_error(apart):
    net, scheduler = tiny(), ConsistencyScheduler()
    for asked in (net, VideoDiT, scheduler, ConsistencyScheduler, net.config):
        with pytest.raises(AttributeError, match="bogus"):
            _ = asked.bogus
