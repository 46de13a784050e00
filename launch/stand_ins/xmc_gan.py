"""XMC-GAN under torch. The authors' code is JAX, so this is what a plain torch program of the same
layers and passes would be.

The step's passes are those of the released trainer. For every sub-batch but the last: G without
gradients, one pass of D over real and fake images together, an update of D. For the last: G, one
pass of D over both, from which D's gradient and G's are taken at the same weights, each without
what only the other needs; then both updates. Frozen networks: DAMSM's text encoder for every
sub-batch, the image network over the real images without and over the fakes with gradients.

Batch norms' running statistics also move in the passes for D alone, which nothing reads here. For
`lean` see `stand_ins.modulation`.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stand_ins import contrastive, damsm
from stand_ins.base import GanStep
from stand_ins.modulation import Caption, Norm
from stand_ins.xmc_gan_discriminator import Discriminator, Seen

GRID = 16  # side of the map that shares its attention
WIDTHS = {  # of the blocks by the image's side, in units of the channel base
    32: (16, 8, 4),
    64: (16, 8, 4, 2),
    128: (16, 8, 4, 2, 1),
    256: (16, 8, 8, 4, 2, 1),
}


class UpBlock(nn.Module):
    """A residual block that doubles the side."""

    def __init__(self, inputs: int, outputs: int, *norm):
        super().__init__()
        self.norm1, self.norm2 = Norm(inputs, *norm), Norm(outputs, *norm)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, caption: Caption) -> Tensor:
        h = F.interpolate(F.relu(self.norm1(x, caption), inplace=True), scale_factor=2)
        h = F.relu(self.norm2(self.conv1(h), caption), inplace=True)
        return self.conv2(h) + self.shortcut(F.interpolate(x, scale_factor=2))


class Generator(nn.Module):
    """Noise, a sentence and its words to an image. options: the section of our config."""

    def __init__(self, options: Mapping[str, Any], embedding: int, lean: bool = False):
        super().__init__()
        base, noise = options["channels"], options["noise_dim"]
        self.start, self.unit_words = options["start"], options["unit_words"]
        self.rho, self.first = options["rho"], 16 * base
        projects, kind = options["project_sentence"], options["attention"]
        self.sentence = nn.Linear(embedding, noise) if projects else nn.Identity()
        condition = noise + (noise if projects else embedding)
        self.fc = nn.Linear(noise if self.start == "noise" else condition, 16 * self.first)
        self.query = None
        blocks, width, side = [], self.first, 4
        sizes, rest = (condition, embedding), (options, lean)
        for multiple in WIDTHS[options["image_size"]]:
            if side == GRID and kind == "shared":
                self.query = nn.Conv2d(width, embedding, 1)
            attention = kind if side >= options["attend_from"] else "none"
            blocks.append(UpBlock(width, multiple * base, sizes, attention, *rest))
            width, side = multiple * base, 2 * side
        self.blocks = nn.ModuleList(blocks)
        last = kind if options["last_attends"] else "none"
        self.norm = Norm(width, sizes, last, *rest)
        self.image = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, z: Tensor, sentence: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        """[B, 3, S, S] in [-1, 1]. padding: [B, T], True where there is no word."""
        condition = torch.cat([self.sentence(sentence), z], 1)
        caption = Caption(
            condition, F.normalize(words, dim=2) if self.unit_words else words, padding
        )
        x = self.fc(z if self.start == "noise" else condition).view(-1, self.first, 4, 4)
        for block in self.blocks:
            if x.shape[-1] == GRID and self.query is not None:
                caption.weights = caption.attend(self.query(x), words, self.rho)
            x = block(x, caption)
        return self.image(F.relu(self.norm(x, caption), inplace=True)).tanh()


class Step(GanStep):
    """One train step of XMC-GAN."""

    def build(self):
        """ValueError for options that have no form here."""
        config, g, d = (self.config, self.config["generator"], self.config["discriminator"])
        if d["head_layers"] or config["recipe"]["augment"] or config["order"] != "simultaneous":
            raise ValueError("the stand-in has no head_layers, no augment and no alternating order")
        size, fields = g["image_size"], config["encoder"]["fields"]
        self.encoder = self.freeze(damsm.TextEncoder(fields))
        network = {"damsm": config.get("image_network", {}), "encoder": config["encoder"]}
        self.network = None
        if self.on("g/image_network") or self.on("g/perceptual"):
            self.network = self.freeze(damsm.image_encoder(network, size))
        parts = range(config["d_steps"])
        self.batches = [(self.images(size), self.tokens(self.encoder.vocabulary)) for _ in parts]
        embedding = fields["embedding"]
        words = g["attention"] != "none" or self.on("d/word") or self.on("g/word")
        d = Discriminator(d, embedding, embedding if words else 0)
        return Generator(g, embedding, self.lean), [d]

    def update(self) -> dict[str, Tensor]:
        """D on every sub-batch, G on the last."""
        (d,) = self.ds
        *earlier, last = self.batches
        for real, tokens in earlier:
            text = self.read(tokens)
            with self.autocast():
                with torch.no_grad():
                    fake = self.draw(*text)
                losses = self.d_terms(d(torch.cat([real, fake]), text[0]), text)
            self.descend(d, "d", losses)
        real, text = last[0], self.read(last[1])
        with self.autocast():
            fake = self.draw(*text)
            seen = d(torch.cat([real, fake]), text[0])
            losses = {"d": self.d_terms(seen, text), "g": self.g_terms(seen, text, real, fake)}
        for net, player in ((d, "d"), (self.g, "g")):
            self._optimizers[net].zero_grad(set_to_none=True)
            total = self.total(player, losses[player])
            total.backward(inputs=list(net.parameters()), retain_graph=player == "d")
        for net in (d, self.g):
            self._optimizers[net].step()
        return losses["d"] | losses["g"]

    @torch.no_grad()
    def read(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sentences [B, E], words [B, T, E], padding [B, T]."""
        with self.autocast():
            return *self.encoder(tokens), tokens == 0

    def draw(self, sentence: Tensor, words: Tensor, padding: Tensor) -> Tensor:
        """Images of captions, from fresh noise."""
        z = self.normal(self.config["generator"]["noise_dim"])
        return self.g(z, sentence, words, padding)

    def d_terms(self, seen: Seen, text) -> dict[str, Tensor]:
        """Contrasts of real images alone."""
        real, fake = seen.logits.float().chunk(2)
        losses = {"d/real": F.relu(1.0 - real).mean(), "d/fake": F.relu(1.0 + fake).mean()}
        return losses | self.with_text("d", seen, 0, text)

    def g_terms(self, seen: Seen, text, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Of the fakes, through D and the image network."""
        losses = {"g/fake": -seen.logits.float().chunk(2)[1].mean()}
        losses |= self.with_text("g", seen, 1, text)
        if self.on("g/image"):
            losses["g/image"] = self.contrast(*seen.pooled.chunk(2))
        if self.network is not None:
            with torch.no_grad():
                code = self.network(real)[1]
            found = self.network(fake)[1]
            if self.on("g/image_network"):
                losses["g/image_network"] = self.contrast(code, found)
            if self.on("g/perceptual"):
                losses["g/perceptual"] = F.mse_loss(found, code)
        return losses

    def with_text(self, player: str, seen: Seen, half: int, text) -> dict[str, Tensor]:
        """The weighted contrasts of one half of the images, 0 real and 1 fake, with captions."""
        losses, recipe = {}, self.config["recipe"]
        if self.on(f"{player}/sentence"):
            pooled = seen.pooled.chunk(2)[half]
            losses[f"{player}/sentence"] = self.contrast(pooled, seen.sentence)
        if self.on(f"{player}/word"):
            regions = seen.regions.chunk(2)[half]
            scores = contrastive.word_scores(regions, *text[1:], recipe["rho1"], recipe["rho2"])
            temperature = recipe["word_temperature"]
            losses[f"{player}/word"] = contrastive.nt_xent(scores / temperature, recipe)
        return losses

    def contrast(self, first: Tensor, second: Tensor) -> Tensor:
        """Of vectors, row by row."""
        recipe = self.config["recipe"]
        scores = contrastive.cosine_scores(first, second)
        return contrastive.nt_xent(scores / recipe["temperature"], recipe)
