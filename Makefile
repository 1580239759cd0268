# Every target sets up what it needs: each can be the only command typed on a fresh machine that has
# Rust, a C++ compiler and Python 3 with venv.

export PATH := $(HOME)/.cargo/bin:$(PATH)
CARGO_TARGET_DIR ?= target
LORASWEEP := $(CARGO_TARGET_DIR)/release/lorasweep

.PHONY: help demo test build setup assets lint bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: build assets ## run a real sweep on real data, from nothing to the report
	$(LORASWEEP) run sweeps/demo.yaml

test: setup ## set up and run all tests
	cargo test

build: setup ## build the program: target/release/lorasweep
	cargo build --release

setup: ## fetch libtorch into .libtorch, or find the one there is
	@command -v cargo >/dev/null || { echo "error: cargo is missing" >&2; \
	    echo "hint: install Rust as https://rustup.rs says" >&2; exit 5; }
	@.setup/libtorch.sh

assets: ## fetch the demo's model and data into .assets
	@.setup/assets.sh

lint: setup ## check formatting, lints and documentation
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

bench: build assets ## compare one LoRA trial with transformers + PEFT
	python3 tests/bench/single_trial.py --lorasweep $(LORASWEEP)

clean: ## remove everything that the other targets made, but for results and reports
	rm -rf .libtorch .libtorch.partial .assets .assets.partial
	cargo clean
