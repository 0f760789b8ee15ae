"""Inputs from exporters that show every GPU of a node: DCGM's, and nvidia_gpu_prometheus_exporter with its forks.

With MIG both repeat a board's power for each slice: the largest value of a board is the board's. dcgm-exporter writes
UUID or uuid: without either label the boards of a node would be one. Of the other one slices are told by their own
`MIG-` UUID, for its releases up to v0.2.0 have no label GPU_I_ID. A board that has gone is none after two scrapes.
"""

from collections.abc import Mapping

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


def _watts(metrics: Mapping[str, Metric], board: str, watts: str, scale: float = 1.0) -> Expression:
    text = f"sum by ($node) (max by ({board}) ({watts}))"
    return Expression(name="gpu_watts", metrics=metrics, text=text, scale=scale, low=1.0, high=1e5)


def _gpus(metrics: Mapping[str, Metric], board: str, boards: str) -> Expression:
    text = f"count by ($node) (count by ({board}) ({boards}))"
    return Expression(name="gpus", metrics=metrics, text=text, low=1.0, high=1e3)


# Means and numbers over a ledger window; and now, of which the power at rest is made.
DCGM_WATTS = _watts(_DCGM_POWER, _DCGM_BOARD, "avg_over_time($boards_valid[$moments])")
DCGM_GPUS = _gpus(_DCGM_POWER, _DCGM_BOARD, "last_over_time($boards[$hold])")
DCGM_NOW = _watts(_DCGM_POWER, _DCGM_BOARD, "$boards_valid")
NVIDIA_WATTS = _watts(_NVIDIA_POWER, _NVIDIA_BOARD, f"avg_over_time({_BOARDS}[$moments])", scale=1e-3)
NVIDIA_GPUS = _gpus(
    _NVIDIA_POWER, _NVIDIA_BOARD, "last_over_time($boards[$hold]) unless last_over_time($slices[$hold])"
)
NVIDIA_NOW = _watts(_NVIDIA_POWER, _NVIDIA_BOARD, _BOARDS, scale=1e-3)
DCGM = (DCGM_WATTS, DCGM_GPUS, DCGM_NOW)
NVIDIA = (NVIDIA_WATTS, NVIDIA_GPUS, NVIDIA_NOW)
