"""The text of Slurm's configuration files for ten nodes on one machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.ports import LOOPBACK

NODES = tuple(f"node{number:02d}" for number in range(1, 11))
GPU_NODES = NODES[6:]
CPUS_PER_NODE = 32
MEMORY_MB_PER_NODE = 128000
GPUS_PER_NODE = 4

_SLURM = """\
ClusterName={cluster}
SlurmctldHost=localhost({address})
SlurmctldPort={ctld_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits for as long as its old credential lives, two minutes if nothing is said: a node that is told to
# start it earlier may still be ending the old run, and fails the new one.
AuthInfo=socket={munge_socket},cred_expire=15
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool/%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
SlurmdParameters=config_overrides
# The machine has neither the cgroups nor the size of a compute node.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=2000
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0,sched_min_interval=100000
PriorityType=priority/multifactor
PriorityDecayHalfLife=7-0
# In minutes: how often usage decays, is added up and becomes fair share. There is nothing shorter.
PriorityCalcPeriod=1
PriorityWeightAge=1000
PriorityWeightFairshare=10000
PriorityWeightQOS=1000
ReturnToService=2
KillWait=2
CompleteWait=0
MinJobAge=600
SlurmctldTimeout=60
SlurmdTimeout=300
MessageTimeout=30
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort={dbd_port}
# To slurmdbd the commands use this in place of AuthInfo; with munge it is the socket.
AccountingStoragePass={munge_socket}
AccountingStorageTRES=gres/gpu,gres/gpu:a100
AccountingStoreFlags=job_comment,job_script,job_env
AccountingStorageEnforce=associations,limits,qos
{nodes}
PartitionName=cpu Nodes=node[01-06] Default=YES MaxTime=7-00:00:00 DefaultTime=1:00:00 State=UP
PartitionName=gpu Nodes=node[07-10] MaxTime=3-00:00:00 DefaultTime=1:00:00 State=UP
PartitionName=debug Nodes=node[01-02] MaxNodes=1 MaxTime=1:00:00 DefaultTime=30:00 State=UP
"""

_SLURMDBD = """\
DbdHost=localhost
DbdAddr={address}
DbdPort={dbd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={munge_socket}
LogFile={root}/slurmdbd.log
PidFile={root}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost={address}
StoragePort={db_port}
StorageUser={db_user}
StoragePass={db_password}
StorageLoc={database}
# Written at once rather than when a batch is full, so that jobs appear within a second or two.
CommitDelay=1
"""


@dataclass(frozen=True)
class Storage:
    """Where slurmdbd keeps its tables."""

    port: int
    user: str
    password: str
    database: str


@dataclass(frozen=True)
class SlurmFiles:
    """All that the configuration files mention."""

    root: Path
    cluster: str
    munge_socket: Path
    ctld_port: int
    dbd_port: int
    node_ports: Mapping[str, int]
    storage: Storage

    @property
    def slurm_conf(self) -> Path:
        return self.root / "slurm.conf"

    def write(self) -> None:
        """Write the files and create the folders that they name."""
        for folder in ("state", "spool", *(f"spool/{node}" for node in NODES), "gpu"):
            (self.root / folder).mkdir(mode=0o755)
        for number in range(GPUS_PER_NODE):
            (self.root / "gpu" / f"a100-{number}").touch()
        self.slurm_conf.write_text(self._slurm())
        (self.root / "gres.conf").write_text(self._gres())
        (self.root / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")
        slurmdbd_conf = self.root / "slurmdbd.conf"
        slurmdbd_conf.touch(mode=0o600)  # it holds a password, and slurmdbd refuses any other mode
        slurmdbd_conf.write_text(self._slurmdbd())

    def _slurm(self) -> str:
        return _SLURM.format(
            cluster=self.cluster,
            address=LOOPBACK,
            ctld_port=self.ctld_port,
            dbd_port=self.dbd_port,
            munge_socket=self.munge_socket,
            root=self.root,
            nodes="\n".join(self._node(node) for node in NODES),
        )

    def _node(self, node: str) -> str:
        gres = f" Gres=gpu:a100:{GPUS_PER_NODE}" if node in GPU_NODES else ""
        return (
            f"NodeName={node} NodeHostname=localhost NodeAddr={LOOPBACK} Port={self.node_ports[node]}"
            f" CPUs={CPUS_PER_NODE} RealMemory={MEMORY_MB_PER_NODE}{gres} State=UNKNOWN"
        )

    def _gres(self) -> str:
        files = f"{self.root}/gpu/a100-[0-{GPUS_PER_NODE - 1}]"
        return "".join(f"NodeName={node} Name=gpu Type=a100 File={files}\n" for node in GPU_NODES)

    def _slurmdbd(self) -> str:
        return _SLURMDBD.format(
            address=LOOPBACK,
            dbd_port=self.dbd_port,
            munge_socket=self.munge_socket,
            root=self.root,
            db_port=self.storage.port,
            db_user=self.storage.user,
            db_password=self.storage.password,
            database=self.storage.database,
        )
