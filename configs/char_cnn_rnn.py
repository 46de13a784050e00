"""char-CNN-RNN text encoder by structured joint embedding (Reed et al., CVPR 2016).

    t2i-jax train --config=char_cnn_rnn:cub --workdir=runs/char_cnn_rnn_cub

Arguments: toy_birds (two CPU cores, minutes; reads the set toy_birds_mixed), cub, flowers, coco
(two captions of an image, no images), folder, folder_small (photos of your own, see
docs/own_photos.md), debug (seconds). A small image network is trained along,
since no GoogLeNet features are given. The paper's surrogate (maximum over wrong classes):
--recipe.surrogate=max.
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base, optimizer

ARGUMENTS = ("toy_birds", "cub", "flowers", "coco", *parts.FOLDERS, "debug")


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    parts.one_of(arg, ARGUMENTS)
    config = base()
    config.system = "char_cnn_rnn"
    config.text = {
        "recurrent": "rnn8",
        "conv_widths": (384, 512),
        "width": 256,
        "embedding": 1024,
        "average": True,
        "dropout": 0.0,
        "init_scheme": "uniform",
    }
    config.image = {"widths": (32, 64, 128, 256), "embedding": 1024}
    config.recipe = {"pairs": "image", "surrogate": "sum", "margin": 1.0}
    config.loss = {"net": {"image_to_text": 1.0, "text_to_image": 1.0}}
    schedule = "multiply 0.98 every 150 steps"
    config.optim = {"net": optimizer("rmsprop", 7e-4, decay=0.99, eps=1e-8, schedule=schedule)}
    config.data.update({"name": arg, "batch": 40, "sampling": "distinct_classes"})
    config.train.update(
        {
            "duration": "30k steps",
            "log_every": "150 steps",
            "sample_every": "0 steps",
            "checkpoint_every": "3k steps",
        }
    )
    if arg == "flowers":
        config.text.width = 512
        config.optim.net.schedule = "multiply 0.98 every 82 steps"
        config.train.duration = "16400 steps"
    elif arg == "coco":
        coco(config)
    elif arg == "toy_birds":
        toy_birds(config)
    elif arg in parts.FOLDERS:
        own_photos(config, arg)
    elif arg == "debug":
        debug(config)
    return config


def coco(config) -> None:
    """The ICML 2016 encoder: gru18, two captions of an image, no images."""
    config.text.update({"recurrent": "gru18", "width": 512, "init_scheme": "coco"})
    config.recipe.pairs = "captions"
    config.recipe.surrogate = "sum"  # the only form that exists: the paper has no such encoder
    config.loss = {"net": {"caption_to_caption": 1.0}}
    # Halved at the start of epochs 50, 100, ... counted from 1.
    config.optim = {
        "net": adam(2e-4, name="torch_adam", schedule="multiply 0.5 every 50 epochs from 49 epochs")
    }
    config.data.update({"batch": 64, "captions": 2, "sampling": "epoch"})
    config.train.update({"duration": "200 epochs", "log_every": "0.1 epochs"})


def own_photos(config, arg: str) -> None:
    """By classes where photos have some; else every photo is a class of its own."""
    config.data.update({"name": "folder", "sampling": "auto", "resize": "short_side"})
    parts.folder_training(config, arg)
    config.train.update({"duration": "30k steps", "sample_every": "0 steps"})
    if arg == "folder_small":
        small(config)
        config.data.batch = 24
        config.train.duration = "2k steps"


def small(config) -> None:
    """A narrow encoder for two CPU cores."""
    config.text.update({"conv_widths": (64, 96), "width": 128, "embedding": 128})
    config.text.update({"recurrent": "gru18", "init_scheme": "fan_in"})
    config.image.update({"widths": (16, 32, 64, 128), "embedding": 128})
    config.optim = {"net": adam(6e-3, b1=0.9, schedule="cosine to 0.05 over 2000 steps")}


def toy_birds(config) -> None:
    """The narrow encoder, that hears every colour; see docs/char_cnn_rnn.md."""
    small(config)
    parts.toy_encoder_data(config, batch=64)
    config.train.update(
        {"duration": "2000 steps", "log_every": "100 steps", "checkpoint_every": "500 steps"}
    )


def debug(config) -> None:
    """Tiny everything, on a few embedded birds."""
    config.text.update({"conv_widths": (4, 6), "width": 8, "embedding": 12})
    config.image.update({"widths": (4, 8, 8, 8), "embedding": 12})
    config.optim.net.eps = 1e-4  # else the first step is the sign of gradients that are rounding
    parts.debug_training(config, size=32)
