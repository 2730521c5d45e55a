"""Prompts through the T5 encoders of pretrained video models."""

import html
import re
import warnings
from typing import Any

import torch
from torch import Tensor


class PromptCut(UserWarning):
    """A prompt is longer than the model reads."""


def clean(prompt: str) -> str:
    """As Wan was trained: entities resolved, twice, broken Unicode repaired where ftfy is installed, single spaces."""
    try:
        from ftfy import fix_text
    except ImportError:
        repaired = prompt
    else:
        repaired = fix_text(prompt)
    return re.sub(r"\s+", " ", html.unescape(html.unescape(repaired))).strip()


@torch.no_grad()
def embed(
    tokenizer: Any, encoder: Any, prompts: list[str], length: int, device: torch.device, *, attend: bool
) -> tuple[Tensor, Tensor]:
    """Embeddings [B, length, D] and which of them are words [B, length], bool.

    attend: the encoder is told where the padding is, and embeddings of padding are zero (Wan, LTX from 0.9.5
    on); else it reads the padding as text (CogVideoX, earlier LTX), as those models were trained.
    """
    told = tokenizer(prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    ids, words = told.input_ids.to(device), told.attention_mask.to(device)
    for prompt, used in zip(prompts, words.sum(1).tolist(), strict=True):
        if used == length and len(tokenizer(prompt).input_ids) > length:
            warnings.warn(f"the prompt {prompt[:40]!r}... is cut to its first {length} tokens", PromptCut, stacklevel=2)
    if not attend:
        return encoder(ids)[0], words.bool()
    states = encoder(ids, words).last_hidden_state
    return states * words[..., None].to(states.dtype), words.bool()
