"""DF-GAN, both versions, against the authors' PyTorch classes."""

import jax
import jax.numpy as jnp
import numpy as np

from parity._compare import close, nhwc, section
from parity._hinge_gan import Game, by_name, check_discriminator, check_iterations, check_norms
from t2i_jax.interop.df_gan import (
    export_discriminator,
    export_generator,
    import_discriminator,
    import_generator,
)
from t2i_jax.losses.gradient_penalties import matching_aware

ORDER = ("real", "fake", "mis", "gp", "D", "G")


def _game(golden):
    size, channels, _, noise_dim, _ = golden["config"]
    generator = import_generator(section(golden, "G/"))
    found = (generator[0].image_size, generator[0].channels, generator[0].noise_dim)
    assert found == (size, channels, noise_dim)
    return Game(
        golden,
        "df_gan",
        generator,
        import_discriminator(section(golden, "D/"), section(golden, "C/")),
        lambda features, sentence: (jnp.roll(features, -1, axis=0), sentence),
    )


def generator(golden):
    module, variables = import_generator(section(golden, "G/"))
    run = jax.jit(
        lambda z, s: module.apply(
            variables,
            {"z": z},
            s,
            train=False,
            capture_intermediates=lambda layer, _: (layer.name or "").startswith("block"),
            mutable=["intermediates"],
        )
    )
    (image,), seen = run(golden["in/noise"], golden["in/sent"])
    seen = seen["intermediates"]["decoder"]
    maps = [np.asarray(seen[f"block{i}"]["__call__"][0]) for i in range(len(seen))]
    close(image, nhwc(golden["outG/fake"]), "image", floor=1e-5)
    close(maps[0], nhwc(golden["outG/block0"]), "first block")
    close([x.std() for x in maps], golden["outG/block_std"], "block_std")


def generator_of_2020(golden):
    module, variables = import_generator(section(golden, "V1G/"))
    assert module.version == "2020"
    run = jax.jit(lambda z, s: module.apply(variables, {"z": z}, s, train=False))
    (image,) = run(golden["in/noise"], golden["in/sent"])
    close(image, nhwc(golden["outV1G/fake"]), "image", floor=1e-5)


def game(golden):
    """Losses, both forms of the penalty and all gradients; then three iterations: one update of D
    with the penalty in its loss, then G.
    """
    game = _game(golden)

    def d_arrays(variables):
        nets = export_discriminator(game.discriminator, variables)
        return {f"{net[-1]}/{k}": v for net, state in nets.items() for k, v in state.items()}

    slope, grads = check_discriminator(game, "outD", ORDER, d_arrays)
    close(slope, nhwc(golden["outD/gp_grad_img"]), "slope in the image", 1e-3)
    paper = matching_aware(
        lambda x, s: game.judge(game.d, x, s)[0], game.real, game.sentence, form="paper"
    )
    close(paper, golden["outD/gp_paper"][0], "the paper's form", 1e-3)
    grads = export_generator(game.generator, grads)
    names = [name.removeprefix("G/") for name in golden["outG/names"]]
    check_norms(grads, names, golden["outG/gradnorm_errG"], "G's")

    assert [f.__name__ for f in game.recipe.d_updates] == ["d_update"]
    history, after = game.train()
    history = [by_name(m, m["d/total"]) for m in history]
    check_iterations(game, ORDER, history, after, d_arrays(after["d"])["D/conv_img.weight"])


CASES = {
    "generator": generator,
    "generator_of_2020": generator_of_2020,
    "game": game,
}
