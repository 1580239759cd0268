//! Owns the live lines on a terminal: one bar for the run, one line per device that a job uses, one for the best
//! trial. Lines that stay scroll above them.

use std::collections::BTreeMap;
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::board::Board;
use super::line;
use crate::values::{Device, Event, Reader, What};

/// Draws the run on standard error.
pub(super) struct Terminal {
    board: Board,
    lines: MultiProgress,
    overall: ProgressBar,
    places: BTreeMap<Device, ProgressBar>,
    best: ProgressBar,
}

impl Terminal {
    /// Draws nothing before the run is planned.
    pub(super) fn new() -> Self {
        let lines = MultiProgress::new();
        let overall = lines.add(ProgressBar::new(0).with_style(style("{bar:24} {wide_msg}")));
        let best = lines.add(ProgressBar::new(0).with_style(style("{wide_msg}")));
        Self { board: Board::default(), lines, overall, places: BTreeMap::new(), best }
    }

    /// The line of a device, in the order of the devices.
    fn place(&mut self, device: Device) -> &ProgressBar {
        let next = self.places.range(device..).next().map_or(&self.best, |(_, line)| line).clone();
        self.places.entry(device).or_insert_with(|| {
            let line = ProgressBar::new(0).with_style(style("{prefix:>8} {wide_msg}"));
            let line = self.lines.insert_before(&next, line);
            line.set_prefix(device.to_string());
            line
        })
    }

    fn draw(&mut self, now: Instant) {
        self.overall.set_length(self.board.ledger().total() as u64);
        self.overall.set_position((self.board.ledger().done() + self.board.ledger().stopped()) as u64);
        self.overall.set_message(self.board.overall(now));
        self.best.set_message(self.board.best().unwrap_or_default());
        let status: BTreeMap<Device, String> = self.board.occupants().into_iter().collect();
        for (_, line) in self.places.extract_if(.., |device, _| !status.contains_key(device)) {
            line.finish_and_clear();
            self.lines.remove(&line);
        }
        for (device, text) in status {
            self.place(device).set_message(text);
        }
    }

    fn clear(&self) {
        for line in self.places.values().chain([&self.overall, &self.best]) {
            line.finish_and_clear();
        }
        // A terminal that cannot be cleared keeps its last picture.
        let _ = self.lines.clear();
    }
}

impl Reader for Terminal {
    fn on(&mut self, event: &Event) {
        let now = Instant::now();
        self.board.take(now, event);
        if let Some(line) = line::of(&event.what, &self.board, now) {
            // As in `plain`: an output that cannot be written must not end the training.
            let _ = self.lines.println(line);
        }
        match &event.what {
            What::RunEnded { .. } => self.clear(),
            What::RunPlanned { .. }
            | What::JobLaunching { .. }
            | What::JobFinished { .. }
            | What::JobFailed { .. }
            | What::JobInterrupted { .. }
            | What::TrialJoined { .. }
            | What::TrialProgressed { .. }
            | What::TrialEvaluated { .. }
            | What::TrialFinished { .. }
            | What::TrialFailed { .. }
            | What::TrialPaused { .. }
            | What::RungDecided(_)
            | What::StopOrdered { .. }
            | What::KeepOrdered { .. }
            | What::DeviceRetired { .. }
            | What::StopRequested { .. } => self.draw(now),
            // Before the run is planned there is nothing to draw.
            What::RunStarted { .. }
            | What::TrainingForeseen { .. }
            | What::WidthsDecided { .. }
            | What::Warned { .. }
            | What::JobStarted { .. }
            | What::TrialJoining { .. }
            | What::TrialReturned { .. }
            | What::BracketsOpened { .. }
            | What::TrialsFreed { .. }
            | What::TrialsStopped { .. }
            | What::GenerationProposed { .. }
            | What::RungPutOff(_)
            | What::Forecast { .. }
            | What::Woke => {}
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants without errors")
}
