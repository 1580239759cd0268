//! Owns the Pareto front: the points that no other beats in both cost and score. Pure.

/// Indices of the points, given as (cost, score), that no other point beats: none costs at most as much and
/// scores at least as much, with one of the two strictly. Of equal points the first is kept. Cheapest first.
#[must_use]
pub fn front(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| points[a].0.total_cmp(&points[b].0).then(points[b].1.total_cmp(&points[a].1)));
    let mut best = f64::NEG_INFINITY;
    order.retain(|&i| {
        let better = points[i].1 > best;
        best = best.max(points[i].1);
        better
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beats(a: (f64, f64), b: (f64, f64)) -> bool {
        a.0 <= b.0 && a.1 >= b.1 && a != b
    }

    proptest! {
        /// Small whole numbers, so that ties are common.
        #[test]
        fn front_is_exactly_what_nothing_beats(
            points in prop::collection::vec((0_u8..6, 0_u8..6), 0..20)
        ) {
            let points: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).collect();
            let front = front(&points);
            for i in 0..points.len() {
                let beaten = points.iter().any(|&other| beats(other, points[i]));
                let twin_kept = front.iter().any(|&f| points[f] == points[i]);
                prop_assert_eq!(twin_kept, !beaten);
            }
            for pair in front.windows(2) {
                let (a, b) = (points[pair[0]], points[pair[1]]);
                prop_assert!(a.0 < b.0 && a.1 < b.1);
            }
        }
    }
}
