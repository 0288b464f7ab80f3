"""What was seen, kept as views; and the snapshot one decision is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from backsweep_api.conditions import Phase, State
from backsweep_api.errors import InvariantError
from backsweep_api.names import LABEL_USABLE, AttemptName
from backsweep_operator.errors import StaleReadError
from backsweep_operator.model import (
    ClusterView,
    FlowRunView,
    FlowState,
    Instant,
    JobView,
    Kind,
    PodView,
    PolicyView,
    Release,
    Snapshot,
    SweepView,
)
from backsweep_operator.projections import cluster_view, job_view, pod_view, policy_view, sweep_view

__all__ = ["Key", "Seen", "snapshot_of"]

Key = tuple[str, str]
"""Namespace and name of a sweep: what the queue holds."""

Child = TypeVar("Child", ClusterView, PolicyView, JobView, PodView)
View = SweepView | ClusterView | PolicyView | JobView | PodView
PROJECTIONS: Mapping[Kind, Callable[[Mapping[str, Any]], View | None]] = {
    Kind.SWEEP: sweep_view,
    Kind.CLUSTER: cluster_view,
    Kind.POLICY: policy_view,
    Kind.JOB: job_view,
    Kind.POD: pod_view,
}
USABLE = "true"
KEPT_VERSIONS = 10_000  # for so many versions the end of an object is remembered


@dataclass(slots=True)
class Seen:
    """Everything watched, as views by kind; filled by watches, by lists and by the answers to own writes.

    `flow_runs` has what Prefect last said, `answered_at` when. `reserved` are sweeps whose beginning is under way,
    or may have happened without an answer.
    """

    views: dict[Kind, dict[Key, View]] = field(default_factory=lambda: {kind: {} for kind in PROJECTIONS})
    versions: dict[tuple[Kind, Key], int] = field(default_factory=dict)
    by_sweep: dict[tuple[Kind, Key], set[Key]] = field(default_factory=dict)
    active: set[Key] = field(default_factory=set)
    waiting: dict[Key, Instant] = field(default_factory=dict)
    reserved: set[Key] = field(default_factory=set)
    accounts: dict[str, set[str]] = field(default_factory=dict)
    flow_runs: dict[AttemptName, FlowRunView] = field(default_factory=dict)
    runs_of: dict[Key, set[AttemptName]] = field(default_factory=dict)
    answered_at: Instant | None = None

    def see(self, kind: Kind, raw: Mapping[str, Any]) -> Key | None:
        """Take in an object, unless a newer version of it was seen, and return the sweep it is about.

        None where nothing that is read has changed: most of what is told of a pod is no reason to look at its sweep.
        """
        if kind is Kind.SERVICE_ACCOUNT:
            self._see_account(raw)
            return None
        meta = raw["metadata"]
        place = (meta.get("namespace", ""), meta["name"])
        version = int(meta["resourceVersion"])
        known = self.views[kind].get(place)
        if version < self.versions.get((kind, place), 0):
            return None
        if known is not None and version == self.versions.get((kind, place)):
            return _about(known)  # an own write's answer, or a live read, has brought it already
        view = PROJECTIONS[kind](raw)
        if view is None:
            return None
        self.versions[kind, place] = version
        if view == known:
            return None
        self.views[kind][place] = view
        about = _about(view)
        if isinstance(view, SweepView):
            self._count(about, view)
        else:
            if known is not None and _about(known) != about:  # somebody has written other labels
                self._part(kind, _about(known), place)
            self.by_sweep.setdefault((kind, about), set()).add(place)
        return about

    def forget(self, kind: Kind, place: Key, version: int) -> Key | None:
        """Take out an object that was gone at `version`, and return the sweep it was about.

        The version stays, so that an answer to an own write that arrives late does not bring the object back.
        """
        if kind is Kind.SERVICE_ACCOUNT:
            self.accounts.get(place[0], set()).discard(place[1])
            return None
        if version < self.versions.get((kind, place), 0):
            return None
        self.versions[kind, place] = version
        view = self.views[kind].pop(place, None)
        if view is None:
            return None
        about = _about(view)
        if isinstance(view, SweepView):
            self.active.discard(about)
            self.reserved.discard(about)
            self.waiting.pop(about, None)
        else:
            self._part(kind, about, place)
        return about

    def sweep_at(self, raw: Mapping[str, Any]) -> SweepView | None:
        """Return the view of a sweep if it was seen in exactly this version."""
        meta = raw["metadata"]
        view = self.views[Kind.SWEEP].get((meta.get("namespace", ""), meta["name"]))
        same = isinstance(view, SweepView) and view.reference.resource_version == meta["resourceVersion"]
        return view if isinstance(view, SweepView) and same else None

    def replace(
        self, kind: Kind, raws: Iterable[Mapping[str, Any]], version: int, namespace: str | None = None
    ) -> set[Key]:
        """Take in a whole list of `version`: what is not in it is gone. Return the sweeps it is or was about.

        Parameters
        ----------
        namespace : the one that was listed; None for a list of all that are watched.
        """
        if kind is Kind.SERVICE_ACCOUNT:
            for usable in [self.accounts.get(namespace, set())] if namespace else self.accounts.values():
                usable.clear()
            for raw in raws:
                self._see_account(raw)
            return set()
        listed = {(raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw for raw in raws}
        touched = {self.forget(kind, place, version) for place in self._known(kind, namespace) if place not in listed}
        for place in [known for of, known in self.versions if of is kind and known not in listed]:
            if self.versions[kind, place] + KEPT_VERSIONS < version and place not in self.views[kind]:
                del self.versions[kind, place]
        touched |= {self.see(kind, raw) for raw in listed.values()}
        return {key for key in touched if key is not None}

    def note_flow_run(self, view: FlowRunView) -> None:
        """Take in one flow run."""
        self.flow_runs[view.attempt] = view
        self.runs_of.setdefault((view.attempt.namespace, view.attempt.sweep), set()).add(view.attempt)

    def note_cancelled(self, attempt: AttemptName, now: Instant) -> None:
        """Take in that a flow run was cancelled, or had ended, ahead of Prefect's next answer."""
        view = self.flow_runs.get(attempt)
        if view is not None and not view.state.terminal:
            self.note_flow_run(replace(view, state=FlowState.CANCELLED, state_since=now))

    def note_flow_runs(self, asked: Iterable[AttemptName], found: Iterable[FlowRunView], now: Instant) -> set[Key]:
        """Take in Prefect's answer about the attempts asked for; return the sweeps of those that have changed."""
        answers = {view.attempt: view for view in found}
        changed: set[Key] = set()
        for attempt in {*asked, *answers}:
            if self.flow_runs.get(attempt) != answers.get(attempt):
                changed.add((attempt.namespace, attempt.sweep))
            if attempt in answers:
                self.note_flow_run(answers[attempt])
            else:
                self._forget_run(attempt)
        self.answered_at = now
        return changed

    def attempts_to_poll(self) -> list[AttemptName]:
        """Return the attempts whose flow runs matter: those of sweeps at work, and any that has not ended."""
        at_work = set()
        for key in sorted(self.active):
            view = self.views[Kind.SWEEP].get(key)
            if isinstance(view, SweepView) and view.status.run is not None:
                run, uid = view.status.run, view.reference.uid
                at_work.add(AttemptName.of((*key, uid), run.spec_digest, run.attempt))
        for attempt in [attempt for attempt, view in self.flow_runs.items() if view.state.terminal]:
            if attempt not in at_work:
                self._forget_run(attempt)
        return sorted(at_work | set(self.flow_runs))

    def _known(self, kind: Kind, namespace: str | None) -> list[Key]:
        """Return where the objects of a kind are, in one namespace or in all."""
        return [place for place in self.views[kind] if namespace in (None, place[0])]

    def _part(self, kind: Kind, about: Key, place: Key) -> None:
        """Take an object out of those of a sweep; nothing is kept of a sweep that has none."""
        left = self.by_sweep.get((kind, about), set()) - {place}
        if left:
            self.by_sweep[kind, about] = left
        else:
            self.by_sweep.pop((kind, about), None)

    def _forget_run(self, attempt: AttemptName) -> None:
        self.flow_runs.pop(attempt, None)
        key = (attempt.namespace, attempt.sweep)
        left = self.runs_of.get(key, set()) - {attempt}
        if left:
            self.runs_of[key] = left
        else:
            self.runs_of.pop(key, None)

    def others_active(self, key: Key) -> int:
        """Return how many other sweeps have an attempt; few are reserved at a time, however many are active."""
        beginning = self.reserved - self.active
        return len(self.active) + len(beginning) - (key in self.active or key in beginning)

    def first_in_line(self, places: int) -> list[Key]:
        """Return as many of the sweeps that wait for a place, those that came first."""
        return [key for _, key in sorted((since, key) for key, since in self.waiting.items())[:places]]

    def take_place(self, key: Key, limit: int) -> None:
        """Count a sweep as active before its beginning is written.

        Raises
        ------
        StaleReadError
            If there is no place any more.
        """
        if self.others_active(key) >= limit:
            raise StaleReadError(f"{limit} sweeps have an attempt by now")
        self.reserved.add(key)

    def _count(self, key: Key, view: SweepView) -> None:
        """Keep the counts of sweeps at work and waiting."""
        run = view.status.run
        at_work = run is not None and run.phase is not Phase.STOPPED
        self.active.add(key) if at_work else self.active.discard(key)
        if view.status.state is State.QUEUED and not at_work:
            self.waiting[key] = view.created_at
        else:
            self.waiting.pop(key, None)
        self.reserved.discard(key)

    def _see_account(self, raw: Mapping[str, Any]) -> None:
        """Keep a ServiceAccount's name if it is labelled as usable."""
        meta = raw["metadata"]
        names = self.accounts.setdefault(meta.get("namespace", ""), set())
        usable = meta.get("labels", {}).get(LABEL_USABLE) == USABLE
        names.add(meta["name"]) if usable else names.discard(meta["name"])


