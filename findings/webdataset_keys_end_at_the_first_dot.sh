#!/usr/bin/env bash
# webdataset 1.0.2 and datasets 5.2.0, shards of images beside captions, whose names hold a dot, as
# "bird.1.jpg", "2024.05.01.jpg" or "St. Paul.jpg" do.
#
# Surprise: the key of a sample ends at the first dot, not where the ending begins. The format's
# page says so, yet webdataset's own writer takes such keys, and no reader warns: two samples that
# were written come back as one, with the fields "1.jpg", "1.txt", "2.jpg" and "2.txt", and
# load_dataset("webdataset") counts one row.
# Expected: two samples, as of the names "bird_1" and "bird_2", or an error.
# Hurt are people who pack their own photos: whoever reads "jpg" and "txt" finds neither. t2i_jax
# takes the name up to the last dot as the key where a caption is called so, else up to the first.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet --only-binary :all: \
  webdataset==1.0.2 datasets==5.2.0 numpy==2.2.6 pillow==13.0.0
cd "$WORK"
HF_HOME="$WORK/home" HF_HUB_OFFLINE=1 "$WORK/venv/bin/python" - <<'PY'
import io
import warnings

import datasets
import webdataset
from PIL import Image

warnings.simplefilter("error", UserWarning)
datasets.disable_progress_bars()
buffer = io.BytesIO()
Image.new("RGB", (8, 8)).save(buffer, "JPEG")


def samples(shard, keys):
    """(fields of each sample in webdataset, captions by column of each row in datasets)."""
    with webdataset.TarWriter(shard) as writer:
        for key in keys:
            writer.write({"__key__": key, "jpg": buffer.getvalue(), "txt": key})
    read = webdataset.WebDataset(shard, shardshuffle=False)
    fields = [sorted(name for name in sample if name[0] != "_") for sample in read]
    table = datasets.load_dataset("webdataset", data_files=shard, split="train", cache_dir="cache")
    return fields, [{k: v for k, v in row.items() if k.endswith("txt")} for row in table]


dotted = samples("dotted.tar", ["bird.1", "bird.2"])
plain = samples("plain.tar", ["bird_1", "bird_2"])
print("bird.1, bird.2:", *dotted)
print("bird_1, bird_2:", *plain)
assert plain == ([["jpg", "txt"]] * 2, [{"txt": "bird_1"}, {"txt": "bird_2"}])
assert dotted == (
    [["1.jpg", "1.txt", "2.jpg", "2.txt"]],
    [{"1.txt": "bird.1", "2.txt": "bird.2"}],
), dotted
PY
echo "as described"
