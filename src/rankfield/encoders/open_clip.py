"""A text-and-image dual encoder of open_clip: Marqo's GCL, e-commerce and fashion models, …"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call

from rankfield.encoders.base import Side, Tower, WholeEncoder
from rankfield.encoders.folder_kind import OPEN_CLIP
from rankfield.encoders.image_transform import Fit, ImageTransform
from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.encoders.open_clip_source import OpenClipSource, open_clip_source
from rankfield.encoders.open_clip_weights import load_weights, plain_names, read_weights
from rankfield.encoders.pretrained import loading
from rankfield.encoders.token_ids import checked_ids
from rankfield.errors import ModelError
from rankfield.files import read_json_object

__all__ = ["OpenClipEncoder", "open_clip_transform"]

_CONFIG, _WEIGHTS = "open_clip.json", "open_clip_model.safetensors"
_TEXT_CONFIG = "text_config"
_FITS: dict[str, Fit] = {"shortest": "cover", "squash": "stretch", "longest": "contain"}
_INTERPOLATIONS = {"bicubic": "bicubic", "bilinear": "bilinear", "random": "bicubic"}


class OpenClipEncoder(WholeEncoder):
    """A model of open_clip with its own preprocessing and tokenizer.

    The text tower is always a module of its own, `CustomTextCLIP`; embeddings are those of
    open_clip's `encode_text` and `encode_image`.
    """

    kind = "open-clip"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        model_cfg: dict[str, Any],
        preprocess_cfg: dict[str, Any],
        query_prefix: str = "",
        document_prefix: str = "",
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.model_cfg, self.preprocess_cfg = model_cfg, preprocess_cfg
        self.transform = open_clip_transform(preprocess_cfg)
        self.image_transform = self.transform
        self.prefixes: dict[Side, str] = {"query": query_prefix, "document": document_prefix}
        self.dimension = int(model_cfg["embed_dim"])
        self.frozen: set[Tower] = set()

    def tokenize(self, texts: Sequence[str], side: Side) -> dict[str, Tensor]:
        """Return token ids, cut at the model's length.

        open_clip pads all texts to that length. Where nothing depends on what comes after the
        token that is pooled, the columns that come after it in every text are left out.
        """
        prefixed = [self.prefixes[side] + text for text in texts]
        found = checked_ids(
            lambda: {"input_ids": self.tokenizer(prefixed)}, "input_ids", self.model.vocab_size
        )
        ids = found["input_ids"]
        last = _pooled_positions(self.model.text, ids)
        return found if last is None else {"input_ids": ids[:, : int(last.max()) + 1]}

    def encode_text(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return N × D vectors, not normalised."""
        text, ids = self.model.text, inputs["input_ids"]
        length = ids.shape[1]
        vectors: Tensor
        if length == text.context_length or getattr(text, "attn_mask", None) is None:
            vectors = text(ids)
        else:
            # open_clip adds its causal mask uncut.
            mask = {"attn_mask": text.attn_mask[:length, :length]}
            vectors = functional_call(text, mask, (ids,))
        return vectors

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Return N × D vectors, not normalised, from uint8 N × H × W × 3 pixels."""
        vectors: Tensor = self.model.visual(self.transform.normalise(pixels))
        return vectors

    def towers(self) -> dict[Tower, nn.Module]:
        """Return both towers, which hold the projections too."""
        return {"text": self.model.text, "vision": self.model.visual}

    def freeze(self, tower: Tower) -> None:
        """Keep a tower's weights and running statistics as they are; dropout stays off."""
        self.frozen.add(tower)
        self.towers()[tower].requires_grad_(False).eval()

    def train(self, mode: bool = True) -> OpenClipEncoder:
        """Set training mode, which a frozen tower does not enter."""
        super().train(mode)
        for tower in self.frozen:
            self.towers()[tower].eval()
        return self

    def save(self, folder: Path) -> None:
        """Write what open_clip opens as "local-dir:FOLDER", and the prefixes."""
        weights = self.model.state_dict()
        text_cfg = self.model_cfg["text_cfg"]
        if not (self.model_cfg.get("custom_text") or "hf_model_name" in text_cfg):
            weights = plain_names(weights)
        contiguous = {name: value.contiguous() for name, value in weights.items()}
        save_file(contiguous, folder / _WEIGHTS, metadata={"format": "pt"})
        config = {"model_cfg": self.model_cfg, "preprocess_cfg": self.preprocess_cfg}
        (folder / OPEN_CLIP).write_text(json.dumps(config, indent=2), "utf-8")
        if text_cfg.get("hf_tokenizer_name"):
            self.tokenizer.save_pretrained(folder)
        if text_cfg.get("hf_model_name"):
            _write_text_config(self.model.text.config, folder / _TEXT_CONFIG)
        prefixes = {f"{side}_prefix": prefix for side, prefix in self.prefixes.items()}
        (folder / _CONFIG).write_text(json.dumps(prefixes), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> OpenClipEncoder:
        """Read what `save` wrote."""
        return cls.from_pretrained(folder, **read_json_object(folder / _CONFIG))

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        checkpoint: str | Path | None = None,
        revision: str | None = None,
        query_prefix: str = "",
        document_prefix: str = "",
    ) -> OpenClipEncoder:
        """Load by a name of `open_clip_source`, in float32.

        Raises:
            MissingExtraError: open_clip is not installed.
            ModelError: it cannot be reached or loaded.
        """
        source = open_clip_source(name, checkpoint=checkpoint, revision=revision)
        weights = read_weights(source.weights)
        with loading(source.where):
            model = _untrained(source)
            tokenizer = _tokenizer(source)
            load_weights(model, weights, str(source.weights))
            preprocess_cfg = asdict(import_open_clip().transform.PreprocessCfg())
            given = {k: v for k, v in source.preprocess_cfg.items() if v is not None}
            preprocess_cfg |= {k: v for k, v in given.items() if k in preprocess_cfg}
            return cls(
                model,
                tokenizer,
                model_cfg=source.model_cfg,
                preprocess_cfg=preprocess_cfg | {"size": model.visual.image_size},
                query_prefix=query_prefix,
                document_prefix=document_prefix,
            )


