import pytest
import torch

from vidcm.models.attention import attention_backend
from vidcm.models.video_dit import VideoDiT, rotary_tables, rotate


@pytest.fixture
def dit():
    torch.manual_seed(0)
    model = VideoDiT(latent_channels=4, condition_channels=8, end_channels=8, dim=32, depth=2, heads=2).eval()
    for parameter in model.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def inputs(frames=3, height=4, width=6, batch=2):
    generator = torch.Generator().manual_seed(1)

    def rand(*shape):
        return torch.randn(shape, generator=generator)

    return {
        "x": rand(batch, 4, frames, height, width),
        "angle": torch.tensor([0.3, 1.2][:batch]),
        "condition": rand(batch, 8, frames, height, width),
        "ends": rand(batch, 8, 2, height, width),
        "tau": torch.linspace(0.1, 0.9, frames).expand(batch, -1),
        "present": torch.ones(batch, 2),
    }


def test_it_starts_as_the_zero_network():
    model = VideoDiT(latent_channels=4, condition_channels=8, end_channels=8, dim=32, depth=1, heads=2)
    assert (model(**inputs()) == 0).all()


def test_a_sample_does_not_see_its_neighbours_in_the_batch(dit):
    told = inputs()
    alone = {name: value[:1] for name, value in told.items()}
    torch.testing.assert_close(dit(**told)[:1], dit(**alone))


def test_the_order_in_which_instants_are_asked_for_does_not_matter(dit):
    told, order = inputs(), [2, 0, 1]
    turned = dict(told, x=told["x"][:, :, order], condition=told["condition"][:, :, order], tau=told["tau"][:, order])
    torch.testing.assert_close(dit(**turned), dit(**told)[:, :, order], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["x", "condition", "ends"])
def test_every_input_reaches_every_place_and_frame(dit, name):
    told = inputs()
    before = dit(**told)
    changed = told[name].clone()
    changed[..., 0, 0] += 3.0  # one corner
    after = dit(**{**told, name: changed})
    reached = (after - before).abs().amax(1)[0] > 1e-7
    assert reached.all()


def test_tau_and_angle_matter(dit):
    told = inputs()
    assert not torch.allclose(dit(**told), dit(**dict(told, tau=1 - told["tau"])))
    assert not torch.allclose(dit(**told), dit(**dict(told, angle=told["angle"] / 2)))


def test_an_absent_end_leaks_nothing(dit):
    told = inputs()
    told["present"] = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    other = told["ends"].clone()
    other[0, :, 1] = 100.0
    changed = dit(**dict(told, ends=other))
    torch.testing.assert_close(changed[:1], dit(**told)[:1])
    other[1, :, 1] = 100.0
    assert not torch.allclose(dit(**dict(told, ends=other))[1:], dit(**told)[1:])


def test_rotary_products_depend_on_distance_alone():
    tables = rotary_tables(5, 7, 16, torch.device("cpu"))
    q, k = (torch.randn(16, generator=torch.Generator().manual_seed(i)).expand(35, 16) for i in (0, 1))
    scores = (rotate(q, tables) @ rotate(k, tables).T).view(5, 7, 5, 7)
    torch.testing.assert_close(scores[0, 1, 2, 4], scores[2, 2, 4, 5])
    assert not torch.allclose(scores[0, 1, 2, 4], scores[0, 1, 4, 2])


def test_exact_jvp_agrees_with_finite_differences(dit):
    told = {name: value.double() for name, value in inputs().items()}
    dit.double()
    direction = torch.ones_like(told["x"])
    with attention_backend("math"):
        _, tangent = torch.func.jvp(lambda x: dit(**dict(told, x=x)), (told["x"],), (direction,))
        step = 1e-4
        ahead, behind = (dit(**dict(told, x=told["x"] + s * direction)) for s in (step, -step))
    torch.testing.assert_close(tangent, (ahead - behind) / (2 * step), atol=1e-6, rtol=1e-5)


def without_ends(**sizes):
    torch.manual_seed(0)
    model = VideoDiT(latent_channels=4, condition_channels=8, end_channels=0, dim=32, depth=2, heads=2, **sizes).eval()
    for parameter in model.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def test_a_model_without_ends_is_told_by_its_condition_alone():
    told = {name: value for name, value in inputs().items() if name not in ("ends", "present")}
    assert without_ends()(**told).shape == told["x"].shape


def test_every_word_of_a_text_reaches_every_place():
    model = without_ends(text_channels=6)
    told = {name: value for name, value in inputs().items() if name not in ("ends", "present")}
    text = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(2))
    before = model(**told, text=text)
    for word in range(5):
        changed = text.clone()
        changed[:, word] += 1.0
        assert ((model(**told, text=changed) - before).abs().amax(1)[0] > 1e-7).all()


def test_a_text_starts_unheard():
    model = VideoDiT(4, 8, 0, dim=32, depth=1, heads=2, text_channels=6)
    torch.nn.init.normal_(model.final.weight)
    told = {name: value for name, value in inputs().items() if name not in ("ends", "present")}
    torch.testing.assert_close(model(**told, text=torch.randn(2, 5, 6)), model(**told))


def test_checkpointed_gradients_are_the_plain_ones(dit):
    told = inputs()
    dit(**told).square().sum().backward()
    plain = {name: parameter.grad.clone() for name, parameter in dit.named_parameters()}
    dit.zero_grad()
    dit.train().enable_gradient_checkpointing()
    dit(**told).square().sum().backward()
    for name, parameter in dit.named_parameters():
        torch.testing.assert_close(parameter.grad, plain[name], atol=1e-5, rtol=1e-4)
