"""StackGAN-v1, Stage II: 256 px pictures from Stage I's sketches (Zhang et al., ICCV 2017).

    t2i-jax train --config=stack_gan_v1_stage2:cub \\
        --workdir=runs/stack_gan_v1_stage2_cub --frozen.stage1=runs/stack_gan_v1_cub \\
        --encoder.source=runs/char_cnn_rnn_cub

Arguments as in configs/stack_gan_v1.py, whose text and data it takes over. ``frozen.stage1`` is the
run directory of Stage I ("random": an untrained one, to try things out); the section ``stage1``
then describes its generator. The run keeps Stage I's weights: sampling it runs both stages.

128 px: --generator.image_size=128 --generator.residual_blocks=2 --discriminator.image_size=128
--data.size=128. Text in Stage I alone (a paper's ablation): --generator.text=False --loss.g.kl=0.
All of the paper's ablations: configs/ablations/stack_gan_v1_components.py.
"""

import pathlib

from t2i_jax.config import arguments, load

_STAGE1 = pathlib.Path(__file__).with_name("stack_gan_v1.py")
ARGUMENTS = arguments(str(_STAGE1))


def get_config(arg: str = "toy_birds"):
    """The config of one data set; ValueError for an unknown one."""
    config = load(f"{_STAGE1}:{arg}")
    config.system = "stack_gan_v1_stage2"
    config.stage1 = config.generator
    config.generator = {
        "image_size": 256,
        "channels": config.stage1.channels,
        "condition_dim": config.stage1.condition_dim,
        "residual_blocks": 4,
        "activation": config.stage1.activation,
        "augment": True,
        "text": True,
    }
    config.discriminator.image_size = 256
    config.recipe.statistics = "fixed"
    config.data.size = 256
    config.frozen = {"stage1": "runs/stack_gan_v1"}
    if arg == "coco_released":
        config.generator.residual_blocks = 2
        config.discriminator.unconditional = True
        config.recipe.statistics = "moving"
        third = 1 / 3
        config.loss = {
            "d": {
                "real": 0.5,
                "uncond_real": 0.5,
                "wrong": third,
                "fake": third,
                "uncond_fake": third,
            },
            "g": {"fake": 1.0, "uncond_fake": 1.0, "kl": 2.0},
        }
        config.data.batch = 40
        config.train.duration = "100 epochs"
    elif arg in ("toy_birds", "folder_small"):
        config.generator.update({"image_size": 64, "residual_blocks": 2})
        config.discriminator.image_size = 64
        config.data.size = 64
        if arg == "toy_birds":
            config.train.duration = "1500 steps"
    elif arg == "debug":
        config.generator.update({"image_size": 32, "residual_blocks": 1})
        config.discriminator.image_size = 32
        config.data.size = 32
        config.frozen.stage1 = "random"
        # Else the first step is the sign of gradients that are rounding.
        config.optim.g.eps = config.optim.d.eps = 1e-4
    return config
