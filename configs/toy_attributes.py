"""A classifier of the toy birds' attributes, by which generators are measured.

    t2i-jax prepare --dataset=toy_birds_mixed --num_images=10000 --size=64 --data_dir=data
    t2i-jax train --config=toy_attributes --workdir=runs/toy_attributes \\
        --data.data_dir=data
    t2i-jax evaluate --protocol=toy_attributes --workdir=runs/birds \\
        --classifier=runs/toy_attributes --out=DIR

Arguments: toy_birds_mixed (minutes on two CPU cores), toy_birds (birds of 100 species, where one
colour tells of another), debug (seconds).
"""

from t2i_jax import config_parts as parts
from t2i_jax.config import adam, base

ARGUMENTS = ("toy_birds_mixed", "toy_birds", "debug")


def get_config(arg: str = "toy_birds_mixed"):
    """The config of one data set; ValueError for an unknown one."""
    parts.one_of(arg, ARGUMENTS)
    config = base()
    config.system = "toy_attributes"
    config.tokenizer.name = ""
    classes = tuple(parts.TOY_ATTRIBUTES.values())
    config.recipe = {"classes": classes, "degraded": True}
    config.loss = {"net": {"attributes": 1.0}}
    config.optim = {"net": adam(3e-3, b1=0.9, schedule="cosine to 0.02 over 2000 steps")}
    parts.toy_birds_data(config, name=arg, captions=0, attributes=tuple(parts.TOY_ATTRIBUTES))
    config.net = {"widths": (16, 32, 64, 128), "embedding": sum(classes), "pooled": False}
    config.ema.half_life = "50 steps"
    config.train.update(
        {
            "duration": "2000 steps",
            "log_every": "100 steps",
            "sample_every": "0 steps",
            "checkpoint_every": "500 steps",
        }
    )
    if arg == "debug":
        config.net.widths = (4, 8, 8, 8)
        config.optim.net.eps = 1e-4
        parts.debug_training(config, size=32)
    return config
