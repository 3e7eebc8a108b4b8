"""Definitions: the product of data sets, models and code sizes; published figures beside them, one data set a file.

A data set's file has `ROWS` (name of a code size -> network overrides), `EXCEPTIONS` ((model, row) -> overrides) and
`PUBLISHED` ((model, numbers in a code) -> figures). A data set without a file has one row, its own network.
"""
