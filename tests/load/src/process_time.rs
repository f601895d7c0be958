//! CPU time of other processes, from `/proc`.

use std::{fs, time::Duration};

/// Clock ticks a second: `USER_HZ`, 100 on every Linux that we run on.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time (user and system) of a process with its threads, and of its children, living or waited for.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let children = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let child: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = Stat::read(child)?;
        (stat.parent == pid).then_some(stat.ticks)
    });
    let own = Stat::read(pid).map_or(0, |stat| stat.ticks + stat.ticks_of_waited_children);
    Duration::from_millis((own + children.sum::<u64>()) * 1000 / TICKS_PER_SECOND)
}

/// Peak and present resident memory of a process in KiB.
pub(crate) fn resident_kib(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some((field("VmHWM:")?, field("VmRSS:")?))
}

/// Memory of a process that no file backs, in KiB: what its work needs, without the pages of an executable with its symbols.
pub(crate) fn anonymous_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

struct Stat {
    parent: u32,
    ticks: u64,
    ticks_of_waited_children: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name stands in parentheses and may hold spaces.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            ticks: number(11)? + number(12)?,
            ticks_of_waited_children: number(13)? + number(14)?,
        })
    }
}
