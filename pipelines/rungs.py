"""The ladder of latents: frames from latents of other origins than the product's, for `vidcm.evaluation.ladder`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vidcm.core.around import ALONE, Around
from vidcm.core.times import edm_angles
from vidcm.families.motion import Batch
from vidcm.families.motion_look import Looks
from vidcm.models.motion_context import Draft, Ends
from vidcm.models.motion_vae import rows, unrows
from vidcm.pipelines.ends import checked
from vidcm.pipelines.noise import Draw, keyed, sides
from vidcm.pipelines.rendering import render, together
from vidcm.sampling.ode import ode

LATENTS = ("draft", "believed", "random", "ect1", "ect2", "teacher", "shuffled", "posterior")


class Rungs:
    """What an Inbetweener can besides what it is for."""

    def reconstruct(
        self,
        first: Tensor,
        last: Tensor,
        tau: Tensor | Sequence[float],
        latents: str,
        truth: Tensor | None = None,
        *,
        around: Around = ALONE,
        looks: Looks | None = None,
        seed: int = 0,
        shot: int = 0,
        position: int = 0,
        temperature: float | None = None,
        teacher_steps: int = 64,
        shuffle_with: tuple[Tensor, Tensor, Tensor, Tensor] | None = None,
    ) -> Tensor:
        """The frames [B, 3, K, H, W] that a latent of the named origin decodes to (the ladder of latents).

        draft: z = 0. believed: what the frames around let expect, without the DiT. ect1, ect2: consistency steps.
        random: the noise that ect2 gets, at its temperature and spread, as if the network passed it on. teacher: the
        diffusion model by `teacher_steps` Heun steps, drawn towards its own mean as ect2 is, believing as it does.
        posterior: from the true frames [B, 3, K, H, W]. shuffled: the posterior of another pair, shuffle_with =
        (first, last, tau, truth) of the same sizes.
        """
        if latents not in LATENTS:
            raise ValueError(f"latents must be one of {', '.join(LATENTS)}, got {latents!r}")
        ends_given, tau = checked(first, last, tau, 2, around)
        draw = keyed(tau, seed, shot, position)
        with torch.inference_mode(), self.network():
            batch = self.family.pair(*self.look(first, last, around, looks), tau=tau)
            ends, draft = self.family.observe(batch)
            if latents == "posterior":
                z = self.posterior_mean(batch, truth)
            elif latents == "shuffled":
                z = self._posterior_of_another(*shuffle_with)
            elif latents == "believed":
                z, draft = self._believed(ends, draft)
            elif latents == "random":
                spread = self.scheduler.config.spread * self._heat(temperature)
                z = self.vae.unscale(rows(spread * draw(1, self.latent_shape(draft, ends))))
            elif latents == "teacher":
                z, draft = self._teachers(ends, draft, draw, self._heat(temperature), teacher_steps)
            else:
                steps = {"draft": 0, "ect1": 1, "ect2": 2}[latents]
                z, draft = self.latents(steps, temperature, draw, ends, draft)
            motion = self.vae.decode(z, ends, draft)
        with torch.inference_mode():
            made = render(self.vae.synthesis, self.precision, motion, draft.present, *ends_given)
            frames, _ = together(made, first, last, tau)
        return frames.clone()  # an ordinary tensor

    def _heat(self, temperature: float | None) -> float:
        return self.scheduler.config.temperature if temperature is None else temperature

    def _posterior_of_another(self, first: Tensor, last: Tensor, tau: Tensor, truth: Tensor) -> Tensor:
        given, tau = checked(first, last, tau, 2)
        return self.posterior_mean(self.family.pair(*self.look(*given, ALONE), tau=tau), truth)

    def _believed(self, ends: Ends, draft: Draft) -> tuple[Tensor, Draft]:
        believing, code = self.family.believing(draft)
        shape = self.latent_shape(draft, ends)
        nothing = unrows(self.vae.scale(rows(draft.doubt.new_zeros(shape))), shape[0])
        return self.vae.unscale(rows(self.family.believed(nothing, code, draft))), believing

    def _teachers(self, ends: Ends, draft: Draft, draw: Draw, heat: float, steps: int) -> tuple[Tensor, Draft]:
        anchor, shape = self.scheduler.config, self.latent_shape(draft, ends)
        believing, code = self.family.believing(draft, sides(anchor.sides * heat, draw, shape))
        mean, sample = self.teacher_latents(draw(1, shape), heat, steps, ends, draft)
        centre = self.family.believed(mean, code, draft)
        return self.vae.unscale(rows(anchor.trust * centre + anchor.spread * (sample - mean))), believing

    def posterior_mean(self, batch: Batch, truth: Tensor) -> Tensor:
        ends, draft = self.family.observe(batch)
        batch = self.family.with_truth(batch, truth)
        return self.family.infer(batch, draft, self.family.wanted(batch, ends, draft))[0]

    def teacher_latents(
        self, noise: Tensor, temperature: float, steps: int, ends: Ends, draft: Draft
    ) -> tuple[Tensor, Tensor]:
        """Without noise, where a sample is drawn to, and from it."""
        if self.teacher is None:
            raise ValueError("this model directory has no teacher/: the teacher's row cannot be computed")
        denoiser = self.family.denoiser(self.family.condition(ends, draft), self.teacher)
        angles = edm_angles(steps)
        mean, sample = (
            ode(lambda x, angle: denoiser(x, angle).float(), noise, angles, temperature=heat)
            for heat in (0, temperature)
        )
        return mean, sample
