"""Losses and further means that may make a tuned model rank new documents better: on trial.

Each loss is the default one (`judged_contrastive`) with a term or a change, for a recipe with
benchmarks/ on the Python path and code allowed, such as

    [loss]
    name = "candidates.spread:SpreadOutLoss"
    parameters = {weight = 0.1, form = "orthogonal"}

With the strength 0 (or what its docstring says) it is the default loss to the bit. What proves
itself moves into rankfield.
"""
