"""StackGAN-v2 against the authors' PyTorch modules and trainer, run in double precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from parity._compare import close, close_gradients, nhwc, section
from t2i_jax import types
from t2i_jax.interop.stack_gan_v2 import (
    export_discriminator,
    export_generator,
    import_discriminator,
    import_generator,
)
from t2i_jax.losses.regularizers import color_moments
from t2i_jax.recipes.stack_gan_v2 import Recipe
from t2i_jax.recipes.terms import Seen, apply_train
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
        self.name, self.arrays = name, section(golden, f"{name}/")
        self.conditional = name == "cond"
        self.colored = "jcu_color50" if self.conditional else "color50"
        self.stepped = "jcu_color0" if self.conditional else "color50"
        self.generator, self.g = import_generator(section(self.arrays, "G/"))
        states = [section(self.arrays, f"D{size}/") for size in SIZES]
        self.discriminator, self.d = import_discriminator(states)
        # As the authors' modules were: in single precision, inputs of a LeakyReLU near 0 change
        # their sign with the rounding of the machine.
        self.generator = self.generator.clone(dtype=jnp.float64)
        self.discriminator = self.discriminator.clone(dtype=jnp.float64)
        real = [nhwc(golden[f"shared/real{s}_u8"]).astype(np.float32) / 127.5 - 1 for s in SIZES]
        batch, text = {types.IMAGES: tuple(real)}, None
        self.noise = {"z": self.arrays["in/z"]}
        if self.conditional:
            wrong = tuple(x[golden["shared/wrong_index"]] for x in real)
            batch[types.WRONG_IMAGES] = wrong
            self.noise["eps"] = self.arrays["in/eps"]
            text = Text(self.arrays["in/text_embedding"])
        self.seen = Seen(batch, text)

    def recipe(self, d=(), g=()):
        """The released form with the terms of these weights."""
        return Recipe(
            generator=self.generator,
            discriminator=self.discriminator,
            condition="mean",
            color="released",
            active=frozenset({f"d.{k}" for k in d} | {f"g.{k}" for k in g}),
        )

    def pictures(self, fakes):
        """What D judges, in the release's order."""
        real = {"real": self.seen.batch[types.IMAGES]}
        wrong = {"wrong": self.seen.batch[types.WRONG_IMAGES]} if self.conditional else {}
        return {**real, **wrong, "fake": fakes}

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

    def check_norms(self, grads, net, kind):
        names = self.arrays[f"param_names/{net}"]
        norms = {name: np.linalg.norm(grads[name].ravel()) for name in names}
        expected = dict(zip(names, self.arrays[f"{kind}/{net}"], strict=True))
        close_gradients(norms, expected, f"{kind} of {net}")


def _total(losses, weights):
    assert weights.keys() <= losses.keys()
    return sum(weight * losses[name] for name, weight in weights.items())


def _run(case):
    """Everything that the file holds of a case, as one program: compiling dominates the time.

    G's passes in both modes; D's passes, terms and gradients; G's terms and gradients under the
    given D; and one whole step as the train step makes it, under the updated D.
    """
    d_weights, g_weights = D_LOSSES[case.name], G_LOSSES[case.name]
    d_terms_of = case.recipe(d=next(iter(d_weights.values()))).d_terms
    g_recipe = case.recipe(g=g_weights[case.colored])
    adam = optax.adam(2e-4, 0.5, 0.999)
    sentence = case.seen.text and case.seen.text.sentence

    def update(params, grads):
        updates, _ = adam.update(grads, adam.init(params), params)
        return optax.apply_updates(params, updates)

    def grad_for(pull, losses, weights):
        cotangent = {k: jnp.float32(weights.get(k, 0.0)) for k in losses}
        return pull(cotangent)[0]

    def forward(params, variables):
        made, state = case.generator.apply(
            {**variables, "params": params},
            case.noise,
            sentence,
            train=True,
            capture_intermediates=lambda module, _: (module.name or "").startswith("stage"),
            mutable=["batch_stats", "intermediates"],
        )
        return made, state

    def out_of(made):
        out = {"images": made.images}
        if case.conditional:
            out |= {"conditions": (made.mu,) * 3, "mu": made.mu, "logvar": made.logvar}
        return out

    @jax.jit
    def run(g_vars, d_vars):
        r = {}
        made, pull, r["g_state"] = jax.vjp(
            lambda params: forward(params, g_vars), g_vars["params"], has_aux=True
        )
        r["made"] = made
        r["evaluated"] = case.generator.apply(g_vars, case.noise, sentence, train=False).images
        out = out_of(made)
        conditions = out.get("conditions")

        r["logits"] = {
            kind: apply_train(case.discriminator, d_vars, images, conditions)[0]
            for kind, images in case.pictures(made.images).items()
        }
        r["judged"] = case.discriminator.apply(
            d_vars, case.seen.batch[types.IMAGES], conditions, train=False
        )

        def d_terms(params):
            terms = d_terms_of({**d_vars, "params": params}, case.seen, out, None)
            return terms.losses, terms.state

        r["d_losses"], d_pull, r["d_state"] = jax.vjp(d_terms, d_vars["params"], has_aux=True)
        r["d_grads"] = {t: grad_for(d_pull, r["d_losses"], w) for t, w in d_weights.items()}

        def g_terms(made, d_params):
            variables = {"params": d_params, **r["d_state"]}
            return g_recipe.g_terms(variables, case.seen, out_of(made), None).losses

        r["g_losses"], g_pull = jax.vjp(lambda made: g_terms(made, d_vars["params"]), made)
        r["g_grads"] = {
            tag: pull(grad_for(g_pull, r["g_losses"], weights))[0]
            for tag, weights in g_weights.items()
        }

        d_new = update(d_vars["params"], r["d_grads"][next(iter(d_weights))])
        losses, g_pull = jax.vjp(lambda made: g_terms(made, d_new), made)
        grads = pull(grad_for(g_pull, losses, g_weights[case.stepped]))[0]
        g_new = update(g_vars["params"], grads)
        ema = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b, g_vars["params"], g_new)
        r["step"] = {"losses": losses, "d": d_new, "g": g_new, "ema": ema}
        return r

    return run(case.g, case.d)


