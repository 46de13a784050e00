"""DR-GAN in its released form against the authors' PyTorch modules, run in double precision."""

import jax
import jax.numpy as jnp
import numpy as np

from parity._compare import close, nhwc
from parity._three_stage import SCALES, Case
from parity._three_stage_step import check
from t2i_jax.interop.dr_gan import RELEASE
from t2i_jax.losses.adversarial import bce
from t2i_jax.losses.distributions import (
    batch_norm_distance,
    released_disentangling_total,
    released_semantic_disentangling,
    squares_per_pixel,
)
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.recipes.dr_gan import Recipe

_INPUT_SIDES = (64, 128)  # of the second and third stage
_G_DAL = (1e-6, 1e-4, 1e-2)


def _noise(case, first, step):
    """The noise of one forward call of every discriminator: [B, scales, 2, C]."""
    calls = case.arrays["in/eps_D"][first : first + step * SCALES : step]
    return calls.transpose(2, 0, 1, 3)


def _disentangling(made, real):
    """(losses of the stages, reconstruction errors, G's total of both)."""
    losses, errors = [], []
    for side, parts, images in zip(_INPUT_SIDES, made.disentangled, real[:-1], strict=True):
        codes = parts.codes
        losses.append(
            sum(
                released_semantic_disentangling(key, rest, codes.real, side)
                for key, rest in (codes.context, codes.image)
            )
        )
        errors.append(squares_per_pixel(images, parts.reconstruction))
    total = released_disentangling_total(losses, _INPUT_SIDES) + 1e-5 * sum(errors)
    return losses, errors, total


def _shrunk(images):
    shape = (len(images), 64, 64, 3)
    return jax.image.resize(images, shape, "linear", antialias=False)


def _run(case):
    """Everything the file holds, in one compiled program."""
    real, sentence = case.real, case.text.sentence

    def inside_g(module, method):
        names = ("attention", "context_mask2", "image_mask2", "stage2", "stage3")
        return module.name in names or (module.name or "").startswith("context_res")

    def inside_d(module, method):
        return module.name in ("decoder", "ca")

    @jax.jit
    def run(g, d):
        r = {}

        made, pull, state = jax.vjp(
            lambda params: case.generate(
                {**g, "params": params}, train=True, real=real, capture=inside_g
            ),
            g["params"],
            has_aux=True,
        )

        def sdl(made):
            losses, errors, total = _disentangling(made, real)
            return total, (made, state, losses, errors, total)

        slopes, r["g"] = jax.grad(sdl, has_aux=True)(made)
        (r["sdl_grads"],) = pull(slopes)
        r["evaluated"], _ = case.generate(g, train=False)
        other = case.generator.clone(sdm_mask_scale=1 / 64)
        r["scale64"], _ = case.generate(g, train=False, generator=other)

        features, _ = case.discriminate(d, "features", real, train=False)
        r["judged"], _ = case.discriminate(d, "judge", features, sentence, train=False)
        first = jnp.stack([case.arrays["in/eps_D"][0].transpose(1, 0, 2)] * SCALES, axis=1)
        r["decoded"], _ = case.discriminate(
            d, "reconstruct", features, sentence, first, train=False
        )
        r["features"] = features

        def d_loss(params):
            v = {**d, "params": params}
            real_f, v = case.discriminate(v, "features", real)
            real_r, v = case.discriminate(
                v, "reconstruct", real_f, sentence, _noise(case, 0, 2), capture=inside_d
            )
            inner = v.pop("intermediates")
            fake_f, v = case.discriminate(v, "features", made.images)
            fake_r, v = case.discriminate(v, "reconstruct", fake_f, sentence, _noise(case, 1, 2))
            losses, logits, v = case.adversarial_d(v, real_f, fake_f)
            terms = []
            for i in range(SCALES):
                t = {
                    "adv": losses[i],
                    "rec_norm_fake": batch_norm_distance(_shrunk(made.images[i]), fake_r[i].image),
                    "rec_norm_real": batch_norm_distance(real[0], real_r[i].image),
                    "kl_real": gaussian_kl(real_r[i].mu, real_r[i].logvar),
                    "kl_fake": gaussian_kl(fake_r[i].mu, fake_r[i].logvar),
                }
                t["total"] = (
                    t["adv"]
                    + 1e-3 * (t["rec_norm_fake"] + t["rec_norm_real"])
                    + 0.02 * t["kl_real"]
                )
                terms.append(t)
            aux = (terms, logits, v, {"real": real_r, "fake": fake_r}, inner, real_f)
            return sum(t["total"] for t in terms), aux

        r["d_grads"], r["d"] = case.grad_as_released(
            d_loss, d["params"], lambda aux: aux[2]["spectral"]
        )

        def g_loss(made):
            f, v = case.discriminate(d, "features", made.images)
            decoded, v = case.discriminate(v, "reconstruct", f, sentence, _noise(case, 6, 1))
            f, v = case.discriminate(v, "features", made.images)
            (fits, unconditional), _ = case.discriminate(v, "judge", f, sentence)
            terms = {
                f"g_loss{i}": jnp.mean(bce(fits[i], 1.0) + bce(unconditional[i], 1.0))
                for i in range(SCALES)
            }
            damsm = case.damsm(made.images[-1])
            total = sum(terms.values()) + case.arrays["config/lam"] * sum(damsm.values())
            terms |= {**damsm, "kl": gaussian_kl(made.mu, made.logvar)}
            terms["sdl"] = _disentangling(made, real)[2]
            total += terms["kl"] + terms["sdl"]
            for i, weight in enumerate(_G_DAL):
                terms[f"dal_norm{i}"] = batch_norm_distance(decoded[i].image, real[0])
                total += weight * terms[f"dal_norm{i}"]
            return total, {**terms, "total": total}

        slopes, r["g_terms"] = jax.grad(g_loss, has_aux=True)(made)
        (r["g_grads"],) = pull(slopes)
        return r

    return run(case.g, case.d)


