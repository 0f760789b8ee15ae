"""What kinds of jobs run, as data: how many, how large, how long, and how they use what they hold."""

from dataclasses import dataclass
from typing import Final

# A reservation, and whose jobs run in it.
WORKSHOP: Final = "workshop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a job uses what it holds: ratios of the allocation, or a fixed number of CPUs, nodes or GPUs that are busy.

    gpu is None where no GPU series exists although the job holds GPUs: no process ever opened them.
    """

    name: str
    cpu: float = 0.95
    memory: float = 0.6
    busy_cpus: float | None = None
    busy_nodes: int | None = None
    gpu: float | None = None
    busy_gpus: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What one job, or component of a heterogeneous job, asks for on each of its nodes."""

    cpus: int
    memory_gib: int
    nodes: int = 1
    gpus: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of job.

    `running` and `pending` are weights, equal to the counts on the default cluster; `components` are the shapes of
    one submission (several: heterogeneous); `tasks` the size range of an array; `users` how many people run it (0:
    everybody); `waiting` the share that is submitted held or dependent; `reservation` where they run instead of the
    common nodes; `told` where one of them begins with the cluster and runs for hours, whatever the seed, so that a
    visitor finds its like in the first minute. Durations are log-normal, cut by the limit.
    """

    name: str
    behaviour: Behaviour
    names: tuple[str, ...]
    components: tuple[Shape, ...]
    running: float
    pending: int
    median_minutes: float
    sigma: float = 0.8
    limit_hours: float = 24.0
    partition: str = "cpu"
    qos: str = "normal"
    users: int = 0
    tasks: tuple[int, int] | None = None
    waiting: float = 0.0
    out_of_memory: float = 0.01
    reservation: str = ""
    told: bool = False

    @property
    def uses_gpus(self) -> bool:
        """Tell whether the jobs go to GPU nodes."""
        return self.gpus > 0

    @property
    def gpus(self) -> int:
        """Give the GPUs of one job."""
        return sum(shape.gpus * shape.nodes for shape in self.components)


EFFICIENT = Behaviour(name="efficient")
SERIAL = Behaviour(name="serial", cpu=0.98, memory=0.5)
MEMORY_OVERREQUESTED = Behaviour(name="memory_overrequested", cpu=0.9, memory=0.05)
ONE_CORE = Behaviour(name="one_core", busy_cpus=1.0, memory=0.3)
ONE_NODE = Behaviour(name="one_node", busy_nodes=1)
SHORT = Behaviour(name="short", cpu=0.7, memory=0.2)
IDLE_SESSION = Behaviour(name="idle_session", cpu=0.01, memory=0.08)
TRANSFER = Behaviour(name="transfer", cpu=0.15, memory=0.25)
GPU_EFFICIENT = Behaviour(name="gpu_efficient", cpu=0.6, memory=0.5, gpu=0.93)
GPU_UNSEEN = Behaviour(name="gpu_unseen", cpu=0.08, memory=0.1)
GPU_LOW = Behaviour(name="gpu_low", cpu=0.3, memory=0.3, gpu=0.12)
GPU_ONE_OF_FOUR = Behaviour(name="gpu_one_of_four", cpu=0.2, memory=0.2, gpu=0.9, busy_gpus=1)

# `#` in a name becomes a number. The odd names are what users really write, and what breaks quoting.
PROFILES = (
    Profile(name="mpi", behaviour=EFFICIENT, told=True,
            names=("wrf_d0#", "vasp-relax", "cesm.run"), users=8, waiting=0.2,
            components=(Shape(64, 192, nodes=2),), running=5, pending=14, median_minutes=600, limit_hours=72,
            qos="large"),
    Profile(name="threads", behaviour=EFFICIENT, told=True,
            names=("gromacs_md#", "cp2k", "orca_opt#"), users=12, waiting=0.15,
            components=(Shape(16, 48),), running=24, pending=40, median_minutes=300, limit_hours=48),
    Profile(name="no_srun", behaviour=ONE_NODE, told=True, names=("namd_2nodes", "lammps.in"), users=2,
            components=(Shape(16, 48, nodes=2),), running=3, pending=2, median_minutes=400),
    Profile(name="coupled", behaviour=EFFICIENT, names=("ocean+atm", "coupled_#"), users=3,
            components=(Shape(8, 24), Shape(16, 32)), running=8, pending=6, median_minutes=200),
    Profile(name="one_core", behaviour=ONE_CORE, told=True,
            names=("Rscript", "matlab_batch", "python main.py"), users=14,
            components=(Shape(8, 24),), running=40, pending=30, median_minutes=240),
    Profile(name="memory", behaviour=MEMORY_OVERREQUESTED, told=True,
            names=("assembly_#", "blast-nr"), users=5, waiting=0.1,
            components=(Shape(2, 40),), running=60, pending=25, median_minutes=150, out_of_memory=0.0),
    Profile(name="array", behaviour=SERIAL, names=("sweep", "bootstrap", "dock_#"), users=14, tasks=(20, 300),
            components=(Shape(1, 3),), running=540, pending=8, median_minutes=50, limit_hours=12, sigma=0.6,
            out_of_memory=0.04),
    Profile(name="analysis", behaviour=EFFICIENT, waiting=0.15,
            names=("analysis_#", "post-#", "fit", 'it\'s "final"', "two\nlines", "🧬 fold", 'back\\slash{a="b"}', ""),
            components=(Shape(4, 12),), running=110, pending=45, median_minutes=90, out_of_memory=0.03),
    Profile(name="short", behaviour=SHORT, names=("tile_#",), users=1, sigma=0.4, partition="debug",
            components=(Shape(1, 2),), running=25, pending=10, median_minutes=3, limit_hours=1),
    Profile(name="session", behaviour=IDLE_SESSION, names=("interactive", "jupyter", "ood-desktop"), users=15,
            components=(Shape(2, 8),), running=45, pending=8, median_minutes=180, limit_hours=8, qos="interactive"),
    Profile(name="transfer", behaviour=TRANSFER, names=("rsync-nearline", "globus_stage"), users=5,
            components=(Shape(1, 4),), running=20, pending=2, median_minutes=120),
    Profile(name="workshop", behaviour=EFFICIENT, names=("exercise_#",), users=8, reservation=WORKSHOP,
            components=(Shape(4, 12),), running=10, pending=2, median_minutes=40, limit_hours=4),
    Profile(name="train_large", behaviour=GPU_EFFICIENT, told=True, names=("llm-pretrain",), users=2,
            partition="gpu", qos="large",
            components=(Shape(48, 400, nodes=2, gpus=4),), running=1, pending=3, median_minutes=900, limit_hours=72),
    Profile(name="train", behaviour=GPU_EFFICIENT, told=True, names=("train.sh", "resnet_run#", "diffusion"), users=6,
            partition="gpu", waiting=0.1, components=(Shape(48, 400, gpus=4),), running=4, pending=10,
            median_minutes=400, limit_hours=72),
    Profile(name="finetune", behaviour=GPU_EFFICIENT, told=True,
            names=("lora_#", "alphafold"), users=6, partition="gpu",
            components=(Shape(12, 110, gpus=1),), running=4, pending=8, median_minutes=240),
    Profile(name="gpu_unseen", behaviour=GPU_UNSEEN, told=True,
            names=("jupyter-gpu", "py_env_test"), users=4, partition="gpu",
            components=(Shape(12, 110, gpus=1),), running=4, pending=4, median_minutes=240, limit_hours=8,
            qos="interactive"),
    Profile(name="gpu_low", behaviour=GPU_LOW, told=True, names=("rl_agent_#", "inference"), users=4, partition="gpu",
            components=(Shape(12, 110, gpus=1),), running=5, pending=6, median_minutes=300),
    Profile(name="gpu_one_of_four", behaviour=GPU_ONE_OF_FOUR, told=True,
            names=("train_ddp",), users=2, partition="gpu",
            components=(Shape(48, 400, gpus=4),), running=1, pending=2, median_minutes=360),
)  # fmt: skip


def scale(running: int, gpus: int, *, reserved: bool = True) -> dict[str, tuple[int, int]]:
    """Give each profile's running and pending counts on a cluster of this size; at least one of each that can run."""
    of_gpus = {profile.name: max(1, int(profile.running * gpus / 48)) for profile in PROFILES if profile.uses_gpus}
    if not gpus:
        of_gpus = {}
    on_cpus = [profile for profile in PROFILES if not profile.uses_gpus and (reserved or not profile.reservation)]
    factor = max(0, running - sum(of_gpus.values())) / sum(profile.running for profile in on_cpus)
    targets = of_gpus | {profile.name: max(1, round(profile.running * factor)) for profile in on_cpus}
    return {
        profile.name: (targets[profile.name], max(2, round(profile.pending * running / 900)))
        for profile in PROFILES
        if profile.name in targets
    }
