"""The parts of DR-GAN (TNNLS 2023), the paper's table of modules.

    t2i-jax sweep --config=dr_gan:cub --sweep=dr_gan_modules --workdir=runs/dr_gan_modules

sdm   the masks of the Semantic Disentangling Module; sdl: its loss and the reconstruction of real
      images, which without the module are nothing
dnm   the Distribution Normalization Module: D encodes images as a distribution and draws them
      again; dal: the distribution adversarial loss, in which G takes part in that. D's terms alone
      are "dnm" here: without any term the module would be without effect
"""

_TERMS = {
    "sdl": ("g.sdl_image", "g.sdl_context", "g.rirm"),
    "dal": ("g.dnm_image", "g.dnm_kl"),
    "dnm": ("d.dnm_real", "d.dnm_fake", "d.dnm_kl_real", "d.dnm_kl_fake"),
}
_RUNS = {
    "baseline": (),
    "sdm": ("sdm",),
    "sdm_sdl": ("sdm", "sdl"),
    "dnm": ("dnm",),
    "dnm_dal": ("dnm", "dal"),
    "sdm_dnm": ("sdm", "dnm"),
    "dr_gan": ("sdm", "sdl", "dnm", "dal"),
}


def sweep():
    """Seven flat override dicts that turn off what a run is without; ``name`` is its directory."""
    for name, parts in _RUNS.items():
        off = [f"loss.{t}" for part, terms in _TERMS.items() if part not in parts for t in terms]
        yield {
            "name": name,
            "generator.sdm": "sdm" in parts,
            "discriminator.dnm": "dnm" in parts,
            **dict.fromkeys(off, 0.0),
        }
