"""The captions of a toy bird, by a small grammar.

Every wording is a template such as "{wing} wings", in which the writer fills in the attribute's
value. The style is that of the CUB captions of Reed et al. (CVPR 2016).
"""

import re

import numpy as np

from t2i_jax.data.toy_birds.attributes import value_names

MAX_LENGTH = 120

# How a value is worded where that isn't its name.
_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "size": {
        "small": ("small", "tiny"),
        "medium": ("medium sized", "medium-sized"),
        "large": ("large", "big"),
    },
    "beak_shape": {
        "short": ("short", "stubby"),
        "long": ("long", "pointy"),
        "hooked": ("hooked", "curved"),
    },
    "pose": {
        "upright": ("sitting upright", "standing tall"),
        "leaning": ("leaning forward", "bending forward"),
    },
    "perch": {
        "branch": ("on a branch", "on a twig"),
        "rock": ("on a rock", "on a stone"),
        "post": ("on a post", "on a wooden post"),
        "grass": ("in the grass", "on the grass"),
    },
    "background": {
        "sky": ("under a clear sky", "against the sky"),
        "leaves": ("among the leaves", "in front of leaves"),
        "dusk": ("at dusk", "in the evening light"),
        "snow": ("in the snow", "on a snowy day"),
    },
}

# Templates by the attributes that they state (space-separated, in the order of _MENTION).
_BIRDS = {
    "": "bird",
    "body": "{body} bird",
    "size": "{size} bird",
    "body size": "{size} {body} bird",
}
_STATEMENTS = {
    "body": "bird is {body}",
    "size": "bird is {size}",
    "body size": "bird is {size} and {body}",
}
_PARTS: dict[str, tuple[str, ...]] = {
    "wing": ("{wing} wings", "{wing} wings", "wings that are {wing}"),
    "breast": ("a {breast} breast", "a {breast} belly", "a {breast} chest"),
    "crown": ("a {crown} crown", "a {crown} crown", "a {crown} cap"),
    "beak": ("a {beak} beak", "a {beak} bill"),
    "beak_shape": ("a {beak_shape} beak", "a {beak_shape} bill"),
    "beak beak_shape": ("a {beak_shape} {beak} beak", "a {beak_shape} {beak} bill"),
}
_CLAUSES: dict[str, tuple[str, ...]] = {
    "wing": ("its wings are {wing}", "the wings are {wing}"),
    "breast": ("its breast is {breast}", "the belly is {breast}"),
    "crown": ("its crown is {crown}", "the crown is {crown}"),
    "beak": ("its beak is {beak}", "the bill is {beak}"),
    "beak_shape": ("its beak is {beak_shape}", "the bill is {beak_shape}"),
    "beak beak_shape": (
        "its beak is {beak_shape} and {beak}",
        "the bill is {beak_shape} and {beak}",
    ),
}
_SCENES = {"pose": "{pose}", "perch": "{perch}", "background": "{background}"}

# How often a caption mentions each attribute: mostly the plumage, seldom the scenery.
_MENTION = {
    "body": 0.75,
    "wing": 0.5,
    "breast": 0.4,
    "crown": 0.5,
    "beak": 0.3,
    "beak_shape": 0.25,
    "size": 0.3,
    "pose": 0.06,
    "perch": 0.15,
    "background": 0.12,
}
_MOST_FACTS = 5
_THIS = ("this", "the")


def wordings(attribute: str, value: str) -> tuple[str, ...]:
    """The ways to say that an attribute has a value, the value's name where no other is known."""
    return _WORDS.get(attribute, {}).get(value, (value,))


class _Writer:
    """Writes sentences about one image."""

    def __init__(self, attributes: dict[str, int], generator: np.random.Generator):
        self.values = value_names(attributes)
        self.generator = generator

    def chance(self, probability: float) -> bool:
        return self.generator.random() < probability

    def pick(self, options):
        return options[int(self.generator.random() * len(options))]

    def fill(self, template: str) -> str:
        """The template with a wording of each attribute's value."""
        return re.sub(
            r"{(\w+)}", lambda slot: self.pick(wordings(slot[1], self.values[slot[1]])), template
        )

    def choose(self) -> list[str]:
        """The attributes to mention: two to five, at least one of them of the plumage."""
        while True:
            chosen = [name for name, share in _MENTION.items() if self.chance(share)]
            plumage = {"body", "wing", "breast", "crown"} & set(chosen)
            if 2 <= len(chosen) <= _MOST_FACTS and plumage:
                return chosen

    def scene(self, chosen: list[str]) -> str:
        """Where and how it sits, with a leading space: " sitting upright on a branch at dusk"."""
        words = [self.fill(template) for name, template in _SCENES.items() if name in chosen]
        if "perch" in chosen and "pose" not in chosen:
            words.insert(0, self.pick(("sitting", "perched", "resting")))
        return "".join(f" {word}" for word in words)

    def parts(self, chosen: list[str]) -> list[str]:
        """The keys of _PARTS that the chosen attributes need, in random order."""
        beak = " ".join(name for name in ("beak", "beak_shape") if name in chosen)
        keys = [name for name in ("wing", "breast", "crown") if name in chosen]
        keys += [beak] if beak else []
        order = self.generator.random(len(keys))
        return [key for _, key in sorted(zip(order, keys, strict=True))]

    def listing(self, keys: list[str]) -> str:
        phrases = [self.fill(self.pick(_PARTS[key])) for key in keys]
        if len(phrases) == 1:
            return phrases[0]
        comma = "," if len(phrases) > 2 and self.chance(0.5) else ""
        return f"{', '.join(phrases[:-1])}{comma} and {phrases[-1]}"

    def sentence(self, chosen: list[str]) -> str:
        """One sentence that states just the chosen attributes."""
        subject = " ".join(name for name in ("body", "size") if name in chosen)
        scene, keys = self.scene(chosen), self.parts(chosen)
        if not keys:
            opening = self.pick(("this is a", "a", "the photo shows a"))
            return f"{opening} {self.fill(_BIRDS[subject])}{scene}"
        tail = ""
        if len(keys) > 1 and self.chance(0.25):
            tail = f", and {self.fill(self.pick(_CLAUSES[keys.pop()]))}"
        listing = self.listing(keys)
        if subject and not scene and self.chance(0.4):
            statement = self.fill(_STATEMENTS[subject])
            link = self.pick(("with", "and has"))
            return f"{self.pick(_THIS)} {statement} {link} {listing}{tail}"
        bird = self.fill(_BIRDS[subject])
        if self.chance(0.5):
            return f"{self.pick(_THIS)} {bird}{scene} has {listing}{tail}"
        return f"a {bird}{scene} with {listing}{tail}"


def write_captions(
    attributes: dict[str, int], generator: np.random.Generator, count: int = 10
) -> list[str]:
    """Distinct true captions of an image: lower case, at most `MAX_LENGTH` characters.

    Args:
        attributes: the integer label of every attribute.
        generator: where all randomness comes from.
        count: how many captions.
    """
    writer = _Writer(attributes, generator)
    captions: dict[str, None] = {}
    while len(captions) < count:
        caption = writer.sentence(writer.choose()) + ("." if writer.chance(0.3) else "")
        caption = re.sub(r"\ba (?=[aeiou])", "an ", caption)
        if len(caption) <= MAX_LENGTH:
            captions[caption] = None
    return list(captions)
