"""AttnGAN against the authors' PyTorch modules, run in double precision."""

import jax
import jax.numpy as jnp

from parity._compare import close
from parity._three_stage import SCALES, Case
from parity._three_stage_step import check
from t2i_jax.interop.attn_gan import RELEASE
from t2i_jax.losses.adversarial import bce
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.recipes.attn_gan import Recipe


def _run(case):
    """Everything the file holds, in one compiled program."""

    @jax.jit
    def run(g, d):
        r = {}
        r["made"], pull, r["g_state"] = jax.vjp(
            lambda params: case.generate({**g, "params": params}, train=True),
            g["params"],
            has_aux=True,
        )
        r["evaluated"], _ = case.generate(g, train=False)
        right = case.generator.clone(mask_order="sample")
        r["right"], _ = case.generate(g, train=True, generator=right)
        features, _ = case.discriminate(d, "features", case.real, train=False)
        r["judged"], _ = case.discriminate(d, "judge", features, case.text.sentence, train=False)
        r["features"] = features

        def d_loss(params):
            variables = {**d, "params": params}
            real, variables = case.discriminate(variables, "features", case.real)
            fake, variables = case.discriminate(variables, "features", r["made"].images)
            losses, logits, variables = case.adversarial_d(variables, real, fake)
            return sum(losses), (losses, logits, variables)

        r["d_grads"], r["d"] = jax.grad(d_loss, has_aux=True)(d["params"])

        def g_loss(made):
            features, variables = case.discriminate(d, "features", made.images)
            (fits, real), _ = case.discriminate(variables, "judge", features, case.text.sentence)
            terms = {
                f"g_loss{i}": jnp.mean(bce(fits[i], 1.0) + bce(real[i], 1.0)) for i in range(SCALES)
            }
            damsm = case.damsm(made.images[-1])
            gan = sum(terms.values()) + case.arrays["config/lam"] * sum(damsm.values())
            kl = gaussian_kl(made.mu, made.logvar)
            terms |= {**damsm, "kl": kl, "gan_plus_damsm": gan, "total": gan + kl}
            return gan + kl, terms

        slopes, r["g_terms"] = jax.grad(g_loss, has_aux=True)(r["made"])
        (r["g_grads"],) = pull(slopes)
        return r

    return run(case.g, case.d)


def _released(golden):
    case = Case(golden, RELEASE)
    r = _run(case)
    case.check_made(r["made"], "train")
    case.check_made(r["evaluated"], "eval")
    case.check_made(r["right"], "fixmask")
    state = RELEASE.export_generator(case.generator, r["g_state"], counts=False)
    case.check_after(state, "train/G_after")
    close(gaussian_kl(r["made"].mu, r["made"].logvar), golden["train/kl"], "kl")
    case.check_judged(r["features"], r["judged"])
    losses, logits, variables = r["d"]
    for i, loss in enumerate(losses):
        close(loss, golden[f"D{i}_loss/errD"], f"loss of D{i}")
    case.check_probabilities(logits)
    case.check_d(r["d_grads"], variables)
    for name, value in r["g_terms"].items():
        close(value, golden[f"G_loss/{name}"], name)
    case.check_g_gradients(r["g_grads"], "G_grad")


def _step(golden):
    check(golden, RELEASE, Recipe)


CASES = {"released": _released, "step": _step}
