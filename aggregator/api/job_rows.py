"""Rows of `jobs` as JSON, with what other tables have of the same runs."""

from collections.abc import Mapping
from typing import Final

import polars as pl

from aggregator.api.energy_representation import job_energy_json
from aggregator.api.lustre_representation import lustre_json
from aggregator.api.representation import Json, Row, job_json, value
from aggregator.model.energy import Price
from aggregator.model.view import ClusterView
from aggregator.model.waste import NO_JUDGEMENT, Judgement
from aggregator.parts.waste.judge import explain_all
from aggregator.parts.waste.observation import Observation
from aggregator.parts.waste.rules import Compiled
from aggregator.sources.prometheus.catalogue import JOB_GAUGES

Judgements = Mapping[int, Judgement]
_GAUGES: Final = tuple(gauge for each in JOB_GAUGES.values() for gauge in each)


def jobs_json(view: ClusterView, jobs: pl.DataFrame, costs: pl.DataFrame, judgements: Judgements) -> list[Json]:
    """Show runs with their use, their input and output, and their energy; costs has those of others, too."""
    cost, lustre = _costs(jobs, costs), _lustre(view, jobs)
    return [
        {
            **job_json(row, view.cluster, judgements.get(row["run_id"], NO_JUDGEMENT)),
            # Of a run that is not in the snapshot nobody asks the servers.
            "lustre": lustre_json(lustre.get(row["run_id"], ())) if row.get("lustre_is_own") else None,
            "gauges": _gauges_json(row),
            "energy": job_energy_json(row, cost.get(row["run_id"], {}), view.prices),
        }
        for row in jobs.iter_rows(named=True)
    ]


def _gauges_json(row: Row) -> Json:
    """Show what exporters declare of jobs; of a run that is not in the snapshot nothing is kept."""
    return {
        gauge.name: value(row.get(gauge.name), gauge.expression.unit, row.get(gauge.coverage), gauge.source)
        for gauge in _GAUGES
    }


def judge(view: ClusterView, jobs: pl.DataFrame) -> Judgements:
    """Say how runs of the snapshot are judged, by run id."""
    compiled, observation = view.context.get(Compiled), view.context.get(Observation)
    return explain_all(jobs, compiled, observation) if compiled and observation else {}


def _lustre(view: ClusterView, jobs: pl.DataFrame) -> Mapping[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    own = view.frames["job_lustre"].join(jobs.select("run_id"), on="run_id", how="semi", maintain_order="left")
    for row in own.iter_rows(named=True):
        found.setdefault(row["run_id"], []).append(row)
    return found


def _costs(jobs: pl.DataFrame, costs: pl.DataFrame) -> Mapping[int, Mapping[Price, float]]:
    found: dict[int, dict[Price, float]] = {}
    own = costs.join(jobs.select("run_id"), on="run_id", how="semi")
    for run_id, component, currency, amount in own.select("run_id", "component", "currency", "amount").iter_rows():
        found.setdefault(run_id, {})[component, currency] = amount
    return found
