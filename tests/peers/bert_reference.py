"""What the `transformers` library computes, for tests against it; makes tests/golden/bert.npz:

python tests/peers/bert_reference.py [FOLDER_OF_MINILM]
"""

import pathlib
import sys
import tempfile

import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "bert.npz"
TINY = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 20,
    "max_position_embeddings": 9,
}
# Variants in which a fixed epsilon or activation would show.
VARIANTS = {
    "gelu": {"hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "gelu_new": {"hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
    "relu": {"hidden_act": "relu", "layer_norm_eps": 1e-5},
}
CAPTIONS = (
    "a red bird with black wings",
    "a black bird with red wings",
    "this scarlet bird has wings of black",
    "this bird has a red crown",
    "this bird does not have a red crown",
)


def tiny(variant: str, folder: pathlib.Path, safe: bool = True):
    """A model with random weights of our own, large enough to matter, also saved in `folder`."""
    import torch
    import transformers

    torch.manual_seed(len(variant))
    model = transformers.BertModel(transformers.BertConfig(**TINY, **VARIANTS[variant])).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter + 0.3 * torch.randn_like(parameter))
    model.config.save_pretrained(folder)
    if safe:
        model.save_pretrained(folder)
    else:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return model


def rows(lengths=(9, 5, 2), width: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Random ids and their mask."""
    rng = np.random.default_rng(0)
    mask = np.arange(width) < np.array(lengths)[:, None]
    return np.where(mask, rng.integers(1, TINY["vocab_size"], mask.shape), 0), mask


def states(model, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The last hidden layer, [N, T, E], at padded positions too."""
    import torch

    with torch.no_grad():
        given = torch.tensor(ids, dtype=torch.long), torch.tensor(mask, dtype=torch.long)
        return model(input_ids=given[0], attention_mask=given[1]).last_hidden_state.numpy()


def minilm(folder: str) -> dict[str, np.ndarray]:
    """ids, mask and the last hidden layer of CAPTIONS, by the library's own tokenizer."""
    import transformers

    model = transformers.AutoModel.from_pretrained(folder).eval()
    read = transformers.AutoTokenizer.from_pretrained(folder)
    found = read(list(CAPTIONS), padding=True, return_tensors="np")
    ids, mask = found["input_ids"], found["attention_mask"].astype(bool)
    return {"ids": ids, "mask": mask, "states": states(model, ids, mask)}


def main(folder: str | None) -> None:
    ids, mask = rows()
    golden = {"ids": ids, "mask": mask}
    for name in VARIANTS:
        with tempfile.TemporaryDirectory() as place:
            model = tiny(name, pathlib.Path(place))
        golden[f"{name}/states"] = states(model, ids, mask)
        golden |= {f"{name}/state/{k}": v.numpy() for k, v in model.state_dict().items()}
    if folder:
        golden |= {f"minilm/{k}": v for k, v in minilm(folder).items()}
    np.savez_compressed(GOLDEN, **golden)


if __name__ == "__main__":
    main(*sys.argv[1:] or [None])
