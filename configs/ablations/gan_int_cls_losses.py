"""The paper's comparison of losses: GAN, GAN-CLS, GAN-INT, GAN-INT-CLS (section 5, figures 3-4).

t2i-jax sweep --config=gan_int_cls:cub --sweep=gan_int_cls_losses --workdir=runs/losses
"""


def sweep():
    """Four flat override dicts; ``name`` is the run's directory."""
    for name, matching, interpolation in (
        ("gan", False, False),
        ("gan_cls", True, False),
        ("gan_int", False, True),
        ("gan_int_cls", True, True),
    ):
        yield {
            "name": name,
            "loss.d.wrong": 0.5 if matching else 0.0,
            "loss.d.fake": 0.5 if matching else 1.0,
            "loss.g.interp": 1.0 if interpolation else 0.0,
        }
