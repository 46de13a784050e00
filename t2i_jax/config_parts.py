"""Parts that the config files of several systems share. Each sets fields of a config in place."""

import difflib
from typing import Any

from ml_collections import ConfigDict

from t2i_jax.config import adam

# The attributes of the toy birds and how many values each has.
TOY_ATTRIBUTES = {
    **dict.fromkeys(("body", "wing", "breast", "crown"), 10),
    **{"beak": 4, "beak_shape": 3, "size": 3, "pose": 2, "perch": 4, "background": 4},
}


# Arguments for photos of one's own: at the papers' sizes, and at 64 px on two CPU cores.
FOLDERS = ("folder", "folder_small")


def one_of(arg: str, known: tuple[str, ...], more: str = "") -> str:
    """`arg`, or ValueError with the arguments that the config file knows (and `more` to say)."""
    if arg not in known:
        near = difflib.get_close_matches(arg, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no {arg!r}; {hint}known: {', '.join(known)}{more}")
    return arg


def char_cnn_rnn_text(config: ConfigDict) -> None:
    """Sentence vectors of a char-CNN-RNN that another run has trained."""
    config.encoder.update({"name": "char_cnn_rnn", "source": "runs/char_cnn_rnn"})


def long_gan_training(config: ConfigDict) -> None:
    """The 600 epochs of the first GANs' papers."""
    config.train.update(
        {
            "duration": "600 epochs",
            "log_every": "1 epochs",
            "sample_every": "20 epochs",
            "checkpoint_every": "10 epochs",
        }
    )


def toy_birds_data(config: ConfigDict, **fields: Any) -> None:
    """The embedded birds as they are: neither cropped nor mirrored, for one direction is learnt in
    half the time. `fields` are those of ``config.data``.
    """
    whole = {"name": "toy_birds", "load_ratio": 1.0, "resize": "square", "crop": "none"}
    config.data.update({**whole, "flip": False, **fields})


def toy_encoder_data(config: ConfigDict, **fields: Any) -> None:
    """Birds of no species, with terms by which both vectors are to say the colours and shapes that
    captions state (`t2i_jax.recipes.attribute_terms`): from species and matching alone, an encoder
    hears little more than body and wings.
    """
    names = ("body", "wing", "breast", "crown", "beak", "beak_shape", "size")
    toy_birds_data(config, name="toy_birds_mixed", sampling="epoch", attributes=names, **fields)
    config.attributes = {"classes": tuple(TOY_ATTRIBUTES[name] for name in names)}
    config.loss.net.update({"text_attributes": 2.0, "image_attributes": 1.0})


def toy_gan_training(config: ConfigDict, **train: str) -> None:
    """Minutes on two CPU cores. `train` are fields of ``config.train``."""
    # A slower D: at equal rates it wins before G has found the shape of a bird in some runs.
    config.optim = {"g": adam(5e-4), "d": adam(2e-4)}
    config.ema.update({"decay": 0.0, "half_life": "100 steps"})
    config.train.update(
        {
            "duration": "3000 steps",
            "log_every": "50 steps",
            "sample_every": "250 steps",
            "checkpoint_every": "500 steps",
            **train,
        }
    )


def debug_training(config: ConfigDict, size: int) -> None:
    """Two steps on a few embedded birds."""
    config.data.update({"name": "toy_birds", "size": size, "batch": 8, "threads": 1, "workers": 0})
    config.ema.update({"decay": 0.0, "half_life": "2 steps"})
    config.train.update(
        {"duration": "2 steps", "log_every": "1 steps", "checkpoint_every": "1 steps"}
    )


def debug_text(config: ConfigDict) -> None:
    """A tiny untrained char-CNN-RNN in place of a trained one."""
    fields = {"conv_widths": (4, 6), "width": 8, "embedding": 12}
    config.encoder.update({"name": "char_cnn_rnn", "source": "random", "fields": fields})


def debug_gan_training(config: ConfigDict, size: int) -> None:
    """Two steps on a few embedded birds, with pictures and an untrained text encoder."""
    debug_training(config, size)
    debug_text(config)
    config.train.update({"sample_every": "2 steps", "samples": 4})


def words(config: ConfigDict) -> None:
    """Captions as words, of which longer captions keep a random part in training, as in AttnGAN."""
    config.tokenizer = {"name": "word", "length": 18}
    config.data.truncate = "thin"


def damsm_captions(config: ConfigDict) -> None:
    """Words and sentences of a DAMSM that another run has trained."""
    words(config)
    config.encoder.update({"name": "damsm", "source": "runs/damsm"})


def damsm_text(config: ConfigDict) -> None:
    """`damsm_captions`, and that DAMSM's image encoder."""
    damsm_captions(config)
    config.frozen = {"damsm": "runs/damsm"}


def minilm_text(config: ConfigDict) -> None:
    """Words and sentences of a frozen MiniLM, which needs no training first (docs/bert.md)."""
    config.encoder.update({"name": "bert", "source": "minilm"})
    config.tokenizer = {"name": "wordpiece"}
    config.data.truncate = "head"


def own_photos(config: ConfigDict, arg: str) -> None:
    """A GAN on photos of the user's own (docs/own_photos.md), of which there may be hundreds or a
    hundred thousand: lengths are in steps, pictures come early, and D sees all images augmented,
    or it would soon know a few hundred by heart.
    """
    config.data.name = "folder"
    # Without cutout, whose grey squares G soon draws itself.
    config.recipe.augment = ("color", "translation")
    if arg == "folder_small":
        config.data.update({"size": 64, "batch": 24})
        toy_gan_training(config)
        config.ema.ramp = 0.05  # the first pictures show what was learnt, not the random start
    folder_training(config, arg)


def folder_training(config: ConfigDict, arg: str) -> None:
    """Lengths in steps, with the first pictures after minutes on a GPU or on two CPU cores."""
    small = arg == "folder_small"
    config.train.update(
        {
            "duration": "5k steps" if small else "100k steps",
            "log_every": "20 steps" if small else "100 steps",
            "sample_every": "50 steps" if small else "500 steps",
            "checkpoint_every": "250 steps" if small else "1k steps",
        }
    )


def one_stage_training(config: ConfigDict) -> None:
    """Weights, rates and the schedule on birds that DF-GAN and RAT-GAN share."""
    hinge = {"real": 1.0, "wrong": 0.5, "fake": 0.5, "uncond_real": 0.0, "uncond_fake": 0.0}
    config.loss = {"d": {**hinge, "ma_gp": 1.0}, "g": {"fake": 1.0, "uncond_fake": 0.0}}
    config.optim = {"g": adam(1e-4, 0.0, 0.9), "d": adam(4e-4, 0.0, 0.9)}
    config.data.resize = "short_side"
    long_gan_training(config)


def distribution_terms(config: ConfigDict) -> None:
    """The terms of DR-GAN's two modules (`t2i_jax.recipes.distribution_terms`), without weights."""
    g = ("sdl", "sdl_image", "sdl_context", "rirm", "dnm_image", "dnm_kl")
    d = ("dnm_real", "dnm_fake", "dnm_kl_real", "dnm_kl_fake")
    config.loss.g.update(dict.fromkeys(g, 0.0))
    config.loss.d.update(dict.fromkeys(d, 0.0))


def debug_damsm_captions(config: ConfigDict) -> None:
    """A tiny untrained DAMSM in place of a trained one, for captions."""
    config.encoder.update({"name": "damsm", "source": "random"})
    # In place of another encoder's.
    config.encoder.fields = {"word_dim": 6, "embedding": 12}


def debug_damsm(config: ConfigDict) -> None:
    """`debug_damsm_captions`, and its image encoder."""
    debug_damsm_captions(config)
    config.frozen = {"damsm": "random"}
    config.damsm = {
        "module": "t2i_jax.encoders.damsm:CompactImageEncoder",
        "embedding": 12,
        "widths": (4, 6, 8),
        "local_stages": 2,
    }
