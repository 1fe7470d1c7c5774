"""A model in the layouts of other systems, each proved before it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from rankfield.encoders import RankingModel
from rankfield.encoders.modes import evaluating
from rankfield.encoders.quiet import quiet_transformers
from rankfield.errors import InputError, MissingExtraError, ModelError
from rankfield.files import new_folder, write_json
from rankfield.messages import did_you_mean
from rankfield.outputs import OR_OVERWRITE, require_new, require_writable
from rankfield.publishing.card import ModelFacts, published_card
from rankfield.publishing.fields_file import write_fields
from rankfield.publishing.layout import ModelLayout
from rankfield.publishing.options import PublishOptions
from rankfield.publishing.proof import Expected, Proof, require_agreement
from rankfield.publishing.sequence_folder import refuses_sequences
from rankfield.publishing.table import LAYOUTS
from rankfield.schema import RankingDataset, require_dataset

__all__ = ["publish"]


def publish(
    model: RankingModel | str | Path,
    out: str | Path,
    layouts: str | Sequence[str],
    dataset: RankingDataset | None = None,
    *,
    options: PublishOptions | None = None,
) -> dict[str, Proof | None]:
    """Write a model for other systems, load each folder in its real client and compare.

    Of one layout OUT is the folder itself, of several it has a folder for each, named after it.
    Beside the client's files stand `README.md` (the model card), `fields.json` (fields, weights
    and prefixes) and `proof.json`. All are written, or none.

    Args:
        model: a model, or what `RankingModel.from_pretrained` opens. Of a name or folder the
            weights are held once: the model is dropped before the clients load theirs.
        out: the folder to make.
        layouts: names from `LAYOUTS`.
        dataset: whose test queries and documents prove the export; None: made-up records, which
            prove the vectors and no ranking.
        options: how to write and prove.

    Returns:
        Layout → its proof; None for a client that cannot be started here, whose folder was held
        to the documented schema.

    Raises:
        InputError: no such layout, or none.
        ModelError: the model cannot be written so, or the client does not agree with it.
        MissingExtraError: a client is not installed.
        OutputError: `out` exists and is not to be overwritten, or cannot be written.
        DataError, ImageError: a field that the data lacks, an image that cannot be read.
    """
    if dataset is not None:
        dataset = require_dataset(dataset)
    options = replace(options or PublishOptions(), dataset=dataset)
    chosen = _chosen([layouts] if isinstance(layouts, str) else layouts)
    target = Path(out)
    if not options.overwrite:
        require_new(target, remedy=OR_OVERWRITE)
    require_writable(target)
    if not isinstance(model, RankingModel):
        model = RankingModel.from_pretrained(model, device="cpu")
    for layout in chosen:
        if reason := refuses_sequences(model, layout) or layout.refuses(model):
            raise ModelError(reason, where=f"{model.name}, --as {layout.name}")
    with new_folder(target, overwrite=options.overwrite) as folder, quiet_transformers():
        folders = {one.name: folder / one.name if len(chosen) > 1 else folder for one in chosen}
        with evaluating(model):
            expected = Expected.of(model, dataset, options)
            for layout in chosen:
                folders[layout.name].mkdir(exist_ok=True)
                layout.write(model, folders[layout.name], options)
                write_fields(model, folders[layout.name])
        facts = ModelFacts.of(model)
        del model
        proofs = {one.name: _proved(one, folders[one.name], expected, options) for one in chosen}
        for layout in chosen:
            card = published_card(facts, layout, proofs[layout.name])
            (folders[layout.name] / "README.md").write_text(card, "utf-8")
    return proofs


def _chosen(names: Sequence[str]) -> list[ModelLayout]:
    """Return the layouts of these names, whose clients are installed."""
    if not names:
        raise InputError("expected at least one layout", where="--as", remedy=_known())
    for name in names:
        if name not in LAYOUTS:
            meant = did_you_mean(name, LAYOUTS)
            raise InputError(
                f"there is no layout {name!r}", where="--as", remedy=f"{meant} {_known()}".strip()
            )
    chosen = [LAYOUTS[name] for name in dict.fromkeys(names)]
    for layout in chosen:
        if layout.imports and find_spec(layout.imports) is None:
            remedy = f"pip install 'rankfield[{layout.extra}]'"
            raise MissingExtraError(
                f"{layout.package} is not installed", where=f"--as {layout.name}", remedy=remedy
            )
    return chosen


def _known() -> str:
    return f"Name some of {', '.join(LAYOUTS)}."


def _proved(
    layout: ModelLayout, folder: Path, expected: Expected, options: PublishOptions
) -> Proof | None:
    """Return the proof of a folder and write it there; the client is dropped at the end."""
    if layout.check is not None:
        layout.check(folder)
    if layout.open is None:
        checked = {"layout": layout.name, "checked": "against the documented schema, not started"}
        write_json(folder / "proof.json", checked)
        return None
    proof = expected.compare(layout.open(folder, options), layout, options.int8_loss)
    require_agreement(proof)
    write_json(folder / "proof.json", proof.as_json())
    return proof
