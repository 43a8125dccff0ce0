"""Errors of an engine of another package: the parent has never imported their classes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.planning.machine import failed_device
from app.wording.explain import explain
from quant.error_base import StillroomError
from runtime import registry
from runtime.errors import DeviceUnavailable, EngineError
from runtime.plan import LayerRange, Placement
from runtime.process.client import Worker

ROOT = Path(__file__).resolve().parents[2]
PLACEMENT = Placement("failing", (LayerRange("toy0", 0, 3),), "toy0", 512)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setenv(registry.VARIABLE, "tests.helpers.failing_engine")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    worker = Worker.start()
    yield worker
    worker.close()


def test_an_error_is_read_as_the_nearest_one_that_is_known(worker: Worker) -> None:
    with pytest.raises(DeviceUnavailable) as caught:
        worker.load("unplugged", PLACEMENT)
    assert "Unplugged" not in StillroomError.registry
    assert failed_device(PLACEMENT, caught.value) == ("toy0", "device_lost")


def test_an_error_unlike_all_known_ones_is_an_engine_s_and_told_as_it_is(worker: Worker) -> None:
    with pytest.raises(EngineError) as caught:
        worker.load("spring", PLACEMENT)
    told = explain(caught.value)
    assert told.title == "The engine failed"
    assert told.sentence == "The engine reported “SpringBroke”: “spring: left, turns: 7”."
    assert "version" not in told.hint
