"""A folder and a checkpoint that open_clip loads, the scripts of GCL and Marqo too.

A model of open_clip is written as it is. A CLIP of transformers becomes one of open_clip: the
same network under other names, as open_clip's issues 591 and 766 ask for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from rankfield.encoders import DualEncoder, ImageTransform, RankingModel
from rankfield.encoders.base import Side
from rankfield.encoders.open_clip_import import import_open_clip
from rankfield.encoders.pretrained import loading
from rankfield.files import read_json_object, write_json
from rankfield.publishing.client import Client
from rankfield.publishing.fields_file import prefix
from rankfield.publishing.hugging_face_files import fixed_transform
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.marqo import PLACE, write_marqo
from rankfield.publishing.open_clip_weights import open_clip_config, open_clip_weights
from rankfield.publishing.options import PublishOptions

__all__ = ["LAYOUT", "OpenClipClient"]

_CONFIG, _WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
_CHECKPOINT = "open_clip_model.pt"
_ARCHITECTURE = "architecture.json"
_PREPARATION = "preparation.json"
_KIND = "open-clip"
_TOKENIZER = "openai/clip-vit-base-patch32"
"""A tokenizer of the hub that is CLIP's own."""
_CLIP_VOCABULARY = 49408


class OpenClipClient:
    """A folder in plain open_clip, as "local-dir:FOLDER", on the CPU.

    open_clip rounds the place of a crop otherwise than transformers: one pixel aside for some
    shapes. A model that crops as transformers does is given images that are cropped already.
    """

    def __init__(self, folder: Path) -> None:
        open_clip = import_open_clip()
        name = f"local-dir:{folder}"
        with loading(str(folder)):
            model, _, self.preprocess = open_clip.create_model_and_transforms(name)
            self.model = model.eval()
            self.tokenizer = open_clip.get_tokenizer(name)
        prepared = read_json_object(folder / _PREPARATION)
        self.prefixes: dict[str, str] = prepared["prefixes"]
        self.crop: ImageTransform | None = None
        if prepared["crop"]:
            height, width = prepared["crop"]
            self.crop = ImageTransform(height, width)

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], side: Side) -> NDArray[np.float32]:
        """Return N × D unit vectors, with the prefix of that side."""
        ids = self.tokenizer([self.prefixes[side] + text for text in texts])
        return _unit(self.model.encode_text(ids))

    @torch.inference_mode()
    def encode_images(self, images: list[Image.Image]) -> NDArray[np.float32]:
        """Return N × D unit vectors."""
        if self.crop is not None:
            images = [Image.fromarray(self.crop.to_array(image)) for image in images]
        return _unit(self.model.encode_image(torch.stack([self.preprocess(i) for i in images])))


def _unit(vectors: torch.Tensor) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = F.normalize(vectors.float(), dim=-1).numpy()
    return unit


def _open(folder: Path, options: PublishOptions) -> Client:  # noqa: ARG001
    return OpenClipClient(folder)


def _write(model: RankingModel, folder: Path, options: PublishOptions) -> None:  # noqa: ARG001
    encoder = model.encoder
    crop = None
    if isinstance(encoder, DualEncoder):
        _write_converted(encoder, model.name, folder)
        transform = fixed_transform(encoder.transform)
        crop = [transform.height, transform.width] if transform.fit == "crop" else None
    else:
        encoder.save(folder)
    # mapped from the file: no second copy in memory
    torch.save(load_file(folder / _WEIGHTS), folder / _CHECKPOINT)
    config = read_json_object(folder / _CONFIG)
    write_json(folder / _ARCHITECTURE, config["model_cfg"])
    prefixes = {"query": prefix(model, "query"), "document": prefix(model, "document")}
    write_json(folder / _PREPARATION, {"prefixes": prefixes, "crop": crop})
    write_marqo(model, folder, _properties(encoder.dimension, config))


