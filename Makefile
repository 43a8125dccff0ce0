# make run   sets everything up and runs Stillroom: the window, or the same path in the terminal
# make test  sets everything up and runs every check
# make installers  builds this system's packages into build/installers/out
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test test-aside test-engines test-all setup lint installers clean

run:
	@$(PYTHON) installers/bootstrap.py run
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] || [ "$$(uname)" = Darwin ]; then \
		$(BIN)/stillroom pull smollm2-135m-instruct >&2 && exec $(BIN)/stillroom; \
	else exec $(BIN)/stillroom try; fi

setup:
	@$(PYTHON) installers/bootstrap.py test

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Side by side: what needs no engine wants a core, the others often wait, and some time themselves.
test: lint
	@$(MAKE) -j2 test-aside test-engines

test-aside:
	nice $(BIN)/pytest -m "not slow" tests/unit tests/packaging

test-engines:
	$(BIN)/pytest -m "not slow" --ignore=tests/unit --ignore=tests/packaging

test-all: lint
	$(BIN)/pytest

installers:
	@QT_QPA_PLATFORM=$${QT_QPA_PLATFORM:-offscreen} $(PYTHON) installers/build.py

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
