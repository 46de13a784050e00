#!/usr/bin/env bash
# From nothing to samples on two CPU cores: installs, draws the embedded birds, trains DAMSM (text and
# image encoder), trains GAN-CLS with it, writes captioned samples. Running it again goes on where it
# stopped. QUICKSTART_DIR: where data and runs go (default: this folder).
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
OUT="${QUICKSTART_DIR:-$ROOT}"
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$ROOT/.jax_cache}"
DATA="$OUT/data" ENCODER="$OUT/runs/quickstart_encoder" GAN="$OUT/runs/quickstart"

echo "== 1/4 drawing the embedded birds"
python -m t2i_jax.prepare --dataset=toy_birds_mixed --num_images=5000 --size=64 --data_dir="$DATA"
echo "== 2/4 training the text encoder"
python -m t2i_jax.train --config=configs/damsm.py:toy_birds --workdir="$ENCODER" \
    --data.data_dir="$DATA"
echo "== 3/4 training the GAN"
python -m t2i_jax.train --config=configs/gan_int_cls.py:toy_birds_damsm --workdir="$GAN" \
    --data.data_dir="$DATA" --encoder.source="$ENCODER" --frozen.damsm="$ENCODER" "$@"
echo "== 4/4 sampling"
python -m t2i_jax.sample --workdir="$GAN" --captions_file=launch/quickstart_captions.txt \
    --seed=0 --num=4 --out="$GAN/quickstart_samples"
echo "samples: $GAN/quickstart_samples/grid.png   curves: $GAN/curves.png"
