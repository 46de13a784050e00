"""RAT-GAN against the authors' PyTorch classes, whatever the size of the golden file."""

import functools

import jax
import numpy as np

from parity._compare import close, nhwc, section
from parity._hinge_gan import Game, by_name, check_discriminator, check_iterations, check_norms
from t2i_jax.interop.rat_gan import (
    export_discriminator,
    export_generator,
    import_discriminator,
    import_generator,
)

ORDER = ("real", "fake", "mis", "D", "gp", "G")


def _generator(golden, affines):
    generator, variables = import_generator(section(golden, "G/"), affines)
    size, channels, state_dim, noise_dim, _ = golden["config"]
    found = (generator.image_size, generator.channels, generator.state_dim, generator.noise_dim)
    assert found == (size, channels, state_dim, noise_dim)
    return generator, variables


def forward(golden, affines):
    """States of the cell, block outputs and images."""
    generator, variables = _generator(golden, affines)
    expected = section(golden, "outG/" if affines == 4 else "outG6/")
    run = jax.jit(
        lambda z, s: generator.apply(
            variables,
            {"z": z},
            s,
            train=False,
            capture_intermediates=True,
            mutable=["intermediates"],
        )
    )
    (image,), seen = run(golden["in/noise"], golden["in/sent"])
    seen = seen["intermediates"]
    cell, decoder = seen["controller"], seen["decoder"]
    states, last = cell["__call__"][0]
    close(states, expected["h_seq"], "hidden states")
    if affines == 4:
        close(last, expected["c_last"], "last cell state")
        close(cell["first_hidden"]["__call__"][0], expected["h0"], "first hidden state")
        close(cell["first_cell"]["__call__"][0], expected["c0"], "first cell state")
    count = len(expected["block_std"])
    maps = [np.asarray(decoder[f"block{i}"]["__call__"][0]) for i in range(count)]
    for i in (0, 1):
        if f"block{i}" in expected:
            close(maps[i], nhwc(expected[f"block{i}"]), f"block {i}")
    close([x.std() for x in maps], expected["block_std"], "block_std")
    if "block_mean" in expected:
        close([x.mean() for x in maps], expected["block_mean"], "block_mean")
    image = np.transpose(image, (0, 3, 1, 2))
    half = image.shape[2] // 2
    views = {
        "fake": image,
        "fake_stride4": image[:, :, ::4, ::4],
        "fake_patch": image[:, :, half - 16 : half + 16, half - 16 : half + 16],
        "fake_mean": image.mean((2, 3)),
        "fake_std": image.std((2, 3)),
    }
    checked = [name for name in views if name in expected]
    assert len(checked) >= 3
    for name in checked:
        close(views[name], expected[name], name, floor=1e-5)


def _game(golden, state):
    return Game(
        golden,
        "rat_gan",
        _generator(golden, 4),
        import_discriminator(state),
        lambda features, sentence: (features[:-1], sentence[1:]),
    )


def _check(game, prefix):
    golden = game.golden

    def d_arrays(grads):
        return export_discriminator(game.discriminator, grads)

    slope, grads = check_discriminator(game, prefix, ORDER, d_arrays)
    slope = np.transpose(slope, (0, 3, 1, 2))
    expected = golden[f"{prefix}/gp_grad_img_stride"]
    stride = slope.shape[2] // expected.shape[2]
    close(slope[:, :, ::stride, ::stride], expected, "slope in the image", 1e-3)
    squares = np.square(slope).sum((2, 3))
    close(squares, golden[f"{prefix}/gp_grad_img_sqsum"], "its squares", 1e-3)
    grads = export_generator(game.generator, grads)
    check_norms(grads, golden["outG/names"], golden[f"{prefix}/gradnorm_errG_wrtG"], "G's")
    return grads


def plain(golden):
    """The current release's discriminator, and three iterations: two updates of D, by the hinges,
    then by the penalty under the D that these have updated, and one of G.
    """
    game = _game(golden, section(golden, "D/"))
    grads = _check(game, "outD")
    for name, expected in section(golden, "outG/grad_errG/").items():
        close(grads[name], expected, name, 1e-3)

    assert [f.__name__ for f in game.recipe.d_updates] == ["d_update", "penalties"]
    history, after = game.train()
    history = [by_name(m, m["d/total"] - m["d/ma_gp"]) for m in history]
    kernel = export_discriminator(game.discriminator, after["d"])["conv_img.weight"]
    check_iterations(game, ORDER, history, after, kernel)
    bias = export_generator(game.generator, after["g"])["lstm.bias"]
    for kind in ("train", "train64"):
        close(bias, golden[f"{kind}/after_lstm_bias"], "the cell's bias", 2e-3)


def attention(golden):
    """The discriminator of the paper and of the release until 2023."""
    state = {k: v for k, v in section(golden, "D/").items() if not k.startswith("COND_DNET")}
    game = _game(golden, state | section(golden, "DA/"))
    _check(game, "outDA")
    _, extras = game.judge(game.d, game.real, game.sentence)
    close(extras["attention"], golden["outDA/attn_real"][:, 0], "softmax of the sigmoids")
    paper = game.discriminator.clone(attention="soft_threshold")
    _, extras = jax.jit(lambda d, x: paper.apply(d, x, game.sentence, train=True))(
        game.d, game.real
    )
    close(extras["attention"], golden["outDA/attn_real_paper"][:, 0], "soft threshold")


CASES = {
    "four_affines": functools.partial(forward, affines=4),
    "six_affines": functools.partial(forward, affines=6),
    "plain": plain,
}
