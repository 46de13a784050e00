"""The matching-aware gradient penalty: with and without it, its exponent and its factor.

    t2i-jax sweep --config=df_gan:cub --sweep=df_gan_penalty --workdir=runs/df_gan_penalty

For RAT-GAN the same with --config=rat_gan:cub. The penalty is k times the mean of
(|dD/dx| + |dD/de|)^p; k = 2 and p = 6 are published. released: one norm of both gradients together,
as in the authors' code.
"""


def sweep():
    """Eight flat override dicts; ``name`` is the run's directory."""
    yield {"name": "off", "loss.d.ma_gp": 0.0}
    for k, p in ((2.0, 6.0), (2.0, 2.0), (2.0, 4.0), (2.0, 8.0), (1.0, 6.0), (4.0, 6.0)):
        yield {
            "name": f"k{k:g}_p{p:g}",
            "recipe.ma_gp_scale": k,
            "recipe.ma_gp_exponent": p,
        }
    yield {"name": "released", "recipe.ma_gp_form": "released"}
