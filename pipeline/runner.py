"""Where the work per molecule of a run is done: in worker processes on this machine, or on a Dask cluster."""

import contextlib
import shutil
from collections.abc import Iterator

from molvae.cluster import DaskCluster
from molvae.workers import LocalProcesses, Mapper

from .campaign import Campaign, RunnerSection
from .run_dir import RunDir


@contextlib.contextmanager
def open_mapper(run: RunDir) -> Iterator[Mapper]:
    """The mapper of a stage of a run, by its section `[runner]`.

    On a cluster, the results of complete shards are kept in the run folder until the stage is complete.

    Parameters
    ----------
    run : RunDir
        The run.

    Yields
    ------
    Mapper
        For the stage; a cluster is contacted when the first rows are sent.

    Raises
    ------
    InputError
        The campaign of the run cannot be read.
    MissingPackageError
        Dask is needed and not installed.
    """
    section = Campaign.load(run.campaign).runner
    if section.kind == "local":
        yield LocalProcesses(section.workers)
        return
    with DaskCluster(section.scheduler, store=run.shards, wait_seconds=section.wait_seconds) as cluster:
        yield cluster
    shutil.rmtree(run.shards, ignore_errors=True)


def check_runner(section: RunnerSection) -> None:
    """Check that the cluster of a campaign can be used, before a run starts.

    Parameters
    ----------
    section : RunnerSection
        The section `[runner]`.

    Raises
    ------
    InputError
        No scheduler answers, or the versions differ.
    MissingPackageError
        Dask is not installed.
    MolvaeError
        The cluster has no worker.
    """
    if section.kind == "dask":
        with DaskCluster(section.scheduler, wait_seconds=section.wait_seconds) as cluster:
            cluster.connect()
