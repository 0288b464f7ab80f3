"""The flow a Prefect worker executes in a pod that the operator asked for.

Imported by Prefect by its dotted name, so that neither numpy nor the engine is imported before the numeric environment
is pinned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.flows import Flow
from prefect.states import Completed, Failed

from backsweep.orchestration.client import FLOW_NAME
from backsweep.orchestration.pod_report import end_outcome, report_of, write_report
from backsweep.settings import pin_numeric_environment

__all__ = ["run_sweep"]


def _run_sweep(
    document: dict[str, Any],
    namespace: str,
    uid: str,
    attempt: int,
    ray: dict[str, Any] | None = None,
    budget: dict[str, Any] | None = None,
) -> Any:
    """Run one attempt of a sweep, and say in the pod's termination message how it ended.

    A signal leaves no message: of a pod that is lost, its Job makes another one, which goes on from the store.

    Parameters
    ----------
    document : the BacktestSweep.
    namespace, uid, attempt : what the attempt is called by.
    ray : address and workers of the Ray it was given; None for none.
    budget : limit, and what was spent before this attempt.
    """
    report: bytes | None = None
    run: Any = None
    try:
        pin_numeric_environment()
        from backsweep.orchestration.pod_run import Order, PodRun

        run = PodRun(Order(document, namespace, uid, attempt, ray, budget))
        ended = run.execute()
        report = report_of(ended.outcome, ended.message, ended.parts)
    except Exception as error:
        sentence = str(error) or type(error).__name__
        report = report_of(end_outcome(error), sentence, _known(run))
        raise
    finally:
        if report is not None:
            write_report(report)
    made: Any = Completed if ended.outcome == "succeeded" else Failed
    return made(message=ended.message)


def _known(run: Any) -> Mapping[str, Any]:
    """Return what a report says of a run that did not finish."""
    return {} if run is None else {"trials": run.counts}


run_sweep: Flow[..., Any] = Flow(_run_sweep, name=FLOW_NAME, validate_parameters=False, persist_result=False, retries=0)
