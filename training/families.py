"""The types of model that can be trained. Each module builds one and runs its tower; decoders are read alike (model.read)."""

import llava
import llava_next
import qwen2_5_vl
import qwen2_vl

FAMILIES = {"llava": llava, "llava-next": llava_next, "qwen2-vl": qwen2_vl, "qwen2.5-vl": qwen2_5_vl}


def family_of(config: dict):
    """The family of a checkpoint, by its config.json."""
    return next(f for f in FAMILIES.values() if f.Model.config_class.model_type == config["model_type"])
