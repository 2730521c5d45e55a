import logging

import pytest
import torch

from vidcm.models import attention as room
from vidcm.models.attention import BACKENDS, attention, attention_backend, default_backend, probe


def tokens(generator=None):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(2, 3, n, 16, generator=generator) for n in (10, 7, 7))


def by_hand(q, k, v):
    return ((q @ k.mT) / 16**0.5).softmax(-1) @ v


@pytest.mark.parametrize("name", ["sdpa", "math"])
def test_backends_compute_attention(name):
    q, k, v = tokens()
    with attention_backend(name):
        torch.testing.assert_close(attention(q, k, v), by_hand(q, k, v))


def test_forward_mode_derivatives_pass_through_math():
    q, k, v = tokens()
    dq = torch.ones_like(q)
    with attention_backend("math"):
        _, tangent = torch.func.jvp(lambda x: attention(x, k, v), (q,), (dq,))
    step = 1e-3
    wanted = (by_hand(q + step * dq, k, v) - by_hand(q - step * dq, k, v)) / (2 * step)
    torch.testing.assert_close(tangent, wanted, atol=1e-3, rtol=1e-2)


def test_the_probe_tells_what_serves_here():
    found = probe("cpu")
    assert set(found) == set(BACKENDS)
    assert found["sdpa"] == found["math"] == "ok"


def test_a_backend_that_raises_is_reported_and_passed_over(monkeypatch, caplog):
    def broken(q, k, v):
        raise RuntimeError("no kernel image")

    monkeypatch.setitem(room.BACKENDS, "xformers", broken)
    monkeypatch.setattr(room, "probe", lambda device: {"xformers": "RuntimeError: no kernel image"})
    default_backend.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert default_backend("cuda") == default_backend("cuda") == "sdpa"
    default_backend.cache_clear()
    assert len([line for line in caplog.messages if "no kernel image" in line]) == 1


def test_an_unknown_backend_is_an_error():
    with pytest.raises(KeyError), attention_backend("flash"):
        pass


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_xformers_equals_sdpa_on_cuda():
    pytest.importorskip("xformers")
    q, k, v = (x.cuda().half() for x in tokens())
    with attention_backend("xformers"):
        fast = attention(q, k, v)
    torch.testing.assert_close(fast.cpu().float(), by_hand(*tokens()), atol=5e-3, rtol=5e-3)
