import logging
import threading

import pytest
import torch
import torch.nn.functional as F

from tests.families.tiny_video import write
from vidcm import families
from vidcm.core.circle import per_sample
from vidcm.core.errors import UserError
from vidcm.models import attention as room
from vidcm.models.attention import (
    BACKENDS,
    ROWS,
    attention,
    attention_backend,
    check_backend,
    default_backend,
    preferring,
    probe,
)


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


@pytest.mark.parametrize("keys", [3, 6, 300])
@pytest.mark.parametrize("count", [1, 4, 8, ROWS, 2 * ROWS + 44])  # few; not so few; all at once; the last ones fewer
def test_rows_of_queries_attend_as_all_of_them(count, keys):
    q, k, v = (torch.randn(2, 3, n, 16, generator=torch.Generator().manual_seed(n)) for n in (count, keys, keys + 1))
    half = [x.bfloat16() for x in (q, k, v[:, :, :keys])]
    with attention_backend("rows"):
        found = attention(*half)
    wanted = by_hand(*(x.float() for x in half))
    assert found.shape == q.shape
    torch.testing.assert_close(found.float(), wanted, atol=0.01, rtol=0.02)  # scores and shares are bf16, too


@pytest.mark.parametrize("size", [100.0, 3000.0])
def test_scores_beyond_what_an_exponential_holds_are_weighed_all_the_same(size):
    """Every query finds its own key, by far."""
    q = F.normalize(torch.randn(1, 1, ROWS, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    q, v = (size * q).bfloat16(), torch.randn(1, 1, ROWS, 16, generator=torch.Generator().manual_seed(1)).bfloat16()
    with attention_backend("rows"):
        found = attention(q, q, v)
    torch.testing.assert_close(found, v)


@pytest.mark.parametrize("score", [55.0, 79.0, 85.0])
def test_many_keys_that_all_fit_as_well_are_added_up(score):
    """Of a flat picture: the sum of their exponentials has to be a number, too."""
    q = torch.full((1, 1, ROWS, 16), score**0.5 / 2).bfloat16()  # q k / sqrt(16) is the score
    k = q[:, :, :1].expand(-1, -1, 9000, -1).contiguous()
    v = torch.full_like(k, 3.0)
    with attention_backend("rows"):
        torch.testing.assert_close(attention(q, k, v), torch.full_like(q, 3.0))


def test_what_is_no_number_is_not_hidden():
    q, k, v = (torch.randn(1, 1, ROWS, 16).bfloat16() for _ in range(3))
    k[:, :, 7] = torch.nan
    with attention_backend("rows"):
        assert attention(q, k, v).isnan().all()


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


def test_a_chosen_backend_computes_the_attention_of_other_libraries_too(monkeypatch):
    q, k, v = tokens()
    asked = []

    def ours(q, k, v):
        asked.append(q.shape)
        return by_hand(q, k, v)

    monkeypatch.setitem(room.BACKENDS, "xformers", ours)
    with attention_backend("xformers"):
        found = F.scaled_dot_product_attention(q, k, value=v)
        masked = F.scaled_dot_product_attention(q, k, v, attn_mask=torch.zeros(10, 7))
        scaled = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    assert asked == [q.shape]
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v))
    torch.testing.assert_close(masked, found)
    assert not torch.allclose(scaled, found)


@pytest.mark.parametrize("name", ["wan 2.1 t2v", "ltx, text", "cogvideox 5b"])
def test_networks_of_diffusers_answer_the_same_with_every_backend_that_serves(name, tmp_path):
    family = families.get(name.partition(" ")[0].strip(",")).load(write(name, tmp_path / "model"))
    shape = (17, 64, 64)
    x = torch.randn(1, *family.latent_shape(*shape), generator=torch.Generator().manual_seed(0))
    told = {**family.text(["a ball"])[0], **family.images(None, None, shape, 1, 24.0)}
    answers = []
    for backend in (each for each, answer in probe("cpu").items() if answer == "ok"):
        with torch.no_grad(), attention_backend(backend):
            answers.append(family.denoiser(told)(x, per_sample(1.0, x)))
    assert len(answers) >= 2
    for answer in answers[1:]:
        torch.testing.assert_close(answer, answers[0], atol=1e-5, rtol=1e-5)


def test_a_backend_that_does_not_serve_is_refused():
    with pytest.raises(UserError, match="one of xformers, sdpa, math, rows, got 'flash'"):
        check_backend("flash", "cpu")
    with pytest.raises(UserError, match="attention xformers cannot serve on cpu"):
        check_backend("xformers", "cpu")
    check_backend("math", "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_xformers_equals_sdpa_on_cuda():
    pytest.importorskip("xformers")
    q, k, v = (x.cuda().half() for x in tokens())
    with attention_backend("xformers"):
        fast = attention(q, k, v)
    torch.testing.assert_close(fast.cpu().float(), by_hand(*tokens()), atol=5e-3, rtol=5e-3)


def test_what_is_preferred_gives_way_to_what_is_forced_and_stays_in_its_thread(monkeypatch):
    asked = []
    for name in ("sdpa", "math", "rows"):
        monkeypatch.setitem(BACKENDS, name, lambda q, k, v, name=name: asked.append(name) or v)
    q = torch.zeros(1, 1, 4, 8)
    with preferring("rows"):
        attention(q, q, q)
        with attention_backend("math"):
            attention(q, q, q)
        other = threading.Thread(target=attention, args=(q, q, q))
        other.start()
        other.join()
    attention(q, q, q)
    assert asked == ["rows", "math", "sdpa", "sdpa"]
