"""NVIDIA's dcgm-exporter (port 9400): every GPU of a node, and in `hpc_job` the jobs that Slurm's prolog has written.

Read in the source of github.com/NVIDIA/dcgm-exporter (d5e5f51, its renderer and csv files); it was not run, as it needs
libdcgm. `Hostname` became `hostname` on 2026-05-12, slices have files of their own since 2026-04 (#602). Slices take
the place of their board, with the board's UUID, power and energy, and have no DCGM_FI_DEV_GPU_UTIL.
Not shown here: links, switches, CPUs, remapped rows, encoders.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.lab.behaviours import GPU_TYPE, MIB
from tests.lab.exporters.boards import Unit
from tests.lab.exporters.text import Family, heading, line

_RESERVED_MIB = 600


@dataclass(frozen=True)
class Spelling:
    """What differs between releases, options and sites."""

    hostname: str = "Hostname"
    """`hostname` after 4.5.3-4.8.2; empty with `--no-hostname`."""
    uuid: str = "UUID"
    """`uuid` with `--use-old-namespace`."""
    slices_named: bool = True
    """Whether a slice has a file of its own; else it has the jobs of its board's."""
    emptied: bool = False
    """Whether the epilog empties a GPU's file and does not remove it: such a GPU is not shown at all."""
    profiling: bool = True
    """Whether the GPUs and the csv file have DCGM_FI_PROF_*, all of them."""


# By name: type and help.
_FIELDS = {
    "DCGM_FI_DEV_SM_CLOCK": ("gauge", "SM clock frequency (in MHz)."),
    "DCGM_FI_DEV_MEM_CLOCK": ("gauge", "Memory clock frequency (in MHz)."),
    "DCGM_FI_DEV_MEMORY_TEMP": ("gauge", "Memory temperature (in C)."),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", "GPU temperature (in C)."),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power draw (in W)."),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("counter", "Total energy consumption since boot (in mJ)."),
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "GPU utilization (in %)."),
    "DCGM_FI_DEV_MEM_COPY_UTIL": ("gauge", "Memory utilization (in %)."),
    "DCGM_FI_DEV_XID_ERRORS": ("gauge", "Value of the last XID error encountered."),
    "DCGM_FI_DEV_FB_FREE": ("gauge", "Framebuffer memory free (in MiB)."),
    "DCGM_FI_DEV_FB_USED": ("gauge", "Framebuffer memory used (in MiB)."),
    "DCGM_FI_DEV_FB_RESERVED": ("gauge", "Framebuffer memory reserved (in MiB)."),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": ("gauge", "Ratio of time the graphics engine is active."),
    "DCGM_FI_PROF_SM_ACTIVE": ("gauge", "The ratio of cycles an SM has at least 1 warp assigned."),
    "DCGM_FI_PROF_SM_OCCUPANCY": ("gauge", "The ratio of number of warps resident on an SM."),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("gauge", "Ratio of cycles the tensor (HMMA) pipe is active."),
    "DCGM_FI_PROF_DRAM_ACTIVE": ("gauge", "Ratio of cycles the device memory interface is active sending or receiving"
                                 " data."),
    "DCGM_FI_PROF_PIPE_FP64_ACTIVE": ("gauge", "Ratio of cycles the fp64 pipes are active."),
    "DCGM_FI_PROF_PIPE_FP32_ACTIVE": ("gauge", "Ratio of cycles the fp32 pipes are active."),
    "DCGM_FI_PROF_PIPE_FP16_ACTIVE": ("gauge", "Ratio of cycles the fp16 pipes are active."),
    "DCGM_FI_PROF_PCIE_TX_BYTES": ("gauge", "The rate of data transmitted over the PCIe bus in bytes per second."),
    "DCGM_FI_PROF_PCIE_RX_BYTES": ("gauge", "The rate of data received over the PCIe bus in bytes per second."),
}  # fmt: skip


