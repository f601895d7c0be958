use anyhow::{Context, Result};
use tlog::{TILE_WIDTH, TilePath, TreeSize};

/// Path of the entry bundle `index` of a log of `size` entries, partial where the log ends in it.
///
/// # Errors
/// When no entry of the bundle is in the log.
pub fn bundle_path(index: u64, size: TreeSize) -> Result<TilePath> {
    let width = size.0.saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH);
    anyhow::ensure!(width > 0, "bundle {index} is beyond a log of {size} entries");
    Ok(TilePath::Entries { index, width: width.try_into()? })
}

/// The entries of a bundle (C2SP `tlog-tiles`).
///
/// # Errors
/// When the last entry is cut off.
pub fn bundled_entries(mut bundle: &[u8]) -> Result<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>().context("a length is cut off")?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, rest) = rest.split_at_checked(length).context("an entry is cut off")?;
        entries.push(entry);
        bundle = rest;
    }
    Ok(entries)
}
