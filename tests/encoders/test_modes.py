from __future__ import annotations

import pytest
import torch

from rankfield.encoders import RankingModel, small_encoder
from rankfield.encoders.modes import evaluation_mode
from rankfield.evaluation import retrieve
from rankfield.evaluation.robustness import FieldEmbeddings
from ranking_shop import ranking_shop


def test_each_part_gets_its_own_mode_back() -> None:
    whole = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout())
    whole.train()
    whole[1].eval()

    def fail() -> None:
        with evaluation_mode(whole):
            assert not any(part.training for part in whole.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [part.training for part in whole.modules()] == [True, True, False]


@pytest.mark.parametrize("training", [True, False])
def test_who_embeds_leaves_a_shared_encoder_as_it_was(training: bool) -> None:
    shop = ranking_shop(documents=20)
    encoder = small_encoder(shop.documents["title"], ["text"], dimension=8, width=32)
    model = RankingModel(encoder, shop.query_fields, shop.document_fields).train(training)
    retrieve(model, shop, "red mug")
    FieldEmbeddings(model, shop)
    assert {part.training for part in model.modules()} == {training}
