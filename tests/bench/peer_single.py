#!/usr/bin/env python3
"""One LoRA trial with transformers' Trainer and PEFT: the other side of `single_trial.py`.

Reads CSV files without a header row (label, then the columns of the text), trains once, evaluates
once on the test rows, and prints one JSON line. Nothing is saved or logged while it trains.
"""

import argparse
import csv
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "train", "test"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name, kind in [("layers", int), ("rank", int), ("alpha", float), ("learning-rate", float), ("epochs", float),
                       ("batch-size", int), ("max-length", int), ("seed", int), ("threads", int)]:
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--cuda", action="store_true")
    return parser.parse_args()


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return [row[0] for row in rows], [" ".join(row[1:]) for row in rows]


def encode(path, names, tokenizer, max_length):
    labels, texts = read(path)
    tokens = tokenizer(texts, truncation=True, max_length=max_length)
    return [{**{column: tokens[column][i] for column in tokens}, "labels": names.index(label)}
            for i, label in enumerate(labels)]


def main():
    args = arguments()
    import peft
    import torch
    import transformers
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    torch.set_num_threads(args.threads)
    transformers.set_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    names = sorted(set(read(args.train)[0]))
    train, test = (encode(path, names, tokenizer, args.max_length) for path in (args.train, args.test))

    model = AutoModelForSequenceClassification.from_pretrained(
        args.model, num_labels=len(names), num_hidden_layers=args.layers)
    model = peft.get_peft_model(model, peft.LoraConfig(
        task_type=peft.TaskType.SEQ_CLS, r=args.rank, lora_alpha=args.alpha, lora_dropout=0.0,
        target_modules=["query", "value"]))

    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                output_dir=folder, seed=args.seed, use_cpu=not args.cuda,
                num_train_epochs=args.epochs, learning_rate=args.learning_rate, lr_scheduler_type="linear",
                weight_decay=0.0, max_grad_norm=1.0,
                per_device_train_batch_size=args.batch_size, per_device_eval_batch_size=128,
                train_sampling_strategy="group_by_length",
                eval_strategy="no", save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True),
            train_dataset=train,
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda e: {"accuracy": float((e.predictions.argmax(-1) == e.label_ids).mean())})
        trained = trainer.train().metrics
        evaluated = trainer.evaluate(test)

    print(json.dumps(dict(
        train_rows_per_s=trained["train_samples_per_second"], evaluate_rows_per_s=evaluated["eval_samples_per_second"],
        accuracy=evaluated["eval_accuracy"],
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        versions=f"torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}")))


if __name__ == "__main__":
    main()
