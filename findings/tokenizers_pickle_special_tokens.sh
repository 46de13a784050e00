#!/usr/bin/env bash
# tokenizers 0.23.3.
#
# Surprise: a Tokenizer that has been told to read the names of special tokens in a text as text
# (encode_special_tokens = True) reads them as special tokens again after a pickle, as worker
# processes get it: "a [SEP] b" has other ids there than in the parent. Its JSON does not keep the
# switch either.
# Fails if a copy reads as the original does.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet --no-deps tokenizers==0.23.3
"$WORK/venv/bin/python" - <<'PY'
import copy
import pickle

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "[", "]", "sep"]
first = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]"))
first.normalizer = normalizers.BertNormalizer(lowercase=True)
first.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
first.add_special_tokens(["[SEP]"])
first.encode_special_tokens = True
copies = {
    "original": first,
    "pickle": pickle.loads(pickle.dumps(first)),
    "deepcopy": copy.deepcopy(first),
    "to_str": Tokenizer.from_str(first.to_str()),
}
read = {name: tokenizer.encode("a [SEP] b").tokens for name, tokenizer in copies.items()}
for name, tokens in read.items():
    print(f"{name:<9} {tokens}")
assert read.pop("original") == ["a", "[", "sep", "]", "b"]
assert all(tokens == ["a", "[SEP]", "b"] for tokens in read.values()), "a copy reads alike now"
PY
echo "as described"
