"""Checkpoints of a few thousand random weights, written by the real diffusers classes, and what to ask of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    LTXVideoTransformer3DModel,
    UniPCMultistepScheduler,
    WanTransformer3DModel,
)

from vidcm.families import get

WORDS = ("a", "red", "ball", "rolls", "over", "the", "sand", "blurry", "grey")
TEXT_WIDTH = 16


@dataclass(frozen=True)
class Variant:
    """make(): a stock pipeline. shape: num_frames, height, width. images: how many frames it must be given.
    animates: the stock pipeline that takes one where it is another class. rate: as the stock call's frame_rate."""

    family: str
    make: Callable[[], Any]
    shape: tuple[int, int, int]
    images: int = 0
    animates: str | None = None
    rate: int | None = None


def text_parts(umt5: bool = False) -> dict[str, Any]:
    from transformers import T5Config, T5EncoderModel, T5Tokenizer, UMT5Config, UMT5EncoderModel

    kind, config = (UMT5EncoderModel, UMT5Config) if umt5 else (T5EncoderModel, T5Config)
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), ("▁", -2.0)]
    letters = [(letter, -8.0) for letter in "abcdefghijklmnopqrstuvwxyz&;."]
    vocabulary = [*special, *((f"▁{word}", -4.0) for word in WORDS), *letters]
    sizes = {"d_model": TEXT_WIDTH, "d_kv": 8, "d_ff": 16, "num_layers": 2, "num_heads": 2}
    encoder = kind(config(vocab_size=len(vocabulary), pad_token_id=0, eos_token_id=1, **sizes))
    return {"tokenizer": T5Tokenizer(vocab=vocabulary, extra_ids=0), "text_encoder": spoken(encoder)}


def spoken(module: Any) -> Any:
    """In which every weight matters: what starts at zero, or as an embedding too large, would hide mistakes."""
    for name, weight in module.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(weight, std=0.15)
    return module.eval()


def wan(
    *,
    channels: int = 4,
    transformer: dict[str, Any] | None = None,
    image_encoder: bool = False,
    two: bool = False,
    kind: str = "WanPipeline",
    scheduler: Any = None,
    **options: Any,
) -> Any:
    torch.manual_seed(0)
    scale = {"latents_mean": [0.3, -0.2, 0.1, 0.5], "latents_std": [1.5, 0.7, 2.0, 1.1]}
    vae = AutoencoderKLWan(base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, **scale)

    def network() -> Any:
        sizes = {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 16, "num_layers": 2, "freq_dim": 16}
        told = {"in_channels": channels, "out_channels": 4, "text_dim": TEXT_WIDTH, **(transformer or {})}
        return spoken(WanTransformer3DModel(**sizes, **told))

    parts = {"vae": spoken(vae), "transformer": network(), **text_parts(umt5=True)}
    parts["scheduler"] = scheduler or FlowMatchEulerDiscreteScheduler(shift=3.0)
    parts["transformer_2"] = network() if two else None
    if image_encoder:
        from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

        sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
        parts["image_encoder"] = spoken(CLIPVisionModel(CLIPVisionConfig(image_size=16, patch_size=8, **sizes)))
        parts["image_processor"] = CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=16)
    return getattr(diffusers, kind)(**parts, **options)


def ltx(kind: str = "LTXPipeline", **vae: Any) -> Any:
    torch.manual_seed(0)
    widths = {"block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4}
    layers = {"layers_per_block": (1,) * 5, "decoder_layers_per_block": (1,) * 5}
    coder = spoken(AutoencoderKLLTXVideo(latent_channels=8, **widths, **layers, **vae))
    coder.latents_mean, coder.latents_std = torch.linspace(-0.5, 0.5, 8), torch.linspace(0.6, 1.6, 8)
    sizes = {"in_channels": 8, "out_channels": 8, "num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 2}
    network = LTXVideoTransformer3DModel(**sizes, cross_attention_dim=16, caption_channels=TEXT_WIDTH)
    shifts = {"use_dynamic_shifting": True, "base_shift": 0.95, "max_shift": 2.05}
    scheduler = FlowMatchEulerDiscreteScheduler(**(shifts if kind == "LTXPipeline" else {}))
    parts = {"vae": coder, "transformer": spoken(network), "scheduler": scheduler, **text_parts()}
    return getattr(diffusers, kind)(**parts)


def cogvideox(kind: str = "CogVideoXPipeline", vae: dict[str, Any] | None = None, **transformer: Any) -> Any:
    torch.manual_seed(0)
    widths = {"block_out_channels": (4, 4, 4, 4), "norm_num_groups": 2, "layers_per_block": 1, "latent_channels": 4}
    coder = spoken(AutoencoderKLCogVideoX(**widths, **(vae or {})))
    sizes = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "time_embed_dim": 8}
    given = {"sample_width": 8, "sample_height": 6, "sample_frames": 9, "text_embed_dim": TEXT_WIDTH, "out_channels": 4}
    network = CogVideoXTransformer3DModel(**sizes, **{"in_channels": 4, **given, **transformer})
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, snr_shift_scale=3.0, timestep_spacing="trailing"
    )
    parts = {"vae": coder, "transformer": spoken(network), "scheduler": scheduler, **text_parts()}
    return getattr(diffusers, kind)(**parts)


