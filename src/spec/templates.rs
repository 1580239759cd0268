//! Owns the templates of tasks: a task names a file, or gives the text itself. Renders none.

use std::fs;
use std::path::Path;

use super::error::{Problem, Report};
use super::raw::RawSweep;
use crate::tasks::KeyValue;
use crate::tokenizer::ChatTemplate;

/// Most bytes of a template.
const MAX_BYTES: u64 = 1 << 20;

/// Puts the text of each template in place of its file's path, which is relative to `folder`, and checks it.
pub(super) fn read(raw: &mut RawSweep, folder: &Path, report: &mut Report) {
    for task in &mut raw.tasks {
        for key in task.kind.keys().iter().filter(|key| key.value == KeyValue::Template) {
            let Some(given) = task.given.text(key.name).map(str::to_owned) else { continue };
            let place = task.places.get(key.name).copied().unwrap_or(task.place);
            match text_of(&given, folder) {
                Ok((text, origin)) => {
                    // Special tokens matter only when it is rendered.
                    if let Err(error) = ChatTemplate::new(&text, &origin, Path::new("")) {
                        report.error(place, Problem::DataFile(error.to_string()));
                    }
                    task.given.replace(key.name, text);
                }
                Err(message) => {
                    let hint =
                        "name a file beside the sweep, such as `chat.jinja`, or give the template's text";
                    report.error(place, Problem::DataFile(message)).hint(hint);
                }
            }
        }
    }
}

/// A template's text, and where it is from.
fn text_of(given: &str, folder: &Path) -> Result<(String, String), String> {
    if given.contains("{{") || given.contains("{%") {
        return Ok((given.to_owned(), "`chat_template`".to_owned()));
    }
    let path = folder.join(given);
    let unreadable =
        |error: &dyn std::fmt::Display| format!("cannot read the template `{}`: {error}", path.display());
    let size = fs::metadata(&path).map_err(|error| unreadable(&error))?.len();
    if size > MAX_BYTES {
        return Err(unreadable(&"it has more than 1 MiB"));
    }
    let text = fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
    Ok((text, path.display().to_string()))
}
