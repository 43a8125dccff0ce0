# make run   sets everything up and runs Stillroom: the window, or the same path in the terminal
# make test  sets everything up and runs every check
# make installers  builds this system's packages into build/installers/out
# The other targets, and how long each takes, are in CONTRIBUTING.md.
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PYTEST := $(BIN)/python -m pytest
# The tests start the program hundreds of times: a module changed since the set-up is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run setup setup-lint lint check test test-e2e test-gui test-engine test-unit test-all unit one coverage lock \
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

# Three at a time, in this order: the tests of e2e wait half of their time. The engines' tests take
# time themselves and use both cores: beside them runs what gives way.
test: setup
	@$(MAKE) -j3 check test-e2e test-gui test-unit test-engine

test-e2e:
	$(PYTEST) -m "not slow" tests/e2e

test-gui:
	$(PYTEST) -m "not slow" tests/gui tests/worker

# And whatever no other line names.
test-engine:
	$(PYTEST) -m "not slow" $(addprefix --ignore=tests/,e2e gui packaging unit worker)

test-unit:
	nice $(PYTEST) -m "not slow" tests/unit tests/packaging

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
