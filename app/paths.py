"""Where Stillroom keeps things on this machine: the only module that knows.

Nothing is read from the environment at import time; `Paths.default` is called once, by the entry.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

HOME_VARIABLE = "STILLROOM_HOME"
_APP = "stillroom"


@dataclass(frozen=True)
class Paths:
    """Every folder and file of one user. Folders are made by those who write into them."""

    config: Path
    data: Path
    cache: Path
    logs: Path

    @classmethod
    def default(cls, environment: Mapping[str, str] = os.environ) -> "Paths":
        """The platform's usual folders, or one folder for all when STILLROOM_HOME names it."""
        home = environment.get(HOME_VARIABLE)
        return cls.under(Path(home)) if home else cls.of_platform()

    @classmethod
    def of_platform(cls) -> "Paths":
        dirs = platformdirs.PlatformDirs(_APP, appauthor=False)
        return cls(
            Path(dirs.user_config_dir),
            Path(dirs.user_data_dir),
            Path(dirs.user_cache_dir),
            Path(dirs.user_log_dir),
        )

    @classmethod
    def under(cls, home: Path) -> "Paths":
        """All folders below one."""
        home = home.absolute()
        return cls(home / "config", home / "data", home / "cache", home / "logs")

    @property
    def settings(self) -> Path:
        return self.config / "settings.json"

    @property
    def models(self) -> Path:
        return self.data / "models"

    @property
    def history(self) -> Path:
        return self.data / "history.sqlite3"

    @property
    def log(self) -> Path:
        return self.logs / "stillroom.log"

    @property
    def worker_log(self) -> Path:
        return self.logs / "worker.log"

    @property
    def learning(self) -> Path:
        return self.data / "machine"

    @property
    def packs(self) -> Path:
        return self.data / "packs"

    @property
    def contexts(self) -> Path:
        return self.cache / "contexts"

    @property
    def hub(self) -> Path:
        return self.cache / "hub"


def bundled_folder() -> Path | None:
    """Where an installer puts the starter model: `starter` beside the program or its data."""
    roots = [Path(sys.executable).parent]
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle:
        roots.append(Path(bundle))
    return next((root / "starter" for root in roots if (root / "starter").is_dir()), None)
