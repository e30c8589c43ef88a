"""The records of a run for people and for programs; reads no files.

`rows` makes the report from results, the other modules show it.
"""