def _check_stage(case, stage, parts, inner):
    """What the module of one stage makes, and what goes in and out of it."""
    key = f"train/sdm{stage}"
    rows = len(case.text.sentence)
    last = f"context_res{case.generator.residual_blocks}"
    features, codes = parts.features, parts.codes
    for name, value in {
        "imgs0": features.real,
        "c_code0": inner["attention"]["__call__"][0][0],
        "c_code1": inner[last]["__call__"][0],
        "x11": features.context[0],
        "r11": features.context[1],
        "x12": features.image[0],
        "r12": features.image[1],
        "sita": inner["sdm"]["context_mask2"]["__call__"][0] / rows,
        "sitaa": inner["sdm"]["image_mask2"]["__call__"][0] / rows,
        "out_code": inner["__call__"][0][0],
    }.items():
        case.check_map(value, f"{key}/{name}")
    for name, value in {
        "vx11": codes.context[0],
        "rx11": codes.context[1],
        "vx12": codes.image[0],
        "rx12": codes.image[1],
        "imgs": codes.real,
    }.items():
        close(value, case.arrays[f"{key}/{name}"], f"{key}/{name}")


def _check_generator(case, r):
    made, state, losses, errors, total = r["g"]
    case.check_made(made, "train")
    case.check_made(r["evaluated"], "eval")
    case.check_made(r["scale64"], "eval_scale64")
    for stage in (2, 3):
        inner = state["intermediates"][f"stage{stage}"]
        _check_stage(case, stage, made.disentangled[stage - 2], inner)
        loss, error = losses[stage - 2], errors[stage - 2]
        gold = {k: case.arrays[f"train/gnet/{k}"] for k in ("loss1", "loss2")}
        close(loss, gold[f"loss{stage - 1}"], f"loss of stage {stage}", 1e-5)
        close(error, case.arrays[f"train/gnet/loss_gtimage{stage - 1}"], "reconstruction")
        case.check_map(made.disentangled[stage - 2].reconstruction, f"train/gnet/GT_img{stage}")
    close(gaussian_kl(made.mu, made.logvar), case.arrays["train/kl"], "kl")
    close(total, case.arrays["train/sdl_total"], "SDL and reconstruction", 1e-5)
    kept = {"batch_stats": state["batch_stats"]}
    exported = RELEASE.export_generator(case.generator, kept, counts=False)
    case.check_after(exported, "train/G_after")
    case.check_g_gradients(r["sdl_grads"], "G_grad_sdl")


def _check_discriminators(case, r):
    case.check_judged(r["features"], r["judged"])
    terms, logits, variables, decoded, inner, features = r["d"]
    case.check_probabilities(logits)
    for i in range(SCALES):
        found = r["decoded"][i]
        case.check_map(found.image, f"D{i}_eval/recon")
        close(found.mu, case.arrays[f"D{i}_eval/muD"], "mu")
        close(found.logvar, case.arrays[f"D{i}_eval/logvarD"], "logvar")
        key = f"D{i}_loss"
        for name, value in terms[i].items():
            close(value, case.arrays[f"{key}/{name}"], f"{key}/{name}")
        for kind, every in decoded.items():
            case.check_map(every[i].image, f"{key}/recon_{kind}")
            close(every[i].mu, case.arrays[f"{key}/muD_{kind}"], "mu")
            close(every[i].logvar, case.arrays[f"{key}/logvarD_{kind}"], "logvar")
        pooled = jnp.mean(features[i].deep, axis=(1, 2), keepdims=True)
        close(pooled, nhwc(case.arrays[f"{key}/real_x_code41"]), "pooled features")
        branch = inner[f"nets_{i}"]["dnm"]
        for name, (code, _, _) in zip(
            ("real_c_code", "real_image_code"), branch["ca"]["__call__"], strict=True
        ):
            close(code, case.arrays[f"{key}/{name}"], name)
        case.check_map(branch["decoder"]["__call__"][0], f"{key}/real_h_code1")
    case.check_d(r["d_grads"], variables)


def _released(golden):
    case = Case(golden, RELEASE)
    r = _run(case)
    _check_generator(case, r)
    _check_discriminators(case, r)
    for name, value in r["g_terms"].items():
        close(value, golden[f"G_loss/{name}"], name)
    case.check_g_gradients(r["g_grads"], "G_grad")
    assert np.isfinite(r["g_terms"]["total"])


def _step(golden):
    """With the file's noise; D's objective is traced twice, see `Case.grad_as_released`."""
    case = Case(golden, RELEASE)
    of_d = [_noise(case, 0, 2), _noise(case, 1, 2)]
    check(golden, RELEASE, Recipe, "total", noise=[*of_d, *of_d, _noise(case, 6, 1)])


CASES = {"released": _released, "step": _step}