def _check_generator(case, r):
    made = r["made"]
    case.check_images(made.images, "train")
    case.check_images(r["evaluated"], "eval")
    case.check_running(g_state={"batch_stats": r["g_state"]["batch_stats"]})
    for stage, stride in ((1, 8), (2, 16), (3, 32)):
        features = r["g_state"]["intermediates"][f"stage{stage}"]["__call__"][0]
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


def _check_discriminators(case, r):
    case.check_running(d_state=r["d_state"])
    fits_name, real_name = ("cond", "uncond") if case.conditional else ("", "prob")
    for i, size in enumerate(SIZES):
        for kind, (fits, real) in r["logits"].items():
            key = f"train/D{size}_{kind}"
            close(real[i], case.arrays[f"{key}_{real_name}_logit"], key)
            if case.conditional:
                close(fits[i], case.arrays[f"{key}_{fits_name}_logit"], key)
        fits, real = r["judged"]
        key = f"eval/D{size}_real"
        close(jax.nn.sigmoid(real[i]), case.arrays[f"{key}_{real_name}"], key)
        if case.conditional:
            close(jax.nn.sigmoid(fits[i]), case.arrays[f"{key}_{fits_name}"], key)
        assert bool(fits) == case.conditional


def _check_losses(case, r):
    for tag, weights in D_LOSSES[case.name].items():
        expected = sum(case.arrays[f"loss/errD_D{size}{tag}"] for size in SIZES)
        close(_total(r["d_losses"], weights), expected, f"D's loss{tag}")
        exported = export_discriminator(
            case.discriminator, {"params": r["d_grads"][tag]}, counts=False
        )
        for size, grads in zip(SIZES, exported, strict=True):
            case.check_norms(grads, f"D{size}", f"gradnorm{tag}")
    for tag, weights in G_LOSSES[case.name].items():
        close(_total(r["g_losses"], weights), case.arrays[f"loss/errG_{tag}"], tag)
        grads = export_generator(case.generator, {"params": r["g_grads"][tag]}, counts=False)
        case.check_norms(grads, "G", f"gradnorm_{tag}")
    heads = {"uncond_fake": "uncond" if case.conditional else "adv"}
    if case.conditional:
        heads["fake"] = "cond"
        close(2.0 * r["g_losses"]["kl"], case.arrays["loss/kl_weighted"], "kl")
    for term, head in heads.items():
        expected = sum(case.arrays[f"loss/G_D{size}_{head}"] for size in SIZES)
        close(r["g_losses"][term], expected, term)
    color = sum(
        weight * case.arrays[f"color/mse_{what}_{pair}"]
        for what, weight in (("mean", 1.0), ("cov", 5.0))
        for pair in ("256_128", "128_64")
    )
    close(r["g_losses"]["color"], color, "colour consistency")


def _check_step(case, r):
    d_loss = _total(r["d_losses"], next(iter(D_LOSSES[case.name].values())))
    close(d_loss, case.arrays["step/errD_total"], "D's loss")
    g_loss = _total(r["step"]["losses"], G_LOSSES[case.name][case.stepped])
    close(g_loss, case.arrays["step/errG_total"], "G's loss", 1e-3)
    found = {
        "G": export_generator(case.generator, {"params": r["step"]["g"]}, counts=False),
        "ema": export_generator(case.generator, {"params": r["step"]["ema"]}, counts=False),
    }
    exported = export_discriminator(case.discriminator, {"params": r["step"]["d"]}, counts=False)
    found |= {f"D{size}": state for size, state in zip(SIZES, exported, strict=True)}
    for net, state in found.items():
        for key, expected in section(case.arrays, f"step/{net}/").items():
            # The sign of a first Adam step is not stable where a gradient is nearly 0.
            error = np.abs(state[key] - expected)
            assert np.max(error) <= (1e-6 if net == "ema" else 2.01 * 2e-4), f"{net} {key}"
            assert np.mean(error) <= 1e-5, f"{net} {key}"


def _case(golden, name):
    case = Case(golden, name)
    with jax.enable_x64(True):
        result = _run(case)
    for check in (_check_generator, _check_discriminators, _check_losses, _check_step):
        check(case, result)


CASES = {name: functools.partial(_case, name=name) for name in D_LOSSES}
