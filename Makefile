# The two commands of the README are `make study` and `make test`; each works alone on a fresh clone.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: study test check lint types floors examples fallbacks newest wheel twin kernels stub bench variants vectors gallery clean

study: .venv/study.done
	$(BIN)/thinnet study

test: .venv/dev.done
	$(BIN)/python -m pytest -n auto --dist loadgroup

# Everything except the tests that has to pass before a change is merged.
check: lint types floors examples

lint: .venv/dev.done
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/dev.done
	$(BIN)/pyright

floors: .venv/dev.done
	$(BIN)/lint-imports

examples: .venv/dev.done
	$(BIN)/python -m pytest --doctest-modules --doctest-glob="*.md" -o testpaths= src docs README.md

# The tests of thinnet.torch without PyTorch's private names, as under a version that has renamed them.
FALLBACKS ?= tests/torch tests/peers/test_torch_operators.py tests/peers/test_torch_modules.py
fallbacks: .venv/dev.done
	THINNET_TORCH_FALLBACKS=1 $(BIN)/python -m pytest -n auto --dist loadgroup $(FALLBACKS)

# The tests of thinnet.torch on the newest PyTorch of the index, some 4 GB; NEWEST=folder takes an environment that is there.
# The result is written to docs/torch-versions.md.
NEWEST ?= build/newest-env
NEWEST_OPTIONS ?= -n auto --dist loadgroup
newest:
	test -x $(NEWEST)/bin/python || { $(PYTHON) -m venv $(NEWEST) && \
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check ".[test]" && \
	$(NEWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade torch torchvision; }
	$(NEWEST)/bin/python tools/newest.py $(NEWEST_OPTIONS)

# An environment with an installed thinnet and the packages of .venv, but without the sources.
OVERLAY = rm -rf $(1) && $(PYTHON) -m venv --without-pip $(1) && \
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" > \
	"$$($(1)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/packages.pth"

# What the wheel has to bring: files, scripts, kernels; first with NumPy alone, then for every namespace.
PACKAGED := tests/test_exports.py tests/test_cli.py tests/test_info.py tests/test_previous.py tests/core/native \
	tests/sklearn/test_dropout.py tests/torch/test_modules.py

wheel: .venv/dev.done
	rm -rf dist build/bare-env
	$(BIN)/python -m build --outdir dist
	$(PYTHON) -m venv build/bare-env
	build/bare-env/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cd build && for words in --help info variants "variants Dropout"; do bare-env/bin/thinnet $$words > /dev/null || exit 1; done
	$(call OVERLAY,build/wheel-env)
	$(BIN)/python -m pip --python build/wheel-env/bin/python install --quiet --no-deps dist/*.whl
	build/wheel-env/bin/python -m pytest -n auto --dist loadgroup -p no:cacheprovider $(PACKAGED)

# Without a compiler the NumPy twin does the work; these are the tests that can see a difference.
TWINNED := tests/test_previous.py tests/core tests/variants tests/net tests/sklearn/test_dropout.py tests/torch/ops \
	tests/torch/streams tests/torch/test_functional.py

twin: .venv/dev.done
	$(call OVERLAY,build/twin-env)
	CXX=false $(BIN)/python -m pip --python build/twin-env/bin/python install --quiet --no-deps "$(CURDIR)"
	build/twin-env/bin/python -c "from thinnet._core import native; assert native.name() == 'numpy', native.name()"
	build/twin-env/bin/python -m pytest -n auto --dist loadgroup -p no:cacheprovider $(TWINNED)

# The C++ without Python: the bodies against each other, and under sanitizers.
kernels: .venv/dev.done
	csrc/check.sh

# The types of the compiled module, after a change of its functions; a test compares them with the module.
stub: .venv/dev.done
	$(PIP) nanobind
	$(BIN)/python -m nanobind.stubgen --quiet --module thinnet._native --output-file src/thinnet/_native.pyi

# BLAS chooses its kernels by the processor; variables of the shell must not override it.
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
	$(BENCH) benchmarks/torch_training.py
	$(BENCH) benchmarks/table.py
	$(BENCH) tools/sklearn_tables.py
	$(BENCH) tools/variant_errors.py
	$(BENCH) tools/speed.py

# The pages of docs/variants, generated from the rows of the catalogue.
variants: .venv/dev.done
	$(BIN)/python tools/variant_pages.py

# Golden vectors of new variants; an entry never changes.
vectors: .venv/dev.done
	$(BIN)/python tools/vectors.py

# Figures and pictures of the pages in docs/gallery; DATA="--mnist FOLDER ..." adds the data sets that are not part of the repository.
gallery: .venv/dev.done
	$(BENCH) tools/gallery_pages.py $(DATA)

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