def _untrained(source: OpenClipSource) -> Any:
    """Return the model of a configuration, with random weights."""
    config = copy.deepcopy(source.model_cfg)
    config.pop("custom_text", None)
    vision, text = config["vision_cfg"], config["text_cfg"]
    vision |= {"timm_model_pretrained": False, "output_tokens": False}
    text |= {"hf_model_pretrained": False, "output_tokens": False}
    with tempfile.TemporaryDirectory() as folder:
        if text.get("hf_model_name"):
            from transformers import AutoConfig

            saved = None if source.folder is None else source.folder / _TEXT_CONFIG
            known = text["hf_model_name"] if saved is None or not saved.is_dir() else saved
            load = partial(AutoConfig.from_pretrained, trust_remote_code=False)
            _write_text_config(
                _part(source, load, known, "configuration of its text model"), folder
            )
            text["hf_model_name"] = folder
        return import_open_clip().CustomTextCLIP(**config)


def _write_text_config(config: Any, folder: str | Path) -> None:
    """Write the configuration of a text model of transformers, without what would run code."""
    plain = copy.deepcopy(config)
    plain.__dict__.pop("auto_map", None)
    plain.save_pretrained(folder)


def _tokenizer(source: OpenClipSource) -> Any:
    """Return the tokenizer: the folder's, where it has one, before that of another name."""
    open_clip, text = import_open_clip(), source.model_cfg["text_cfg"]
    length = text.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH)
    options = text.get("tokenizer_kwargs") or {}
    name = text.get("hf_tokenizer_name")
    if not name:
        return open_clip.SimpleTokenizer(context_length=length, **options)
    if source.folder is not None and any(source.folder.glob("tokenizer*.json")):
        name = str(source.folder)
    load = partial(
        open_clip.tokenizer.HFTokenizer,
        context_length=length,
        tokenizer_mode=text.get("tokenizer_mode"),
        trust_remote_code=False,
        **options,
    )
    return _part(source, load, name, "tokenizer")


def _part(source: OpenClipSource, load: Callable[..., Any], name: str | Path, what: str) -> Any:
    """Return a part that the configuration names.

    It is fetched where the model itself was named on the hub; else it is taken from a folder or
    the hub's cache.

    Raises:
        ModelError: it is in neither.
    """
    if source.on_hub or Path(name).is_dir():
        return load(name)
    try:
        return load(name, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"lacks the {what}, and {name} is not asked for on the hub unless the model is there",
            where=source.where,
            remedy=f"Fetch it once (hf download {name}), or name a model of the hub "
            "(hf-hub:ORG/NAME) and give your weights as its checkpoint.",
        ) from error


def open_clip_transform(config: dict[str, Any]) -> ImageTransform:
    """Return the transform of a complete `preprocess_cfg`.

    Raises:
        ModelError: it has a value that open_clip does not know.
    """
    size, mean, std = config["size"], config["mean"], config["std"]
    height, width = (size, size) if isinstance(size, int) else size
    mode, interpolation, fill = (config[k] for k in ("resize_mode", "interpolation", "fill_color"))
    if mode not in _FITS or interpolation not in _INTERPOLATIONS or type(fill) is not int:
        raise ModelError(
            f"unknown resize_mode {mode!r}, interpolation {interpolation!r} or fill_color {fill!r}",
            where=f"{OPEN_CLIP}, preprocess_cfg",
        )
    # open_clip scales the shorter edge to a target that is no square by its default alone.
    default = mode == "shortest" and height != width
    return ImageTransform(
        height,
        width,
        _FITS[mode],
        resample="bicubic" if default else _INTERPOLATIONS[interpolation],
        mean=tuple(mean) if isinstance(mean, list | tuple) else (mean,) * 3,
        std=tuple(std) if isinstance(std, list | tuple) else (std,) * 3,
        fill=fill,
    )


def _pooled_positions(text: Any, ids: Tensor) -> Tensor | None:
    """Return where each row's pooled token is, if nothing after it counts; else None."""
    causal = getattr(text, "attn_mask", None) is not None and text.cls_emb is None
    if not causal or not ids.numel():
        return None
    if text.pool_type == "argmax":
        return ids.argmax(-1)
    return (ids == text.eos_id).int().argmax(-1) if text.pool_type == "eos" else None
