"""From noise to x0: `consistency.consistency` in a few evaluations of f, `ode.ode` in many of a denoiser, and
`hybrid.hybrid` by turns of both. Guided denoisers come from `vidcm.core.guidance`.
"""
