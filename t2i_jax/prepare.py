"""``python -m t2i_jax.prepare``: see `t2i_jax.commands.prepare`.

Imported, it is the function of that name (`t2i_jax.api.prepare`), which a module would hide.
"""

import sys

if __name__ == "__main__":
    from t2i_jax.commands.prepare import main

    sys.exit(main())
if __name__ == "t2i_jax.prepare":  # not in a process that multiprocessing has spawned
    from t2i_jax.api import prepare

    sys.modules[__name__] = prepare
