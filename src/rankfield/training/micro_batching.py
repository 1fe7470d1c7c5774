"""How many tokens and images a step encodes at once, and whether their activations are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

import psutil
import torch
from torch import Tensor

from rankfield.encoders import RankingModel
from rankfield.encoders.fusion import FieldBatch
from rankfield.encoders.micro_batches import MicroBatches, batch_norms
from rankfield.encoders.sequence_batch import SEQUENCE
from rankfield.encoders.text_batches import CPU_TOKENS
from rankfield.schema import Modality
from rankfield.training.order import BatchSection

__all__ = ["activation_bytes", "free_bytes", "micro_batches"]

_GPU_TOKENS = 16384
_IMAGES = 64
_SHARE = 0.5
"""Of the free memory: gradients, the loss and later, larger batches need the rest."""


def micro_batches(
    section: BatchSection, model: RankingModel, batches: Iterable[FieldBatch]
) -> MicroBatches:
    """Return how a step encodes its texts and images.

    Their sizes depend on the recipe and the device alone. What is kept depends on the free memory,
    and changes no bit of the result.

    Args:
        section: of the recipe.
        model: in training mode.
        batches: the first step's, on the model's device.
    """
    cpu = model.device.type == "cpu"
    sizes = MicroBatches(
        section.micro_tokens or (CPU_TOKENS if cpu else _GPU_TOKENS),
        section.micro_images or _IMAGES,
        unpadded=model.encoder.unpads(),
    )
    cached = section.gradient_cache == "on"
    if section.gradient_cache == "auto" and not batch_norms(model.encoder):
        needed = sum(activation_bytes(model, batch, sizes) for batch in batches)
        cached = needed > _SHARE * free_bytes(model.device)
    return replace(sizes, cached=cached)


def activation_bytes(model: RankingModel, batch: FieldBatch, sizes: MicroBatches) -> int:
    """Return about how many bytes are kept for the gradients of a batch's encoding.

    Of each field the largest micro-batch is encoded, and what autograd saves of it, weights left
    out, is taken as often as its tokens or images are in the field (of sequences: as its tokens,
    which is too many where others have no images). The encoder must have no batch norm in
    training mode, whose statistics would count the micro-batch.
    """
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    total = 0.0
    fields = (*model.query_fields, *model.document_fields)
    modalities: dict[str, Modality] = {field.name: field.modality for field in fields}
    modalities[SEQUENCE] = "text"
    for name, inputs in batch.inputs.items():
        modality = modalities[name]
        parts = [part for _, part in sizes.parts(modality, inputs.items)]
        numbers = [max(item.numel() for item in part.values()) for part in parts]
        largest = max(range(len(parts)), key=numbers.__getitem__)
        tokens = [part["input_ids"].numel() for part in parts if "input_ids" in part]
        counts = tokens or numbers
        saved: dict[int, int] = {}

        def pack(tensor: Tensor, saved: dict[int, int] = saved) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                saved[storage.data_ptr()] = storage.nbytes()
            # A graph that holds its own outputs through a hook is never freed, nor are weights.
            return tensor.detach()

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            # Held until it is counted: a storage that is given back could be counted twice.
            held = model.encoder.encode(modality, parts[largest])
        total += sum(saved.values()) * sum(counts) / counts[largest]
        del held
    return int(total)


def free_bytes(device: torch.device) -> float:
    """Return a process's share of the memory that is free now."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return float(psutil.virtual_memory().available) / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
