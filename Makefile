# Every target sets up what it needs: each can be the only command typed on a fresh machine that has
# Rust, a C++ compiler and Python 3 with venv.

export PATH := $(HOME)/.cargo/bin:$(PATH)
CARGO_TARGET_DIR ?= target
LORASWEEP := $(CARGO_TARGET_DIR)/release/lorasweep

# The experiments, each with a small profile. The two of GPT-2 start from the model in $(GPT2).
EXPERIMENTS := agnews_rank_alpha modernbert_agnews tagging_conll goemotions_labels roberta_glue sts_similarity qwen_chat_lora complaints_three_ways gptmini_mnli_kfold gpt2_corpora gpt2_squad
GPT2 := .assets/gpt2-small

.PHONY: help demo small test fuzz chaos demo-interrupted build setup assets wheel wheel-check lint bench bench-grid bench-accuracy bench-trial bench-shapes bench-overhead bench-search bench-search-live bench-search-record bench-gpu gpu-check gpu-smoke peft-check clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { sub(":.*", "", $$1); printf "make %-17s %s\n", $$1, $$2 }' Makefile

demo: build assets ## run a real sweep on real data, from nothing to the report
	$(LORASWEEP) run sweeps/demo.yaml

small: .data build assets $(GPT2) ## run the experiments' small profiles on DATA=folder
	set -e; for sweep in $(EXPERIMENTS); do $(LORASWEEP) run sweeps/$$sweep.yaml --profile small; done
	$(LORASWEEP) run sweeps/gptmini_mnli_kfold.yaml --profile small-lora

# Data that nothing here fetches; sweeps/README.md says what is in it.
.data:
	@[ -d "$(DATA)" ] || { echo "error: there is no data in .data" >&2; \
	    echo "hint: \`make small DATA=folder\` links it there; sweeps/README.md says what the folder holds" >&2; exit 2; }
	ln -s "$$(realpath "$(DATA)")" .data

$(GPT2): | .data build
	$(LORASWEEP) run sweeps/gpt2_small_wikitext2.yaml --profile small
	trial=$$($(LORASWEEP) status gpt2-small-wikitext2-small --json | \
	    python3 -c 'import json, sys; print(json.load(sys.stdin)["trials"][0]["id"])') && \
	    $(LORASWEEP) export gpt2-small-wikitext2-small "$$trial" --out $@

test: setup ## set up and run all tests
	cargo test

fuzz: ## give every reader of files mutated ones, each for FUZZ_SECONDS (600)
	FUZZ_SECONDS=$${FUZZ_SECONDS:-600} cargo test --release --no-default-features --test fuzz -- --nocapture

chaos: setup ## kill sweeps of 200 trials, and compared ones, at random moments for CHAOS_SECONDS (600), and compare their ends
	CHAOS_SECONDS=$${CHAOS_SECONDS:-600} CHAOS_TRIALS=$${CHAOS_TRIALS:-200} cargo test --release --test faults -- chaos::a_sweep compared:: --nocapture

demo-interrupted: build assets ## interrupt the demo ten times and compare its end with an undisturbed one's
	python3 tests/interrupted_demo.py --lorasweep $(LORASWEEP)

build: setup ## build the program: target/release/lorasweep
	cargo build --release

wheel: setup ## build a wheel for machines without Rust: target/wheel/lorasweep-*.whl
	@.setup/wheel.sh

wheel-check: wheel ## install that wheel in fresh environments, and run a sweep there
	python3 tests/wheel_check.py $(CARGO_TARGET_DIR)/wheel/lorasweep-*.whl

setup: ## fetch libtorch into .libtorch, or find the one there is
	@command -v cargo >/dev/null || { echo "error: cargo is missing" >&2; \
	    echo "hint: install Rust as https://rustup.rs says" >&2; exit 5; }
	@.setup/libtorch.sh

assets: ## fetch the demo's model and data into .assets
	@.setup/assets.sh

lint: setup ## check formatting, lints, documentation, and what the dependencies are
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	cargo clippy --no-default-features --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
	@.setup/deny.sh

bench: bench-grid bench-trial bench-shapes bench-overhead ## measure all that needs no GPU

bench-grid: build assets ## compare a LoRA grid with transformers + PEFT (PAIRS=n: so often)
	python3 tests/bench/grid.py --lorasweep $(LORASWEEP) --pairs $(or $(PAIRS),1)

bench-accuracy: build assets ## compare the accuracy of one trial of that grid over SEEDS=n seeds (12)
	python3 tests/bench/grid.py --lorasweep $(LORASWEEP) --seeds $(or $(SEEDS),12)

bench-trial: build assets ## compare one LoRA trial with transformers + PEFT
	python3 tests/bench/single_trial.py --lorasweep $(LORASWEEP)

bench-shapes: build assets ## compare one LoRA trial of RoBERTa's, GPT-2's and SmolLM2's shapes with transformers + PEFT (PAIRS=n: so often)
	python3 tests/bench/shapes.py --lorasweep $(LORASWEEP) --pairs $(or $(PAIRS),1)

bench-overhead: build assets ## measure planning, scheduling, the journal and the time between jobs
	cargo bench --bench core
	python3 tests/bench/overhead.py --lorasweep $(LORASWEEP)

bench-search: ## replay grids that were recorded in full under each rule for stopping, in seconds and without libtorch
	@command -v cargo >/dev/null || { echo "error: cargo is missing" >&2; \
	    echo "hint: install Rust as https://rustup.rs says" >&2; exit 5; }
	cargo test --no-default-features --test search_replay -- --nocapture --test-threads 1

bench-search-live: build assets ## compare searches with transformers + PEFT under Optuna over SEEDS=n seeds (3)
	python3 tests/bench/search/live.py --lorasweep $(LORASWEEP) --seeds $(or $(SEEDS),3)

bench-search-record: .data build assets ## train the grids of bench-search anew, in full, on DATA=folder
	set -e; for name in agnews complaints mnli; do \
	    $(LORASWEEP) run tests/bench/search/$$name.yaml || [ $$? = 3 ]; \
	    python3 tests/bench/search/record.py results/search-$$name >tests/bench/search/$$name.jsonl; done

bench-gpu: build ## compare grids and one trial on a GPU with transformers + PEFT
	python3 tests/bench/gpu.py --lorasweep $(LORASWEEP)

gpu-check: build ## check everything that needs a GPU, on DEVICES (cuda:0), in ten minutes at most
	python3 tests/gpu_check.py --lorasweep $(LORASWEEP) --devices $(or $(DEVICES),cuda:0)

gpu-smoke: setup ## the same at toy size, on a made-up device, to check the checks
	GPU_SMOKE=probe,laws,padding,memory,kills,forecasts,speed cargo test --test fake_cuda smoke:: -- --nocapture

peft-check: build ## check exported and imported adapters against transformers + PEFT
	@[ -n "$(LORASWEEP_PEER_PYTHON)" ] || { echo "error: LORASWEEP_PEER_PYTHON is not set" >&2; \
	    echo "hint: name a Python with torch, transformers and peft" >&2; exit 5; }
	"$(LORASWEEP_PEER_PYTHON)" tests/peft_check.py $(LORASWEEP)

clean: ## remove everything that the other targets made, but for results, reports and .data
	rm -rf .libtorch .libtorch.partial .assets .assets.partial
	cargo clean
