# Two commands do everything: `make demo` and `make test`; `make demo-text` is the demo for sentences, `make docs` builds
# the documentation and the gallery into site/. `make test-all` adds the tests that take long: programs that are killed
# and resumed, two hosts, the wheel, the notebooks, the browser and Bazel.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO_SAMPLES ?= 49152
# Quicker than the recipe's own where samples are few; the recipe's schedule pays in longer trainings only.
DEMO_SETTINGS := --set model.partners=1 --set training.batch=16 --set training.average=0.998 --set model.anneal_to=1 \
	--set training.schedule=constant --set training.final_evaluations=0

.PHONY: demo demo-text test test-slow test-all lint docs pages clean

# Installs the versions of requirements.txt; made anew when one of these files changes.
$(VENV)/installed: setup.py pyproject.toml requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[test,export]'
	touch $@

demo: $(VENV)/installed
	rm -rf demo/module
	$(BIN)/python -m acai_tf.train --dataset lines --recipe fast --samples $(DEMO_SAMPLES) --run_dir demo/run $(DEMO_SETTINGS)
	$(BIN)/python -m acai_tf.export --run demo/run --to demo/module
	$(BIN)/python -m acai_tf.zoo._demo --module demo/module --picture demo/interpolation.png

demo-text: $(VENV)/installed
	rm -rf demo-text/module
	$(BIN)/python -m acai_tf.train --dataset grammar --recipe fast --samples 128000 --run_dir demo-text/run --set training.evaluate_every=0
	$(BIN)/python -m acai_tf.evaluate --run demo-text/run --metrics all
	$(BIN)/python -m acai_tf.export --run demo-text/run --to demo-text/module
	$(BIN)/python -m acai_tf.zoo._demo_text --module demo-text/module

PYTEST := $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist worksteal

test: lint
	$(PYTEST) -m 'not slow'

test-slow: $(VENV)/installed
	$(PYTEST) -m slow
	$(BIN)/python tests/bazel/check.py

test-all: test test-slow

# The scripts have no annotations: mypy checks the names and arguments that they use.
LOOSE := --check-untyped-defs --follow-imports silent \
  $(addprefix --disable-error-code=,arg-type assignment method-assign misc union-attr)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy $(LOOSE) benchmarks/*.py

# What only the documentation needs, into the same environment.
$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[docs]'
	touch $@

# The pages and, in site/gallery, the gallery of the pretrained models (which fetches ONNX Runtime Web from npm once).
docs: pages
	rm -rf site/gallery
	$(BIN)/python -m acai_tf.zoo gallery --to site/gallery

pages: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo demo-text site build *.egg-info