I2V = "WanImageToVideoPipeline"
SEES = {"image_dim": 8, "added_kv_proj_dim": 24}
UNIPC = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
COG_I2V = {"kind": "CogVideoXImageToVideoPipeline", "in_channels": 8, "use_rotary_positional_embeddings": True}
FIFTEEN = {"patch_size_t": 2, "patch_bias": False, "ofs_embed_dim": 8, "vae": {"invert_scale_latents": True}}

VARIANTS = {
    "wan 2.1 t2v": Variant("wan", wan, (9, 32, 48)),
    "wan 2.1 t2v, unipc": Variant("wan", lambda: wan(scheduler=UniPCMultistepScheduler(**UNIPC)), (5, 32, 48)),
    "wan 2.1 i2v": Variant(
        "wan", lambda: wan(channels=12, transformer=SEES, image_encoder=True, kind=I2V), (9, 32, 48), 1
    ),
    "wan 2.1 flf2v": Variant(
        "wan",
        lambda: wan(channels=12, transformer={**SEES, "pos_embed_seq_len": 10}, image_encoder=True, kind=I2V),
        (9, 32, 48),
        2,
    ),
    "wan 2.2 t2v, two networks": Variant("wan", lambda: wan(two=True, boundary_ratio=0.875), (5, 32, 48)),
    "wan 2.2 i2v": Variant("wan", lambda: wan(channels=12, kind=I2V, two=True, boundary_ratio=0.9), (9, 32, 48), 1),
    "wan 2.2 first and last": Variant(
        "wan", lambda: wan(channels=12, kind=I2V, two=True, boundary_ratio=0.9), (9, 32, 48), 2
    ),
    "wan 2.2 ti2v, text": Variant("wan", lambda: wan(expand_timesteps=True), (9, 32, 48)),
    "wan 2.2 ti2v, image": Variant("wan", lambda: wan(expand_timesteps=True), (9, 32, 48), 1, I2V),
    "ltx, text": Variant("ltx", ltx, (17, 64, 96), rate=24),
    "ltx, image": Variant("ltx", ltx, (17, 64, 96), 1, "LTXImageToVideoPipeline", rate=24),
    "ltx 0.9.5, text": Variant("ltx", lambda: ltx("LTXConditionPipeline"), (17, 64, 96), rate=24),
    "ltx 0.9.5, image": Variant("ltx", lambda: ltx("LTXConditionPipeline"), (17, 64, 96), 1, rate=24),
    "ltx 0.9.5, first and last": Variant("ltx", lambda: ltx("LTXConditionPipeline"), (17, 64, 96), 2, rate=24),
    "cogvideox 2b": Variant("cogvideox", cogvideox, (9, 48, 64)),
    "cogvideox 5b": Variant("cogvideox", lambda: cogvideox(use_rotary_positional_embeddings=True), (9, 48, 48)),
    "cogvideox i2v": Variant(
        "cogvideox", lambda: cogvideox(**COG_I2V, use_learned_positional_embeddings=True), (9, 48, 64), 1
    ),
    "cogvideox 1.5 i2v": Variant("cogvideox", lambda: cogvideox(**COG_I2V, **FIFTEEN), (17, 48, 64), 1),
}


def write(name: str, folder: Path) -> Path:
    pipe = VARIANTS[name].make()
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def stock(variant: Variant, folder: Path) -> Any:
    """The directory in the stock pipeline."""
    if variant.animates and variant.images:
        pipe = getattr(diffusers, variant.animates).from_pretrained(folder, local_files_only=True)
    else:
        pipe = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def stirred_clip(dim: int) -> Any:
    """A clip family in which nothing is zero, as it would be before training."""
    torch.manual_seed(0)
    vae = {"latent_channels": 4, "widths": [8, 8, 8]}
    family = get("clip").create({"vae": vae, "dit": {"dim": dim, "depth": 2, "heads": 2}})
    for parameter in family.transformer.parameters():
        if not parameter.detach().any():
            torch.nn.init.normal_(parameter, std=0.2)
    return family


def pictures(count: int, height: int, width: int) -> list[torch.Tensor]:
    """Frames [1, 3, H, W] in 0..1 of whole 8-bit values, smooth."""
    generator = torch.Generator().manual_seed(5)
    made = []
    for _ in range(count):
        coarse = torch.rand(1, 3, 4, 6, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
        made.append((255 * smooth).round() / 255)
    return made
