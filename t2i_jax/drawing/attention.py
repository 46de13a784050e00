"""Pictures of attention: for each word of a caption, where in the image it was read.

As in AttnGAN (Xu et al., CVPR 2018), figure 4: the image, darkened where a word has little weight.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from t2i_jax import pictures

_DARKEST = 0.2  # what is left of the image where a word has no weight


def overlay(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """An image [H, W, 3] uint8 lit by a map [h, w] of weights >= 0, which is enlarged smoothly and
    scaled so that its largest weight leaves the image as it is.
    """
    height, width = image.shape[:2]
    light = cv2.resize(weights.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    light = light / max(float(light.max()), 1e-12)
    lit = image * (_DARKEST + (1 - _DARKEST) * light[..., None])
    return np.round(lit).astype(np.uint8)


def picture(
    images: np.ndarray, maps: np.ndarray, words: Sequence[Sequence[str]], titles: Sequence[str]
) -> Image.Image:
    """A line an image: the image, then for every word of its caption the image lit by its weights.

    images: [N, H, W, 3] uint8. maps: [N, h, w, T]. words: of each image's caption, at most T; words
    beyond it are padding. titles: one an image.

    Raises ValueError where their numbers differ, or no caption has words.
    """
    if not len(images) == len(maps) == len(words) == len(titles):
        raise ValueError(
            f"{len(images)} images, {len(maps)} maps, {len(words)} captions' words and "
            f"{len(titles)} titles: there must be one of each for every image"
        )
    lines = []
    for image, weights, read, title in zip(images, maps, words, titles, strict=True):
        tiles = [image, *(overlay(image, weights[..., t]) for t in range(len(read)))]
        lines.append((title, pictures.grid(tiles, ["", *read], columns=len(tiles), cell=96)))
    return pictures.titled(lines)
