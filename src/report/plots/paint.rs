//! Owns drawing: one function paints a scene on any plotters backend. Knows no data.

use std::path::Path;
use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, DashedPathElement, PathElement, Polygon, Text};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, FontTransform, RGBColor, register_font};

use super::scene::{Anchor, Font, Form, PAPER, Point, Rgb, Scene, Shape, Stroke};

/// A chart that could not be drawn or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PaintError(String);

/// What a backend needs to draw a page correctly.
#[derive(Clone, Copy)]
struct Medium {
    /// Backend pixels per pixel of the page.
    scale: f64,
    /// How far to move text down so that its middle is where it should be, in units of the text's height.
    drop: f64,
}

/// Plotters counts in whole pixels. An SVG is drawn this much larger and shown at its own size,
/// so that its lines keep fractions of a pixel.
const SVG: Medium = Medium { scale: 8.0, drop: 0.0 };
/// Enough dots for print at half a page's width. The bitmap backend centres the line, not the letters.
const PNG: Medium = Medium { scale: 2.5, drop: 0.1 };
/// Plotters takes a text's line height, while fonts are sized by their em; this is the ratio it assumes.
const LINE_HEIGHT: f64 = 1.24;
/// Length of a dash and of the gap after it.
const DASH_PX: (f64, f64) = (6.0, 4.0);

/// A scene as SVG text; its texts stay text, in the viewer's sans-serif font.
///
/// # Errors
/// When the backend refuses to draw.
pub(super) fn svg(scene: &Scene) -> Result<String, PaintError> {
    let mut text = String::new();
    let size = page(scene, SVG.scale);
    paint(scene, &SVGBackend::with_string(&mut text, size).into_drawing_area(), SVG)?;
    let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{}\" height=\"{}\"", scene.width, scene.height);
    Ok(text.replacen(&drawn, &shown, 1))
}

/// Writes a scene as a PNG file; the name must end in `.png`.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn png(scene: &Scene, path: &Path) -> Result<(), PaintError> {
    let backend = BitMapBackend::new(path, page(scene, PNG.scale));
    paint(scene, &backend.into_drawing_area(), PNG)
}

fn page(scene: &Scene, scale: f64) -> (u32, u32) {
    (scaled_size(scene.width, scale), scaled_size(scene.height, scale))
}

fn paint<DB: DrawingBackend>(
    scene: &Scene,
    area: &DrawingArea<DB, Shift>,
    medium: Medium,
) -> Result<(), PaintError> {
    let scale = medium.scale;
    register_fonts();
    let failed = |error: &dyn std::fmt::Display| PaintError(error.to_string());
    area.fill(&color(PAPER)).map_err(|e| failed(&e))?;
    for shape in &scene.shapes {
        match shape {
            Shape::Line { points, stroke } => draw_line(area, scale, points, *stroke),
            Shape::Area { points, color: fill, opacity } => {
                area.draw(&Polygon::new(pixels(points, scale), color(*fill).mix(*opacity)))
            }
            Shape::Mark { at, form, radius, color: fill } => {
                draw_mark(area, pixel(*at, scale), radius * scale, *form, color(*fill))
            }
            Shape::Text { at, text, font } => draw_text(area, medium, *at, text, *font),
        }
        .map_err(|e| failed(&e))?;
    }
    area.present().map_err(|e| failed(&e))
}

/// What drawing on a backend returns.
type Drawn<DB> = Result<(), plotters::drawing::DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

fn draw_line<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    scale: f64,
    points: &[Point],
    stroke: Stroke,
) -> Drawn<DB> {
    let style = color(stroke.color).stroke_width(scaled_size(stroke.width, scale));
    let points = pixels(points, scale);
    if stroke.dashed {
        let (dash, gap) = (scaled_size(DASH_PX.0, scale), scaled_size(DASH_PX.1, scale));
        area.draw(&DashedPathElement::new(points, dash, gap, style))
    } else {
        area.draw(&PathElement::new(points, style))
    }
}

fn draw_mark<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    (x, y): (i32, i32),
    radius: f64,
    form: Form,
    fill: RGBColor,
) -> Drawn<DB> {
    let corner = |dx: f64, dy: f64| (x + whole(dx * radius), y + whole(dy * radius));
    match form {
        Form::Circle => area.draw(&Circle::new((x, y), whole(radius), fill.filled())),
        Form::Square => area.draw(&Polygon::new(
            vec![corner(-0.9, -0.9), corner(0.9, -0.9), corner(0.9, 0.9), corner(-0.9, 0.9)],
            fill,
        )),
        Form::Diamond => area.draw(&Polygon::new(
            vec![corner(0.0, -1.2), corner(1.2, 0.0), corner(0.0, 1.2), corner(-1.2, 0.0)],
            fill,
        )),
        Form::Triangle => {
            area.draw(&Polygon::new(vec![corner(0.0, -1.2), corner(1.1, 0.8), corner(-1.1, 0.8)], fill))
        }
        Form::Tip => {
            area.draw(&Polygon::new(vec![corner(0.0, 1.2), corner(1.1, -0.8), corner(-1.1, -0.8)], fill))
        }
    }
}

fn draw_text<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    medium: Medium,
    (x, y): Point,
    text: &str,
    font: Font,
) -> Drawn<DB> {
    let drop = medium.drop * font.px;
    let at = if font.upwards { (x + drop, y) } else { (x, y + drop) };
    let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
    let turn = if font.upwards { FontTransform::Rotate270 } else { FontTransform::None };
    let anchor = match font.anchor {
        Anchor::Start => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::End => HPos::Right,
    };
    let style = FontDesc::new(FontFamily::SansSerif, font.px * LINE_HEIGHT * medium.scale, weight)
        .transform(turn)
        .color(&color(font.color))
        .pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(text, pixel(at, medium.scale), style))
}

/// Plotters measures text with these fonts, also for an SVG.
fn register_fonts() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let font = epaint_default_fonts::UBUNTU_LIGHT;
        let registered = register_font("sans-serif", FontStyle::Normal, font);
        assert!(registered.is_ok(), "the embedded font is a valid font file");
    });
}

fn color(rgb: Rgb) -> RGBColor {
    RGBColor(rgb.0, rgb.1, rgb.2)
}

fn pixels(points: &[Point], scale: f64) -> Vec<(i32, i32)> {
    points.iter().map(|&point| pixel(point, scale)).collect()
}

fn pixel((x, y): Point, scale: f64) -> (i32, i32) {
    (whole(x * scale), whole(y * scale))
}

#[expect(clippy::cast_possible_truncation, reason = "pages are a few thousand pixels wide")]
fn whole(value: f64) -> i32 {
    value.round() as i32
}

fn scaled_size(value: f64, scale: f64) -> u32 {
    whole(value * scale).unsigned_abs().max(1)
}
