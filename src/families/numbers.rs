//! Owns the check of a configuration's numbers: what no model can have. Knows no family.

/// The numbers of a configuration that are checked for impossible values, by their keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Numbers {
    /// Sizes, each with the largest that a model can have; none can be 0.
    pub(super) sizes: Vec<(&'static str, usize, usize)>,
    /// Pairs of numbers of which the first divides the second, as attention heads divide the width.
    pub(super) divisors: Vec<[(&'static str, usize); 2]>,
    /// Numbers that are even.
    pub(super) even: Vec<(&'static str, usize)>,
    /// Numbers from 0 up to but not including 1.
    pub(super) shares: Vec<(&'static str, f64)>,
}

impl Numbers {
    /// The first number that no model can have.
    pub(super) fn wrong(&self) -> Option<String> {
        let size = self.sizes.iter().find(|(_, size, most)| *size == 0 || size > most);
        let size = size.map(|(name, size, _)| format!("`{name}` is {size}"));
        let undivided = || {
            let [(name, divisor), (of, number)] =
                self.divisors.iter().find(|[divisor, number]| number.1 % divisor.1 != 0)?;
            Some(format!("`{name}` is {divisor}, which does not divide `{of}` {number}"))
        };
        let share = || {
            let (name, share) = self.shares.iter().find(|(_, share)| !(0.0..1.0).contains(share))?;
            Some(format!("`{name}` is {share}"))
        };
        let odd = || {
            let (name, number) = self.even.iter().find(|(_, number)| number % 2 != 0)?;
            Some(format!("`{name}` is {number}, which is odd"))
        };
        size.or_else(undivided).or_else(odd).or_else(share)
    }
}
