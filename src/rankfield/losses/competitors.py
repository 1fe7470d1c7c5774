"""What competes with the judged pairs of a large batch, without a matrix of all logits.

The logits Z = s · Q Dᵀ are made in tiles, each of which serves both directions. A function of them
is summed by rows and by columns; backward makes them again, unless they were kept. What a loss does
with the sums is per pair, query or document. FLOPs: 8·m·n·D, or 6·m·n·D with all tiles kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rankfield.losses.judged_lists import NO_LOGIT
from rankfield.losses.judged_pairs import JudgedPairs
from rankfield.losses.reduction import Direction
from rankfield.losses.tile_form import LARGEST, Side, TileForm
from rankfield.losses.tile_fused import FusedTile, fused
from rankfield.losses.tile_softmax import SoftmaxTile
from rankfield.losses.tiling import Tile, Tiling, default_side

__all__ = ["Competitors", "competitors"]

_ROWS = 4096  # at once, where products are summed over all embeddings


class Competitors(NamedTuple):
    """The judged pairs' logits, and sums over the unjudged ones.

    own: P, Z_ij of each pair.
    documents: m, over each query's unjudged documents; of none `NO_LOGIT`, or 0 of a plain sum.
    queries: n, over each document's unjudged queries; of none likewise.
    """

    own: Tensor
    documents: Tensor | None
    queries: Tensor | None

    def in_directions(self, pairs: JudgedPairs) -> Iterator[tuple[Tensor, JudgedPairs]]:
        """Yield the sums that are there and the pairs, exchanged for those over queries."""
        if self.documents is not None:
            yield self.documents, pairs
        if self.queries is not None:
            yield self.queries, pairs.transposed()


def competitors(
    query_embeddings: Tensor,
    document_embeddings: Tensor,
    pairs: JudgedPairs,
    logit_scale: Tensor | float,
    *,
    direction: Direction,
    form: TileForm | None = None,
    memory_mib: float = 0.0,
    side: int | None = None,
) -> Competitors:
    """Return the judged pairs' logits and the sums over the unjudged ones.

    Differentiable once, by embeddings and scale. Beside its inputs autograd keeps O(m + n + P)
    numbers, and the tiles that the budget allows.

    Args:
        query_embeddings: m × D; half precision is computed in float32. On a GPU products of
            bfloat16 are made as such, which is exact, and backward's have a gradient in bfloat16.
        document_embeddings: n × D, of the same type.
        pairs: judged pairs.
        logit_scale: s.
        direction: which of the sums are needed; the other is None.
        form: what is summed; by default `SoftmaxTile`, log Σ exp Z.
        memory_mib: MiB of tiles that may be kept from forward to backward.
        side: rows and columns of a tile, ≥ 1; by default what is fast on the device.
    """
    device = query_embeddings.device
    chosen = fused(form or SoftmaxTile(), query_embeddings)
    query_embeddings, document_embeddings = (
        side if _as_it_is(side, chosen) else side.to(torch.promote_types(side.dtype, torch.float32))
        for side in (query_embeddings, document_embeddings)
    )
    scale = torch.as_tensor(logit_scale, device=device)
    scale = scale.to(torch.promote_types(query_embeddings.dtype, torch.float32))
    shape = len(query_embeddings), len(document_embeddings)
    plan = _Plan(
        Tiling.of(shape, pairs.queries, pairs.documents, side or default_side(device)),
        int(memory_mib * 2**20 / scale.element_size()),
        chosen,
        by_row=direction != "document_to_query",
        by_column=direction != "query_to_document",
    )
    found = _Tiled.apply(  # type: ignore[no-untyped-call]
        query_embeddings, document_embeddings, scale.reshape(()), plan
    )
    return Competitors(*found)


@dataclass(frozen=True)
class _Plan:
    """The tiles, how many logits may be kept, what is summed, and which sums are needed."""

    tiling: Tiling
    budget: int
    form: TileForm
    by_row: bool
    by_column: bool


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, documents: Tensor, scale: Tensor, plan: _Plan) -> Any:
        with torch.autocast(queries.device.type, enabled=False):
            walk = _Walk(queries, documents, scale, plan)
            own, rows, columns = walk.sums(plan.budget if any(ctx.needs_input_grad) else 0)
        ctx.plan, ctx.shifts = plan, walk.shifts
        ctx.save_for_backward(queries, documents, scale, rows, columns, *walk.kept)
        return (
            own,
            rows.to(own.dtype) if plan.by_row else None,
            columns.to(own.dtype) if plan.by_column else None,
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, own: Tensor, rows: Tensor | None, columns: Tensor | None) -> Any:
        queries, documents, scale, row_sums, column_sums, *kept = ctx.saved_tensors
        sides = (
            None if rows is None else Side(row_sums, rows.contiguous()),
            None if columns is None else Side(column_sums, columns.contiguous()),
        )
        with torch.autocast(queries.device.type, enabled=False):
            walk = _Walk(queries, documents, scale, ctx.plan, ctx.shifts, kept)
            return (*walk.gradients(own, sides, ctx.needs_input_grad), None)


@dataclass(frozen=True)
class _Walk:
    """A walk over the tiles, forward or backward.

    shifts: of each tile, what the form's `take` returned.
    kept: the first tiles, as many as the budget allows, as `take` left them.
    """

    queries: Tensor
    documents: Tensor
    scale: Tensor
    plan: _Plan
    shifts: list[float | None] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)

    def sums(self, budget: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the pairs' logits, and wide sums by row and by column."""
        plan, tiling, form = self.plan, self.plan.tiling, self._form()
        own = self.scale.new_empty(len(tiling.order))
        rows, columns = (_nothing(len(x), self.scale, form) for x in (self.queries, self.documents))
        bounded = form.asks_bound and bool(tiling.tiles) and self._bound() <= LARGEST
        memory = self._memory()
        for tile in tiling.tiles:
            budget -= tile.size
            if budget >= 0:
                self.kept.append(self.scale.new_empty(tile.shape))
            logits = self._logits(tile, self.kept[-1] if budget >= 0 else memory)
            places = tiling.places(tile)
            own[tiling.order[tile.pairs]] = logits[places]
            shift = form.take(logits, places, bounded)
            self.shifts.append(shift)
            form.add(
                rows[tile.rows] if plan.by_row else None,
                columns[tile.columns] if plan.by_column else None,
                logits,
                shift,
            )
        if self._divided:
            own *= self.scale
        return own, rows.clamp_(min=NO_LOGIT), columns.clamp_(min=NO_LOGIT)

    def gradients(
        self, own: Tensor, sides: tuple[Side | None, Side | None], needed: Sequence[bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients by queries, documents and scale, those that are needed.

        Args:
            own: gradient by the pairs' logits.
            sides: of all rows and of all columns.
            needed: of which of the three.
        """
        wide = self.scale.dtype
        by_query = torch.zeros_like(self.queries, dtype=wide) if needed[0] or needed[2] else None
        by_document = torch.zeros_like(self.documents, dtype=wide) if needed[1] else None
        tiling, form = self.plan.tiling, self._form()
        logits, memory = self._memory(), self._memory().to(self.queries.dtype)
        for number, (tile, shift) in enumerate(zip(tiling.tiles, self.shifts, strict=True)):
            if number < len(self.kept):
                values = self.kept[number]
            else:
                values = self._logits(tile, logits)
                form.again(values, shift)
            gradient = form.gradient(values, shift, *_of_tile(sides, tile), _view(memory, tile))
            places = tiling.places(tile)
            gradient[places] = 0.0
            of_pairs = own[tiling.order[tile.pairs]].to(gradient.dtype)
            gradient.index_put_(places, of_pairs, accumulate=True)
            if by_query is not None:
                _add_product(by_query[tile.rows], gradient, self.documents[tile.columns])
            if by_document is not None:
                _add_product(by_document[tile.columns], gradient.T, self.queries[tile.rows])
        return self._scaled(by_query, by_document, needed)

    def _scaled(
        self, by_query: Tensor | None, by_document: Tensor | None, needed: Sequence[bool]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Return the gradients from those by the embeddings at scale 1, which are overwritten."""
        by_scale = None
        if needed[2]:
            assert by_query is not None
            parts = zip(*(torch.split(x, _ROWS) for x in (self.queries, by_query)), strict=True)
            by_scale = torch.stack([(a * b).sum() for a, b in parts]).sum()
        for gradient in (by_query, by_document):
            if gradient is not None:
                gradient.mul_(self.scale)
        dtype = self.queries.dtype
        return (
            by_query.to(dtype) if by_query is not None and needed[0] else None,
            None if by_document is None else by_document.to(dtype),
            by_scale,
        )

    def _bound(self) -> float:
        """Return what no logit's magnitude exceeds (Cauchy–Schwarz)."""
        longest = [side.norm(dim=1).max() for side in (self.queries, self.documents)]
        return float(self.scale.abs() * longest[0] * longest[1])

    @property
    def _divided(self) -> bool:
        """Whether tiles hold logits divided by the scale: those of bfloat16."""
        return self.queries.dtype != self.scale.dtype

    def _form(self) -> TileForm:
        form = self.plan.form
        return form.scaled(self.scale) if isinstance(form, FusedTile) and self._divided else form

    def _logits(self, tile: Tile, memory: Tensor) -> Tensor:
        """Write the logits of a tile to memory."""
        queries, documents = self.queries[tile.rows], self.documents[tile.columns]
        if not self._divided:
            queries = self.scale * queries
        return _product(queries, documents.T, _view(memory, tile))

    def _memory(self) -> Tensor:
        """Return memory for any one tile; the first is the largest."""
        tiles = self.plan.tiling.tiles
        return self.scale.new_empty(tiles[0].size if tiles else 0)


def _product(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """Write a @ b to `out`, which may be wider."""
    if a.dtype == out.dtype:
        return torch.mm(a, b, out=out)
    if a.device.type == "cuda":
        return torch.mm(a, b, out_dtype=out.dtype, out=out)
    return torch.mm(a.to(out.dtype), b.to(out.dtype), out=out)


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add a @ b to a total, which may be wider."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += _product(a, b, torch.empty_like(total))


def _as_it_is(side: Tensor, form: TileForm) -> bool:
    """Return whether products are made in the embeddings' own type."""
    return isinstance(form, FusedTile) and side.dtype == torch.bfloat16


def _view(memory: Tensor, tile: Tile) -> Tensor:
    """Return the start of memory as a tile."""
    return memory.view(-1)[: tile.size].view(tile.shape)


def _of_tile(sides: tuple[Side | None, Side | None], tile: Tile) -> tuple[Side | None, Side | None]:
    """Return the tile's part of the rows and columns."""
    rows, columns = sides
    return (
        None if rows is None else Side(*(x[tile.rows] for x in rows)),
        None if columns is None else Side(*(x[tile.columns] for x in columns)),
    )


def _nothing(length: int, like: Tensor, form: TileForm) -> Tensor:
    """Return sums of nothing, in float64 where the device has it."""
    wide = like.dtype if like.device.type == "mps" else torch.float64
    return torch.full((length,), form.nothing, dtype=wide, device=like.device)
