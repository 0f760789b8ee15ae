"""Inputs from exporters that show every GPU of a node: DCGM's, and nvidia_gpu_prometheus_exporter with its forks.

With MIG both repeat a board's power for each slice: the largest value of a board is the board's. dcgm-exporter writes
UUID or uuid: without either label the boards of a node would be one. Of the other one slices are told by their own
`MIG-` UUID, for its releases up to v0.2.0 have no label GPU_I_ID. A board that has gone is none after two scrapes.
"""

from aggregator.sources.prometheus.expression import Expression, Metric

_DCGM_BOARD = "$node, $UUID, $uuid, $gpu"
_NVIDIA_BOARD = "$node, $uuid"
_DCGM_POWER = {"boards": Metric("DCGM_FI_DEV_POWER_USAGE")}
# Milliwatts.
_NVIDIA_POWER = {
    "boards": Metric("nvidia_gpu_power_usage_milliwatts", (("uuid", "!~", "MIG.*"),)),
    "slices": Metric("nvidia_gpu_power_usage_milliwatts", (("GPU_I_ID", "!=", ""),)),
}
_BOARDS = "($boards_valid unless $slices_valid)"

DCGM_WATTS = Expression(
    name="gpu_watts",
    metrics=_DCGM_POWER,
    text=f"sum by ($node) (max by ({_DCGM_BOARD}) (avg_over_time($boards_valid[$moments])))",
    low=1.0,
    high=1e5,
)
DCGM_GPUS = Expression(
    name="gpus",
    metrics=_DCGM_POWER,
    text=f"count by ($node) (count by ({_DCGM_BOARD}) (last_over_time($boards[$hold])))",
    low=1.0,
    high=1e3,
)
NVIDIA_WATTS = Expression(
    name="gpu_watts",
    metrics=_NVIDIA_POWER,
    text=f"sum by ($node) (max by ({_NVIDIA_BOARD}) (avg_over_time({_BOARDS}[$moments])))",
    scale=1e-3,
    low=1.0,
    high=1e5,
)
NVIDIA_GPUS = Expression(
    name="gpus",
    metrics=_NVIDIA_POWER,
    text=f"count by ($node) (count by ({_NVIDIA_BOARD}) (last_over_time($boards[$hold])"
    " unless last_over_time($slices[$hold])))",
    low=1.0,
    high=1e3,
)
# The same at one moment, of which the power at rest is made.
DCGM_NOW = Expression(
    name="gpu_watts",
    metrics=_DCGM_POWER,
    text=f"sum by ($node) (max by ({_DCGM_BOARD}) ($boards_valid))",
    low=1.0,
    high=1e5,
)
NVIDIA_NOW = Expression(
    name="gpu_watts",
    metrics=_NVIDIA_POWER,
    text=f"sum by ($node) (max by ({_NVIDIA_BOARD}) ({_BOARDS}))",
    scale=1e-3,
    low=1.0,
    high=1e5,
)
DCGM = (DCGM_WATTS, DCGM_GPUS, DCGM_NOW)
NVIDIA = (NVIDIA_WATTS, NVIDIA_GPUS, NVIDIA_NOW)
