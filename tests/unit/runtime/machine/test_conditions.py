"""What the system does not tell is None, never an error: the watch runs beside every answer."""

import os

import psutil
import pytest

from runtime.machine.conditions import ConditionsSampler, clock_share, on_battery


def refuse() -> None:
    raise FileNotFoundError(2, "No such file or directory", "/sys/class/power_supply")


def test_a_system_without_sensors_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", refuse)
    monkeypatch.setattr(psutil, "cpu_freq", refuse)
    assert on_battery() is None
    assert clock_share() is None
    watch = ConditionsSampler(os.getpid())
    watch.start()
    conditions = watch.stop()
    assert conditions.on_battery is None
    assert conditions.seconds > 0
