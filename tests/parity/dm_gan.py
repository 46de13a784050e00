"""DM-GAN against the authors' PyTorch modules, run in double precision."""

import jax
import jax.numpy as jnp
import numpy as np

from parity._compare import close
from parity._three_stage import Case
from parity._three_stage_step import check
from t2i_jax.interop.dm_gan import RELEASE
from t2i_jax.losses.regularizers import gaussian_kl
from t2i_jax.recipes.dm_gan import Recipe

_CAPTURED = ("gate_words", "gate_image", "key", "value", "write_words", "response", "res1")


def _run(case):
    """Everything the file holds, in one compiled program."""

    def capture(module, method):
        return module.name in _CAPTURED or (module.name or "").startswith("stage")

    @jax.jit
    def run(g, d):
        r = {}

        def probe(params):
            made, state = case.generate({**g, "params": params}, train=True, capture=capture)
            squares = sum(jnp.mean(jnp.square(x)) for x in made.images)
            loss = squares + gaussian_kl(made.mu, made.logvar)
            return loss, (loss, made, state)

        r["probe_grads"], (r["probe"], r["made"], r["g_state"]) = jax.grad(probe, has_aux=True)(
            g["params"]
        )
        r["evaluated"], _ = case.generate(g, train=False)

        def d_loss(params):
            variables = {**d, "params": params}
            real, variables = case.discriminate(variables, "features", case.real)
            fake, variables = case.discriminate(variables, "features", r["made"].images)
            losses, _, variables = case.adversarial_d(variables, real, fake)
            return sum(losses), (losses, variables)

        r["d_grads"], r["d"] = case.grad_as_released(
            d_loss, d["params"], lambda aux: aux[1]["spectral"]
        )
        return r

    return run(case.g, case.d)


def _check_memory(case, stage, inner, attention):
    """The steps of a stage's memory, from what its layers gave before their activations."""
    outs = {name: np.asarray(inner[name]["__call__"][0]) for name in _CAPTURED if name != "res1"}
    values = np.maximum(outs["value"], 0)
    read = np.einsum("bhwt,btc->bhwc", attention, values)
    gate = jax.nn.sigmoid(outs["gate_words"] + outs["gate_image"])
    for name, value in (
        ("writing_gate", gate),
        ("key", np.maximum(outs["key"], 0)),
        ("value", values),
    ):
        key = f"train/mem{stage}/{name}"
        close(value, case.arrays[key].transpose(0, 2, 1), key)
    case.check_map(read, f"train/mem{stage}/memory_out")
    case.check_map(jax.nn.sigmoid(outs["response"]), f"train/mem{stage}/response_gate")
    case.check_map(inner["__call__"][0][0], f"train/mem{stage}/out_code")


def _released(golden):
    case = Case(golden, RELEASE)
    r = _run(case)
    case.check_made(r["made"], "train")
    case.check_made(r["evaluated"], "eval")
    for stage in (2, 3):
        inner = r["g_state"]["intermediates"][f"stage{stage}"]
        _check_memory(case, stage, inner, np.asarray(r["made"].attention[stage - 2]))
    close(r["probe"], golden["probe_loss"], "probe")
    case.check_g_gradients(r["probe_grads"], "probe_grad")
    losses, variables = r["d"]
    for i, loss in enumerate(losses):
        close(loss, golden[f"D{i}_loss/errD"], f"loss of D{i}")
    case.check_d(r["d_grads"], variables)


def _step(golden):
    """Of D alone: the file has no objective of G."""
    check(golden, RELEASE, Recipe, of_g=False)


CASES = {"released": _released, "step": _step}
