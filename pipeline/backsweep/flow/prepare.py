"""From a document to a plan: the data resolved and stored, the trials counted out, what is done found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backsweep.errors import DataError, SpecError
from backsweep.flow.placement import Place, choose_place
from backsweep.flow.site import LAPTOP, Site
from backsweep.flow.steps.attempt import StepDone
from backsweep.flow.tables import table_opener
from backsweep.plan.sweep_plan import PlanOptions, SweepPlan, make_plan
from backsweep.plan.windows import WalkForward
from backsweep.ports import ManifestKey, Store
from backsweep.search.optimiser import optimiser_version
from backsweep.settings import numeric_environment
from backsweep.solve.engines.versions import engine_versions
from backsweep.sources.code import code_digest
from backsweep.sources.loading import Opener, load
from backsweep.stores.ledger import Ledger
from backsweep.stores.opening import AnyStore, StoreAddress, open_store
from backsweep.sweep.datasets import Dataset, put_dataset
from backsweep.sweep.work import module_folders
from backsweep_api.canonical import digest
from backsweep_api.identity import spec_digest
from backsweep_api.not_built import refuse_unbuilt
from backsweep_api.overrides import read_with_sets
from backsweep_api.rounds import SearchSpace, Values
from backsweep_api.spec.document import BacktestSweep
from backsweep_api.trials import Trial, count_trials, distinct_trials, longest_lookback

__all__ = [
    "COMPUTING",
    "LOCAL_STORE",
    "Prepared",
    "StageTimes",
    "key_of",
    "plan_sweep",
    "plan_trials",
    "prepare",
    "read_sweep",
    "store_address",
]

LOCAL_STORE = ".backsweep/store"
COMPUTING = "solve and simulate"  # the stage in which workers are held


@dataclass(slots=True)
class StageTimes:
    """Seconds of each stage, by the clock; the stages of one run follow each other."""

    seconds: dict[str, float] = field(default_factory=dict)

    def time(self, stage: str, work: Callable[[], Any]) -> Any:
        """Return what `work` returns, and note how long it took."""
        start = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A sweep that is resolved and planned.

    Parameters
    ----------
    spec : the normalised spec.
    references : digest of each data set's object in the store.
    strategy : what the plan needs to know of spec.strategy; None without one.
    rounds : of a search, the points of each round that the plan is of: of the first one when it is prepared, of all
        when it is computed. Empty for any other sweep.
    steps : of the pipeline that made its data.
    site : where the run is at home.
    """

    document: BacktestSweep
    spec: Mapping[str, Any]
    folder: Path
    store_address: StoreAddress
    store: AnyStore
    datasets: Sequence[Dataset]
    references: tuple[str, ...]
    strategy: dict[str, Any] | None
    plan: SweepPlan
    times: StageTimes
    rounds: tuple[Sequence[Values], ...] = ()
    steps: tuple[StepDone, ...] = ()
    site: Site = LAPTOP

    @property
    def key(self) -> ManifestKey:
        """Where the sweep's manifest stands."""
        return key_of(self.document, self.site)

    @property
    def place(self) -> Place:
        """Where what the store lacks is computed."""
        return choose_place(self.spec, self.serial_tasks, self.predicted_seconds, self.site)

    @property
    def serial_tasks(self) -> int:
        """How many distinct trials the store lacks; of a search at most, in all its rounds."""
        return sum(identity not in self.plan.present for identity in self.plan.simulation_ids) + self._later_trials

    @property
    def predicted_seconds(self) -> float:
        """The predicted time of one core for them; a trial of a later round is taken to cost what one of these does."""
        seconds = self.plan.predicted_seconds()
        if self._later_trials:
            first = replace(self.plan, present=set()).predicted_seconds()
            seconds += first * self._later_trials / len(self.plan.trials)
        return seconds

    @property
    def most_trials(self) -> int:
        """How many trials the sweep has; of a search at most, in all its rounds."""
        return len(self.plan.trials) + self._later_trials

    @property
    def _later_trials(self) -> int:
        """How many trials the rounds after the planned one can have at most; 0 of what is no search."""
        return max(count_trials(self.document) - len(self.plan.trials), 0) if len(self.rounds) == 1 else 0

    @property
    def ledger(self) -> Ledger:
        """Which trials were ever run on a lineage of data in this store."""
        return Ledger(self.store)


def read_sweep(text: str, sets: Sequence[str]) -> BacktestSweep:
    """Return the document with `--set` applied, refused where it asks for what is not built.

    Raises
    ------
    SpecError, NotBuiltError
    """
    document = read_with_sets(text, sets)
    refuse_unbuilt(document)
    return document


def key_of(document: BacktestSweep, site: Site = LAPTOP) -> ManifestKey:
    """Return where in its store the manifest and the logs of a document's sweep stand."""
    return ManifestKey(site.namespace, document.metadata.name, spec_digest(document))


