//! Figures of two sides, and their ratio.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;

/// Figures by name, of each of two sides; the order of the sides is their caller's.
#[derive(Default)]
pub(super) struct Figures(BTreeMap<String, [Vec<f64>; 2]>);

impl Figures {
    /// Adds a figure.
    pub(super) fn push(&mut self, name: String, side: usize, figure: f64) {
        if let Some(side) = self.0.entry(name).or_default().get_mut(side) {
            side.push(figure);
        }
    }

    /// Takes these members of each of the loader's lines.
    pub(super) fn collect(&mut self, lines: &str, side: usize, members: &[&str]) -> Result<()> {
        for line in lines.lines() {
            let measured: Value = serde_json::from_str(line)?;
            let text = |member: &str| measured[member].as_str().unwrap_or_default().to_owned();
            for member in members {
                let Some(figure) = measured[*member].as_f64() else { continue };
                self.push(
                    format!("{}, {}, {member}", text("name"), text("database")),
                    side,
                    figure,
                );
            }
        }
        Ok(())
    }

    /// Prints medians and their ratio.
    pub(super) fn print(self, title: &str, sides: [&str; 2]) {
        println!("\n{title:<52}{:>12}{:>12}{:>8}", sides[0], sides[1], "ratio");
        for (name, sides) in self.0 {
            let [first, second] = sides.map(median);
            println!("{name:<52}{first:>12.2}{second:>12.2}{:>8.2}", second / first);
        }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
