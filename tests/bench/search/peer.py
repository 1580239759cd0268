#!/usr/bin/env python3
"""The other side of `make bench-search-live`: a search with transformers, PEFT and Optuna, in one process.

An Optuna trial is a configuration, and trains all folds one after the other. GridSampler proposes the points, each
once. After each validation the trial reports its accuracy under the number of validations that it has had over all
folds, which is how people prune across folds, and asks the pruner. The choice is the best mean validation accuracy
among the trials that were not pruned. Rows are tokenised once, nothing is saved, and the storage is memory.

Prints one JSON line per trial and a last one with the choice.
"""

import argparse
import csv
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "train", "test"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--rule", choices=["none", "median", "hyperband"], required=True)
    for name, kind in (("ranks", int), ("alphas", float), ("learning-rates", float)):
        parser.add_argument(f"--{name}", type=lambda text, kind=kind: [kind(part) for part in text.split(",")],
                            required=True)
    for name in ("layers", "folds", "batch-size", "max-length", "evaluate-every", "seed", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("epochs", "warmup"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--eval-batch-size", type=int, default=128)
    return parser.parse_args()


args = arguments()

import optuna
import peft
import torch
import transformers
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, TrainingArguments

optuna.logging.set_verbosity(optuna.logging.WARNING)


def encode(path, tokenizer, names):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    names = names or sorted({row[0] for row in rows})
    tokens = tokenizer([" ".join(row[1:]) for row in rows], truncation=True, max_length=args.max_length)
    return names, [{**{column: tokens[column][i] for column in tokens}, "labels": names.index(row[0])}
                   for i, row in enumerate(rows)]


def folds(rows):
    """Training and validation rows of each fold, classes in proportion."""
    by_class = {}
    for i in random.Random(args.seed).sample(range(len(rows)), len(rows)):
        by_class.setdefault(rows[i]["labels"], []).append(i)
    order = [i for members in by_class.values() for i in members]
    parts = [order[fold::args.folds] for fold in range(args.folds)]
    return [([rows[i] for other in parts if other is not part for i in other], [rows[i] for i in part])
            for part in parts]


class Asks(transformers.TrainerCallback):
    """Reports every validation, and stops the training where the pruner says so."""

    def __init__(self, trial, before):
        self.trial, self.count, self.pruned, self.last = trial, before, False, None

    def on_evaluate(self, args, state, control, metrics, **kwargs):
        if "eval_accuracy" not in metrics:
            return
        self.count += 1
        self.last = metrics["eval_accuracy"]
        self.trial.report(self.last, self.count)
        if self.trial.should_prune():
            self.pruned = control.should_training_stop = True


def train(point, part, asks, tokenizer, labels, folder):
    """A fold: the trainer after its training."""
    transformers.set_seed(args.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        args.model, num_labels=labels, num_hidden_layers=args.layers, dtype=torch.float32,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = peft.get_peft_model(model, peft.LoraConfig(
        task_type=peft.TaskType.SEQ_CLS, r=point["rank"], lora_alpha=point["alpha"], lora_dropout=0.0,
        target_modules=["query", "value"]))
    rows, validation = part
    steps = -(-len(rows) // args.batch_size) * args.epochs
    trainer = transformers.Trainer(
        model=model, train_dataset=rows, eval_dataset=validation, data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda e: {"accuracy": float((e.predictions.argmax(-1) == e.label_ids).mean())},
        callbacks=[asks],
        args=TrainingArguments(
            output_dir=folder, seed=args.seed, use_cpu=True, num_train_epochs=args.epochs,
            learning_rate=point["learning_rate"], lr_scheduler_type="linear", warmup_steps=int(args.warmup * steps),
            weight_decay=0.0, max_grad_norm=1.0, train_sampling_strategy="group_by_length",
            per_device_train_batch_size=args.batch_size, per_device_eval_batch_size=args.eval_batch_size,
            eval_strategy="steps", eval_steps=args.evaluate_every, save_strategy="no", logging_strategy="no",
            report_to=[], disable_tqdm=True))
    trainer.train()
    return trainer


def objective(trial, parts, test, tokenizer, labels, folder):
    point = {name: trial.suggest_categorical(name, values) for name, values in SPACE.items()}
    started, steps = time.perf_counter(), 0
    validation, tested, count = [], [], 0
    for part in parts:
        asks = Asks(trial, count)
        trainer = train(point, part, asks, tokenizer, labels, folder)
        steps, count = steps + trainer.state.global_step, asks.count
        if asks.pruned:
            break
        validation.append(asks.last)
        tested.append(trainer.predict(test).metrics["test_accuracy"])
    print(json.dumps({**point, "validation": validation, "test": tested, "pruned": asks.pruned, "steps": steps,
                      "seconds": round(time.perf_counter() - started, 3)}), flush=True)
    if asks.pruned:
        raise optuna.TrialPruned()
    trial.set_user_attr("test", statistics.mean(tested))
    trial.set_user_attr("steps", steps)
    return statistics.mean(validation)


SPACE = {"rank": args.ranks, "alpha": args.alphas, "learning_rate": args.learning_rates}


def pruner(validations):
    """Optuna's defaults, but for Hyperband's resource, which is counted in validations."""
    if args.rule == "median":
        return optuna.pruners.MedianPruner()
    if args.rule == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=validations)
    return optuna.pruners.NopPruner()


def main():
    torch.set_num_threads(args.threads)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    names, rows = encode(args.train, tokenizer, None)
    _, test = encode(args.test, tokenizer, names)
    parts = folds(rows)
    steps = int(-(-len(parts[0][0]) // args.batch_size) * args.epochs)
    study = optuna.create_study(direction="maximize", pruner=pruner(args.folds * steps // args.evaluate_every),
                                sampler=optuna.samplers.GridSampler(SPACE, seed=args.seed))
    with tempfile.TemporaryDirectory() as folder:
        study.optimize(lambda trial: objective(trial, parts, test, tokenizer, len(names), folder))
    best = study.best_trial
    print(json.dumps(dict(
        choice=best.params, validation=best.value, test=best.user_attrs["test"],
        trials=len(study.trials), pruned=len(study.get_trials(states=(optuna.trial.TrialState.PRUNED,))),
        versions=f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}, "
                 f"optuna {optuna.__version__}")))


if __name__ == "__main__":
    main()