def prepare(document: BacktestSweep, folder: Path, times: StageTimes | None = None, site: Site = LAPTOP) -> Prepared:
    """Resolve the data and plan the sweep; relative paths of the document start at `folder`.

    Parameters
    ----------
    times : what times the stages; one of its own unless given.
    site : where the run is at home.

    Raises
    ------
    UserError
        For anything the user must change; nothing is computed yet.
    """
    times = times or StageTimes()
    spec = document.normalised()["spec"]
    rounds = _first_round(document)
    address = store_address(spec)
    store = open_store(*address)
    store.probe()
    opener = table_opener(store, address, folder)
    datasets = times.time("resolve data", lambda: [_dataset(entry, folder, opener) for entry in spec["data"]])
    references = times.time("store data", lambda: tuple(put_dataset(store, dataset) for dataset in datasets))
    strategy = _strategy(spec, folder, datasets)
    plan = times.time("plan", lambda: plan_sweep(document, strategy, datasets, store))
    return Prepared(
        document, spec, folder, address, store, datasets, references, strategy, plan, times, rounds, site=site
    )


def plan_sweep(
    document: BacktestSweep,
    strategy: dict[str, Any] | None,
    datasets: Sequence[Dataset],
    store: Store,
    engines: Mapping[str, Mapping[str, str]] | None = None,
) -> SweepPlan:
    """Plan a document over its resolved data sets.

    Parameters
    ----------
    engines : as in `plan_trials`.

    Raises
    ------
    UserError
        If no trial is left, the data are too short, or two data sets have one label.
    """
    trials = list(distinct_trials(document))
    if not trials:
        raise SpecError("spec.axes: no trial is left; exclude less")
    return plan_trials(trials, document, strategy, datasets, store, engines)


def plan_trials(
    trials: Sequence[Trial],
    document: BacktestSweep,
    strategy: dict[str, Any] | None,
    datasets: Sequence[Dataset],
    store: Store,
    engines: Mapping[str, Mapping[str, str]] | None = None,
) -> SweepPlan:
    """Plan these trials of a document over its resolved data sets.

    Parameters
    ----------
    engines : versions of the packages of each peer that solved the trials, for a sweep that is opened again; those
        that are installed here where it is None.

    Raises
    ------
    UserError
        If the data are too short, two data sets have one label, or a peer's package is not installed.
    """
    spec = document.normalised()["spec"]
    data_index = {dataset.label: index for index, dataset in enumerate(datasets)}
    if len(data_index) != len(datasets):
        raise DataError("spec.data: two data sets have the same label; give each a label of its own")
    walk = spec["walkForward"]
    options = PlanOptions(
        walk=WalkForward(walk["test"], walk["step"], walk["purge"], walk["anchored"], walk["partial"] == "keep"),
        longest_lookback=longest_lookback(document),
        holdout=spec["validation"].get("holdout"),
        hold_on_failure=spec["execution"]["onSolveFailure"] == "hold",
        strategy=strategy,
        environment=digest(numeric_environment()),
        engines=engine_versions(document.spec.axes.engine) if engines is None else engines,
    )
    returns = [dataset.returns for dataset in datasets]
    return make_plan(trials, returns, data_index, options, store.present_units)


def _first_round(document: BacktestSweep) -> tuple[Sequence[Values], ...]:
    """Return the first round of a search; nothing for any other sweep.

    Raises
    ------
    UserError
        If there are later rounds, and what proposes them is not installed.
    """
    if document.spec.sampling.method != "search":
        return ()
    space = SearchSpace(document)
    if space.rounds > 1:
        optimiser_version()
    return (space.first_round(),)


def _dataset(entry: Mapping[str, Any], folder: Path, opener: Opener) -> Dataset:
    loaded = load(entry, folder, opener)
    return Dataset(loaded.label, loaded.lineage, loaded.returns, loaded.prices, loaded.features, loaded.provenance)


def store_address(spec: Mapping[str, Any]) -> StoreAddress:
    """Return where the store of a normalised spec is."""
    storage = spec.get("storage", {"uri": LOCAL_STORE})
    return StoreAddress(storage["uri"], storage.get("endpointUrl"), storage.get("region"))


def _strategy(spec: Mapping[str, Any], folder: Path, datasets: Sequence[Dataset]) -> dict[str, Any] | None:
    strategy = spec.get("strategy")
    if strategy is None:
        return None
    return {
        "entrypoint": strategy["entrypoint"],
        "kind": strategy["kind"],
        "usesPrevious": strategy["usesPrevious"],
        "code": code_digest(strategy["entrypoint"], [Path(place) for place in module_folders(folder)]),
        "inputs": [dataset.content_digest() for dataset in datasets],
    }
