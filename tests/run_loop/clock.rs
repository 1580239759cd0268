//! A wall clock that was set while a sweep was under way.

use std::fs;

use jiff::{Timestamp, ToSpan};
use lorasweep::record::journal::{self, Journal};
use lorasweep::values::Event;

use crate::keep::{finished, lorasweep};
use crate::support::{sweep, work};

#[test]
fn times_that_jump_in_the_journal_are_only_times() {
    let sweep = sweep(&[1e-3, 2e-3]);
    let site = finished(&sweep);
    let layout = site.layout(&sweep);
    let events = journal::read(&layout.journal()).unwrap().events;
    let now = Timestamp::now();
    // Back by an hour at every event; forward by a century and back again; never moving.
    let hours = |n: usize| i64::try_from(n).unwrap().hours();
    let clocks: [&dyn Fn(usize) -> Timestamp; 3] = [
        &|n| now - hours(n),
        &|n| if n % 2 == 0 { Timestamp::UNIX_EPOCH } else { now + hours(24 * 365 * 100) },
        &|_| now,
    ];
    for clock in clocks {
        fs::remove_file(layout.journal()).unwrap();
        let (mut journal, _) = Journal::open(&layout.journal()).unwrap();
        for (n, event) in events.iter().enumerate() {
            journal.append(&Event { at: clock(n), what: event.what.clone() }).unwrap();
        }
        let reports = site.options.reports.to_string_lossy().into_owned();
        let looks: [(&str, &[&str]); 4] =
            [("status", &[]), ("status", &["--json"]), ("verify", &[]), ("report", &["--reports", &reports])];
        for (command, options) in looks {
            let said = lorasweep(command, &layout, options);
            assert_eq!(said.code, 0, "{command}: {}", said.stderr);
        }
        let again = site.run(&sweep, work);
        assert_eq!((again.summary.kept, again.n_trained()), (4, 0));
    }
}
