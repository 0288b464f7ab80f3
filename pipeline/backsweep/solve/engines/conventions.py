"""Where a peer means something else by the same words: what a difference of weights says, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping

from backsweep.units import Solve

__all__ = ["convention"]

PROFILES: Mapping[tuple[str, str], str] = {
    ("skfolio", "herc"): "counts clusters by another dispersion",
    ("skfolio", "nco"): "counts clusters by another dispersion and weighs them on cross-validated returns",
}
ESTIMATORS: Mapping[tuple[str, str], str] = {
    ("skfolio", "denoised"): "fits the noise in the eigenvalues otherwise",
    ("skfolio", "gerber"): "takes the standard deviation with ddof 0",
    ("skfolio", "bayes_stein"): "shrinks by the covariance without Jorion's factor",
    ("pyportfolioopt", "covariance ewma"): "takes plain means off before it weighs",
}


def convention(engine: str, solve: Solve) -> str | None:
    """Return in a few words what a peer does otherwise for this solve; None where it differs by its solver alone.

    Source: the peers' code; docs/engines.md tells more, and tests/contract/test_engine_peers.py checks that a solve
    without a convention of its own agrees.
    """
    estimators = [solve.covariance.name if solve.covariance else "", solve.mean.name if solve.mean else ""]
    said = [
        PROFILES.get((engine, solve.profile)),
        *(ESTIMATORS.get((engine, name)) for name in (*estimators, f"covariance {estimators[0]}")),
        *_tree(engine, solve),
    ]
    return "; ".join(each for each in said if each) or None


def _tree(engine: str, solve: Solve) -> list[str]:
    """Return what a peer's tree of assets is grown from, and how it is read."""
    if solve.profile not in ("hrp", "herc", "nco") or solve.covariance is None:
        return []
    sample = solve.covariance.name == "sample"
    if engine == "skfolio":
        said = ["orders leaves optimally"] if solve.profile == "hrp" and not solve.parameters["leafOrder"] else []
        return [*said, *([] if sample else ["grows its tree from the sample correlation"])]
    return [] if sample else ["rounds correlations to six digits"]
