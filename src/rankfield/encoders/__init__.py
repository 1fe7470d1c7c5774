"""Encoders of text and images, field fusion, and the ranking model made of them."""

from rankfield.encoders.base import Encoder
from rankfield.encoders.composed import ComposedEncoder
from rankfield.encoders.dual import DualEncoder
from rankfield.encoders.fusion import field_embeddings, fuse
from rankfield.encoders.image_transform import ImageTransform
from rankfield.encoders.model import RankingModel
from rankfield.encoders.open_clip import OpenClipEncoder
from rankfield.encoders.sequence import SequenceEncoder
from rankfield.encoders.small import small_encoder
from rankfield.encoders.text_towers import SentenceTransformersTower, TransformersTextTower
from rankfield.encoders.torchvision_import import usable_torchvision
from rankfield.encoders.vision_tower import VisionTower

__all__ = [
    "ComposedEncoder",
    "DualEncoder",
    "Encoder",
    "ImageTransform",
    "OpenClipEncoder",
    "RankingModel",
    "SentenceTransformersTower",
    "SequenceEncoder",
    "TransformersTextTower",
    "VisionTower",
    "field_embeddings",
    "fuse",
    "small_encoder",
]

# Before any library that imports torchvision wherever it is installed.
usable_torchvision()
