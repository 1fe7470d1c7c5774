"""Parameters of Marqtune, and arguments of the GCL and open_clip trainers, as a recipe.

https://docs.marqo.ai/latest/reference/marqtune/model/training-parameters
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rankfield.encoders.source import HUB, as_open_clip
from rankfield.errors import RecipeError
from rankfield.training.translation import Parameters, Translation, read_parameters

__all__ = ["from_marqtune"]

_NESTED = ("hyperparameters", "hyper_parameters", "training_params", "training_parameters")
_PRECISIONS = {"amp": "fp16", "amp_bf16": "bf16", "amp_bfloat16": "bf16", "pure_bf16": "bf16"} | {
    "bf16": "bf16",
    "fp16": "fp16",
    "pure_fp16": "fp16",
    "fp32": "fp32",
}
_NO_COUNTERPART = {
    "accum_freq": "a recipe's batch is one step",
    "dynamic_batch_size": "the batch has the size that the recipe says",
    "epochs_cooldown": "the schedule is warm-up and cosine to 0",
    "lr_cooldown_end": "the schedule is warm-up and cosine to 0",
    "lr_cooldown_power": "the schedule is warm-up and cosine to 0",
    "skip_scheduler": "the schedule is warm-up and cosine to 0",
    "force_custom_text": "the model's own configuration is used",
    "force_patch_dropout": "the model's own configuration is used",
    "force_quick_gelu": "the model's own configuration is used",
    "force_image_size": "the model's own configuration is used",
    "grad_checkpointing": "see batch.gradient_checkpointing",
    "frozen_right": "documents are drawn by judged pairs",
    "image_mean": "it comes from the model's own configuration",
    "image_std": "it comes from the model's own configuration",
    "lock_image_unlocked_groups": "a tower is frozen whole; see optimizer.unfreeze_over",
    "lock_image_freeze_bn_stats": "a frozen tower keeps its statistics",
    "lock_text_unlocked_layers": "a tower is frozen whole; see optimizer.unfreeze_over",
    "lock_text_freeze_layer_norm": "a frozen tower keeps its norms",
    "coca_caption_loss_weight": "there is no caption loss",
    "coca_contrastive_loss_weight": "there is no caption loss",
    "local_loss": "the loss is always that of the global batch",
    "remove_signature": "it concerns open_clip's own files",
    "siglip": 'take loss.name = "sigmoid"',
}
_WEIGHTS = (".pt", ".pth", ".bin", ".safetensors")
_WITHOUT_EFFECT = (
    *("gather_with_grad", "workers", "save_frequency", "save_most_recent", "log_every_n_steps"),
    *("max_training_time", "instance_type", "wait_for_completion", "model_name", "dataset_id"),
    *("zeroshot_frequency", "val_frequency", "report_to", "wandb_notes", "wandb_project_name"),
    *("logs", "name", "delete_previous_checkpoint", "dist_backend", "dist_url", "debug"),
)


def from_marqtune(path: Path) -> Translation:
    """Return the recipe settings of a JSON file with Marqtune's parameters.

    Names may be spelt as there (leftKeys), as GCL's arguments (--left-keys) or with "_". What is
    missing has Marqtune's default.

    Raises:
        InputError: no such file, or not a JSON object.
        RecipeError: a parameter of another kind, given twice, or weights that do not fit the keys.
    """
    found = read_parameters(path, inside=_NESTED)
    for side, key in (("left", "query_weights"), ("right", "document_weights")):
        weights = _weights(found, side)
        if weights:
            found.put("data", key, weights)
    column = found.take("weight_key", str)
    if column is not None:
        found.notes.append(
            f"weight_key = {column!r}: import this column as the score (--score {column} "
            "--score-min 0); the recipe takes the scores as weights (loss.weight = linear)."
        )
    _loss(found)
    model = found.take("base_model", str) or found.take("model", str)
    vit = "vit" in (model or "").lower()
    _encoder(found, model)
    _optimizer(found, vit)
    warmup = found.take("warmup", (int, float))
    epochs = found.take("epochs", (int, float), 5)
    found.leave_out(_NO_COUNTERPART)
    found.finish(_WITHOUT_EFFECT, ("left_keys", "right_keys", "batch_size", "weight_key", "lr"))
    return Translation("Marqtune", found.settings, tuple(found.notes), epochs, warmup)


def _weights(found: Parameters, side: str) -> dict[str, float]:
    keys, weights = found.take(f"{side}_keys", list), found.take(f"{side}_weights", list)
    if keys is None:
        if weights is not None:
            raise RecipeError(
                f"there are {side}_weights and no {side}_keys",
                where=found.where,
                remedy="Add them.",
            )
        return {}
    weights = [1.0] * len(keys) if weights is None else weights
    fits = len(keys) == len(weights) == len({str(key) for key in keys})
    if not fits or not all(type(w) in (int, float) and w > 0 for w in weights):
        raise RecipeError(
            f"expected a positive weight for each of {keys}, found {weights}",
            where=f"{found.where}, {side}_weights",
            remedy=f"Give {side}_keys and {side}_weights of one length, each key once.",
        )
    return {str(key): float(weight) for key, weight in zip(keys, weights, strict=True)}


def _loss(found: Parameters) -> None:
    """Set the paper's loss on single pairs, with the scores as weights."""
    settings: dict[str, dict[str, Any]] = {
        "loss": {"target": "pair", "direction": "both", "weight": "linear"},
        "batch": {"documents_per_query": 1, "choice": "uniform", "more_queries": 0},
    }
    for section, values in settings.items():
        for key, value in values.items():
            found.put(section, key, value)


