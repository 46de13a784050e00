"""Trains the grid of a sweep file, or searches in it.

    python launch/sweep.py --config=configs/gan_int_cls.py:cub \\
        --sweep=configs/ablations/gan_int_cls_losses.py --workdir=runs/losses --seeds=3

--help lists the options; docs/ablations.md has all of it.
"""

from t2i_jax.sweeps.command_line import main

if __name__ == "__main__":
    main()
