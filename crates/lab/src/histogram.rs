//! Latencies in log-spaced buckets: each bucket is some 3 % wide, from 1 µs to over an hour.

use std::time::Duration;

/// Buckets to each doubling.
const STEPS: u64 = 32;
const BUCKETS: usize = 33 * 32;

/// Counts of durations.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    largest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, largest: 0 }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let power = u64::from(micros.ilog2());
    // The five bits below the leading one choose the step within this doubling.
    let step = (micros >> (power - 5)) & (STEPS - 1);
    (((power - 4) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The upper edge of a bucket, in microseconds, so that no figure is flattered.
fn edge(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let power = index / STEPS + 4;
    ((STEPS + index % STEPS + 1) << (power - 5)) - 1
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn add(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count += 1;
        }
        self.total += 1;
        self.largest = self.largest.max(micros);
    }

    /// Counts everything that `other` counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.largest = self.largest.max(other.largest);
    }

    /// How many durations were counted.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The duration in milliseconds that `percent` of all stayed at or below; 0 without any.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let rank = ((self.total as f64) * percent / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && *count > 0 {
                return edge(index).min(self.largest) as f64 / 1_000.0;
            }
        }
        0.0
    }

    /// The longest duration in milliseconds.
    pub(crate) fn max(&self) -> f64 {
        self.largest as f64 / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket() {
        for micros in (0..100_000).chain([1 << 20, (1 << 31) - 1, 1 << 33]) {
            let index = bucket(micros);
            assert!(edge(index) >= micros, "{micros}");
            assert!(index == 0 || edge(index - 1) < micros, "{micros}");
        }
    }

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut histogram = Histogram::default();
        for micros in 1..=10_000 {
            histogram.add(Duration::from_micros(micros));
        }
        assert!((histogram.percentile(50.0) - 5.0).abs() < 0.2);
        assert!((histogram.percentile(99.0) - 9.9).abs() < 0.35);
        assert!((histogram.percentile(100.0) - 10.0).abs() < 0.001);
        assert_eq!(Histogram::default().count(), 0);
        assert!(Histogram::default().percentile(99.0).abs() < f64::EPSILON);
    }
}
