#!/usr/bin/env bash
# gradio 6.31.0, the fonts in the package, of which pages are drawn without asking another site.
#
# Surprise: the two fonts of the default theme in the weight 600, that of its headings and buttons,
# are subsets for rare Cyrillic letters. Of the 52 Latin ones they hold two each: "A" and "B", or "a"
# and "b". Browsers take a missing letter from the next family of the list, so the text of a button
# is in another font than the text around it, except for its "A"s and "B"s. The weights 400 and 700
# are whole.
# Hurt is everybody who serves a page with the default theme, most visibly where the system's own
# sans-serif looks unlike Source Sans. t2i_jax's page asks for the weights 400 and 700.
# Fails if the files of the weight 600 hold the letters.
set -euo pipefail
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
python3 -m venv "$WORK/venv"
# Files and sources of the package are read, nothing of it is run, so it does without dependencies.
"$WORK/venv/bin/pip" install --quiet --no-deps --only-binary :all: \
  gradio==6.31.0 fonttools==4.68.0 brotli==1.2.1
"$WORK/venv/bin/python" - <<'PY'
import pathlib
import re
import string
import sysconfig

from fontTools.ttLib import TTFont

gradio = pathlib.Path(sysconfig.get_path("purelib")) / "gradio"
theme = (gradio / "themes/default.py").read_text()
asked = re.findall(r'LocalFont\("([\w ]+)", weights=\(400, 600\)\)', theme)
assert asked == ["Source Sans Pro", "IBM Plex Mono"], asked
base = (gradio / "themes/base.py").read_text()
assert re.search(r'"button_large_text_weight", "600"', base), "buttons have another weight now"
for family in asked:
    stem = family.replace(" ", "")
    held = {}
    for weight in ("Regular", "SemiBold", "Bold"):
        file = gradio / f"templates/frontend/static/fonts/{stem}/{stem}-{weight}.woff2"
        glyphs = TTFont(file).getBestCmap()
        held[weight] = "".join(c for c in string.ascii_letters if ord(c) in glyphs)
        print(f"{family} {weight}: {len(held[weight])} of 52 letters, {len(glyphs)} glyphs")
    assert held["Regular"] == held["Bold"] == string.ascii_letters
    assert held["SemiBold"].upper() == "AB", held["SemiBold"]
PY
echo "as described"
