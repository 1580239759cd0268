//! Owns the Python programs in model cards, which run as they are: they load an exported folder and print the
//! model's answers. Pure.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::manifest::{BaseModel, Manifest};
use crate::families::Head;
use crate::families::blueprint::Sees;
use crate::tasks::{Problem, Purpose};

/// The class of transformers that loads a model; `None` where there is none.
fn loader(manifest: &Manifest) -> Option<&'static str> {
    let head = manifest.head();
    manifest.architecture.about().class(None, head)?;
    Some(match head {
        Head::Classifier { .. } => "AutoModelForSequenceClassification",
        Head::Tagger { .. } => "AutoModelForTokenClassification",
        Head::LanguageModel => "AutoModelForCausalLM",
    })
}

/// A program that uses an adapter on its base, as a block of Markdown.
pub(super) fn adapter(manifest: &Manifest, base: &BaseModel) -> Option<String> {
    let auto = loader(manifest)?;
    let mut load = format!("base = {auto}.from_pretrained(\n    {},\n", text(&base.name));
    for (name, value) in arguments(manifest, base) {
        line(&mut load, &format!("    {name}={value},"));
    }
    load.push_str(")\nmodel = PeftModel.from_pretrained(base, folder).eval()\n");
    Some(program(manifest, "from peft import PeftModel\n", auto, &load))
}

/// A program that uses a whole model, as a block of Markdown.
pub(super) fn whole(manifest: &Manifest) -> Option<String> {
    let auto = loader(manifest)?;
    Some(program(manifest, "", auto, &format!("model = {auto}.from_pretrained(folder).eval()\n")))
}

