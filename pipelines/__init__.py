"""Diffusers pipelines: tensors in, tensors out."""
