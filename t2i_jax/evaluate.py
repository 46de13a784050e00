"""``python -m t2i_jax.evaluate``: see `t2i_jax.commands.evaluate`.

Imported, it is the function of that name (`t2i_jax.api.evaluate`), which a module would hide.
"""

import sys

if __name__ == "__main__":
    from t2i_jax.commands.evaluate import main

    sys.exit(main())
if __name__ == "t2i_jax.evaluate":  # not in a process that multiprocessing has spawned
    from t2i_jax.api import evaluate

    sys.modules[__name__] = evaluate
