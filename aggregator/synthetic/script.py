"""The job scripts of the synthetic cluster: what the owner of each kind of job would have written."""

import re
from collections.abc import Iterator
from functools import cache

from aggregator.model.accounting import Run
from aggregator.synthetic.profiles import PROFILES

_MEBIBYTE = 2**20
_BODIES = {
    "mpi": ("module load openmpi netcdf", "srun ./model.exe namelist.input"),
    "threads": ("module load gromacs", "export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK", "gmx mdrun -deffnm md"),
    "no_srun": ("module load namd", "# Starts on the first node only.", "namd2 +p16 system.conf"),
    "coupled": ("module load openmpi", "srun --het-group=0 ./ocean : --het-group=1 ./atmosphere"),
    "one_core": ("module load r", "Rscript analysis.R"),
    "memory": ("module load spades", "spades.py -1 left.fq.gz -2 right.fq.gz -o assembly"),
    "array": ('./sweep --task "$SLURM_ARRAY_TASK_ID"',),
    "session": ("module load python", 'jupyter lab --no-browser --ip "$(hostname -f)"'),
    "transfer": ("rsync -a $SCRATCH/results/ $HOME/nearline/results/",),
    "train_large": ("module load cuda python", "srun python -m torch.distributed.run train.py"),
    "train": ("module load cuda python", "srun python train.py --devices 4"),
    "finetune": ("module load cuda python", "python finetune.py"),
    "gpu_unseen": ("module load python", "# Never opens the GPU.", "python explore.py"),
    "gpu_low": ("module load cuda python", "python agent.py --envs 64"),
    "gpu_one_of_four": ("module load cuda python", "# Uses device 0 only.", "python train_ddp.py"),
}
_OTHER = ("module load python", "python main.py")


def write_script(run: Run) -> str:
    """Write the script of a run; the runs of one submission share the text."""
    return "\n".join(("#!/bin/bash", *_options(run), "", *_BODIES.get(_profile_of(run.name), _OTHER), ""))


def _options(run: Run) -> Iterator[str]:
    asked = run.requested
    nodes = asked.nodes or 1
    yield f"#SBATCH --account={run.account}"
    # A name of two lines would end the comment.
    yield f"#SBATCH --job-name={run.name!r}"
    yield f"#SBATCH --partition={run.partition}"
    yield f"#SBATCH --time={(run.time_limit_seconds or 0) / 60:.0f}"
    yield f"#SBATCH --nodes={nodes}"
    yield f"#SBATCH --cpus-per-task={asked.cpus // nodes}"
    yield f"#SBATCH --mem={(asked.memory_bytes or 0) // nodes // _MEBIBYTE}M"
    for gpu_type, count in asked.gpus.items():
        yield f"#SBATCH --gpus-per-node={gpu_type}:{count // nodes}"


@cache
def _profile_of(name: str) -> str:
    """Find the kind of job that has such a name; "" when there is none."""
    for profile in PROFILES:
        if any(re.fullmatch(re.escape(pattern).replace(r"\#", r"\d+"), name) for pattern in profile.names):
            return profile.name
    return ""
