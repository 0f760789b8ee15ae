"""Which executable each synthetic job runs, by the name that its owner gave it."""

from typing import Final

from aggregator.model.accounting import Run

_SOFT: Final = "/cvmfs/soft"
_PYTHON: Final = f"{_SOFT}/python/3.12/bin/python3.12"
# The beginning of a job's name → path.
_PATHS: Final = {
    "wrf": f"{_SOFT}/wrf/4.6/main/wrf.exe",
    "vasp": f"{_SOFT}/vasp/6.4/bin/vasp_std",
    "cesm": f"{_SOFT}/cesm/2.1/cesm.exe",
    "gromacs": f"{_SOFT}/gromacs/2024.4/bin/gmx",
    "cp2k": f"{_SOFT}/cp2k/2024.1/cp2k.psmp",
    "orca": f"{_SOFT}/orca/6/orca",
    "namd": f"{_SOFT}/namd/2.14/namd2",
    "lammps": f"{_SOFT}/lammps/2024/lmp",
    "Rscript": f"{_SOFT}/r/4.4/lib/R/bin/exec/R",
    "matlab": f"{_SOFT}/matlab/2024b/bin/glnxa64/MATLAB",
    "assembly": f"{_SOFT}/spades/4/bin/spades-core",
    "blast": f"{_SOFT}/blast/2.14/bin/blastn",
    "rsync": "/usr/bin/rsync",
}
_IN_PYTHON: Final = (
    "python", "sweep", "bootstrap", "analysis", "fit", "jupyter", "post", "llm", "train", "resnet", "diffusion", "lora",
    "alphafold", "py_env", "rl_agent", "inference", "exercise",
)  # fmt: skip


def executable_of(run: Run) -> str:
    """Give the path of what a run executes; what is nobody's software is in its owner's folder."""
    for beginning, path in _PATHS.items():
        if run.name.startswith(beginning):
            return path
    return _PYTHON if run.name.startswith(_IN_PYTHON) else f"/home/{run.user}/bin/a.out"