def snapshot_of(key: Key, seen: Seen, release: Release) -> Snapshot:
    """Return the snapshot of one sweep's name."""
    sweep = seen.views[Kind.SWEEP].get(key)
    if sweep is not None and not isinstance(sweep, SweepView):
        raise InvariantError(f"{key} is kept as a {type(sweep).__name__}")
    mine = (sweep.created_at if sweep is not None else 0.0, key)
    return Snapshot(
        namespace=key[0],
        name=key[1],
        release=release,
        sweep=None if sweep is None else _with_store(sweep, release),
        clusters=_children(seen, Kind.CLUSTER, key, ClusterView),
        jobs=_children(seen, Kind.JOB, key, JobView),
        pods=_children(seen, Kind.POD, key, PodView),
        policies=_children(seen, Kind.POLICY, key, PolicyView),
        flow_runs=tuple(seen.flow_runs[attempt] for attempt in sorted(seen.runs_of.get(key, ()))),
        flow_runs_at=seen.answered_at,
        others_active=seen.others_active(key),
        others_ahead=sum(1 for other, since in seen.waiting.items() if (since, other) < mine),
        service_accounts=frozenset(seen.accounts.get(key[0], ())),
    )


def _with_store(sweep: SweepView, release: Release) -> SweepView:
    """Return the sweep with the release's store where it names none; where results lie changes no result."""
    document = sweep.document
    if release.storage is None or document is None or document.spec.storage is not None:
        return sweep
    spec = document.spec.model_copy(update={"storage": release.storage})
    return replace(sweep, document=document.model_copy(update={"spec": spec}))


def _children(seen: Seen, kind: Kind, key: Key, view: type[Child]) -> tuple[Child, ...]:
    """Return a sweep's views of one kind, by name."""
    places = sorted(seen.by_sweep.get((kind, key), ()))
    found = (seen.views[kind].get(place) for place in places)
    return tuple(each for each in found if isinstance(each, view))


def _about(view: View) -> Key:
    """Return the sweep a view is about."""
    if isinstance(view, SweepView):
        return view.reference.namespace, view.reference.name
    return view.attempt.namespace, view.attempt.sweep
