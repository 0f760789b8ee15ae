"""Inputs from exporters that show every GPU of a node: DCGM's, and nvidia_gpu_prometheus_exporter with its forks.

With MIG both repeat a board's power for each slice: the largest value of a board is the board's. dcgm-exporter writes
UUID or uuid: without either label the boards of a node would be one. Of the other one slices are told by their own
`MIG-` UUID, for its releases up to v0.2.0 have no label GPU_I_ID. A board that has gone is none after two scrapes.
"""

from collections.abc import Mapping

from aggregator.sources.prometheus.client import Matcher
from aggregator.sources.prometheus.inputs import Input

_DCGM_BOARD = "$node, UUID, uuid, gpu"
_NVIDIA_BOARD = "$node, uuid"
_SELECTORS: Mapping[str, Matcher] = {"boards": ("uuid", "!~", "MIG.*"), "slices": ("GPU_I_ID", "!=", "")}
_BOARDS = "($boards_valid unless $slices_valid)"

DCGM = (
    Input(
        name="gpu_watts",
        metric="DCGM_FI_DEV_POWER_USAGE",
        expression=f"sum by ($node) (max by ({_DCGM_BOARD}) (avg_over_time($series_valid[$moments])))",
        low=1.0,
        high=1e5,
    ),
    Input(
        name="gpus",
        metric="DCGM_FI_DEV_POWER_USAGE",
        expression=f"count by ($node) (count by ({_DCGM_BOARD}) (last_over_time($series[$hold])))",
        low=1.0,
        high=1e3,
    ),
)
NVIDIA = (
    Input(
        name="gpu_watts",
        metric="nvidia_gpu_power_usage_milliwatts",
        expression=f"sum by ($node) (max by ({_NVIDIA_BOARD}) (avg_over_time({_BOARDS}[$moments])))",
        selectors=_SELECTORS,
        scale=1e-3,
        low=1.0,
        high=1e5,
    ),
    Input(
        name="gpus",
        metric="nvidia_gpu_power_usage_milliwatts",
        expression=f"count by ($node) (count by ({_NVIDIA_BOARD}) (last_over_time($boards[$hold])"
        " unless last_over_time($slices[$hold])))",
        selectors=_SELECTORS,
        low=1.0,
        high=1e3,
    ),
)
# The same at one moment, of which the power at rest is made.
DCGM_NOW = Input(
    name="gpu_watts",
    metric="DCGM_FI_DEV_POWER_USAGE",
    expression=f"sum by ($node) (max by ({_DCGM_BOARD}) ($series_valid))",
    low=1.0,
    high=1e5,
)
NVIDIA_NOW = Input(
    name="gpu_watts",
    metric="nvidia_gpu_power_usage_milliwatts",
    expression=f"sum by ($node) (max by ({_NVIDIA_BOARD}) ({_BOARDS}))",
    selectors=_SELECTORS,
    scale=1e-3,
    low=1.0,
    high=1e5,
)
