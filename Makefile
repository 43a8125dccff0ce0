# make run   sets everything up and runs Stillroom: the window, or the same path in the terminal
# make test  sets everything up and runs every check
# make installers  builds this system's packages into build/installers/out
# The other targets, and how long each takes, are in CONTRIBUTING.md.
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PYTEST := $(BIN)/python -m pytest
# The tests start the program hundreds of times: a module changed since the set-up is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup setup-lint lint check test test-aside test-engines test-all unit one coverage lock \
	release installers clean

run:
	@$(PYTHON) installers/bootstrap.py run
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		$(BIN)/stillroom pull smollm2-135m-instruct >&2 && exec $(BIN)/stillroom; \
	else exec $(BIN)/stillroom try; fi

setup:
	@$(PYTHON) installers/bootstrap.py test

# The checkers need the packages and no engine, so none is compiled for them.
setup-lint:
	@$(PYTHON) installers/bootstrap.py lint

lint: setup-lint
	@$(MAKE) check

check:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The unit tests, or some of them: make unit ARGS="-k catalog"
unit: setup
	$(PYTEST) -q tests/unit $(ARGS)

# One test, slow or not: make one T=tests/unit/quant/test_rope.py::test_name
one: setup
	@test -n "$(T)" || { echo 'usage: make one T=tests/FILE.py::test_name'; exit 2; }
	$(PYTEST) -v "$(T)" $(ARGS)

# Side by side: what needs no engine wants a core, the others often wait, and some time themselves.
test: setup
	@$(MAKE) check
	@$(MAKE) -j2 test-aside test-engines

test-aside:
	nice $(PYTEST) -m "not slow" tests/unit tests/packaging

test-engines:
	$(PYTEST) -m "not slow" --ignore=tests/unit --ignore=tests/packaging

test-all: setup
	@$(MAKE) check
	$(PYTEST)

# What the unit tests alone run of the product; the floor is in pyproject.toml.
coverage: setup
	$(BIN)/coverage run -m pytest -q tests/unit
	$(BIN)/coverage report --skip-covered --sort=cover

# All three locks from the ranges in pyproject.toml; UPGRADE=name or UPGRADE=all lets versions move.
lock:
	@$(PYTHON) installers/locks.py $(UPGRADE)

# Version, changelog, metainfo and tag in one commit: make release VERSION=1.2.3
release:
	@$(PYTHON) installers/release.py "$(VERSION)"

installers:
	@QT_QPA_PLATFORM=$${QT_QPA_PLATFORM:-offscreen} $(PYTHON) installers/build.py

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage
