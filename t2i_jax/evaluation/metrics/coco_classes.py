"""COCO's 80 classes of objects, and which of them a caption names."""

import re

_NAMES = """
1 person, 2 bicycle, 3 car, 4 motorcycle, 5 airplane, 6 bus, 7 train, 8 truck, 9 boat,
10 traffic light, 11 fire hydrant, 13 stop sign, 14 parking meter, 15 bench, 16 bird, 17 cat,
18 dog, 19 horse, 20 sheep, 21 cow, 22 elephant, 23 bear, 24 zebra, 25 giraffe, 27 backpack,
28 umbrella, 31 handbag, 32 tie, 33 suitcase, 34 frisbee, 35 skis, 36 snowboard, 37 sports ball,
38 kite, 39 baseball bat, 40 baseball glove, 41 skateboard, 42 surfboard, 43 tennis racket,
44 bottle, 46 wine glass, 47 cup, 48 fork, 49 knife, 50 spoon, 51 bowl, 52 banana, 53 apple,
54 sandwich, 55 orange, 56 broccoli, 57 carrot, 58 hot dog, 59 pizza, 60 donut, 61 cake, 62 chair,
63 couch, 64 potted plant, 65 bed, 67 dining table, 70 toilet, 72 tv, 73 laptop, 74 mouse,
75 remote, 76 keyboard, 77 cell phone, 78 microwave, 79 oven, 80 toaster, 81 sink, 82 refrigerator,
84 book, 85 clock, 86 vase, 87 scissors, 88 teddy bear, 89 hair drier, 90 toothbrush
"""

NAMES = {int(k): v for k, v in (row.strip().split(" ", 1) for row in _NAMES.split(","))}
"""By COCO's category id: 1 to 90 with ten gaps. Places in this order, 0 to 79, are the numbers of
Darknet's list and of SOA's files.
"""

IDS = tuple(NAMES)
PERSON = 1

_PLURALS = {
    "person": "people",
    "knife": "knives",
    "mouse": "mice",
    **{name: name for name in ("sheep", "skis", "scissors", "broccoli")},
}


def _plural(name: str) -> str:
    return _PLURALS.get(name) or name + ("es" if name.endswith(("s", "ch", "sh")) else "s")


_BY_TEXT = {text: i for i, name in NAMES.items() for text in (name, _plural(name))}
# Matches do not overlap, and what begins first is taken: a hot dog is no dog, a teddy bear no bear.
_MENTION = re.compile(rf"\b(?:{'|'.join(_BY_TEXT)})\b".replace(" ", r"[\s-]+"), re.IGNORECASE)


def mentioned(caption: str) -> list[int]:
    """Ids of the classes that a caption names, in their order: by COCO's own names of them as whole
    words, singular or plural.

    It knows no synonym ("man", "plane", "bike") and no other sense ("an orange bus"): not the rule
    that made SOA's published lists of captions, and no number by it is a paper's SOA.
    """
    found = (re.sub(r"[\s-]+", " ", m.lower()) for m in _MENTION.findall(caption))
    return sorted({_BY_TEXT[name] for name in found})
