"""Data: from what a user has to a data set that networks train on.

The path of data has a file for each station: `loading` chooses the source of
`sources/`, which gives raw arrays (`raw`). `array_inputs` and `preprocessing/` make
inputs of them, `target_labels` makes targets, and `splitting` cuts the parts that are
missing. `memory` keeps rows in memory or on disk (`example_rows`). `assembling` goes
this path and ends with a `dataset`; `stored` lays a data set in a folder, from which
another process opens it. `readers/` make raw inputs of files for predictions later.
"""
