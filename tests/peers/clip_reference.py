"""Tiny CLIP models with random weights and their folders, and what `transformers` makes of them."""

import json
import pathlib

import numpy as np

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
CAPTIONS = (
    "A photo of a Red BIRD",
    "it's a  bird's wing,\tred-black!",
    "two 12 birds & 1 Bärchen, naïve 鳥 \U0001f426",
    "",
    "...",
    "a bird sits on a very long branch of a tree and sings, and sings, and sings, and sings",
)
TEXT = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 20,
}
IMAGE = {
    "hidden_size": 32,
    "intermediate_size": 28,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 30,
    "patch_size": 10,
}
# Variants in which a fixed epsilon, activation, end or size would show.
VARIANTS = {
    "usual": ({}, {}),
    "old_end": ({"eos_token_id": 2, "hidden_act": "gelu"}, {"layer_norm_eps": 1e-2}),
    "other": (
        {"layer_norm_eps": 1e-2, "num_hidden_layers": 3, "num_attention_heads": 2},
        {"hidden_act": "gelu", "patch_size": 8, "num_attention_heads": 4},  # 30 is no multiple of 8
    ),
}


def tokenizer_files(folder: pathlib.Path) -> int:
    """Writes a small vocab.json and merges.txt; the number of ids."""
    import tokenizers

    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = ["r e", "re d</w>", "b i", "r d</w>", "bi rd</w>", "i n", "in g</w>", "' s</w>"]
    pieces = [*letters, *(f"{x}</w>" for x in letters), *(m.replace(" ", "") for m in merges)]
    # As in CLIP's own, the two special ids are the highest.
    ids = {piece: i for i, piece in enumerate([*pieces, BEGIN, END])}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    lines = ["#version: 0.2", *merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(ids)


def config_of(variant: str, ids: int) -> dict:
    """What config.json holds beside its model_type."""
    text, image = VARIANTS[variant]
    special = {"bos_token_id": ids - 2, "eos_token_id": ids - 1, "pad_token_id": ids - 1}
    return {
        "text_config": {"vocab_size": ids, **TEXT, **special, **text},
        "vision_config": {**IMAGE, **image},
        "projection_dim": 16,
    }


def folder_of(variant: str, folder: pathlib.Path) -> pathlib.Path:
    """A folder without weights, made without `transformers`."""
    ids = tokenizer_files(folder)
    config = {"model_type": "clip", **config_of(variant, ids)}
    (folder / "config.json").write_text(json.dumps(config))
    told = {
        **{"size": {"shortest_edge": 36}, "crop_size": 30, "resample": 3},
        **{"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(told))
    return folder


def tiny(variant: str, folder: pathlib.Path):
    """A model with random weights, large enough to matter, saved in `folder` with the files of
    tokenizer and preprocessing.
    """
    import torch
    import transformers

    ids = tokenizer_files(folder)
    config = transformers.CLIPConfig(**config_of(variant, ids))
    torch.manual_seed(len(variant))
    model = transformers.CLIPModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter + 0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    image_processor().save_pretrained(folder)
    return model


def image_processor(size: int = 36, crop: int = 30):
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size=crop)


def images(height: int = 40, width: int = 53, count: int = 3) -> np.ndarray:
    """uint8 noise with structure."""
    rng = np.random.default_rng(height)
    ramp = np.linspace(0, 200, width)[None, None, :, None]
    return (ramp + rng.integers(0, 56, (count, height, width, 3))).astype(np.uint8)


def vectors(model, pixels: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(of images, of captions), before they are scaled to length 1. pixels: [N, H, W, 3] float."""
    import torch

    def projected(found):
        return getattr(found, "pooler_output", found).numpy()

    with torch.no_grad():
        given = torch.tensor(pixels).permute(0, 3, 1, 2)
        tokens = torch.tensor(ids, dtype=torch.long)
        return (
            projected(model.get_image_features(pixel_values=given)),
            projected(model.get_text_features(input_ids=tokens)),
        )
