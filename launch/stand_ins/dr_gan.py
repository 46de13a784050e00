"""DR-GAN (Tan et al., TNNLS 2023) under torch, as the authors' trainer runs it: AttnGAN's step
(`stand_ins.attn_gan`) with the passes of two modules.

G's pass also encodes the real images of the lower scales and decodes them by its own image heads.
Every D reconstructs the real and the fake images from its features, in D's update and, the fakes,
in G's. In the release G's update passes the fakes through the trunks of all Ds twice, once for the
reconstructions and once for the answers; the paper's form needs one pass. The authors' second pass
also reconstructs, which nothing reads and is left out. Spectral normalisation is torch's own and
makes a power iteration in every call of a layer, as the authors' does.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from stand_ins import attn_gan
from stand_ins.attn_gan import add
from stand_ins.base import gaussian_kl
from stand_ins.dr_gan_networks import Discriminator, Generator, Pair, Split

OF_STAGES = ("sdl", "sdl_image", "sdl_context", "rirm")


class Step(attn_gan.Step):
    """One train step of DR-GAN."""

    def networks(self, g, d, embedding: int, sizes):
        """ValueError without the modules, which are what the system is."""
        if not (g["sdm"] and d["dnm"] and d["norm"] == "spectral"):
            raise ValueError("the stand-in needs both modules and norm='spectral'")
        self.released = d["dnm_form"] == "released"
        sides = [sizes[0] if self.released else size for size in sizes]
        pairs = zip(sizes, sides, strict=True)
        return Generator(g, embedding), [Discriminator(d, *pair, embedding) for pair in pairs]

    def update(self) -> dict[str, Tensor]:
        """The Ds of all scales in turn, then G."""
        text, wrong = self.read()
        real = self.real if any(self.on(f"g/{term}") for term in OF_STAGES) else None
        with self.autocast():
            fakes, mu, logvar, compared = self.g(*self.noise(), *text, real)
        losses: dict[str, Tensor] = {}
        for i, (d, fake) in enumerate(zip(self.ds, fakes, strict=True)):
            with self.autocast():
                terms = self.of_one_d(i, d, fake.detach(), text[0], wrong)
            self.descend(d, "d", terms)
            add(losses, terms)
        terms: dict[str, Tensor] = {}
        asked = self.on("g/dnm_image") or self.on("g/dnm_kl")
        for i, (d, fake) in enumerate(zip(self.ds, fakes, strict=True)):
            with self.autocast():
                last, deep = d.trunk(fake)
                if asked:
                    add(terms, self.reconstructed(i, d, deep, text[0]))
                    last = d.trunk(fake)[0] if self.released else last
                add(terms, self.judged("g", "fake", d, last, text[0], 1.0))
        terms |= self.g_terms(fakes[-1], mu, logvar, text) | self.of_stages(compared)
        self.descend(self.g, "g", terms)
        return losses | terms

    def of_one_d(self, i: int, d: Discriminator, fake: Tensor, sentence: Tensor, wrong):
        """D's terms of scale `i`."""
        images, last, found = {"real": self.real[i], "fake": fake}, {}, {}
        lowest = self.real[0]
        for kind, x in images.items():
            last[kind], deep = d.trunk(x)
            asked = [name for name in (f"d/dnm_{kind}", f"d/dnm_kl_{kind}") if self.on(name)]
            if not asked:
                continue
            again, mu, logvar = d.dnm(deep, sentence)
            if self.released:
                x = lowest if kind == "real" else reduced(x, lowest.shape[-1])
            terms = {f"d/dnm_{kind}": self.distance(again, x)}
            terms[f"d/dnm_kl_{kind}"] = gaussian_kl(mu, logvar)
            found |= {name: terms[name] for name in asked}
        return self.d_terms(d, last["real"], last["fake"], sentence, wrong) | found

    def reconstructed(self, i: int, d: Discriminator, deep: Tensor, sentence: Tensor):
        """G's terms from the reconstructions of the fakes of scale `i`."""
        again, mu, logvar = d.dnm(deep, sentence)
        factors = self.config["recipe"]["dnm_scales"]
        distance = self.distance(again, self.real[0 if self.released else i])
        terms = {"g/dnm_image": (factors[i] if factors else 1.0) * distance}
        terms["g/dnm_kl"] = gaussian_kl(mu, logvar)
        return {name: value for name, value in terms.items() if self.on(name)}

    def distance(self, again: Tensor, target: Tensor) -> Tensor:
        """Of images from what they should be."""
        difference = again - target
        return difference.norm() if self.released else difference.abs().mean()

    def of_stages(self, compared: list[Split]) -> dict[str, Tensor]:
        """G's weighted terms of its stages."""
        if not compared:
            return {}
        pairs = list(zip(compared, self.real, strict=False))
        if self.config["generator"]["sdm_form"] == "released":
            sides = [x.shape[-1] for _, x in pairs]
            stages = zip(compared, sides, strict=True)
            exponent = sum(
                (released(x.image, x.real, side) + released(x.context, x.real, side)) / side**2
                for x, side in stages
            )
            found = {"g/sdl": 10.1**exponent}
            squares = ((s.again - x).float().square().sum() / x[0, 0].numel() for s, x in pairs)
            found["g/rirm"] = sum(squares)
        else:
            found = {
                "g/sdl_image": sum(disentangling(x.image, x.real) for x in compared),
                "g/sdl_context": sum(disentangling(x.context, x.real) for x in compared),
                "g/rirm": sum((s.again - x).float().abs().mean() for s, x in pairs),
            }
        return {name: value for name, value in found.items() if self.on(name)}


def reduced(images: Tensor, side: int) -> Tensor:
    """Bilinear, of the nearest four pixels."""
    if images.shape[-1] == side:
        return images
    return F.interpolate(images, side, mode="bilinear", align_corners=False)


def disentangling(pair: Pair, real: Tensor) -> Tensor:
    """Key features' means and variances over space are to be nearer to the real ones' than the
    rest's.
    """
    total = 0.0
    for near, far, target in zip(*map(moments, (*pair, real)), strict=True):
        margin = (near - target).norm(dim=1) - (far - target).norm(dim=1)
        total = total + F.softplus(margin).mean()
    return total


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """[B, C, H, W] -> mean and variance [B, C]."""
    variance, mean = torch.var_mean(x.float(), (2, 3), correction=0)
    return mean, variance


def released(pair: Pair, real: Tensor, side: int) -> Tensor:
    """The same of batch means of vectors, in the form of the authors' code, whose terms of
    variances are constant.
    """
    target = real.mean(0)
    near, far = ((x.mean(0) - target).square().sum() / side for x in pair)
    return F.softplus(near - far) + near.exp() + math.log(2.0) + 1.0
