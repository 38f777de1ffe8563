"""The samplers by name: what web UIs and kohya's scripts call them, and which of diffusers' schedulers each is. No torch here.

Options are those with which diffusers' noise levels equal k-diffusion's, as A1111 and Forge compute them: Euler in `linspace`
spacing, DPM++ 2M in Karras spacing (Karras et al. 2022, arXiv:2206.00364, eq. 5, rho 7), DDIM in `leading` spacing with offset 1.
DPM++ 2M without Karras spacing ends at another noise level than k-diffusion's, and UniPC has steps of its own, of
the kind bh2: bh1, which the web UIs take, divides by zero at diffusers' last step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.config.settings import suggest
from pipeline.core.errors import PrepError

DDIM = "ddim"
LINSPACE = {"timestep_spacing": "linspace"}
KARRAS = {"use_karras_sigmas": True}


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler: our name, A1111's and its schedule, kohya's and other names, and diffusers' class with options.

    `to_noise`: whether it can begin in pure noise, where a model of zero-terminal SNR begins. `random`: whether noise is
    added at every step.
    """

    name: str
    label: str
    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = ""
    others: tuple[str, ...] = ()
    to_noise: bool = True
    random: bool = False

    @property
    def facts(self) -> dict[str, str]:
        """The words of A1111's generation text, from version 1.9 on."""
        return {"Sampler": self.label} | ({"Schedule type": self.schedule} if self.schedule else {})


def _dpm(name: str, label: str, algorithm: str, karras: bool, *others: str) -> Sampler:
    spacing = KARRAS if karras else LINSPACE
    return Sampler(
        f"{name}_karras" if karras else name,
        label,
        "DPMSolverMultistepScheduler",
        {"algorithm_type": algorithm, "solver_order": 2, **spacing},
        "Karras" if karras else "",
        others,
        random=algorithm.startswith("sde"),
    )


SAMPLERS = (
    Sampler(DDIM, "DDIM", "DDIMScheduler"),
    Sampler("euler", "Euler", "EulerDiscreteScheduler", LINSPACE, others=("k_euler",)),
    Sampler("euler_karras", "Euler", "EulerDiscreteScheduler", LINSPACE | KARRAS, "Karras"),
    Sampler("euler_a", "Euler a", "EulerAncestralDiscreteScheduler", LINSPACE, others=("k_euler_a",), random=True),
    Sampler("heun", "Heun", "HeunDiscreteScheduler", LINSPACE, to_noise=False),
    Sampler("pndm", "PLMS", "PNDMScheduler", {"skip_prk_steps": True}, others=("plms",), to_noise=False),
    _dpm("dpmpp_2m", "DPM++ 2M", "dpmsolver++", False, "dpmsolver++"),
    _dpm("dpmpp_2m", "DPM++ 2M", "dpmsolver++", True),
    _dpm("dpmpp_2m_sde", "DPM++ 2M SDE", "sde-dpmsolver++", False),
    _dpm("dpmpp_2m_sde", "DPM++ 2M SDE", "sde-dpmsolver++", True),
    Sampler("unipc", "UniPC", "UniPCMultistepScheduler", {"solver_type": "bh2", "solver_order": 3}),
    Sampler("lcm", "LCM", "LCMScheduler", random=True),
)
"""All of them, in the order in which they are told."""
BY_NAME = {sampler.name: sampler for sampler in SAMPLERS}


def sampler_of(text: str) -> Sampler:
    """The sampler that a name stands for: ours, kohya's or A1111's, with its schedule or without, in any case.

    Raises:
        PrepError: there is none of that name.
    """
    found = _spoken().get(_plain(text))
    if found is None:
        raise PrepError(f"there is no sampler {text!r} here{suggest(text, BY_NAME)}", "take one of these names")
    return found


def _spoken() -> dict[str, Sampler]:
    """Every name in plain letters; a web UI's label without a schedule is that with the schedule it takes by itself."""
    names: dict[str, Sampler] = {}
    for sampler in SAMPLERS:
        for name in (f"{sampler.label} {sampler.schedule}", sampler.name, *sampler.others):
            names.setdefault(_plain(name), sampler)
    return names


def _plain(name: str) -> str:
    """`DPM++ 2M Karras`, `dpmpp_2m_karras` → dpmpp2mkarras."""
    return re.sub(r"[\s_-]+", "", name.strip().lower().replace("++", "pp"))
