"""The types of model that can be trained. Each module builds one and runs its tower; decoders are read alike (model.read)."""

import llava
import qwen

FAMILIES = {"llava": llava, "qwen": qwen}


def family_of(config: dict):
    """The family of a checkpoint, by its config.json."""
    return next(f for f in FAMILIES.values() if f.Model.config_class.model_type == config["model_type"])
