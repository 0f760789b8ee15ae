"""Inputs from exporters that show every GPU of a node: DCGM's, and nvidia_gpu_prometheus_exporter with its forks.

With MIG both repeat a board's power for each slice: the largest value of a board is the board's. dcgm-exporter writes
UUID or uuid: without either label the boards of a node would be one.
"""

from aggregator.sources.prometheus.inputs import Input

DCGM = (
    Input(
        name="gpu_watts",
        metric="DCGM_FI_DEV_POWER_USAGE",
        expression="sum by ($node) (max by ($node, UUID, uuid, gpu) (avg_over_time($series[$hold])))",
        high=1e5,
    ),
    Input(
        name="gpus",
        metric="DCGM_FI_DEV_POWER_USAGE",
        expression="count by ($node) (count by ($node, UUID, uuid, gpu) ($series))",
        low=1.0,
        high=1e3,
    ),
)
NVIDIA = (
    Input(
        name="gpu_watts",
        metric="nvidia_gpu_power_usage_milliwatts",
        expression="sum by ($node) (max by ($node, uuid) (avg_over_time($boards[$hold])))",
        selectors={"boards": ("GPU_I_ID", "=", "")},
        scale=1e-3,
        high=1e5,
    ),
    Input(
        name="gpus",
        metric="nvidia_gpu_power_usage_milliwatts",
        expression="count by ($node) (count by ($node, uuid) ($boards))",
        selectors={"boards": ("GPU_I_ID", "=", "")},
        low=1.0,
        high=1e3,
    ),
)
