//! A list of numbers, read as choices.

/// Choices from a list of numbers. When the list ends, every choice is the first: the simplest.
#[derive(Clone, Debug)]
pub struct Choices<'a> {
    numbers: std::slice::Iter<'a, u32>,
}

impl<'a> Choices<'a> {
    /// From these numbers.
    #[must_use]
    pub fn new(numbers: &'a [u32]) -> Self {
        Self { numbers: numbers.iter() }
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u32) -> u32 {
        let number = self.numbers.next().copied().unwrap_or_default();
        number.checked_rem(end).unwrap_or_default()
    }

    /// One in `of` times; never when the list has ended.
    pub fn one_in(&mut self, of: u32) -> bool {
        self.below(of) + 1 == of && of > 1
    }

    /// One of these, the first when the list has ended.
    pub fn of<T: Copy>(&mut self, options: &[T]) -> Option<T> {
        let place = self.below(u32::try_from(options.len()).unwrap_or(u32::MAX));
        options.get(usize::try_from(place).unwrap_or_default()).copied()
    }

    /// One of these texts; empty when there are none.
    pub fn text<'t>(&mut self, options: &[&'t str]) -> &'t str {
        self.of(options).unwrap_or_default()
    }

    /// From `least` to `most` things.
    pub fn several<T>(&mut self, least: u32, most: u32, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = least + self.below(most.saturating_sub(least) + 1);
        (0..count).map(|_| one(self)).collect()
    }
}
