"""AttnGAN (Xu et al., CVPR 2018) as the authors' trainer runs it under PyTorch.

One step: the frozen text encoder reads the captions; G draws the images of all scales once. The
trunk of each D passes over real and over detached fake images, its heads judge real, fake and, in
the release's form, wrong pairs (the batch's own, shifted by one row); each D has an Adam of its
own. Then all updated Ds and DAMSM's frozen image encoder, in evaluation mode, look at the same
fakes, attached, and G is updated through them. DR-GAN's modules are not here.
"""

import torch
from torch import Tensor, nn

from stand_ins import damsm
from stand_ins.base import GanStep, bce, gaussian_kl
from stand_ins.blocks import (
    ConditioningAugmentation,
    FirstStage,
    Glu,
    Join,
    Logit,
    Residual,
    down_trunk,
    image_head,
    up_block,
)


class WordAttention(nn.Module):
    """What every position of a map [B, C, H, W] reads from words [B, T, E]: [B, C, H, W].

    tiled: the release's order of the masks, in which a row has another caption's.
    """

    def __init__(self, width: int, words: int, tiled: bool):
        super().__init__()
        self.project, self.tiled = nn.Linear(words, width, bias=False), tiled

    def forward(self, x: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        rows, _, *side = x.shape
        values = self.project(words)
        scores = (x.flatten(2).mT @ values.mT).float()
        if self.tiled:
            masks = padding.repeat(scores.shape[1], 1).view(rows, scores.shape[1], -1)
        else:
            masks = padding[:, None]
        weights = torch.softmax(scores.masked_fill(masks, -torch.inf), dim=2)
        return (values.mT @ weights.mT.to(values.dtype)).unflatten(2, side)


class NextStage(nn.Module):
    """A map [B, W, H, H] and words -> [B, W, 2H, 2H]."""

    def __init__(self, width: int, words: int, blocks: int, tiled: bool):
        super().__init__()
        self.attention = WordAttention(width, words, tiled)
        self.residual = nn.Sequential(*(Residual(2 * width) for _ in range(blocks)))
        self.up = up_block(2 * width, width)

    def forward(self, x: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        context = self.attention(x, words, padding)
        return self.up(self.residual(torch.cat([x, context.to(x.dtype)], dim=1)))


class Generator(nn.Module):
    """Noise, a sentence and words to an image a scale. config: the section of our config."""

    def __init__(self, config, embedding: int):
        super().__init__()
        width, condition = config["channels"], config["condition_dim"]
        self.ca = ConditioningAugmentation(embedding, condition, Glu(), config["augment"])
        stages = [FirstStage(condition + config["noise_dim"], width, config["base_size"])]
        tiled = config["mask_order"] == "tiled"
        for _ in range(1, config["scales"]):
            stages.append(NextStage(width, embedding, config["residual_blocks"], tiled))
        self.stages = nn.ModuleList(stages)
        self.heads = nn.ModuleList(image_head(width) for _ in stages)

    def forward(self, z: Tensor, eps: Tensor, sentence: Tensor, words: Tensor, padding: Tensor):
        """(images, mu, logvar); padding: [B, T] True where there is no word."""
        condition, mu, logvar = self.ca(sentence, eps)
        x, images = torch.cat([condition, z], dim=1), []
        for i, (stage, head) in enumerate(zip(self.stages, self.heads, strict=True)):
            x = stage(x, words, padding) if i else stage(x)
            images.append(head(x).float())
        return images, mu, logvar


class Discriminator(nn.Module):
    """The network of one scale: a trunk, and a head for each question."""

    def __init__(self, size: int, width: int, sentence: int):
        super().__init__()
        self.trunk, width = down_trunk(size, width)
        self.real = Logit(width)
        self.join, self.cond_logit = Join(width, sentence), Logit(width)

    def fits(self, features: Tensor, sentence: Tensor) -> Tensor:
        """Logits [B] of maps that the trunk made."""
        return self.cond_logit(self.join(features, sentence))


class Step(GanStep):
    """One train step; see the module."""

    def build(self):
        g, d = self.config["generator"], self.config["discriminator"]
        sizes = [g["base_size"] * 2**i for i in range(g["scales"])]
        fields = self.config["encoder"]["fields"]
        self.encoder = self.freeze(damsm.TextEncoder(fields))
        self.image_encoder = None
        if self.on("g/damsm_words") or self.on("g/damsm_sentence"):
            self.image_encoder = self.freeze(damsm.image_encoder(self.config, sizes[-1]))
        self.captions = self.tokens(self.encoder.vocabulary)
        self.wrong_captions = self.tokens(self.encoder.vocabulary)
        self.labels = torch.arange(self.rows, device=self.device)
        self.real = [self.images(size) for size in sizes]
        return self.networks(g, d, fields["embedding"], sizes)

    def networks(self, g, d, embedding: int, sizes):
        """G and the Ds of the sections of our config."""
        if g["sdm"] or d["dnm"]:
            raise ValueError("the stand-in has no generator.sdm and no discriminator.dnm")
        ds = [Discriminator(size, d["channels"], embedding) for size in sizes]
        return Generator(g, embedding), ds

    def update(self):
        text, wrong = self.read()
        with self.autocast():
            fakes, mu, logvar = self.g(*self.noise(), *text)
        losses: dict[str, Tensor] = {}
        for d, real, fake in zip(self.ds, self.real, fakes, strict=True):
            with self.autocast():
                maps = d.trunk(real), d.trunk(fake.detach())
                terms = self.d_terms(d, *maps, text[0], wrong)
            self.descend(d, "d", terms)
            add(losses, terms)
        terms = {}
        for d, fake in zip(self.ds, fakes, strict=True):
            with self.autocast():
                add(terms, self.judged("g", "fake", d, d.trunk(fake), text[0], 1.0))
        terms |= self.g_terms(fakes[-1], mu, logvar, text)
        self.descend(self.g, "g", terms)
        return losses | terms

    @torch.no_grad()
    def read(self):
        """((sentence, words, padding), other images' sentences or None: those of the next rows)."""
        shifted = self.config["recipe"]["mismatch"] == "shift"
        with self.autocast():
            text = *self.encoder(self.captions), self.captions == 0
            return text, None if shifted else self.encoder(self.wrong_captions)[0]

    def noise(self) -> tuple[Tensor, Tensor]:
        """z, and eps of the conditioning augmentation."""
        g = self.config["generator"]
        return self.normal(g["noise_dim"]), self.normal(g["condition_dim"])

    def g_terms(self, fake: Tensor, mu: Tensor, logvar: Tensor, text) -> dict[str, Tensor]:
        """G's weighted terms beside those of the Ds. fake: its largest images."""
        terms, (sentence, words, padding) = {}, text
        if self.image_encoder is not None:
            with self.autocast():
                regions, code = self.image_encoder(fake)
            common = self.labels, self.config["recipe"]
            if self.on("g/damsm_words"):
                terms["g/damsm_words"] = damsm.word_loss(regions, words, padding, *common)
            if self.on("g/damsm_sentence"):
                terms["g/damsm_sentence"] = damsm.sentence_loss(code, sentence, *common)
        if self.on("g/kl"):
            terms["g/kl"] = gaussian_kl(mu, logvar)
        return terms

    def d_terms(self, d: nn.Module, real: Tensor, fake: Tensor, sentence: Tensor, wrong):
        """Of one scale, from the maps of both kinds of images. wrong: see `read`."""
        losses = self.judged("d", "real", d, real, sentence, 1.0)
        losses |= self.judged("d", "fake", d, fake, sentence, 0.0)
        if self.on("d/wrong"):
            pair = (real[:-1], sentence[1:]) if wrong is None else (real, wrong)
            losses["d/wrong"] = bce(d.fits(*pair), 0.0)
        return losses

    def judged(self, player: str, kind: str, d: Discriminator, maps, sentence, label: float):
        """The weighted terms of a kind, of both heads."""
        terms = {}
        if self.on(f"{player}/{kind}"):
            terms[f"{player}/{kind}"] = bce(d.fits(maps, sentence), label)
        if self.on(f"{player}/uncond_{kind}"):
            terms[f"{player}/uncond_{kind}"] = bce(d.real(maps), label)
        return terms


def add(total: dict[str, Tensor], terms: dict[str, Tensor]) -> None:
    """Adds the terms of one scale to those of the others."""
    for name, value in terms.items():
        total[name] = total[name] + value if name in total else value
