"""Arguments of sentence-transformers' trainer as a recipe.

https://sbert.net/docs/sentence_transformer/training_overview.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rankfield.training.recipe import TRACKERS
from rankfield.training.translation import Parameters, Translation, read_parameters

__all__ = ["from_sentence_transformers"]

_NO_COUNTERPART = {
    "gradient_accumulation_steps": "a recipe's batch is one step",
    "learning_rate_mapping": "see optimizer.text_learning_rate and optimizer.layer_decay",
    "router_mapping": "fields go to the tower of their modality",
    "multi_dataset_batch_sampler": "there is one data set",
    "label_smoothing_factor": "there is none",
    "neftune_noise_alpha": "there is none",
    "fsdp": "see `fsdp` of the recipe",
    "deepspeed": "see `fsdp` of the recipe",
    "torch_compile": "there is none",
    "data_seed": "one seed is for all",
    "resume_from_checkpoint": "`rankfield train --resume` goes on",
    "optim_args": "the optimiser is AdamW",
    "lr_scheduler_kwargs": "the schedule is warm-up and cosine to 0",
    "max_seq_length": "the model's own length is used",
}
_WITHOUT_EFFECT = (
    *("output_dir", "overwrite_output_dir", "do_train", "do_eval", "do_predict", "disable_tqdm"),
    *("logging_strategy", "logging_dir", "logging_first_step", "logging_nan_inf_filter"),
    *("log_level", "log_level_replica", "log_on_each_node", "debug"),
    *("save_strategy", "save_total_limit", "save_only_model", "save_on_each_node"),
    *("eval_strategy", "eval_delay", "eval_on_start", "per_device_eval_batch_size"),
    *("eval_accumulation_steps", "prediction_loss_only", "include_for_metrics"),
    *("load_best_model_at_end", "metric_for_best_model", "greater_is_better", "push_to_hub"),
    *("hub_model_id", "hub_strategy", "hub_private_repo", "hub_always_push", "hub_revision"),
    *("hub_token", "push_to_hub_token", "skip_memory_metrics", "accelerator_config", "tf32"),
    *("ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_backend"),
    *("ddp_timeout", "ddp_static_graph", "local_rank", "use_cpu", "full_determinism"),
    *("dataloader_drop_last", "dataloader_pin_memory", "dataloader_persistent_workers"),
    *("dataloader_prefetch_factor", "dataloader_in_order", "remove_unused_columns"),
    *("label_names", "length_column_name", "auto_find_batch_size", "bf16_full_eval"),
    *("fp16_full_eval", "fsdp_config", "parallelism_config", "batch_sampler", "use_cache"),
    *("average_tokens_across_devices", "include_num_input_tokens_seen", "ignore_data_skip"),
    *("restore_callback_states_from_checkpoint", "torch_empty_cache_steps", "batch_eval_metrics"),
    *("eval_do_concat_batches", "eval_use_gather_object", "enable_jit_checkpoint"),
    *("train_sampling_strategy", "use_liger_kernel", "liger_kernel_config", "trackio_space_id"),
    *("trackio_bucket_id", "trackio_static_space_id", "activation_checkpointing"),
    *("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs", "optim_target_modules"),
    *("torch_compile_backend", "torch_compile_mode", "dataloader_multiprocessing_context"),
)
_NEGATIVES = "MultipleNegatives"
_SIDES = {
    "query_prefix": ("query", "anchor", "question", "sentence1"),
    "document_prefix": ("document", "positive", "passage", "corpus", "answer", "sentence2"),
}


def from_sentence_transformers(path: Path) -> Translation:
    """Return the recipe settings of a JSON file with a trainer's arguments.

    The names of `SentenceTransformerTrainingArguments`, as its `to_json_string` writes them, at the
    top or under "args"; beside them "model", "loss" (a class name, or {"name": …, and its
    arguments}). What is missing has that library's default.

    Raises:
        InputError: no such file, or not a JSON object.
        RecipeError: a parameter of another kind, or given twice.
    """
    found = read_parameters(path, inside=("args", "arguments", "training_arguments"))
    model = found.take("model", str) or found.take("model_name_or_path", str)
    if model is not None:
        found.put("encoder", "kind", "sentence-transformers")
        found.put("encoder", "model", model)
    _loss(found, found.take("loss", (str, dict), ""))
    _prompts(found)
    name = found.take("run_name", str)
    if name:
        found.put("", "name", name)
    found.whole("per_device_train_batch_size", "batch", "size", 8)
    found.number("learning_rate", "optimizer", "learning_rate", 5e-5)
    found.number("weight_decay", "optimizer", "weight_decay", 0.0)
    found.number("adam_beta1", "optimizer", "beta1", 0.9)
    found.number("adam_beta2", "optimizer", "beta2", 0.999)
    found.number("adam_epsilon", "optimizer", "epsilon", 1e-8)
    found.number("max_grad_norm", "optimizer", "clip_norm", 1.0)
    found.whole("seed", "", "seed", 42)
    found.whole("dataloader_num_workers", "data", "workers")
    for key, place in (("logging_steps", ("", "log_every")), ("eval_steps", ("dev", "every"))):
        _steps(found, key, place)
    _steps(found, "save_steps", ("", "checkpoint_every"))
    _precision(found)
    _trackers(found)
    if found.take("gradient_checkpointing", bool, False):
        found.put("batch", "gradient_checkpointing", True)
    epochs, warmup = _schedule(found)
    found.leave_out(_NO_COUNTERPART)
    found.finish(_WITHOUT_EFFECT, ("learning_rate", "num_train_epochs", "warmup_steps"))
    source = "sentence-transformers"
    return Translation(source, found.settings, tuple(found.notes), epochs, warmup)


def _loss(found: Parameters, given: Any) -> None:
    arguments = {"name": given} if isinstance(given, str) else dict(given)
    name = str(arguments.pop("name", ""))
    inner = arguments.pop("loss", None)
    if name == "MatryoshkaLoss":
        dimensions = arguments.pop("matryoshka_dims", [])
        found.put("loss", "matryoshka", sorted(set(dimensions)))
        _loss(found, inner or "")
    elif _NEGATIVES in name:
        scale = arguments.pop("scale", 20.0)
        symmetric = "Symmetric" in name
        values: dict[str, Any] = {"target": "pair", "weight": "constant"}
        values["direction"] = "both" if symmetric else "query_to_document"
        values["logit_scale"] = float(scale)
        for key, value in values.items():
            found.put("loss", key, value)
        pairs = {"documents_per_query": 1, "choice": "uniform", "more_queries": 0}
        for key, value in pairs.items():
            found.put("batch", key, value)
        found.notes.append(f"{name}: its scale {scale:g} is fixed there, and learnt here from it.")
        if "Cached" in name:
            found.put("batch", "gradient_cache", "on")
            arguments.pop("mini_batch_size", None)  # micro-batches go by tokens here
    elif name:
        found.notes.append(
            f"the loss {name} has no counterpart: the recipe has rankfield's own, which learns the "
            "order of scores; rankfield.integrations.sentence_transformers keeps your trainer."
        )
    if arguments:
        found.notes.append(f"left out of the loss {name}: {', '.join(map(str, arguments))}.")


def _prompts(found: Parameters) -> None:
    prompts = found.take("prompts", (str, dict), {})
    if isinstance(prompts, str):
        prompts = {"query": prompts, "document": prompts}
    for key, names in _SIDES.items():
        texts = [prompts.pop(name) for name in names if isinstance(prompts.get(name), str)]
        if texts:
            found.put("encoder", key, texts[0])
    if prompts:
        found.notes.append(f"prompts of {', '.join(map(str, prompts))} are left out.")


def _steps(found: Parameters, name: str, place: tuple[str, str]) -> None:
    """Take a number of steps over; a share of all steps is left out."""
    value = found.take(name, (int, float))
    if value is None:
        return
    if value >= 1:
        found.put(*place, int(value))
    else:
        found.notes.append(
            f"{name} = {value:g} is left out: {'.'.join(filter(None, place))} counts steps."
        )


def _precision(found: Parameters) -> None:
    half = [name for name in ("bf16", "fp16") if found.take(name, bool, False)]
    if half:
        found.put("", "precision", half[0])


def _trackers(found: Parameters) -> None:
    """Take over the services that the run is shown by, and their project."""
    given = found.take("report_to", (str, list), [])
    names = [given] if isinstance(given, str) else given
    known = [name for name in names if name in TRACKERS]
    others = [str(name) for name in names if name not in (*TRACKERS, "all", "none")]
    if known:
        found.put("", "trackers", known)
    if others:
        found.notes.append(f"report_to: {', '.join(others)} is left out.")
    project = found.take("project", str)
    if project:
        found.put("", "project", project)


def _schedule(found: Parameters) -> tuple[float | None, float | None]:
    """Return epochs and warm-up steps, where they are what counts."""
    optimiser = found.take("optim", str, "adamw")
    if "adamw" not in optimiser:
        found.notes.append(f"optim = {optimiser!r} is left out: the optimiser is AdamW.")
    kind = found.take("lr_scheduler_type", str, "linear")
    if kind != "cosine":
        found.notes.append(f"lr_scheduler_type = {kind!r}: the schedule here is cosine to 0.")
    epochs = found.take("num_train_epochs", (int, float), 3)
    steps = found.take("max_steps", int, -1)
    if steps > 0:
        found.put("optimizer", "steps", steps)
    warmup = found.take("warmup_steps", (int, float), 0)
    ratio = found.take("warmup_ratio", (int, float), 0.0)
    if warmup >= 1:
        return epochs, warmup
    # since 5 a number below 1 is a share
    found.put("optimizer", "warmup", float(warmup or ratio or 0.0))
    return epochs, None
