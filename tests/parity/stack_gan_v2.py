"""StackGAN-v2 against the authors' PyTorch modules and trainer, run in double precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from parity._compare import close, nhwc, section
from t2i_jax import types
from t2i_jax.interop.stack_gan_v2 import (
    export_discriminator,
    export_generator,
    import_discriminator,
    import_generator,
)
from t2i_jax.losses.regularizers import color_consistency, color_moments
from t2i_jax.models.images import pyramid
from t2i_jax.recipes.base import apply_train, with_state
from t2i_jax.recipes.stack_gan_v2 import Recipe
from t2i_jax.types import Text

SIZES = (64, 128, 256)
UNCOND_D = {"uncond_real": 1.0, "uncond_fake": 1.0}
JCU_D = {"real": 1.0, "wrong": 1.0, "fake": 1.0, "uncond_wrong": 1.0, **UNCOND_D}
NO_JCU_D = {"real": 1.0, "wrong": 0.5, "fake": 0.5}
UNCOND_G = {"uncond_fake": 1.0}
NO_JCU_G = {"fake": 1.0, "kl": 2.0}
JCU_G = NO_JCU_G | UNCOND_G
# By the golden file's tags: weights of the losses that it holds.
D_LOSSES = {"cond": {"_jcu": JCU_D, "_nojcu": NO_JCU_D}, "uncond": {"": UNCOND_D}}
G_LOSSES = {
    "cond": {
        "jcu_color0": JCU_G,
        "jcu_color50": JCU_G | {"color": 50.0},
        "nojcu_color0": NO_JCU_G,
    },
    "uncond": {"color0": UNCOND_G, "color50": UNCOND_G | {"color": 50.0}},
}


class Case:
    """Networks and inputs of one of the two cases, "cond" and "uncond"."""

    def __init__(self, golden, name):
        self.arrays = section(golden, f"{name}/")
        self.conditional = name == "cond"
        self.generator, self.g = import_generator(section(self.arrays, "G/"))
        states = [section(self.arrays, f"D{size}/") for size in SIZES]
        self.discriminator, self.d = import_discriminator(states)
        real = [nhwc(golden[f"shared/real{s}_u8"]).astype(np.float32) / 127.5 - 1 for s in SIZES]
        self.batch = {types.IMAGES: tuple(real)}
        self.noise = {"z": self.arrays["in/z"]}
        self.text = None
        if self.conditional:
            wrong = tuple(x[golden["shared/wrong_index"]] for x in real)
            self.batch[types.WRONG_IMAGES] = wrong
            self.noise["eps"] = self.arrays["in/eps"]
            self.text = Text(self.arrays["in/text_embedding"])

    def recipe(self, d=(), g=()):
        """The released form with the terms of these weights."""
        return Recipe(
            generator=self.generator,
            discriminator=self.discriminator,
            condition="mean",
            color="released",
            active=frozenset({f"d.{k}" for k in d} | {f"g.{k}" for k in g}),
        )

    def generate(self, recipe, params=None):
        variables = self.g if params is None else {**self.g, "params": params}
        return recipe.generate(variables, self.batch, self.text, self.noise, train=True)

    def check_images(self, images, prefix):
        for size, image in zip(SIZES, images, strict=True):
            image = np.transpose(np.asarray(image), (0, 3, 1, 2))
            stride, half = size // 32, size // 2
            views = {
                f"stride{stride}": image[:, :, ::stride, ::stride],
                "crop": image[:, :, half - 12 : half + 12, half - 12 : half + 12],
                "stats": np.stack(
                    [f(image).mean((2, 3)) for f in (np.asarray, np.abs, np.square)], axis=-1
                ),
            }
            for view, value in views.items():
                name = f"{prefix}/fake{size}_{view}"
                if name in self.arrays:
                    close(value, self.arrays[name], name)

    def check_running(self, g_state=None, d_state=None):
        found = {}
        if g_state:
            found |= {"G": export_generator(self.generator, g_state, counts=False)}
        if d_state:
            states = export_discriminator(self.discriminator, d_state, False)
            found |= {f"D{size}": state for size, state in zip(SIZES, states, strict=True)}
        for net, state in found.items():
            expected = section(self.arrays, f"{net}_after/")
            assert state.keys() == expected.keys()
            for name in expected:
                close(state[name], expected[name], f"{net} {name}", 1e-5)


def _norms(grads, names):
    return np.array([np.linalg.norm(grads[name].ravel()) for name in names])


def _total(terms, weights):
    assert terms.keys() == weights.keys()
    return sum(weights[name] * value for name, value in terms.items())


def generator(golden, name):
    case = Case(golden, name)
    sentence = case.text and case.text.sentence

    @jax.jit
    def run(variables):
        made, state = case.generator.apply(
            variables,
            case.noise,
            sentence,
            train=True,
            capture_intermediates=lambda module, _: (module.name or "").startswith("stage"),
            mutable=["batch_stats", "intermediates"],
        )
        evaluated = case.generator.apply(variables, case.noise, sentence, train=False)
        return made, state, evaluated.images

    made, state, evaluated = run(case.g)
    case.check_images(made.images, "train")
    case.check_images(evaluated, "eval")
    case.check_running(g_state={"batch_stats": state["batch_stats"]})
    for stage, stride in ((1, 8), (2, 16), (3, 32)):
        features = state["intermediates"][f"stage{stage}"]["__call__"][0]
        expected = nhwc(case.arrays[f"train/h{stage}_stride{stride}"])
        close(features[:, ::stride, ::stride], expected, f"stage {stage}")
    if case.conditional:
        for what, value in (("mu", made.mu), ("logvar", made.logvar)):
            close(value, case.arrays[f"train/{what}"], what)
        for condition in made.conditions:
            close(condition, case.arrays["train/c_code"], "condition")
    for size, image in zip(SIZES, made.images, strict=True):
        mean, covariance = color_moments(image)
        close(mean, case.arrays[f"color/mean{size}"], "mean colour")
        close(covariance, case.arrays[f"color/cov{size}"], "covariance")
    color = sum(
        weight * case.arrays[f"color/mse_{what}_{pair}"]
        for what, weight in (("mean", 1.0), ("cov", 5.0))
        for pair in ("256_128", "128_64")
    )
    close(color_consistency(made.images, "released"), color, "colour consistency")


def discriminators(golden, name):
    case = Case(golden, name)
    recipe = case.recipe()

    @jax.jit
    def run(g_vars, d_vars):
        made, _ = recipe.generate(g_vars, case.batch, case.text, case.noise, train=True)
        conditions = made.get("conditions")
        images = {
            "real": case.batch[types.IMAGES],
            **({"wrong": case.batch[types.WRONG_IMAGES]} if case.conditional else {}),
            "fake": made["images"],
        }
        logits, state = {}, {}
        for kind, pictures in images.items():
            logits[kind], state = apply_train(
                case.discriminator, with_state(d_vars, state), pictures, conditions
            )
        evaluated = case.discriminator.apply(d_vars, images["real"], conditions, train=False)
        return logits, evaluated, state

    logits, evaluated, state = run(case.g, case.d)
    case.check_running(d_state=state)
    for i, size in enumerate(SIZES):
        for kind, (fits, real) in logits.items():
            key = f"train/D{size}_{kind}"
            if case.conditional:
                close(fits[i], case.arrays[f"{key}_cond_logit"], f"{key} cond")
                close(real[i], case.arrays[f"{key}_uncond_logit"], f"{key} uncond")
            else:
                assert not fits
                close(real[i], case.arrays[f"{key}_prob_logit"], key)
        fits, real = (jax.nn.sigmoid(jnp.stack(x)) if x else None for x in evaluated)
        key = f"eval/D{size}_real"
        if case.conditional:
            close(fits[i], case.arrays[f"{key}_cond"], key)
        close(real[i], case.arrays[f"{key}_{'uncond' if case.conditional else 'prob'}"], key)


def discriminator_losses(golden, name):
    case = Case(golden, name)

    @functools.partial(jax.jit, static_argnums=2)
    def run(g_vars, d_vars, tag):
        weights = D_LOSSES[name][tag]
        recipe = case.recipe(d=weights)
        out, _ = recipe.generate(g_vars, case.batch, case.text, case.noise, train=True)

        def loss(params):
            variables = {**d_vars, "params": params}
            terms, state = recipe.d_terms(variables, case.batch, case.text, out, None)
            return _total(terms, weights), state

        return jax.value_and_grad(loss, has_aux=True)(d_vars["params"])

    for tag in D_LOSSES[name]:
        (loss, state), grads = run(case.g, case.d, tag)
        expected = sum(case.arrays[f"loss/errD_D{size}{tag}"] for size in SIZES)
        close(loss, expected, f"loss{tag}")
        if tag != "_nojcu":
            case.check_running(d_state=state)
        exported = export_discriminator(case.discriminator, {"params": grads}, False)
        for size, grads in zip(SIZES, exported, strict=True):
            names = case.arrays[f"param_names/D{size}"]
            norms = case.arrays[f"gradnorm{tag}/D{size}"]
            close(_norms(grads, names), norms, f"gradients{tag} D{size}", 1e-3)


def generator_losses(golden, name):
    case = Case(golden, name)

    @functools.partial(jax.jit, static_argnums=2)
    def run(g_vars, d_vars, tag):
        weights = G_LOSSES[name][tag]
        recipe = case.recipe(g=weights)

        def loss(params):
            out, _ = case.generate(recipe, params)
            terms, _ = recipe.g_terms(d_vars, {}, case.batch, case.text, out, None)
            return _total(terms, weights), terms

        return jax.value_and_grad(loss, has_aux=True)(g_vars["params"])

    for tag in G_LOSSES[name]:
        (loss, terms), grads = run(case.g, case.d, tag)
        close(loss, case.arrays[f"loss/errG_{tag}"], tag)
        heads = {"fake": "cond", "uncond_fake": "uncond" if case.conditional else "adv"}
        for term, head in heads.items():
            if term in terms:
                expected = sum(case.arrays[f"loss/G_D{size}_{head}"] for size in SIZES)
                close(terms[term], expected, f"{tag} {term}")
        if "kl" in terms:
            close(2.0 * terms["kl"], case.arrays["loss/kl_weighted"], "kl")
        grads = export_generator(case.generator, {"params": grads}, counts=False)
        norms = _norms(grads, case.arrays["param_names/G"])
        close(norms, case.arrays[f"gradnorm_{tag}/G"], f"gradients {tag}", 1e-3)


def step(golden, name):
    """One whole step as the train step makes it: G's pass under vjp, D's update, G's."""
    case = Case(golden, name)
    d_weights = JCU_D if case.conditional else UNCOND_D
    g_weights = JCU_G if case.conditional else UNCOND_G | {"color": 50.0}
    recipe = case.recipe(d_weights, g_weights)
    adam = optax.adam(2e-4, 0.5, 0.999)

    def update(params, grads):
        updates, _ = adam.update(grads, adam.init(params), params)
        return optax.apply_updates(params, updates)

    @jax.jit
    def run(g_vars, d_vars):
        out, pull, _ = jax.vjp(
            lambda params: case.generate(recipe, params), g_vars["params"], has_aux=True
        )

        def d_loss(params):
            variables = {**d_vars, "params": params}
            terms, state = recipe.d_terms(variables, case.batch, case.text, out, None)
            return _total(terms, d_weights), state

        def g_loss(out, d_vars):
            terms, _ = recipe.g_terms(d_vars, {}, case.batch, case.text, out, None)
            return _total(terms, g_weights)

        (err_d, d_state), grads = jax.value_and_grad(d_loss, has_aux=True)(d_vars["params"])
        d_vars = with_state({"params": update(d_vars["params"], grads)}, d_state)
        err_g, cotangent = jax.value_and_grad(g_loss)(out, d_vars)
        (grads,) = pull(cotangent)
        new = update(g_vars["params"], grads)
        ema = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b, g_vars["params"], new)
        return err_d, err_g, d_vars["params"], new, ema

    err_d, err_g, d_params, g_params, ema = run(case.g, case.d)
    close(err_d, case.arrays["step/errD_total"], "D's loss")
    close(err_g, case.arrays["step/errG_total"], "G's loss", 1e-3)
    found = {
        "G": export_generator(case.generator, {"params": g_params}, counts=False),
        "ema": export_generator(case.generator, {"params": ema}, counts=False),
    }
    exported = export_discriminator(case.discriminator, {"params": d_params}, False)
    found |= {f"D{size}": state for size, state in zip(SIZES, exported, strict=True)}
    for net, state in found.items():
        for key, expected in section(case.arrays, f"step/{net}/").items():
            # The sign of a first Adam step is not stable where a gradient is nearly 0.
            limit = 2.01 * 2e-4 if net != "ema" else 1e-6
            assert np.max(np.abs(state[key] - expected)) <= limit, f"{net} {key}"
            close(np.median(state[key] - expected), 0.0, f"{net} {key}", floor=1e-6)


def released_pyramid(golden):
    """The file's own reductions were rounded to whole grey values."""
    images = nhwc(golden["shared/real256_u8"]).astype(np.float32)
    for size, reduced in zip(SIZES, pyramid(images, SIZES), strict=True):
        expected = nhwc(golden[f"shared/real{size}_u8"]).astype(np.float32)
        assert np.max(np.abs(reduced - expected)) <= 1.01, size


_EACH = (generator, discriminators, discriminator_losses, generator_losses, step)
CASES = {
    f"{name}-{case.__name__}": functools.partial(case, name=name)
    for name in ("cond", "uncond")
    for case in _EACH
} | {"pyramid": released_pyramid}
