"""Graded losses of other work as arms of a benchmark: ``loss.name = "graded.bixse:BiXSELoss"``.

They take a batch's judged pairs with grades from 0 to 1; in the names and formulas of all files,
Z = s · Q Dᵀ are the logits of m queries and n documents, y_ij is the grade of document j for query
i, and an unjudged document of the batch has the grade 0. The pairs' weights play no part. Each loss
is a pure function and a thin module over it.
"""
