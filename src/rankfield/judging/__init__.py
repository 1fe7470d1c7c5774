"""Pairs graded by a language model or a cross-encoder, and how far the grades can be trusted."""

from rankfield.judging.cross_encoder import score_pairs
from rankfield.judging.judge import JudgeSettings, judge
from rankfield.judging.pairs import choose_pairs
from rankfield.judging.rubric import Rubric, load_rubric

__all__ = ["JudgeSettings", "Rubric", "choose_pairs", "judge", "load_rubric", "score_pairs"]
