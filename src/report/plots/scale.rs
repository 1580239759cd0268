//! Owns axes: from values to pixels, positions of ticks, and the frame of a plot. Pure.

use super::scene::{Anchor, Font, GREY, GRID, Point, Scene, Stroke, TEXT_PX};

/// An axis: a range of values laid over a range of pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    values: (f64, f64),
    pixels: (f64, f64),
    logarithmic: bool,
}

impl Scale {
    /// A linear axis. A range of one value is widened a little.
    #[must_use]
    pub(super) fn linear(values: (f64, f64), pixels: (f64, f64)) -> Self {
        let values = if values.1 > values.0 { values } else { (values.0 - 0.5, values.0 + 0.5) };
        Self { values, pixels, logarithmic: false }
    }

    /// A logarithmic axis of positive values.
    #[must_use]
    pub(super) fn logarithmic(values: (f64, f64), pixels: (f64, f64)) -> Self {
        let values = if values.1 > values.0 { values } else { (values.0 / 2.0, values.0 * 2.0) };
        Self { values, pixels, logarithmic: true }
    }

    /// The pixel of a value.
    #[must_use]
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.values.0).ln() / (self.values.1 / self.values.0).ln()
        } else {
            (value - self.values.0) / (self.values.1 - self.values.0)
        };
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// Round values within the range: for a linear axis about `wanted` of them.
    #[must_use]
    pub(super) fn ticks(&self, wanted: f64) -> Vec<f64> {
        if self.logarithmic { self.powers() } else { self.multiples(self.step(wanted)) }
    }

    /// Distance between the ticks of a linear axis: 1, 2 or 5 times a power of ten.
    fn step(&self, wanted: f64) -> f64 {
        let rough = (self.values.1 - self.values.0) / wanted;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0].into_iter().find(|step| step * power >= rough * 0.999).unwrap_or(10.0);
        step * power
    }

    fn multiples(&self, step: f64) -> Vec<f64> {
        // Adding zero makes a negative zero positive.
        let (mut tick, mut ticks) = ((self.values.0 / step - 1e-9).ceil() + 0.0, Vec::new());
        while tick * step <= self.values.1 + step * 1e-9 {
            ticks.push(tick * step);
            tick += 1.0;
        }
        ticks
    }

    /// Powers of ten; with 2 and 5 times each where there are few of them.
    fn powers(&self) -> Vec<f64> {
        let few = (self.values.1 / self.values.0).log10() < 2.5;
        let factors: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let (mut power, mut ticks) = (10_f64.powf(self.values.0.log10().floor()), Vec::new());
        while power <= self.values.1 {
            let within = |tick: &f64| *tick >= self.values.0 && *tick <= self.values.1;
            ticks.extend(factors.iter().map(|factor| factor * power).filter(within));
            power *= 10.0;
        }
        ticks
    }
}

/// The frame of a plot.
pub(super) struct Frame<'a> {
    /// Horizontal axis.
    pub x: Scale,
    /// Vertical axis.
    pub y: Scale,
    /// What the horizontal axis shows, with its unit.
    pub x_title: &'a str,
    /// What the vertical axis shows, with its unit; written above the axis.
    pub y_title: &'a str,
}

impl Frame<'_> {
    /// The pixel of a point.
    #[must_use]
    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (self.x.at(x), self.y.at(y))
    }

    /// Draws grid, ticks and titles.
    pub(super) fn draw(&self, scene: &mut Scene) {
        let ((left, right), (bottom, top)) = (self.x.pixels, self.y.pixels);
        for tick in self.y.ticks(5.0) {
            let y = self.y.at(tick);
            scene.line(&[(left, y), (right, y)], Stroke::solid(GRID, 1.0));
            scene.text((left - 7.0, y), tick_label(tick), Font::plain(Anchor::End));
        }
        for tick in self.x.ticks(5.0) {
            let x = self.x.at(tick);
            scene.line(&[(x, top), (x, bottom)], Stroke::solid(GRID, 1.0));
            scene.text((x, bottom + 14.0), tick_label(tick), Font::plain(Anchor::Middle));
        }
        scene.line(&[(left, top), (left, bottom), (right, bottom)], Stroke::solid(GREY, 1.0));
        let middle = f64::midpoint(left, right);
        scene.text((middle, bottom + 14.0 + 1.7 * TEXT_PX), self.x_title, Font::plain(Anchor::Middle));
        scene.text((left - 40.0, top - 18.0), self.y_title, Font::heading(Anchor::Start));
    }
}

/// A tick's value: thousands and millions by letter, small values by their power of ten, others with as many
/// digits as needed.
#[must_use]
pub(super) fn tick_label(value: f64) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 999_999.5 => (value / 1e6, " M"),
        v if v >= 9_999.5 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    if value != 0.0 && value.abs() < 9.995e-4 {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Scale::linear((0.0, 94.0), (0.0, 1.0)).ticks(5.0), [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(Scale::linear((61.3, 74.9), (0.0, 1.0)).ticks(5.0), [65.0, 70.0]);
        let log = Scale::logarithmic((4e3, 5e6), (0.0, 1.0));
        assert_eq!(log.ticks(5.0), [1e4, 1e5, 1e6]);
        assert_eq!(Scale::logarithmic((4e3, 3e4), (0.0, 1.0)).ticks(5.0), [5e3, 1e4, 2e4]);
    }

    #[test]
    fn ends_of_the_range_are_ends_of_the_axis() {
        for scale in [Scale::linear((2.0, 4.0), (300.0, 10.0)), Scale::logarithmic((2.0, 4.0), (300.0, 10.0))]
        {
            assert_eq!((scale.at(2.0), scale.at(4.0)), (300.0, 10.0));
        }
    }

    #[test]
    fn tick_labels_are_short() {
        assert_eq!(["0", "0.25", "9000", "20 k", "4.4 M"], [0.0, 0.25, 9e3, 2e4, 4.4e6].map(tick_label));
        assert_eq!(["3e-4", "2.5e-5"], [3.0 * 1e-4, 2.5e-5].map(tick_label));
    }
}
