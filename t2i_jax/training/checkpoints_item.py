"""Reading one item of a step's directory by Orbax: placed on devices, and verified."""

import jax
import orbax.checkpoint as ocp

from t2i_jax.training import echoes, leaves
from t2i_jax.training.step_folder import StepFolder, brief


def restore_item(folder: StepFolder, item: str, flat: leaves.Flat, records: dict) -> leaves.Flat:
    """Leaves of an item, placed as `flat` says and verified, in the order of `flat`.

    records: of all its leaves, see `StepFolder.records`. Raises ValueError for damaged files.
    """
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    target = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None) or here)
        for name, x in flat.items()
    }
    nested = leaves.nest(target)
    handler, args = ocp.StandardCheckpointHandler(), ocp.args.StandardRestore(nested)
    if len(flat) < len(records):
        placed = ocp.checkpoint_utils.construct_restore_args(nested)
        handler = ocp.PyTreeCheckpointHandler()
        args = ocp.args.PyTreeRestore(nested, restore_args=placed, partial_restore=True)
    try:
        with echoes.without_reads(), ocp.Checkpointer(handler) as reader:
            restored = leaves.flatten(reader.restore(folder.path / item, args=args))
        restored = {name: restored[name] for name in flat}
    except Exception as error:  # many types, and few of them name the leaf
        why = folder.unreadable(item, flat) or f"{folder.path / item}: {brief(error)}"
        raise folder.damaged(f"cannot read {why}") from error
    bad = leaves.damaged(restored, records)
    if bad:
        lines = [f"{item}/{name} in {folder.file_of(item, name)}" for name in bad[:10]]
        raise folder.damaged(f"{len(bad)} leaves have other bytes: {'; '.join(lines)}")
    return restored
