"""Zero-shot classification and retrieval of images by text, Reed et al. (CVPR 2016), section 5.

Image and text vectors come from a trained pair of encoders; scores are plain dot products. All
functions are NumPy on the host.
"""

from collections.abc import Sequence

import numpy as np


def class_vectors(captions: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """A class's text vector: the mean of all its captions' vectors.

    captions: [N, E]; classes: [N] int in 0..num_classes-1; returns [num_classes, E]. Raises
    ValueError for a class without captions.
    """
    counts = np.bincount(classes, minlength=num_classes)
    if len(counts) != num_classes or not counts.all():
        raise ValueError(
            f"{len(classes)} captions of classes up to {len(counts) - 1} for {num_classes} "
            f"classes; without a caption: {np.flatnonzero(counts == 0)[:10].tolist()}"
        )
    sums = np.zeros((num_classes, captions.shape[1]))
    np.add.at(sums, classes, captions)
    return (sums / counts[:, None]).astype(captions.dtype)


def top1(images: np.ndarray, image_classes: np.ndarray, class_text: np.ndarray) -> float:
    """Share of the images, in 0..1, whose best-scoring class is their own.

    images: [N, E]; image_classes: [N] int, rows of class_text [K, E].
    """
    best = np.argmax(images @ class_text.T, axis=1)
    return float(np.mean(best == image_classes))


def precision_at(
    images: np.ndarray, image_classes: np.ndarray, class_text: np.ndarray, ranks: Sequence[int]
) -> dict[int, float]:
    """Precision at each rank k, in 0..1, called AP@k in the paper.

    All images are ranked by their score with each class's vector; the share of the class's own
    images among the first k, averaged over the classes. Shapes as in `top1`. Raises ValueError
    where there are fewer than k images.
    """
    if not ranks or min(ranks) < 1 or max(ranks) > len(images):
        raise ValueError(f"ranks must be in 1..{len(images)} (the images), not {list(ranks)}")
    order = np.argsort(-(class_text @ images.T), axis=1, kind="stable")
    hits = image_classes[order] == np.arange(len(class_text))[:, None]
    return {k: float(np.mean(hits[:, :k])) for k in ranks}
