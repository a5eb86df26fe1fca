# The two commands of the README are `make study` and `make test`; each works alone on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: study test check lint types floors examples wheel twin kernels bench variants gallery clean

study: .venv/study.done
	$(BIN)/thinnet study

test: .venv/dev.done
	$(BIN)/python -m pytest -n auto --dist loadgroup

# Everything that has to hold before a change lands, but for the tests.
check: lint types floors examples

lint: .venv/dev.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/dev.done
	$(BIN)/pyright

floors: .venv/dev.done
	$(BIN)/lint-imports

examples: .venv/dev.done
	$(BIN)/python -m pytest --doctest-modules --doctest-glob="*.md" -o testpaths= -o pythonpath=docs src docs README.md

# The tests again, against the wheel, in an environment that has never seen the sources.
wheel: .venv/dev.done
	rm -rf dist build/wheel-env
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv build/wheel-env
	build/wheel-env/bin/python -m pip install --quiet --constraint constraints.txt "$$(ls $(CURDIR)/dist/*.whl)[test]"
	build/wheel-env/bin/python -m pytest -n auto --dist loadgroup -p no:cacheprovider

# The same without a compiler: everything has to pass on the NumPy twin; frameworks above PyTorch see none of it.
twin: .venv/dev.done
	rm -rf build/twin-env
	$(PYTHON) -m venv build/twin-env
	CXX=false build/twin-env/bin/python -m pip install --quiet --constraint constraints.txt "$(CURDIR)[test]"
	build/twin-env/bin/python -c "from thinnet import native; assert native.name() == 'numpy', native.name()"
	build/twin-env/bin/python -m pytest -n auto --dist loadgroup -p no:cacheprovider --ignore=tests/torch/frameworks

# The kernels below Python, and under sanitizers.
kernels: .venv/dev.done
	csrc/check.sh

# BLAS chooses its kernels by the processor, whatever the shell says.
BENCH := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python

bench: .venv/dev.done
	$(BENCH) benchmarks/kernels.py
	$(BENCH) benchmarks/rows.py
	$(BENCH) benchmarks/epoch.py
	$(BENCH) benchmarks/xor.py
	$(BENCH) benchmarks/import.py
	$(BENCH) benchmarks/sklearn_mlp.py
	$(BENCH) benchmarks/convolution.py
	$(BENCH) benchmarks/torch_modules.py
	$(BENCH) benchmarks/torch_steps.py
	$(BENCH) benchmarks/table.py
	$(BENCH) docs/tables.py
	$(BENCH) docs/errors.py

# The pages of docs/variants, from the rows of the catalogue.
variants: .venv/dev.done
	$(BIN)/python docs/catalogue.py

# Figures and pictures of the pages in docs/gallery; DATA="--mnist FOLDER ..." for those that are not shipped.
gallery: .venv/dev.done
	$(BENCH) docs/exhibits.py $(DATA)

KERNELS := CMakeLists.txt $(shell find csrc -name '*.[ch]pp')

.venv/study.done: pyproject.toml constraints.txt $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable ".[study]"
	touch $@

.venv/dev.done: pyproject.toml constraints.txt $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable ".[dev]"
	touch $@ .venv/study.done

clean:
	rm -rf .venv build dist
