"""Order in programs for CPUs, where what runs first decides how much memory is held.

XLA orders a program by what depends on what. Two operations that do not depend on each other may
run in any order, and the one that XLA takes can hold arrays for long: an old parameter that a new
one could have replaced in its place is copied where XLA cannot tell that nothing reads it later.
"""

from typing import TypeVar

from jax import lax

Tree = TypeVar("Tree")


def together(tree: Tree) -> Tree:
    """The same arrays. On CPUs whatever reads one of them runs after all of them are there, and is
    not fused with what makes them.

    XLA:CPU drops such barriers unless it is told not to: see `t2i_jax.training.parallel`. Other
    platforms schedule by themselves and fuse the optimizer's arithmetic well.
    """
    return lax.platform_dependent(tree, cpu=lax.optimization_barrier, default=lambda tree: tree)
