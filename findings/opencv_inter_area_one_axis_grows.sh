#!/usr/bin/env bash
# opencv-python-headless 5.0.0.93, cv2.resize with INTER_AREA, which pipelines take because it
# averages what it shrinks.
#
# Surprise: as soon as one of the axes grows, the other is no longer averaged either. A wide image
# that becomes square aliases.
# Seen: stripes of one pixel, 640x200, made 304x304: standard deviation 72.6 of 255; shrunk to
# 304x200 first and then stretched, 6.3.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
"$WORK/venv/bin/pip" install --quiet opencv-python-headless==5.0.0.93 numpy==2.4.6
"$WORK/venv/bin/python" - <<'PY'
import cv2
import numpy as np

stripes = np.zeros((200, 640), np.uint8)
stripes[:, ::2] = 255
at_once = cv2.resize(stripes, (304, 304), interpolation=cv2.INTER_AREA)
narrow = cv2.resize(stripes, (304, 200), interpolation=cv2.INTER_AREA)
by_axis = cv2.resize(narrow, (304, 304), interpolation=cv2.INTER_LINEAR)
print(cv2.__version__, "at once:", at_once.std(), " axis by axis:", by_axis.std())
assert at_once.std() > 60 and by_axis.std() < 10
PY
echo "as described"
