"""The style encoder S of GAN-INT-CLS, which inverts a trained generator.

    python -m t2i_jax.train --config=configs/style_encoder.py:cub --workdir=runs/style_cub \\
        --frozen.generator=runs/gan_int_cls_cub --encoder.source=runs/char_cnn_rnn_cub

Give it the data and the encoder that the generator was trained with. Arguments: toy_birds, cub,
flowers, coco. Then: python -m t2i_jax.sample --workdir=runs/gan_int_cls_cub \\
    --style_encoder=runs/style_cub --style=photo.jpg --caption="a red bird"
"""

from t2i_jax.config import adam, base


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    if arg not in ("toy_birds", "cub", "flowers", "coco"):
        raise ValueError(f"no {arg!r}; known: toy_birds, cub, flowers, coco")
    config = base()
    config.system = "style_encoder"
    config.net = {"image_size": 64, "channels": 64, "noise_dim": 100}
    config.loss = {"net": {"style": 1.0}}
    config.optim = {"net": adam(2e-4)}
    config.frozen = {"generator": "runs/gan_int_cls"}
    config.encoder.update({"name": "char_cnn_rnn", "source": "runs/char_cnn_rnn"})
    config.data.update({"name": arg, "captions": 4, "threads": 0, "workers": 0})
    config.train.update({"duration": "100 epochs", "sample_every": "0 steps"})
    if arg == "coco":
        config.data.captions = 3
    if arg == "toy_birds":
        config.net.channels = 32
        config.data.update({"batch": 32, "captions": 1, "load_ratio": 1.0, "crop": "none"})
        config.optim = {"net": adam(1e-3)}
        config.train.duration = "1000 steps"
    return config
