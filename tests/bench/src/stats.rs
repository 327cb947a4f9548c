//! Samples and how they are printed.

use std::time::Duration;

/// Durations of one thing, measured again and again.
#[derive(Default, Clone, Debug)]
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// In milliseconds; 0 without samples.
    pub fn median_ms(&self) -> f64 {
        self.quantile_ms(0.5)
    }

    /// In milliseconds; 0 without samples.
    pub fn p95_ms(&self) -> f64 {
        self.quantile_ms(0.95)
    }

    /// The nearest-rank quantile: always a time that was measured.
    fn quantile_ms(&self, quantile: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (quantile * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(0.0, |sample| ms(*sample))
    }
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

pub fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1_000_000.0
}

/// Prints rows under a heading, first column to the left, the others to the right.
pub fn print_table(title: &str, heading: &[&str], rows: &[Vec<String>]) {
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([heading[column].chars().count()]).max().unwrap_or_default()
        })
        .collect();
    let line = |cells: &[String]| {
        let cells = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    println!("\n{title}");
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    line(&heading);
    line(&widths.iter().map(|&width| "-".repeat(width)).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let mut samples = Samples::default();
        assert_eq!(samples.median_ms(), 0.0);
        (1..=100).rev().for_each(|n| samples.push(Duration::from_millis(n)));
        assert_eq!((samples.median_ms(), samples.p95_ms()), (50.0, 95.0));
    }
}
