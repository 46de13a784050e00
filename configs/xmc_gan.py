"""XMC-GAN (Zhang et al., CVPR 2021): one stage, contrasts of images, sentences, words and regions.

    t2i-jax train --config=xmc_gan:coco --workdir=runs/xmc_gan_coco \\
        --encoder.source=weights/bert-base-uncased --frozen.image_network=weights/vgg19.pth

Arguments: toy_birds (two CPU cores), coco, ln_coco, ln_openimages, cub, folder (the paper's size,
256 px: 32 cores of a TPU v3, or a few large GPUs), folder_small (photos of your own at 64 px, see
docs/own_photos.md), debug (seconds). Each with "_released" after it is the authors' code: 128 px,
batches of 56, and its forms of generator and losses.

The paper's three sets are read with BERT-Base and looked at with VGG-19; the others with a DAMSM,
whose image encoder is also their image network. Other sizes: --generator.image_size=128
--discriminator.image_size=128 --data.size=128.
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds", "coco", "ln_coco", "ln_openimages", "cub", *parts.FOLDERS, "debug")
_BERT = "weights/bert-base-uncased"


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    name = arg.removesuffix("_released")
    parts.one_of(name, ARGUMENTS, more=", also with '_released'")
    config = base()
    config.system = "xmc_gan"
    config.dtype = "bfloat16"
    config.generator = {
        "channels": 96,
        "image_size": 256,
        "noise_dim": 128,
        "start": "condition",
        "project_sentence": False,
        "attention": "layer",
        "unit_words": False,
        "attend_from": 32,
        "last_attends": False,
        "gain": "gamma",
    }
    config.discriminator = {"channels": 96, "image_size": 256, "head_layers": 0}
    config.recipe = {
        "temperature": 0.1,
        "word_temperature": 0.1,
        "directions": "image_to_text",
        "group": 0,
    }
    contrasts = {"sentence": 1.0, "word": 1.0}
    config.loss = {
        "d": {"real": 1.0, "fake": 1.0, **contrasts},
        "g": {"fake": 1.0, **contrasts, "image": 1.0, "image_network": 1.0, "perceptual": 0.0},
    }
    config.optim = {"g": adam(1e-4), "d": adam(4e-4)}
    config.order, config.d_steps = "simultaneous", 2
    config.ema.update({"decay": 0.999, "statistics": "live"})
    config.data.update(
        {"name": name, "size": 256, "batch": 256, "crop": "none", "box_crop": name == "cub"}
    )
    parts.long_gan_training(config)
    config.train.duration = "1000 epochs"
    if name in ("coco", "ln_coco", "ln_openimages"):
        bert_text(config, narratives=name != "coco")
    else:
        parts.damsm_captions(config)
        config.frozen = {"image_network": "runs/damsm"}
    if name == "toy_birds":
        toy_birds(config)
    elif name in parts.FOLDERS:
        config.data.batch = 64  # of few photos there are no 256
        parts.own_photos(config, name)
        if name == "folder_small":
            small(config)
    elif name == "debug":
        debug(config)
    if name != arg:
        released(config)
    return config


def bert_text(config, narratives: bool) -> None:
    """Word pieces and a frozen BERT; of narratives, which are long, a window of sentences."""
    config.tokenizer = {
        "name": "wordpiece",
        "path": f"{_BERT}/vocab.txt",
        "length": 64 if narratives else 17,
    }
    config.data.truncate = "sentences" if narratives else "head"
    config.encoder.update({"name": "bert", "source": _BERT})
    config.frozen = {"image_network": "weights/vgg19.pth"}


def released(config) -> None:
    """The authors' code. Its image network is a ResNet-50."""
    config.generator.update(
        {
            "start": "noise",
            "project_sentence": True,
            "attention": "shared",
            "unit_words": True,
            "attend_from": 16,
            "last_attends": True,
            "gain": "one_plus_gamma",
        }
    )
    config.recipe.update({"word_temperature": 0.02, "directions": "both", "group": 8})
    if config.encoder.name == "bert":
        # The sum over all positions, by the number of pieces.
        config.encoder.fields = {"pooling": "released"}
        config.frozen.image_network = "weights/resnet_pretrained.npy"
    if config.data.size > 64:
        config.generator.image_size = config.discriminator.image_size = config.data.size = 128
        config.data.batch = 56
        if config.data.name != "folder":
            config.train.duration = "500 epochs"


def small(config) -> None:
    """64 px, small networks for two CPU cores."""
    config.dtype = "float32"
    config.generator.update({"channels": 8, "image_size": 64, "noise_dim": 32})
    # Around 0, as in the paper's form, all norms and so the image are one colour for long.
    config.generator.gain = "one_plus_gamma"
    config.discriminator.update({"channels": 8, "image_size": 64})
    config.d_steps = 1


def toy_birds(config) -> None:
    """The small networks on the embedded birds."""
    small(config)
    parts.toy_birds_data(config, size=64, batch=24)
    parts.toy_gan_training(config)


def debug(config) -> None:
    """Tiny everything, on a few embedded birds, with untrained encoders."""
    config.dtype = "float32"
    config.generator.update({"channels": 1, "image_size": 32, "noise_dim": 4, "attend_from": 16})
    config.discriminator.update({"channels": 2, "image_size": 32})
    parts.debug_gan_training(config, size=32)
    parts.debug_damsm(config)
    config.image_network = config.damsm
    del config.damsm
    config.frozen = {"image_network": "random"}
