"""Qt and napari: the docks, the session they share, and the worker adapter.

Nothing outside this folder imports it, and nothing in here computes.
"""
