"""DR-GAN's modules in other systems (TNNLS 2023, the paper's generalisation study).

    t2i-jax sweep --config=attn_gan:cub --sweep=dr_gan_generalisation \\
        --workdir=runs/dr_gan_generalisation

AttnGAN, DM-GAN and StackGAN-v2, each as it is, with the Semantic Disentangling Module ("sdm"), with
the Distribution Normalization Module ("dnm") and with both. All read captions with the DAMSM that
configs/damsm.py has trained in runs/damsm, StackGAN-v2 their sentence vectors alone.

Where the modules sit in the other systems is our reading. StackGAN-v2 has no words, so its stages
have the half of the image alone.
"""

_DAMSM = "runs/damsm"
_SENTENCES = {"encoder.name": "damsm", "encoder.source": _DAMSM, "tokenizer.name": "word"}
_SYSTEMS = {"attn_gan": {}, "dm_gan": {}, "stack_gan_v2": {**_SENTENCES, "data.truncate": "thin"}}


def sweep():
    """Twelve flat override dicts; ``name`` is the run's directory, ``config`` the config in
    place of the command line's, with the same argument.
    """
    for system, changes in _SYSTEMS.items():
        sdm, dnm = _sdm(words=system != "stack_gan_v2"), _dnm()
        for name, modules in (("", {}), ("_sdm", sdm), ("_dnm", dnm), ("_both", {**sdm, **dnm})):
            yield {"name": f"{system}{name}", "config": system, **changes, **modules}


def _sdm(words: bool) -> dict:
    terms = ("sdl_image", "rirm", *(["sdl_context"] if words else []))
    return {"generator.sdm": True, **{f"loss.g.{term}": 0.1 for term in terms}}


def _dnm() -> dict:
    terms = ("g.dnm_image", "g.dnm_kl", "d.dnm_real", "d.dnm_fake", "d.dnm_kl_real")
    terms = (*terms, "d.dnm_kl_fake")
    return {"discriminator.dnm": True, **{f"loss.{term}": 0.1 for term in terms}}
