"""huggingface_hub, imported once with its telemetry off and a time limit on every request.

Knows the library's switches and its HTTP client; makes no request.
"""

import functools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub import HfApi, ModelInfo
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

DEFAULT_TIMEOUTS = {"connect": 10.0, "read": 20.0, "write": 20.0, "pool": 10.0}  # seconds


@dataclass(frozen=True)
class HubLibrary:
    """What is used of huggingface_hub and its HTTP client."""

    endpoint: str
    offline: bool
    model_info: Callable[..., "ModelInfo"]
    repo_file: Callable[..., "RepoFile"]
    session: Callable[[], "httpx2.Client"]
    api: Callable[[str, str | bool], "HfApi"]
    timeout: Callable[[float, float], "httpx2.Timeout"]
    request_error: type[Exception]
    status_error: type["HfHubHTTPError"]


def load_library(cache_dir: Path) -> HubLibrary:
    """huggingface_hub, with its own files under `cache_dir`.

    It reads its environment once, at import: that is why the import is not at the top of a module.
    """
    if "huggingface_hub" not in sys.modules:
        os.environ.update(hub_environment(cache_dir))
    return _import_library()


@functools.cache  # set_client_factory closes every connection in use: once per process
def _import_library() -> HubLibrary:
    import httpx2
    from huggingface_hub import HfApi, ModelInfo, constants, get_session, set_client_factory
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

    def fill_timeouts(request: httpx2.Request) -> None:
        given: Mapping[str, float | None] = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = {
            name: given.get(name) or seconds for name, seconds in DEFAULT_TIMEOUTS.items()
        }

    def client() -> httpx2.Client:
        return httpx2.Client(event_hooks={"request": [fill_timeouts]}, follow_redirects=True)

    def api(endpoint: str, token: str | bool) -> HfApi:
        return HfApi(endpoint=endpoint, token=token, library_name="stillroom")

    set_client_factory(client)
    return HubLibrary(
        endpoint=constants.ENDPOINT,
        offline=bool(constants.HF_HUB_OFFLINE),
        model_info=ModelInfo,
        repo_file=RepoFile,
        session=get_session,
        api=api,
        timeout=lambda connect, read: httpx2.Timeout(read, connect=connect),
        request_error=httpx2.RequestError,
        status_error=HfHubHTTPError,
    )


def hub_environment(cache_dir: Path) -> dict[str, str]:
    """The environment variables huggingface_hub must see before it is imported."""
    return {
        "HF_HOME": str(cache_dir / "huggingface"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "DO_NOT_TRACK": "1",
    }
