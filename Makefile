# make run          install, train and evaluate RouteDK and its baselines on bundle-mini, print one leaderboard
# make test         install, then the whole test suite
# make install      the environment alone; a second run reuses it
# make lint         ruff, mypy and bandit
# make test-oldest  the suite on the lower ends of setup.cfg's ranges, in an environment of its own
# make test-newest  the same on the upper ends
# make clean        removes the environments, caches and outputs
#
# PYTHON=python3.12 make install    another Python (3.10 to 3.13); `make clean` first where there is an environment
# TORCH=cpu|cuda make install       which build of torch; without it, cuda where there is an NVIDIA GPU, else cpu

PYTHON ?= python3
OLDEST_PYTHON ?= python3.10
VENV ?= .venv
TORCH ?= auto
# Not empty, as in CI: what is installed is what requirements/ci*.txt have hashes of (scripts/pin_requirements.py).
PINNED ?=
# A constraints file for every pip install; test-oldest and test-newest set it.
CONSTRAINTS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAIN := $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS))
STAMP := $(VENV)/.installed

.PHONY: run test install lint style types security chromium clean test-oldest test-newest
.DELETE_ON_ERROR:

run: install
	$(BIN)/python run_recbole_routedk.py --model=RouteDK --dataset=bundle-mini

# Two workers of one thread each: on two cores that is faster than one worker with two threads.
test: install chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

# The report is looked at in a Chromium, which is installed where there is none.
chromium: install
	$(BIN)/python tests/report/chromium.py

lint: style types security

style: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

security: install
	$(BIN)/bandit --quiet --ini .bandit

install: $(STAMP)

$(STAMP): setup.cfg requirements/no-deps.txt scripts/install_torch.py $(CONSTRAINTS) $(if $(PINNED),$(wildcard requirements/ci*.txt))
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
	  || { echo 'recbole_routedk needs Python 3.10 to 3.13: PYTHON=python3.12 make install' >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
ifeq ($(PINNED),)
	$(BIN)/python scripts/install_torch.py --build $(TORCH) $(CONSTRAIN)
	$(PIP) install --no-compile $(CONSTRAIN) -e '.[dev]'
	$(PIP) install --no-compile --no-deps -r requirements/no-deps.txt
else
	$(BIN)/python scripts/install_torch.py --build $(TORCH) --pinned requirements
	$(PIP) install --no-compile --no-deps --require-hashes -r requirements/ci.txt
	$(PIP) install --no-compile --no-deps --no-build-isolation -e .
endif
	touch $@

# A new make, so that VENV and what hangs on it are read anew.
test-oldest:
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=constraints/oldest.txt PYTHON=$(OLDEST_PYTHON)

test-newest:
	$(MAKE) test VENV=.venv-newest CONSTRAINTS=constraints/newest.txt

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  output log log_tensorboard saved
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
