"""Which execution providers can be tried here, and why not the others."""

import importlib.util
from typing import Any

import pytest

from app.wording.explain import finding_text
from runtime.backends.onnx.hardware import hardware
from runtime.backends.onnx.session import provider_device
from runtime.errors import DeviceUnavailable
from runtime.machine.providers import TARGETS, Fact

INTEL = 0x8086


def needs(name: str) -> pytest.MarkDecorator:
    """Skips, with the reason, where a target's optional package is not installed."""
    target = TARGETS[name]
    absent = importlib.util.find_spec(target.module) is None
    reason = f"{target.distribution} is not installed (extra {target.extra!r})"
    return pytest.mark.skipif(absent, reason=reason)


def provider(name: str) -> Any:
    """A target as a parameter that `needs` its package."""
    return pytest.param(name, marks=needs(name), id=name)


def refusal(name: str) -> str:
    """A provider's own words for having no device here; empty where it has one.

    Only those of OpenVINO's processor count, on a processor that is not Intel's: anywhere else a
    provider that lists no device is a fault, and so is one that does not load.
    """
    processors = {each.vendor_id for each in hardware() if each.kind == "CPU"}
    if name != "openvino-cpu" or INTEL in processors:
        return ""
    try:
        provider_device(TARGETS[name])
    except DeviceUnavailable as error:
        if error.reason == "no_such_device":
            vendors = ", ".join(map(hex, sorted(processors)))
            told = finding_text(Fact("provider", False, error.reason))
            return f"{TARGETS[name].provider} {told} on a processor of vendor {vendors}"
        raise
    return ""


def runs_here(name: str) -> str:
    """The target's name, for a test that is skipped where `refusal` has words."""
    if words := refusal(name):
        pytest.skip(words)
    return name
