//! Owns the environment in which chat templates run: that of transformers' `apply_chat_template`, with Python's
//! methods on texts, and with limits. Reads no file.

use std::sync::LazyLock;

use jiff::civil::{DateTime, date};
use jiff::fmt::strtime;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;
use regex::Regex;

use super::error::Raised;
use super::{Turn, json};

/// The budget of one rendering: as many steps, or 64 times as many bytes made. A conversation takes some dozens
/// of steps a turn.
const FUEL: u64 = 2_000_000;
/// The one template of an environment.
const NAME: &str = "chat";
/// Variables with the characters around the assistant's text.
const MARKS: [&str; 2] = ["__begin", "__end"];

/// The date that `strftime_now` gives: always the same, so that rows are. It is the one that Llama's templates
/// fall back on.
const TODAY: DateTime = date(2024, 7, 26).at(0, 0, 0, 0);

/// The tags around the assistant's text, which are transformers' own.
static GENERATION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").expect("the pattern is sound")
});

/// Compiles a template, and says whether it marks the assistant's text.
pub(super) fn compile(text: &str) -> Result<(Environment<'static>, bool), Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(methods);
    environment.add_filter("tojson", json::dump);
    environment.add_filter("__mark", mark);
    environment.add_function("raise_exception", raise);
    environment.add_function("strftime_now", strftime_now);
    // Jinja reads every end of a line as a line feed.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    // The engine has no tags of one's own. A filter sees the same text, and lines stay where they are.
    let marks = GENERATION.is_match(&text);
    let text = GENERATION.replace_all(&text, |found: &regex::Captures<'_>| {
        let tag = if found.get(2).is_some() { "endfilter" } else { "filter __mark" };
        format!("{{%{} {tag} {}%}}", &found[1], &found[3])
    });
    environment.add_template_owned(NAME, text.into_owned())?;
    Ok((environment, marks))
}

/// Renders turns; `more` are further variables.
pub(super) fn render(
    environment: &Environment<'static>,
    turns: &[Turn],
    prompt: bool,
    more: Vec<(&str, String)>,
) -> Result<String, Error> {
    let message = |turn: &Turn| {
        let fields = [("role", turn.role.name()), ("content", turn.content.as_str())];
        Value::from_pairs(fields)
    };
    let own = [
        ("messages", turns.iter().map(message).collect()),
        ("tools", Value::from(())),
        ("documents", Value::from(())),
        ("add_generation_prompt", Value::from(prompt)),
    ];
    let more = more.into_iter().map(|(name, text)| (name, Value::from(text)));
    environment.get_template(NAME)?.render(Value::from_pairs(more.chain(own)))
}

/// The variables that make [`mark`] mark, with two characters that occur in no turn.
pub(super) fn marks(turns: &[Turn]) -> ([char; 2], Vec<(&'static str, String)>) {
    let is_free = |c: &char| turns.iter().all(|turn| !turn.content.contains(*c));
    // No text has these, which are no characters; in case one does, those for private use come next.
    let mut free = ('\u{fdd0}'..='\u{fdef}').chain('\u{f0000}'..='\u{ffffd}').filter(is_free);
    let pair = [free.next().unwrap_or('\u{fdd0}'), free.next().unwrap_or('\u{fdd1}')];
    (pair, MARKS.into_iter().zip(pair.map(String::from)).collect())
}

/// Puts the marks around a text, where there are any.
fn mark(state: &State<'_, '_>, text: &str) -> String {
    let [begin, end] = MARKS.map(|name| state.lookup(name).unwrap_or_default());
    let text_of = |mark: &Value| mark.as_str().unwrap_or_default().to_owned();
    format!("{}{text}{}", text_of(&begin), text_of(&end))
}

/// Ends the rendering, as a template does that refuses a conversation.
fn raise(message: &str) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.to_owned()).with_source(Raised))
}

fn strftime_now(format: &str) -> Result<String, Error> {
    strtime::format(format, TODAY)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
}

/// Methods of Python's texts and dicts.
fn methods(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    if let (Some(text), [only]) = (value.as_str(), args)
        && let Some(part) = only.as_str()
    {
        match method {
            "removeprefix" => return Ok(text.strip_prefix(part).unwrap_or(text).into()),
            "removesuffix" => return Ok(text.strip_suffix(part).unwrap_or(text).into()),
            "rsplit" => return Ok(text.split(part).map(Value::from).collect()),
            _ => {}
        }
    }
    pycompat::unknown_method_callback(state, value, method, args)
}
