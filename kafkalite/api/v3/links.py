"""Where resources are, and what they are called: `self`, `related` and `resource_name`."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

Document = dict[str, Any]


class Links:
    """Names the resources of one cluster, as the client of one request reaches them."""

    def __init__(self, root: str, cluster_id: str) -> None:
        """Assign only; `root` is the URL of the API, up to `/v3`."""
        self.cluster_id = cluster_id
        self._clusters = f"{root}/clusters"
        self._cluster = f"{self._clusters}/{quote(cluster_id, safe='')}"

    def url(self, *segments: object) -> str:
        """The URL of what is below the cluster."""
        return "/".join([self._cluster, *[quote(str(each), safe=":") for each in segments]])

    def related(self, *segments: object) -> Document:
        """A link to it."""
        return {"related": self.url(*segments)}

    def resource(
        self,
        kind: str,
        segments: Sequence[object],
        name: Sequence[tuple[str, object] | str],
        fields: Document,
    ) -> Document:
        """A resource.

        Args:
            kind: what it is.
            segments: of its URL, below the cluster.
            name: of it below the cluster, part by part; what there is only one of has no value.
            fields: what it says.
        """
        parts = [f"kafka={self.cluster_id}", *map(_part, name)]
        return {
            "kind": kind,
            "metadata": {
                "self": self.url(*segments),
                "resource_name": f"crn:///{'/'.join(parts)}",
            },
            "cluster_id": self.cluster_id,
            **fields,
        }

    def listing(self, kind: str, segments: Sequence[object], data: list[Document]) -> Document:
        """A list of resources of a kind, which is below the cluster."""
        return _list(kind, self.url(*segments), data)

    def clusters(self, data: list[Document]) -> Document:
        """The list of clusters."""
        return _list("KafkaCluster", self._clusters, data)


def _part(named: tuple[str, object] | str) -> str:
    return named if isinstance(named, str) else f"{named[0]}={named[1]}"


def _list(kind: str, url: str, data: list[Document]) -> Document:
    return {"kind": f"{kind}List", "metadata": {"self": url, "next": None}, "data": data}
