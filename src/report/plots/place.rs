//! Owns the placement of labels, so that they do not overlap. Pure.

use super::scene::Point;

/// A box on the page: left, top, right, bottom.
pub(super) type Bounds = (f64, f64, f64, f64);

/// Moves labels in one column apart: each stays near its wanted position, at least `gap` from the next, and
/// within `range` where there is room. Returns the positions in the given order.
#[must_use]
pub(super) fn spread(wanted: &[f64], gap: f64, range: (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut placed = wanted.to_vec();
    let mut least = range.0;
    for &i in &order {
        placed[i] = placed[i].max(least);
        least = placed[i] + gap;
    }
    let mut most = range.1.max(range.0 + gap * f64::from(u32::try_from(wanted.len()).unwrap_or(0)) - gap);
    for &i in order.iter().rev() {
        placed[i] = placed[i].min(most);
        most = placed[i] - gap;
    }
    placed
}

/// Whether a box is inside `page` and overlaps none of `taken`.
#[must_use]
pub(super) fn is_free(one: Bounds, page: Bounds, taken: &[Bounds]) -> bool {
    let inside = one.0 >= page.0 && one.1 >= page.1 && one.2 <= page.2 && one.3 <= page.3;
    inside && !taken.iter().any(|&other| overlap(one, other))
}

/// The box of a size around its middle.
#[must_use]
pub(super) fn around((x, y): Point, (width, height): Point) -> Bounds {
    (x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0)
}

/// Whether two boxes share more than an edge.
#[must_use]
pub(super) fn overlap(a: Bounds, b: Bounds) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn spread_labels_keep_their_order_and_distance(
            wanted in prop::collection::vec(0.0..300.0_f64, 0..12)
        ) {
            let placed = spread(&wanted, 16.0, (0.0, 300.0));
            for i in 0..wanted.len() {
                prop_assert!((-1e-9..=300.0 + 1e-9).contains(&placed[i]));
                for j in 0..wanted.len() {
                    if i != j {
                        prop_assert!((placed[i] - placed[j]).abs() >= 16.0 - 1e-9);
                    }
                    if wanted[i] < wanted[j] {
                        prop_assert!(placed[i] < placed[j]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_free_box_is_inside_and_apart() {
        let page = (0.0, 0.0, 100.0, 100.0);
        let taken = [around((50.0, 50.0), (10.0, 10.0))];
        let free = |x| is_free(around((x, 50.0), (20.0, 10.0)), page, &taken);
        assert_eq!([5.0, 52.0, 65.0, 95.0].map(free), [false, false, true, false]);
    }
}
