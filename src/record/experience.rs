//! Owns the file with what packs took, which all sweeps of a results folder share. Results do not depend on it:
//! without it, the next prediction is a guess again.

use std::fs;
use std::io;

use crate::cost::{Experience, Processors};
use crate::disk::files;
use crate::disk::layout::Layout;

/// The largest file that is read, in bytes: several times what is ever written.
const MOST: u64 = 4 << 20;

/// What earlier packs took on these processors; nothing where the file is absent or cannot be read.
#[must_use]
pub fn load(layout: &Layout, processors: Processors) -> Experience {
    let path = layout.experience();
    let is_readable = fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() <= MOST);
    let kept = is_readable.then(|| files::read_json(&path).ok().flatten());
    Experience::new(processors, kept.flatten())
}

/// Puts it into the file. Where two runs do so at the same moment, what one of them added is lost.
///
/// # Errors
/// When the file cannot be written.
pub fn save(layout: &Layout, experience: &Experience) -> io::Result<()> {
    files::put_json(&layout.experience(), &experience.keep())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{Basis, CostTable, PackCost, Taken};
    use crate::plan::example;
    use crate::values::Width;

    #[test]
    fn only_a_file_as_it_is_written_is_read() {
        let (folder, sweep, width) = (tempfile::tempdir().unwrap(), example::sweep(), Width::Cores(1));
        let layout = Layout::new(folder.path(), &sweep.name);
        let (trials, configuration) = (sweep.trials(), &sweep.configurations[0]);
        let load = || load(&layout, Processors::default());
        let (task, model) = (sweep.task(configuration), sweep.model(configuration));
        let kind = load().kinds(task, model, configuration, width).swap_remove(0);
        let basis = || load().rates(&kind).1;
        assert_eq!(basis(), Basis::Assumed);
        let cost: PackCost = [CostTable::new(&sweep).slot(&trials[0])].iter().collect();
        let mut known = load();
        known.add(&kind, &Taken::of(&cost, width, 10.0, 9.0, None));
        save(&layout, &known).unwrap();
        assert_eq!((basis(), load()), (Basis::Measured, known));
        let path = layout.experience();
        let text = fs::read_to_string(&path).unwrap();
        let most = usize::try_from(MOST).unwrap();
        for other in [text.clone() + &" ".repeat(most), text.replace("took_s", "took"), String::new()] {
            fs::write(&path, other).unwrap();
            assert_eq!(basis(), Basis::Assumed);
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(basis(), Basis::Assumed);
    }
}
