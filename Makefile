# Everything a fresh machine needs besides Python 3.11, pip and make comes from requirements.lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The tests start some hundred processes: none of them need compile pine again, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo models docs test long parity test-redis has-redis browser has-chromium chaos bench check format lock clean help

help:
	@echo "make demo    run the whole system once on a generated market"
	@echo "make models  train the demonstration's models anew on a generated market, some minutes"
	@echo "make docs    write the configuration reference, pine.yaml and .env.example anew"
	@echo "make test    run the tests"
	@echo "make long    more cases of what the tests show, some minutes"
	@echo "make parity  thirty sessions through the reference, the tape and the archive, some minutes"
	@echo "make chaos   the long campaign of kills, some twenty minutes"
	@echo "make bench   measure speed side by side with what else does the same, some ten minutes"
	@echo "make test-redis  run those that need a server on redis-server instead (7.0 or newer; REDIS=program)"
	@echo "make browser  the dashboard in a headless browser (Debian's chromium; CHROMIUM=program)"
	@echo "make check   formatting, lint, types"
	@echo "make format  mend formatting and simple lint"
	@echo "make lock    pin dependencies anew from pyproject.toml, on Linux"
	@echo "make clean   remove what make has made"

demo: $(READY)
	$(BIN)/pine demo

models: $(READY)
	$(BIN)/python tools/demo_models.py

docs: $(READY)
	$(BIN)/python tools/config_reference.py

test: $(READY)
	$(BIN)/pytest -n 3 --dist worksteal -m "not long"

long: $(READY)
	$(BIN)/pytest -n 3 --dist worksteal -m long

parity: $(READY)
	$(BIN)/pytest -s tests/replay/campaign.py

chaos: $(READY)
	$(BIN)/pytest -s tests/chaos/campaign.py

bench: $(READY)
	$(BIN)/pine bench

# Whose machine this is decides where a redis-server comes from: it is found here, never installed.
REDIS ?= redis-server
ON_A_SERVER := tests/bus tests/worker tests/orders tests/ops tests/whole tests/promises

has-redis:
	@command -v "$(REDIS)" || { echo "$(REDIS) not found: apt-get install redis-server, or REDIS=/path/to/it" >&2; exit 2; }
	@"$(REDIS)" --version

test-redis: has-redis $(READY)
	PINE_SERVER_BINARY="$$(command -v "$(REDIS)")" $(BIN)/pytest -n 3 --dist worksteal $(ON_A_SERVER)

CHROMIUM ?= chromium

has-chromium:
	@command -v "$(CHROMIUM)" || { echo "$(CHROMIUM) not found: apt-get install chromium, or CHROMIUM=/path/to/it" >&2; exit 2; }
	@"$(CHROMIUM)" --version --no-sandbox

browser: has-chromium $(READY)
	CHROMIUM="$$(command -v "$(CHROMIUM)")" $(BIN)/pytest tests/web/browser.py

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --extra dev --extra build --strip-extras --generate-hashes --allow-unsafe \
	  --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options --no-header \
	  --output-file requirements.lock pyproject.toml
	$(BIN)/python tools/lock_macos.py

$(READY): requirements.lock pyproject.toml
	$(PYTHON) tools/python_version.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
