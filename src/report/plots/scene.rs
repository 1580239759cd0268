//! Owns the elements of a chart, as values: shapes on a page, in pixels from the top left.
//!
//! Charts build a scene and know no file format; `paint` draws any scene on any backend.

/// A place on the page: x to the right, y down, in pixels.
pub type Point = (f64, f64);

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// Colours that people with colour-blindness can tell apart (Okabe & Ito 2008), without the
/// yellow, which is too pale on white.
pub const PALETTE: [Rgb; 7] = [
    Rgb(0, 114, 178),
    Rgb(213, 94, 0),
    Rgb(0, 158, 115),
    Rgb(204, 121, 167),
    Rgb(230, 159, 0),
    Rgb(86, 180, 233),
    Rgb(0, 0, 0),
];
/// Text.
pub const INK: Rgb = Rgb(34, 34, 34);
/// Axis lines, and data in the background.
pub const GREY: Rgb = Rgb(150, 150, 150);
/// Grid lines.
pub const GRID: Rgb = Rgb(229, 229, 229);
/// The page.
pub const PAPER: Rgb = Rgb(255, 255, 255);

/// Height of most text.
pub const TEXT_PX: f64 = 13.0;

/// A chart, ready to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Width of the page.
    pub width: f64,
    /// Height of the page.
    pub height: f64,
    /// What is on it; later shapes lie over earlier ones.
    pub shapes: Vec<Shape>,
}

/// One thing on the page.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line through points.
    Line {
        /// The points.
        points: Vec<Point>,
        /// How it is drawn.
        stroke: Stroke,
    },
    /// A filled polygon.
    Area {
        /// Its corners.
        points: Vec<Point>,
        /// Its colour.
        color: Rgb,
        /// From 0, invisible, to 1.
        opacity: f64,
    },
    /// A data point.
    Mark {
        /// Its centre.
        at: Point,
        /// Its form.
        form: Form,
        /// Half its size.
        radius: f64,
        /// Its colour.
        color: Rgb,
    },
    /// A line of text.
    Text {
        /// Where its anchor is; vertically, its middle.
        at: Point,
        /// The text.
        text: String,
        /// How it is set.
        font: Font,
    },
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Its colour.
    pub color: Rgb,
    /// Its width in pixels.
    pub width: f64,
    /// Whether it is dashed.
    pub dashed: bool,
}

impl Stroke {
    /// A solid line.
    #[must_use]
    pub fn solid(color: Rgb, width: f64) -> Self {
        Self { color, width, dashed: false }
    }
}

/// The form of a data point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle on its base.
    Triangle,
    /// A square on its corner.
    Diamond,
    /// A triangle on its tip.
    Tip,
}

/// How text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Font {
    /// Height in pixels.
    pub px: f64,
    /// Its colour.
    pub color: Rgb,
    /// Which end of the text is at its position.
    pub anchor: Anchor,
    /// Bold where the backend has it.
    pub bold: bool,
    /// Reads from bottom to top.
    pub upwards: bool,
}

/// Which end of a text is at its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins at its position.
    Start,
    /// The text is centred on its position.
    Middle,
    /// The text ends at its position.
    End,
}

impl Font {
    /// Plain dark text of the usual height.
    #[must_use]
    pub fn plain(anchor: Anchor) -> Self {
        Self { px: TEXT_PX, color: INK, anchor, bold: false, upwards: false }
    }

    /// A heading.
    #[must_use]
    pub fn heading(anchor: Anchor) -> Self {
        Self { px: TEXT_PX + 1.0, bold: true, ..Self::plain(anchor) }
    }
}

impl Scene {
    /// An empty page.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    /// Adds a line.
    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        self.shapes.push(Shape::Line { points: points.to_vec(), stroke });
    }

    /// Adds a filled polygon.
    pub fn area(&mut self, points: Vec<Point>, color: Rgb, opacity: f64) {
        self.shapes.push(Shape::Area { points, color, opacity });
    }

    /// Adds a filled rectangle between two opposite corners.
    pub fn rectangle(&mut self, (left, top): Point, (right, bottom): Point, color: Rgb) {
        self.area(vec![(left, top), (right, top), (right, bottom), (left, bottom)], color, 1.0);
    }

    /// Adds a data point.
    pub fn mark(&mut self, at: Point, form: Form, radius: f64, color: Rgb) {
        self.shapes.push(Shape::Mark { at, form, radius, color });
    }

    /// Adds a line of text.
    pub fn text(&mut self, at: Point, text: impl Into<String>, font: Font) {
        self.shapes.push(Shape::Text { at, text: text.into(), font });
    }
}

/// Estimated width of a text, on the safe side for common sans-serif fonts.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "texts are short")]
pub fn text_width(text: &str, px: f64) -> f64 {
    0.56 * px * text.chars().count() as f64
}