/// The classes' names by index, and their indices by name, as transformers' configurations have them.
pub(super) fn names(labels: &[String]) -> [(&'static str, Vec<(Value, Value)>); 2] {
    let numbered = || labels.iter().enumerate();
    [
        ("id2label", numbered().map(|(index, name)| (json!(index), json!(name))).collect()),
        ("label2id", numbered().map(|(index, name)| (json!(name), json!(index))).collect()),
    ]
}

/// Arguments for what the base does not say about the model trained on it.
fn arguments(manifest: &Manifest, base: &BaseModel) -> Vec<(&'static str, String)> {
    let mut all: Vec<(&'static str, String)> = Vec::new();
    all.extend(base.layers.map(|layers| ("num_hidden_layers", layers.to_string())));
    let (labels, problem) = match &manifest.purpose {
        Purpose::Classification { labels, problem, .. } => (labels.as_slice(), Some(*problem)),
        Purpose::Tagging { labels } => (labels.as_slice(), None),
        Purpose::LanguageModelling | Purpose::QuestionAnswering(_) | Purpose::Chat(_) => (&[][..], None),
    };
    if !labels.is_empty() {
        all.push(("num_labels", labels.len().to_string()));
        for (name, entries) in names(labels) {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            all.push((name, format!("{{{}}}", entries.join(", "))));
        }
        if let Some(problem) = problem.filter(|problem| *problem != Problem::SingleLabel) {
            all.push(("problem_type", text(problem.name())));
        }
        // The adapter brings the head; the base may have a different one.
        all.push(("ignore_mismatched_sizes", "True".to_owned()));
    }
    all
}

fn program(manifest: &Manifest, peft: &str, auto: &str, load: &str) -> String {
    format!(
        "```python\nimport torch\n{peft}from transformers import {auto}, AutoTokenizer\n\n\
         folder = \".\"  # this folder, or its name on the hub\n{load}\
         tokenizer = AutoTokenizer.from_pretrained(folder)\n{}```\n",
        ask(manifest)
    )
}

/// The lines that predict and print the answers.
fn ask(manifest: &Manifest) -> String {
    if let Purpose::Tagging { .. } = &manifest.purpose {
        return "text = \"words of a text\"\n\
                inputs = tokenizer(text, truncation=True, return_offsets_mapping=True, return_tensors=\"pt\")\n\
                offsets = inputs.pop(\"offset_mapping\")[0].tolist()\nwith torch.no_grad():\n    \
                tags = model(**inputs).logits[0].argmax(-1).tolist()\n\
                # The first token of each word carries its tag.\n\
                for (start, end), tag in zip(offsets, tags):\n    \
                if start < end and (start == 0 or text[start - 1].isspace()):\n        \
                print(text[start:].split()[0], model.config.id2label[tag])\n"
            .to_owned();
    }
    if let Purpose::Chat(chat) = &manifest.purpose {
        let system =
            chat.system.iter().map(|said| format!("{{\"role\": \"system\", \"content\": {}}}, ", text(said)));
        return format!(
            "messages = [{}{{\"role\": \"user\", \"content\": \"a question\"}}]\n\
             inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, \
             return_tensors=\"pt\")\n\
             tokens = model.generate(**inputs, max_new_tokens={}, do_sample=False, \
             pad_token_id=tokenizer.eos_token_id)\n\
             print(tokenizer.decode(tokens[0, inputs[\"input_ids\"].shape[1]:], skip_special_tokens=True))\n",
            system.collect::<String>(),
            chat.max_new_tokens.unwrap_or(50),
        );
    }
    let Purpose::Classification { pairs, problem, .. } = &manifest.purpose else {
        return "inputs = tokenizer(\"a text\", return_tensors=\"pt\")\n\
                tokens = model.generate(**inputs, max_new_tokens=50, do_sample=False, \
                pad_token_id=tokenizer.eos_token_id)\n\
                print(tokenizer.decode(tokens[0, inputs[\"input_ids\"].shape[1]:], skip_special_tokens=True))\n"
            .to_owned();
    };
    // A decoder's tokenizer may have no padding token.
    let padding = match manifest.architecture.blueprint().sees {
        Sees::Earlier => {
            "tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token\n\
             model.config.pad_token_id = tokenizer.pad_token_id\n"
        }
        Sees::Tokens | Sees::Filling { .. } => "",
    };
    let seconds = if *pairs { ", [\"its pair\", \"its pair\"]" } else { "" };
    let print = match problem {
        Problem::SingleLabel => {
            "print([model.config.id2label[index] for index in logits.argmax(-1).tolist()])"
        }
        Problem::MultiLabel => &format!(
            "for row in logits.sigmoid().tolist():\n    print({{model.config.id2label[index]: share for index, share \
             in enumerate(row) if share >= {}}})",
            manifest.threshold.unwrap_or(0.5)
        ),
        Problem::Regression => "print(logits.tolist())",
    };
    format!(
        "{padding}inputs = tokenizer([\"a text\", \"another text\"]{seconds}, padding=True, truncation=True, \
         max_length={}, return_tensors=\"pt\")\nwith torch.no_grad():\n    logits = model(**inputs).logits\n{print}\n",
        manifest.max_length.min(manifest.architecture.max_length())
    )
}

/// A text as a Python literal; Python understands JSON's escapes.
fn text(text: &str) -> String {
    json!(text).to_string()
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::{Architecture, BertConfig, Gpt2Config};
    use crate::values::ContentHash;

    fn base(layers: Option<usize>) -> BaseModel {
        let folder = "/models/a \"base\"".into();
        BaseModel { name: "a \"base\"".to_owned(), folder, layers, content: ContentHash::of_bytes(b"") }
    }

    fn manifest(architecture: Architecture, problem: Problem) -> Manifest {
        let labels = ["no", "a loan, or \"credit\""].map(str::to_owned).to_vec();
        Manifest::new(Purpose::Classification { labels, pairs: false, problem }, 64, architecture)
    }

    #[test]
    fn a_program_names_the_classes_whatever_is_in_their_names() {
        let manifest = manifest(Architecture::Bert(BertConfig::default()), Problem::SingleLabel);
        let python = adapter(&manifest, &base(Some(2))).unwrap();
        for words in [
            r#"id2label={0: "no", 1: "a loan, or \"credit\""},"#,
            r#"label2id={"no": 0, "a loan, or \"credit\"": 1},"#,
            "num_labels=2,",
            "num_hidden_layers=2,",
            r#""a \"base\"","#,
            "max_length=64",
            "id2label[index] for index in logits.argmax",
        ] {
            assert!(python.contains(words), "no `{words}` in {python}");
        }
        assert!(!python.contains("problem_type") && !python.contains("pad_token"), "{python}");
    }

    #[test]
    fn a_program_asks_what_the_model_answers() {
        let gpt2 = || Architecture::Gpt2(Gpt2Config::default());
        let many = adapter(&manifest(gpt2(), Problem::MultiLabel), &base(None)).unwrap();
        for words in ["problem_type=\"multi_label_classification\"", "sigmoid()", "model.config.pad_token_id"]
        {
            assert!(many.contains(words), "no `{words}` in {many}");
        }
        let score = whole(&manifest(gpt2(), Problem::Regression)).unwrap();
        assert!(score.contains("print(logits.tolist())") && !score.contains("peft"), "{score}");
        let language = whole(&Manifest::new(Purpose::LanguageModelling, 64, gpt2())).unwrap();
        assert!(
            language.contains("model.generate(") && language.contains("AutoModelForCausalLM"),
            "{language}"
        );
    }
}
