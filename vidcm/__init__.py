"""vidcm: few-step video. Interpolate, generate and tune in two network steps."""

import logging

__version__ = "0.1.0"

# diffusers imports xformers on sight, which then prints six lines wherever there is no CUDA, wanted or not. Attention
# tells when it falls back; who has set a level for xformers keeps it.
if logging.getLogger("xformers").level == logging.NOTSET:
    logging.getLogger("xformers").setLevel(logging.ERROR)
