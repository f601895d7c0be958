//! `per_peer`, `per_issuer`, `per_subject`: how much one caller may write.

use std::{num::NonZeroU32, time::Duration};

use server::{Allowance, Rate};

use super::section::Section;

/// More in one second than any service answers.
const MAX_RATE: u32 = 1_000_000;

/// Reads the table `key`; `bytes` is whether what is written has a length that counts.
pub(super) fn allowance(section: &mut Section<'_>, key: &'static str, bytes: bool) -> Allowance {
    let mut table = section.section(key);
    let rate = rate(&mut table);
    let writes_per_day = number(&mut table, "writes_per_day");
    let mib_per_day = if bytes { number(&mut table, "mib_per_day") } else { None };
    table.end();
    Allowance { rate, writes_per_day, mib_per_day }
}

fn rate(table: &mut Section<'_>) -> Option<Rate> {
    let text = table.text("rate");
    let burst = number(table, "burst");
    let Some(text) = text else {
        if burst.is_some() {
            table.wrong("burst", "is of a `rate`, which is missing");
        }
        return None;
    };
    let Some((count, interval)) = parsed(&text) else {
        let forms = "must be like 10/s, 100/min, 50/h or 20/day";
        table.wrong("rate", format!("`{text}` {forms}"));
        return None;
    };
    Some(Rate { interval, burst: burst.unwrap_or(count) })
}

/// How many, and what is between two of them.
fn parsed(text: &str) -> Option<(NonZeroU32, Duration)> {
    let (count, unit) = text.split_once('/')?;
    let count: NonZeroU32 =
        count.parse().ok().filter(|count: &NonZeroU32| count.get() <= MAX_RATE)?;
    let period = match unit {
        "s" => Duration::from_secs(1),
        "min" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        "day" => Duration::from_hours(24),
        _ => return None,
    };
    Some((count, period / count.get()))
}

fn number(table: &mut Section<'_>, key: &'static str) -> Option<NonZeroU32> {
    let number: u32 = table.integer(key)?;
    let number = NonZeroU32::new(number);
    if number.is_none() {
        table.wrong(key, "is 0: leave it out where nothing is to be limited");
    }
    number
}
