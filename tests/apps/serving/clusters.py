"""What a machine of a cluster is told of the others."""

from __future__ import annotations

from typing import Any

from wolkvox_async.apps.serving.machines import Cluster


def seen(*workers: tuple[str, bool, int], **said: Any) -> dict[str, Any]:
    """Return a view of a cluster of ten partitions: machines by name, ability and partitions; the first is this one."""
    machines = [
        {"id": f"id of {name}", "name": name, "able": able, "partitions": partitions}
        for name, able, partitions in workers or (("berlin", True, 4), ("bogota", False, 3))
    ]
    view = {"partitions": 10, "ours": machines[0]["partitions"], "workers": machines, "unstored": 2, "stuck": 1}
    return {**view, "current": True, **said}


def cluster(*workers: tuple[str, bool, int], **said: Any) -> Cluster:
    """Return the same as it is kept."""
    told = Cluster.told(seen(*workers, **said))
    assert told is not None
    return told
