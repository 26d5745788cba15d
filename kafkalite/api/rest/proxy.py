"""All of REST Proxy's API: which part of it answers a path."""

from typing import NamedTuple

from kafkalite.api.data_plane.exchange import AsgiApp
from kafkalite.api.http.whole_request import WholeRequest
from kafkalite.api.rest.paths import is_consumers_path
from kafkalite.api.rest.topics_endpoint import TopicsEndpoint
from kafkalite.api.rest.topics_paths import parse_topics_path
from kafkalite.api.v3.endpoint import V3Endpoint
from kafkalite.api.v3.paths import is_v3_path


class RestProxy(NamedTuple):
    """The parts of the API."""

    consumers: AsgiApp
    topics: TopicsEndpoint
    v3: V3Endpoint

    def app_for(self, path: str) -> AsgiApp | None:
        """What answers a path; None where it is not of this API."""
        if is_consumers_path(path):
            return self.consumers
        if is_v3_path(path):
            return self.v3
        return None if parse_topics_path(path) is None else self.topics

    def post_whole(self, request: WholeRequest) -> bool:
        """Take a request to produce one record, where that takes no task.

        False, or any exception, leaves it to `app_for` its path; nothing was done then.
        """
        if is_v3_path(request.scope["path"]):
            return self.v3.post_whole(request)
        return self.topics.post_whole(request)
