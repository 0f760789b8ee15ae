"""nvidia_gpu_prometheus_exporter of plazonic (port 9445), which jobstats reads: every GPU of a node, and whose it is.

Read in the source of github.com/plazonic/nvidia_gpu_prometheus_exporter (73b8cc4, tags v0.2.0 to v0.2.2) and on pages
that it printed. Slurm's prolog writes one job for each GPU into a file: of several that share it, the last one.
Not shown here: clocks, errors, fans.
"""

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from tests.lab.behaviours import GPU_TYPE
from tests.lab.exporters.activity import Activity
from tests.lab.exporters.boards import Device, Unit
from tests.lab.exporters.text import Family, Sample, go_page


class Style(enum.Enum):
    """How it says which job has a GPU."""

    VALUE = "v0.2.0"
    """As the value of nvidia_gpu_jobId, 0 for none; nothing tells a slice but its UUID."""
    LABEL = "v0.2.2"
    """As the labels `jobid` and `userid` as well."""


_HELP = {
    "duty_cycle": "Percent of time over the past sample period during which one or more kernels were executing on the "
    "GPU device",
    "jobId": "JobId number of a job currently using this GPU as reported by Slurm",
    "jobUid": "Uid number of user running jobs on this GPU",
    "memory_total_bytes": "Total memory of the GPU device in bytes",
    "memory_used_bytes": "Memory used by the GPU device in bytes",
    "power_usage_milliwatts": "Power usage of the GPU device in milliwatts",
    "temperature_celsius": "Temperature of the GPU device in celsius",
}
# GPM of Hopper and newer: ratios, whatever their names say. By name the part of the GPU (or all of it) and its help.
_GPM = {
    "graphics_util_percent": ("", "Percentage of time any compute/graphics app was active on the GPU"),
    "sm_util_percent": ("sm", "Percentage of SMs that were busy"),
    "sm_occupancy_percent": ("occupancy", "Percentage of warps that were active vs theoretical maximum"),
    "integer_util": ("fp32", "Percentage of time the GPU's SMs were doing integer operations"),
    "any_tensor_util_percent": ("tensor", "Percentage of time the GPU's SMs were doing ANY tensor operations"),
    "dram_bw_util_percent": ("dram", "Percentage of DRAM bw used vs theoretical maximum"),
    "fp64_util_percent": ("fp64", "Percentage of time the GPU's SMs were doing non-tensor FP64 math"),
    "fp32_util_percent": ("fp32", "Percentage of time the GPU's SMs were doing non-tensor FP32 math"),
    "fp16_util_percent": ("fp16", "Percentage of time the GPU's SMs were doing non-tensor FP16 math"),
}
# And bytes per second of each percent of use.
_LINKS = {
    "pcie_tx_per_sec": (1e6, "PCIe traffic from this GPU in bytes/sec"),
    "pcie_rx_per_sec": (1e6, "PCIe traffic to this GPU in bytes/sec"),
    "nvlink_total_rx_per_sec": (2e6, "NvLink read bandwidth for all links in bytes/sec"),
    "nvlink_total_tx_per_sec": (2e6, "NvLink write bandwidth for all links in bytes/sec"),
}


def nvidia_gpu_exporter(
    units: Sequence[Unit], *, style: Style = Style.LABEL, gpm: bool = False, slices_named: bool = True
) -> str:
    """Write its page; without *slices_named* the prolog names the boards of slices only."""
    shown = [each for _, of_board in groupby(units, lambda unit: unit.board)
             for each in _with_board(list(of_board), slices_named=slices_named)]  # fmt: skip
    rows = [(unit, _labels(unit, style)) for unit in shown]
    families = [_family(name, rows, values) for name, values in _values(shown, style, gpm=gpm).items()]
    devices = len({unit.board for unit in units})
    return go_page([*families, Family("nvidia_gpu_num_devices", "gauge", "Number of GPU devices", [({}, devices)])])


def _with_board(units: list[Unit], *, slices_named: bool) -> Iterable[Unit]:
    """Give a board in MIG mode before its slices."""
    if not units[0].device.slice:
        return units
    board = replace(units[0], device=Device(units[0].board), jobs=(), memory=sum(unit.memory for unit in units))
    if slices_named:
        return [board, *units]
    return [replace(board, jobs=units[0].jobs), *(replace(unit, jobs=()) for unit in units)]


def _values(shown: Sequence[Unit], style: Style, *, gpm: bool) -> dict[str, list[float | None]]:
    """Give the values of each metric, None where it has none."""
    in_mig_mode = {unit.board for unit in shown if unit.device.slice}
    jobs = [_job(unit) for unit in shown]
    none = 0 if style is Style.VALUE else None
    values: dict[str, list[float | None]] = {
        "duty_cycle": [None if unit.board in in_mig_mode else unit.utilization for unit in shown],
        "jobId": [job.key if job else none for job in jobs],
        "jobUid": [job.uid if job else none for job in jobs],
        "memory_total_bytes": [unit.memory_total for unit in shown],
        "memory_used_bytes": [unit.memory for unit in shown],
        "power_usage_milliwatts": [round(1000 * unit.watts) for unit in shown],
        "temperature_celsius": [40.0 for _ in shown],
    }
    for name, (part, _) in _GPM.items() if gpm else ():
        values[name] = [unit.active(part) if part else unit.utilization / 100 for unit in shown]
    for name, (factor, _) in _LINKS.items() if gpm else ():
        values[name] = [factor * unit.utilization for unit in shown]
    return values


def _family(name: str, rows: Sequence[tuple[Unit, dict[str, str]]], values: Sequence[float | None]) -> Family:
    more = {**_GPM, **_LINKS}
    help = more[name][1] if name in more else _HELP[name]
    return Family(f"nvidia_gpu_{name}", "gauge", help, list(_samples(rows, values)))


def _samples(rows: Sequence[tuple[Unit, dict[str, str]]], values: Sequence[float | None]) -> Iterator[Sample]:
    for (_, labels), value in zip(rows, values, strict=True):
        if value is not None:
            yield labels, value


def _labels(unit: Unit, style: Style) -> dict[str, str]:
    labels = {"minor_number": str(unit.board), "name": GPU_TYPE, "ordinal": str(unit.board), "uuid": unit.uuid}
    if style is Style.VALUE:
        return labels
    job = _job(unit)
    named = {"jobid": str(job.key), "userid": str(job.uid)} if job else {"jobid": "", "userid": ""}
    return {**labels, "GPU_I_ID": unit.instance, **named}


def _job(unit: Unit) -> Activity | None:
    """Give the job in the GPU's file: the prolog of the last one to start has overwritten it."""
    return unit.jobs[-1] if unit.jobs else None
