"""What slurmctld says: priority of accounts (JS1, AC18, SL1), CPUs and GPUs of the cluster (PG11, PG12, PG14)."""

from tests.catalogue.entry import Entry

_ACCOUNT = "clusters/lab/accounts/$TOP/series"
_CLUSTER = "clusters/lab/series"
_WHOLES = {"PG11": ("allocated", "{}_alloc{{$F}}"), "PG14": ("total", "{}_total{{$F}}")}

ENTRIES = (
    *(
        Entry(
            id=name, portal='slurm_account_levelfs{account="$TOP", $F}', path=_ACCOUNT, metric="levelfs",
            labels={"account": "account"},
        )
        for name in ("JS1", "AC18")
    ),
    Entry(
        id="SL1", portal='slurm_account_levelfs{account=~"$ACCTS", $F}', path=_CLUSTER, metric="levelfs",
        labels={"account": "account"},
    ),
    *(
        Entry(
            id=name, portal=f"slurm_{portal.format(tres)}", path=_CLUSTER, metric=f"scheduler_{tres}",
            only={"state": state},
        )
        for name, (state, portal) in _WHOLES.items()
        for tres in ("cpus", "gpus")
    ),
    *(
        Entry(
            id="PG12", portal=f"slurm_{tres}_alloc{{$F}} + slurm_{tres}_idle{{$F}}", path=_CLUSTER,
            metric=f"scheduler_{tres}", only={"state": "usable"},
        )
        for tres in ("cpus", "gpus")
    ),
)  # fmt: skip
