"""The quality figures of docs/benchmarks.md: a plan as data, run one by one, kept and resumed.

    python -m benchmarks.figures             # whatever is not finished yet
    python -m benchmarks.figures --list      # the plan, and what is finished
    python -m benchmarks.figures --report    # the tables, from what is finished

The way goes `plan` -> `running` (one process per run: `measuring`, `probes`) -> `results` (one JSON
file per run) -> `tables` and `curves`. The images are looked for in ``../shared/data`` or in the
folder named by ``NAPARI_UNET_DATA``.
"""
