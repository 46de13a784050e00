"""What the parity cases of AttnGAN, DM-GAN and DR-GAN share.

Their golden files hold numbers that the authors' own modules gave in double precision, with the
random draws supplied. Maps are stored as views: strided, statistics over space, two corners.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from parity._compare import close, nhwc, section
from t2i_jax.interop.three_stage import Release
from t2i_jax.losses.adversarial import bce
from t2i_jax.losses.damsm import sentence_losses, word_losses
from t2i_jax.models.spectral_norm import SpectralConv
from t2i_jax.types import Text

SCALES = 3
VALUES = 2e-4  # of forward passes, whose 256-px images differ most
GRADIENTS = 1e-3
FIRST_LAYER = 3e-2  # see `Case.check_gradients`


class Case:
    """Networks and inputs of one golden file, the networks with the released mask order."""

    def __init__(self, arrays, release: Release):
        self.arrays, self.release = arrays, release
        generator, self.g = release.import_generator(section(arrays, "G/"))
        self.generator = generator.clone(mask_order="tiled")
        states = [section(arrays, f"D{i}/") for i in range(SCALES)]
        self.discriminator, self.d = release.import_discriminator(states)
        real = nhwc(arrays["in/real256_u8"]).astype(np.float32) / 127.5 - 1
        self.real = tuple(real[:, ::k, ::k] for k in (4, 2, 1))
        self.text = Text(
            arrays["in/sent_emb"], arrays["in/words_emb"].transpose(0, 2, 1), ~arrays["in/mask"]
        )
        self.noise = {"z": arrays["in/z"], "eps": arrays["in/eps_ca"]}

    def generate(self, variables, train, generator=None, real=None, capture=None):
        """(Generated, new state)."""
        return (generator or self.generator).apply(
            variables,
            self.noise,
            *self.text,
            train=train,
            real=real,
            mutable=["batch_stats"] if train else [],
            capture_intermediates=capture or False,
        )

    def discriminate(self, variables, method, *args, train=True, capture=None):
        """(what the method gives, variables after it)."""
        out, state = self.discriminator.apply(
            variables,
            *args,
            train=train,
            method=method,
            mutable=["batch_stats", "spectral"] if train else [],
            capture_intermediates=capture or False,
        )
        return out, {**variables, **state}

    def grad_as_released(self, loss, params, spectral_of):
        """``jax.grad(loss, has_aux=True)(params)`` as the release computes it under spectral norm.

        It overwrites its singular vectors in place at every call, and its backward pass runs when
        all calls are done: the gradient of an earlier call's singular value is that of the last
        call's vectors. Values are not touched.

        spectral_of: (what `loss` returns beside its value) -> the singular vectors at the end.
        """
        final = jax.lax.stop_gradient(spectral_of(loss(params)[1]))

        def late(call, args, kwargs, context):
            layer, result = context.module, call(*args, **kwargs)
            if not isinstance(layer, SpectralConv):
                return result
            own, last = layer.variables["spectral"], final
            for name in layer.path:
                last = last[name]
            kernel, bias = (
                layer.variables["params"]["conv"]["kernel"],
                layer.variables["params"]["bias"],
            )
            matrix = kernel.reshape(-1, kernel.shape[-1])
            sigma, other = (x["v"] @ matrix @ x["u"] for x in (own, last))
            other += jax.lax.stop_gradient(sigma - other)
            return (result - bias) * (sigma / other) + bias

        with nn.intercept_methods(late):
            return jax.grad(loss, has_aux=True)(params)

    def adversarial_d(self, variables, real, fake):
        """D's losses of every scale, the logits by pair, and the variables after the passes, from
        the features of real and fake images. The wrong pairs shift the sentences by one.
        """
        sentence = self.text.sentence
        shifted = jax.tree.map(lambda x: x[:-1], real)
        logits = {}
        for kind, features, s in (
            ("real", real, sentence),
            ("fake", fake, sentence),
            ("wrong", shifted, sentence[1:]),
        ):
            logits[kind], variables = self.discriminate(variables, "judge", features, s)
        losses = []
        for i in range(SCALES):
            accepted = [x[i] for x in logits["real"]]
            refused = [x[i] for x in (*logits["fake"], logits["wrong"][0])]
            losses.append(
                sum(jnp.mean(bce(x, 1.0)) for x in accepted) / 2
                + sum(jnp.mean(bce(x, 0.0)) for x in refused) / 3
            )
        return losses, logits, variables

    def damsm(self, image):
        """The four DAMSM losses with the stand-in for the image encoder."""
        a, b = self.arrays["in/stub_A"], self.arrays["in/stub_B"]
        grid = image[:, 8::16, 8::16]
        regions = jnp.einsum("ec,bhwc->bhwe", a, grid).reshape(len(image), -1, len(a))
        codes = jnp.mean(regions, axis=1) @ b.T
        labels = self.arrays["in/class_ids"]
        words = word_losses(regions, self.text, labels=labels)
        sentences = sentence_losses(codes, self.text.sentence, labels=labels)
        return dict(zip(("w0", "w1", "s0", "s1"), (*words, *sentences), strict=True))

    def check_map(self, x, name, tolerance=VALUES):
        """The views of a map [B, H, W, C]."""
        x = np.transpose(np.asarray(x), (0, 3, 1, 2))
        side = x.shape[-1]
        stride = side // self.arrays[f"{name}/sub"].shape[-1]
        views = {"sub": x[..., ::stride, ::stride], "mean": x.mean((2, 3)), "std": x.std((2, 3))}
        if side > 32:
            views |= {"tl": x[..., :12, :12], "br": x[..., -12:, -12:]}
        for view, value in views.items():
            close(value, self.arrays[f"{name}/{view}"], f"{name}/{view}", tolerance, 1e-6)

    def check_made(self, made, prefix):
        """Images, and what else of the generator's result is there."""
        for i, image in enumerate(made.images):
            self.check_map(image, f"{prefix}/fake{i}")
        for i, weights in enumerate(made.attention):
            if f"{prefix}/att{i}/sub" in self.arrays:
                self.check_map(weights, f"{prefix}/att{i}")
        for name in ("mu", "logvar"):
            if f"{prefix}/{name}" in self.arrays:
                close(getattr(made, name), self.arrays[f"{prefix}/{name}"], name)

    def check_probabilities(self, logits):
        """Of D's losses."""
        for i in range(SCALES):
            for kind, (fits, real) in logits.items():
                found = {f"cond_{kind}": fits[i], f"uncond_{kind}": real[i]}
                for name in found:
                    key = f"D{i}_loss/{name}"
                    if key in self.arrays:
                        close(jax.nn.sigmoid(found[name]), self.arrays[key], key)

    def check_judged(self, features, logits):
        """D in evaluation mode on the real images."""
        fits, real = logits
        for i in range(SCALES):
            key = f"D{i}_eval"
            close(features[i].last, nhwc(self.arrays[f"{key}/features"]), f"{key}/features")
            close(jax.nn.sigmoid(real[i]), self.arrays[f"{key}/uncond"], f"{key}/uncond")
            close(jax.nn.sigmoid(fits[i]), self.arrays[f"{key}/cond"], f"{key}/cond")

    def check_after(self, found, prefix):
        """Running statistics and singular vectors, in the release's names."""
        for name, expected in section(self.arrays, f"{prefix}/").items():
            if not any(name.startswith(f"h_net{i}.{d}") for i in (2, 3) for d in self.release.dead):
                close(found[name], expected, f"{prefix}/{name}")

    def check_gradients(self, grads, prefix):
        """Norms, and some gradients in full. That of a bias before a batch norm is rounding.

        Pixels and weights are small whole numbers times a constant, so that some results of D's
        first layer are 0 exactly: rounding decides on which side of the LeakyReLU they fall.
        """
        names = [n for n in section(self.arrays, f"{prefix}/norm/") if "reduction.0.bias" not in n]
        assert names
        first = {n for n in names if n.startswith("img_code_s16.0.")}
        for name in names:
            key = f"{prefix}/norm/{name}"
            tolerance = FIRST_LAYER if name in first else GRADIENTS
            close(np.linalg.norm(grads[name]), self.arrays[key], key, tolerance)
        for name, expected in section(self.arrays, f"{prefix}/full/").items():
            tolerance = FIRST_LAYER if name in first else GRADIENTS
            close(grads[name], expected, f"{prefix}/full/{name}", tolerance)

    def check_g_gradients(self, grads, prefix):
        """Of G's parameters."""
        exported = self.release.export_generator(self.generator, {"params": grads}, counts=False)
        self.check_gradients(exported, prefix)

    def check_d(self, grads, variables):
        """D's gradients, and its statistics after the loss."""
        export = self.release.export_discriminator
        exported = export(self.discriminator, {"params": grads}, counts=False)
        state = {k: v for k, v in variables.items() if k != "params"}
        kept = export(self.discriminator, {"params": variables["params"], **state}, counts=False)
        for i in range(SCALES):
            self.check_gradients(exported[i], f"D{i}_grad")
            self.check_after(kept[i], f"D{i}_after")
