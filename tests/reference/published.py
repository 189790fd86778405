"""Files of a checkpoint as they were published by transformers 4."""

from pathlib import Path

from safetensors.torch import load_file, save_file

from cases import write_json


def name_tower(folder: Path) -> None:
    """Gives the tower's weights the module tree of that time."""
    weights = folder / "model.safetensors"
    tensors = {name.replace("vision_tower.", "vision_tower.vision_model."): tensor for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})


def write_processor(folder: Path, processor, image_processor_type: str, more: dict, version: str) -> None:
    """One file per processor, every setting spelled out; the chat template in JSON."""
    images = processor.image_processor
    settings = {
        "crop_size": {side: images.crop_size[side] for side in ("height", "width")},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(images.image_mean),
        "image_processor_type": image_processor_type,
        "image_std": list(images.image_std),
        "processor_class": type(processor).__name__,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": images.size["shortest_edge"]},
        **more,
    }
    write_json(folder / "preprocessor_config.json", dict(sorted(settings.items())))
    write_json(
        folder / "processor_config.json",
        {
            "image_token": "<image>",
            "num_additional_image_tokens": 1,
            "patch_size": processor.patch_size,
            "processor_class": type(processor).__name__,
            "vision_feature_select_strategy": "default",
        },
    )
    (folder / "chat_template.jinja").unlink()
    write_json(folder / "chat_template.json", {"chat_template": processor.chat_template})
    write_json(folder / "generation_config.json", {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2, "transformers_version": version})