def _encoder(found: Parameters, model: str | None) -> None:
    checkpoint = found.take("base_checkpoint", str) or found.take("pretrained", str)
    kind = str(found.take("model_type", str, "")).lower()
    if model is not None and kind == "hf":
        found.put("encoder", "kind", "sentence-transformers")
        found.put("encoder", "model", model)
    elif model is not None:
        _open_clip(found, model, checkpoint)
    elif checkpoint is not None:
        found.notes.append(f"base_checkpoint = {checkpoint!r} is left out: there is no base_model.")
    freeze = [tower for tower in ("image", "text") if found.take(f"lock_{tower}", bool, False)]
    if freeze:
        names = {"image": "vision", "text": "text"}
        found.put("encoder", "freeze", [names[tower] for tower in freeze])
    if model is None:
        found.whole("context_length", "encoder", "max_tokens", 77)
    else:
        found.leave_out({"context_length": "the model has a length of its own"})


def _open_clip(found: Parameters, model: str, checkpoint: str | None) -> None:
    """Set a model of open_clip: of the hub, or an architecture with a file of weights."""
    complete = as_open_clip(model) or Path(model).is_dir()
    architecture = not complete and "/" not in model
    found.put("encoder", "kind", "open-clip")
    found.put("encoder", "model", model if complete or architecture else f"{HUB}{model}")
    if checkpoint is not None and Path(checkpoint).suffix in _WEIGHTS and "://" not in checkpoint:
        found.put("encoder", "checkpoint", checkpoint)
    elif checkpoint is not None:
        found.notes.append(
            f"the checkpoint {checkpoint!r} is no file of weights: put that file into "
            "encoder.checkpoint, or the hub's name of these weights (hf-hub:ORG/NAME) into "
            "encoder.model; open_clip.get_pretrained_cfg(ARCHITECTURE, TAG) has those of its tags."
        )
    elif architecture:
        found.notes.append(
            f"encoder.model = {model!r} is an architecture of open_clip, without weights: put a "
            "file of them into encoder.checkpoint, or a model of the hub (hf-hub:ORG/NAME) into "
            "encoder.model."
        )


def _optimizer(found: Parameters, vit: bool) -> None:
    found.whole("batch_size", "batch", "size", 256)
    found.notes.append("batch.size counts pairs over all processes; Marqtune's, those of one GPU.")
    found.number("lr", "optimizer", "learning_rate")
    found.number("wd", "optimizer", "weight_decay")
    found.number("beta1", "optimizer", "beta1", 0.9)
    found.number("beta2", "optimizer", "beta2", 0.98 if vit else 0.999)
    found.number("eps", "optimizer", "epsilon", 1e-6 if vit else 1e-8)
    found.number("grad_clip_norm", "optimizer", "clip_norm")
    found.whole("seed", "", "seed")
    found.choice("precision", ("", "precision"), _PRECISIONS, None)
    schedule = found.take("lr_scheduler", str, "cosine")
    if schedule != "cosine":
        found.notes.append(f"lr_scheduler = {schedule!r} is left out: the schedule is cosine to 0.")