def _write_converted(encoder: DualEncoder, name: str, folder: Path) -> None:
    """Write a CLIP of transformers as open_clip's hub layout."""
    weights = open_clip_weights(encoder.model.state_dict())
    contiguous = {key: value.contiguous() for key, value in weights.items()}
    save_file(contiguous, folder / _WEIGHTS, metadata={"format": "pt"})
    encoder.tokenizer.save_pretrained(folder)
    model_cfg = open_clip_config(encoder.model.config)
    usual = model_cfg["text_cfg"]["vocab_size"] == _CLIP_VOCABULARY
    model_cfg["text_cfg"]["hf_tokenizer_name"] = _TOKENIZER if usual else name
    transform = fixed_transform(encoder.transform)
    preprocess_cfg = {
        "size": [transform.height, transform.width],
        "mode": "RGB",
        "mean": list(transform.mean),
        "std": list(transform.std),
        "interpolation": transform.resample,
        "resize_mode": "shortest" if transform.fit == "crop" else "squash",
        "fill_color": 0,
    }
    write_json(folder / _CONFIG, {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg})


def _properties(dimension: int, config: dict[str, Any]) -> dict[str, Any]:
    """Return Marqo's properties: an architecture of open_clip with the checkpoint, or the hub."""
    properties: dict[str, Any] = {"type": "open_clip", "dimensions": dimension}
    name = _architecture(config["model_cfg"])
    if name is None:
        return properties | {"name": "hf-hub:USER/NAME"}
    preprocess = config["preprocess_cfg"]
    return properties | {
        "name": name,
        "url": f"{PLACE}/{_CHECKPOINT}",
        "imagePreprocessor": "OpenCLIP" if preprocess["resize_mode"] == "shortest" else "SigLIP",
        "mean": preprocess["mean"],
        "std": preprocess["std"],
    }


def _architecture(model_cfg: dict[str, Any]) -> str | None:
    """Return the name that open_clip has for an architecture; None for one of its own."""
    open_clip = import_open_clip()
    for name in open_clip.list_models():
        if _complete(open_clip, open_clip.get_model_config(name)) == _complete(
            open_clip, model_cfg
        ):
            found: str = name
            return found
    return None


def _complete(open_clip: Any, model_cfg: dict[str, Any]) -> dict[str, Any]:
    """Return an architecture with its defaults, without the name of a tokenizer."""
    model = open_clip.model
    vision = vars(model.CLIPVisionCfg(**model_cfg["vision_cfg"]))
    text = vars(model.CLIPTextCfg(**model_cfg["text_cfg"])) | {"hf_tokenizer_name": None}
    usual = {"quick_gelu": False, "custom_text": False}
    return usual | model_cfg | {"vision_cfg": vision, "text_cfg": text}


def _refuses(model: RankingModel) -> str | None:
    encoder = model.encoder
    if encoder.kind == _KIND:
        return None
    if not isinstance(encoder, DualEncoder) or encoder.model.config.model_type != "clip":
        return (
            "open_clip has models of its own and CLIP, and this is neither; choose --as "
            "transformers or --as sentence-transformers"
        )
    transform = fixed_transform(encoder.transform)
    short = min(transform.height, transform.width)
    if transform.fit == "crop" and transform.resize not in (0, short):
        return (
            f"its images are scaled to {transform.resize} before {short} are cut out, which "
            "open_clip does not do; choose --as transformers"
        )
    try:
        open_clip_config(encoder.model.config)
    except ValueError as error:
        return f"{error}; choose --as transformers"
    return None


LAYOUT = ModelLayout(
    name="open-clip",
    title="open_clip, the scripts of GCL, and Marqo",
    write=_write,
    open=_open,
    refuses=_refuses,
    package="open-clip-torch",
    extra="open-clip",
    imports="open_clip",
    usage="""```python
import open_clip

model, _, preprocess = open_clip.create_model_and_transforms("local-dir:FOLDER")
tokenizer = open_clip.get_tokenizer("local-dir:FOLDER")
texts = model.encode_text(tokenizer(["red mug"]), normalize=True)
images = model.encode_image(preprocess(image).unsqueeze(0), normalize=True)
```

- On the hub: "hf-hub:USER/NAME". Of a tokenizer that is not CLIP's own, set `hf_tokenizer_name` in
  `open_clip_config.json` to USER/NAME first.
- With the evaluation script of GCL: `--pretrained FOLDER/open_clip_model.pt --model_name NAME`.
  NAME is an architecture of open_clip; where it has none, copy `architecture.json` to
  `evals/cfg/NAME.json`.
- In Marqo: `marqo.json` has the settings of the index, but for the address of `open_clip_model.pt`
  or of the hub.

open_clip rounds the place of a crop otherwise than transformers: for some shapes it is one pixel
aside. Where the model crops as transformers does, the proof gave it images that were cropped so.
""",
)
