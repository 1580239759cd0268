#!/usr/bin/env python3
"""The other side of the comparisons: trials with transformers' Trainer and PEFT, one after the other.

One process: imports, tokenises once, then trains every point of ranks x alphas and evaluates each
once at its end. Nothing is saved or logged while it trains. A grid is a plain loop, which costs
less than a sweep tool around the same calls. Prints one JSON line per trial, and a last one.

Classification reads CSV files without a header row (label, then the columns of the text), language
modelling a text file that is cut into blocks.
"""

import argparse
import csv
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["classification", "language_modelling"], default="classification")
    parser.add_argument("--method", choices=["lora", "full"], default="lora")
    for name in ("model", "train", "test"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("learning-rate", "epochs"):
        parser.add_argument(f"--{name}", type=float, required=True)
    for name in ("batch-size", "max-length", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("ranks", "alphas"):
        parser.add_argument(f"--{name}", type=lambda text: [int(part) for part in text.split(",")], default=[8])
    parser.add_argument("--targets", type=lambda text: text.split(","), default=["query", "value"])
    parser.add_argument("--eval-batch-size", type=int, default=128)
    parser.add_argument("--layers", type=int, help="keep the first so many")
    parser.add_argument("--threads", type=int, help="threads of torch (default: its own choice)")
    parser.add_argument("--trials", type=int, help="only the first so many")
    parser.add_argument("--bf16", action="store_true", help="a frozen base in bf16; autocast")
    parser.add_argument("--cuda", action="store_true")
    return parser.parse_args()


args = arguments()

import peft
import torch
import transformers
from transformers import AutoTokenizer, DataCollatorWithPadding, TrainingArguments, default_data_collator


def classification(tokenizer):
    def read(path):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        return [row[0] for row in rows], [" ".join(row[1:]) for row in rows]

    def encode(path):
        labels, texts = read(path)
        tokens = tokenizer(texts, truncation=True, max_length=args.max_length)
        return [{**{column: tokens[column][i] for column in tokens}, "labels": names.index(label)}
                for i, label in enumerate(labels)]

    names = sorted(set(read(args.train)[0]))
    return dict(
        parts=[encode(args.train), encode(args.test)], model=transformers.AutoModelForSequenceClassification,
        config={"num_labels": len(names)}, kind=peft.TaskType.SEQ_CLS,
        arguments={"train_sampling_strategy": "group_by_length"},
        trainer={"data_collator": DataCollatorWithPadding(tokenizer),
                 "compute_metrics": lambda e: {"accuracy": float((e.predictions.argmax(-1) == e.label_ids).mean())}})


def language_modelling(tokenizer):
    def blocks(path):
        tokens = torch.tensor(tokenizer(path.read_text(encoding="utf-8"))["input_ids"] + [tokenizer.eos_token_id])
        return [{"input_ids": block, "labels": block} for block in tokens.split(args.max_length)]

    return dict(
        parts=[blocks(args.train), blocks(args.test)], model=transformers.AutoModelForCausalLM, config={},
        kind=peft.TaskType.CAUSAL_LM, arguments={"prediction_loss_only": True},
        trainer={"data_collator": default_data_collator})


def trial(task, rank, alpha, folder):
    started = time.perf_counter()
    transformers.set_seed(args.seed)
    config = {**task["config"], **({"num_hidden_layers": args.layers} if args.layers else {})}
    frozen = args.method == "lora"
    model = task["model"].from_pretrained(
        args.model, dtype=torch.bfloat16 if args.bf16 and frozen else torch.float32, **config)
    if frozen:
        model = peft.get_peft_model(model, peft.LoraConfig(
            task_type=task["kind"], r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=args.targets,
            fan_in_fan_out="c_attn" in args.targets))
    train, test = task["parts"]
    trainer = transformers.Trainer(
        model=model, train_dataset=train, **task["trainer"],
        args=TrainingArguments(
            output_dir=folder, seed=args.seed, use_cpu=not args.cuda, bf16=args.bf16,
            num_train_epochs=args.epochs, learning_rate=args.learning_rate, lr_scheduler_type="linear",
            weight_decay=0.0, max_grad_norm=1.0,
            per_device_train_batch_size=args.batch_size, per_device_eval_batch_size=args.eval_batch_size,
            eval_strategy="no", save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True,
            **task["arguments"]))
    trained = trainer.train().metrics
    evaluated = trainer.evaluate(test)
    print(json.dumps(dict(
        rank=rank, alpha=alpha, seconds=time.perf_counter() - started,
        train_rows=len(train) * args.epochs, train_s=trained["train_runtime"],
        evaluated_rows=len(test), evaluate_s=evaluated["eval_runtime"],
        loss=evaluated["eval_loss"], accuracy=evaluated.get("eval_accuracy"),
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad))), flush=True)


def main():
    if args.threads:
        torch.set_num_threads(args.threads)
    task = globals()[args.task](AutoTokenizer.from_pretrained(args.model))
    with tempfile.TemporaryDirectory() as folder:
        for rank, alpha in itertools.islice(itertools.product(args.ranks, args.alphas), args.trials):
            trial(task, rank, alpha, folder)
    print(json.dumps(dict(
        versions=f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")))


if __name__ == "__main__":
    main()