def dcgm_exporter(
    units: Sequence[Unit], spelling: Spelling, pods: Mapping[int, Mapping[str, str]] | None = None
) -> str:
    """Write its page; on Kubernetes *pods* has the labels container, namespace and pod of the boards that have one.

    A GPU's line is repeated for each of its jobs, equal but for `hpc_job`; one without a job has no such label.
    """
    rows = [(unit, labels) for unit in units for labels in _labels(unit, units, spelling, pods)]
    values = {id(unit): _values(unit, profiling=spelling.profiling) for unit in units}
    text = []
    for name, (kind, help) in _FIELDS.items():
        shown = [(labels, values[id(unit)][name]) for unit, labels in rows if name in values[id(unit)]]
        if shown:
            text += [heading(Family(name, kind, help, ())), *(line(name, labels, value) for labels, value in shown)]
    return "".join(text)


def _labels(
    unit: Unit, units: Sequence[Unit], spelling: Spelling, pods: Mapping[int, Mapping[str, str]] | None
) -> Iterator[list[tuple[str, str]]]:
    """Yield the labels of a GPU, in its order, once for each job."""
    bus = f"00000000:{unit.board + 16:02X}:00.0"
    labels = [("gpu", str(unit.board)), (spelling.uuid, unit.board_uuid), ("pci_bus_id", bus)]
    labels += [("device", f"nvidia{unit.board}"), ("modelName", GPU_TYPE)]
    if unit.device.slice:
        labels += [("GPU_I_PROFILE", unit.device.slice.profile), ("GPU_I_ID", unit.instance)]
    if spelling.hostname:
        labels.append((spelling.hostname, unit.node))
    labels.append(("DCGM_FI_DRIVER_VERSION", "550.54.15"))
    pod = (pods or {}).get(unit.board, {})
    of_file = [unit] if spelling.slices_named else [each for each in units if each.board == unit.board]
    jobs = [str(job.key) for each in of_file for job in each.jobs]
    if not jobs and not spelling.emptied:
        yield [*labels, *sorted(pod.items())]
    for job in jobs:
        yield [*labels, *sorted({**pod, "hpc_job": job}.items())]


def _values(unit: Unit, *, profiling: bool) -> dict[str, str]:
    """Write the values of a GPU: DCGM's integers, and its doubles with six digits."""
    used = unit.memory // MIB
    whole = {
        "DCGM_FI_DEV_SM_CLOCK": 1410, "DCGM_FI_DEV_MEM_CLOCK": 1215, "DCGM_FI_DEV_MEMORY_TEMP": 45,
        "DCGM_FI_DEV_GPU_TEMP": 40, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": round(1000 * unit.joules),
        "DCGM_FI_DEV_XID_ERRORS": 0, "DCGM_FI_DEV_FB_USED": used, "DCGM_FI_DEV_FB_RESERVED": _RESERVED_MIB,
        "DCGM_FI_DEV_FB_FREE": max(0, unit.memory_total // MIB - used - _RESERVED_MIB),
    }  # fmt: skip
    if not unit.device.slice:
        whole["DCGM_FI_DEV_GPU_UTIL"] = round(unit.utilization)
        whole["DCGM_FI_DEV_MEM_COPY_UTIL"] = round(100 * unit.active("dram"))
    if profiling:
        whole |= dict.fromkeys(
            ("DCGM_FI_PROF_PCIE_TX_BYTES", "DCGM_FI_PROF_PCIE_RX_BYTES"), round(1e6 * unit.utilization)
        )
    doubles = {"DCGM_FI_DEV_POWER_USAGE": unit.watts, **(_profiled(unit) if profiling else {})}
    return {name: str(value) for name, value in whole.items()} | {name: f"{value:f}" for name, value in doubles.items()}


def _profiled(unit: Unit) -> dict[str, float]:
    pipes = {f"PIPE_{what.upper()}": unit.active(what) for what in ("tensor", "fp64", "fp32", "fp16")}
    others = {"GR_ENGINE": unit.utilization / 100, "SM": unit.active("sm"), "DRAM": unit.active("dram")}
    ratios = {f"DCGM_FI_PROF_{name}_ACTIVE": value for name, value in (pipes | others).items()}
    return {**ratios, "DCGM_FI_PROF_SM_OCCUPANCY": unit.active("occupancy")}
