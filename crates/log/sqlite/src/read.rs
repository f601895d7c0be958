//! Everything that only reads, on a reader or inside an append.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteConnection, SqlitePool};
use store::plan::LockedState;
use store::row::{self, EntryRow, FoundRow, LogRow, StateRow, bound, to_hash, to_index};
use store::search::{Question, Search, in_order};
use store::{
    DedupHash, EntryLen, Found, LogId, LogRecord, MAX_BATCH_ENTRIES, MAX_ENTRIES_PER_READ,
    StoreError, StoredEntry,
};
use tlog::{HashRange, LeafHash, LeafIndex, NodeHash, TILE_WIDTH};

use crate::error::unavailable;

pub(crate) async fn connection(pool: &SqlitePool) -> Result<PoolConnection<Sqlite>, StoreError> {
    pool.acquire().await.map_err(unavailable)
}

pub(crate) async fn logs(connection: &mut SqliteConnection) -> Result<Vec<LogRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT log.log_id, name, kind, tree_id, origin, host, public_key_der, created_at, frozen \
         FROM log JOIN log_state ON log_state.log_id = log.log_id ORDER BY log.log_id",
    )
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    rows.iter().map(|row| log_row(row).map_err(unavailable)?.try_into()).collect()
}

pub(crate) async fn log_named(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<LogRecord>, StoreError> {
    let row = sqlx::query(
        "SELECT log.log_id, name, kind, tree_id, origin, host, public_key_der, created_at, frozen \
         FROM log JOIN log_state ON log_state.log_id = log.log_id WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(connection)
    .await
    .map_err(unavailable)?;
    row.map(|row| log_row(&row).map_err(unavailable)?.try_into()).transpose()
}

pub(crate) async fn state(
    connection: &mut SqliteConnection,
    log: LogId,
) -> Result<LockedState, StoreError> {
    let row =
        sqlx::query("SELECT size, root, edge, last_time, frozen FROM log_state WHERE log_id = $1")
            .bind(log.0)
            .fetch_optional(connection)
            .await
            .map_err(unavailable)?
            .ok_or(StoreError::UnknownLog { id: log.0 })?;
    state_row(&row).map_err(unavailable)?.try_into()
}

pub(crate) async fn highest_row(
    connection: &mut SqliteConnection,
    log: LogId,
) -> Result<Option<LeafIndex>, StoreError> {
    let idx: Option<i64> = sqlx::query_scalar("SELECT max(idx) FROM entry WHERE log_id = $1")
        .bind(log.0)
        .fetch_one(connection)
        .await
        .map_err(unavailable)?;
    idx.map(to_index).transpose()
}

pub(crate) async fn tree_head(
    connection: &mut SqliteConnection,
    log: LogId,
    size: i64,
) -> Result<Option<NodeHash>, StoreError> {
    let root: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT root FROM tree_head WHERE log_id = $1 AND size = $2")
            .bind(log.0)
            .bind(size)
            .fetch_optional(connection)
            .await
            .map_err(unavailable)?;
    root.map(|root| to_hash("root of a tree head", &root)).transpose()
}

/// Those of the entries that the log has.
pub(crate) async fn find(
    connection: &mut SqliteConnection,
    log: LogId,
    dedup_hashes: &[DedupHash],
) -> Result<HashMap<DedupHash, Found>, StoreError> {
    if dedup_hashes.len() > MAX_BATCH_ENTRIES {
        return Err(StoreError::TooMuch {
            what: "deduplication hashes",
            asked: dedup_hashes.len() as u64,
            limit: MAX_BATCH_ENTRIES as u64,
        });
    }
    let mut known = HashMap::new();
    let mut rest = dedup_hashes;
    while let Some((text, now, later)) =
        padded(rest).and_then(|(at, now, later)| Some((FIND.get(at)?, now, later)))
    {
        let query = now.iter().fold(sqlx::query(text.as_str()).bind(log.0), |query, hash| {
            query.bind(hash.0.as_slice())
        });
        for row in query.fetch_all(&mut *connection).await.map_err(unavailable)? {
            let (hash, found) = found_row(&row)?;
            known.insert(hash, found);
        }
        rest = later;
    }
    Ok(known)
}

pub(crate) async fn find_leaf(
    connection: &mut SqliteConnection,
    log: LogId,
    leaf_hash: &LeafHash,
) -> Result<Option<LeafIndex>, StoreError> {
    // Two branches, one for each index. The indexes are named in the statements because SQLite, which has no statistics
    // here, takes `log_id = ...` for selective and would read the whole log.
    let idx: Option<i64> = sqlx::query_scalar(
        "SELECT min(idx) FROM ( \
             SELECT idx FROM entry INDEXED BY entry_identity \
             WHERE log_id = $1 AND identity_hash = $2 AND leaf_hash = $2 \
             UNION ALL \
             SELECT idx FROM entry INDEXED BY entry_leaf \
             WHERE log_id = $1 AND leaf_hash = $2 AND leaf_hash <> identity_hash)",
    )
    .bind(log.0)
    .bind(leaf_hash.as_ref())
    .fetch_one(connection)
    .await
    .map_err(unavailable)?;
    idx.map(to_index).transpose()
}

pub(crate) async fn entries(
    connection: &mut SqliteConnection,
    log: LogId,
    range: Range<LeafIndex>,
) -> Result<Vec<StoredEntry>, StoreError> {
    let start = range.start.0;
    let rows = sqlx::query(
        "SELECT entry.idx, leaf_hash, identity_hash, integrated_at, kind, body, extra, set_sig \
         FROM entry \
         JOIN entry_body ON entry_body.log_id = entry.log_id AND entry_body.idx = entry.idx \
         LEFT JOIN entry_set ON entry_set.log_id = entry.log_id AND entry_set.idx = entry.idx \
         WHERE entry.log_id = $1 AND entry.idx >= $2 AND entry.idx < $3 ORDER BY entry.idx",
    )
    .bind(log.0)
    .bind(bound(start))
    .bind(bound(range.end.0.min(start.saturating_add(MAX_ENTRIES_PER_READ))))
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    let rows: Vec<_> = rows.iter().map(entry_row).collect::<Result<_, _>>().map_err(unavailable)?;
    row::contiguous(range.start, rows)
}

pub(crate) async fn entry_lengths(
    connection: &mut SqliteConnection,
    log: LogId,
    range: Range<LeafIndex>,
) -> Result<Vec<EntryLen>, StoreError> {
    let start = range.start.0;
    // Of a long value SQLite reads no more for its length than where the row begins.
    let rows = sqlx::query_as(
        "SELECT idx, length(body), length(extra) FROM entry_body \
         WHERE log_id = $1 AND idx >= $2 AND idx < $3 ORDER BY idx",
    )
    .bind(log.0)
    .bind(bound(start))
    .bind(bound(range.end.0.min(start.saturating_add(MAX_ENTRIES_PER_READ))))
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    row::lengths(range.start, rows)
}

pub(crate) async fn hashes(
    connection: &mut SqliteConnection,
    log: LogId,
    range: HashRange,
) -> Result<Vec<NodeHash>, StoreError> {
    let mut hashes = Vec::new();
    if row::width(range)? >= row::TILE_READ_FROM {
        let tiles = sqlx::query_as(
            "SELECT n, hashes FROM tile WHERE log_id = $1 AND level = $2 AND n BETWEEN $3 AND $4 ORDER BY n",
        )
        .bind(log.0)
        .bind(i64::from(range.level))
        .bind(bound(range.start / TILE_WIDTH))
        .bind(bound((range.end - 1) / TILE_WIDTH))
        .fetch_all(&mut *connection)
        .await
        .map_err(unavailable)?;
        hashes = row::from_tiles(range, tiles)?;
    }
    let rest = HashRange { start: range.start + hashes.len() as u64, ..range };
    hashes.extend(rows_of_hashes(connection, log, rest).await?);
    row::complete(range, hashes)
}

/// Hashes from the rows below the level: leaf hashes, or the roots of full tiles.
async fn rows_of_hashes(
    connection: &mut SqliteConnection,
    log: LogId,
    range: HashRange,
) -> Result<Vec<NodeHash>, StoreError> {
    if range.start >= range.end {
        return Ok(Vec::new());
    }
    let query = match range.level.checked_sub(1) {
        None => sqlx::query_scalar(
            "SELECT leaf_hash FROM entry WHERE log_id = $1 AND idx >= $2 AND idx < $3 ORDER BY idx",
        )
        .bind(log.0),
        Some(below) => sqlx::query_scalar(
            "SELECT sub_root FROM tile WHERE log_id = $1 AND level = $2 AND n >= $3 AND n < $4 ORDER BY n",
        )
        .bind(log.0)
        .bind(i64::from(below)),
    };
    let hashes: Vec<Vec<u8>> = query
        .bind(bound(range.start))
        .bind(bound(range.end))
        .fetch_all(connection)
        .await
        .map_err(unavailable)?;
    hashes.iter().map(|hash| to_hash("stored hash", hash)).collect()
}

/// Reads what the search asks for until it is over.
pub(crate) async fn search(
    connection: &mut SqliteConnection,
    log: LogId,
    mut search: Search,
) -> Result<Vec<LeafIndex>, StoreError> {
    while let Some(Question { kind, key, below, limit }) = search.question() {
        let page = sqlx::query_scalar(
            "SELECT idx FROM index_key WHERE log_id = $1 AND key_type = $2 AND key = $3 AND idx < $4 \
             ORDER BY idx DESC LIMIT $5",
        )
        .bind(log.0)
        .bind(kind)
        .bind(key)
        .bind(below)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await
        .map_err(unavailable)?;
        search.answer(page)?;
    }
    Ok(search.into_indexes())
}

pub(crate) async fn index_keys(
    connection: &mut SqliteConnection,
    log: LogId,
    range: Range<LeafIndex>,
) -> Result<Vec<(LeafIndex, String, String)>, StoreError> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT idx, key_type, key FROM index_key WHERE log_id = $1 AND idx >= $2 AND idx < $3",
    )
    .bind(log.0)
    .bind(bound(range.start.0))
    .bind(bound(range.end.0))
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    rows.into_iter().map(|(idx, kind, key)| Ok((to_index(idx)?, kind, key))).collect()
}

pub(crate) async fn leaf_hashes(
    connection: &mut SqliteConnection,
    log: LogId,
    indexes: &[LeafIndex],
) -> Result<Vec<LeafHash>, StoreError> {
    let mut read = Vec::with_capacity(indexes.len());
    let mut rest = indexes;
    while let Some((text, now, later)) =
        padded(rest).and_then(|(at, now, later)| Some((LEAF_HASHES.get(at)?, now, later)))
    {
        let query = now
            .iter()
            .fold(sqlx::query_as(text.as_str()).bind(log.0), |query, idx| query.bind(bound(idx.0)));
        let rows: Vec<(i64, Vec<u8>)> =
            query.fetch_all(&mut *connection).await.map_err(unavailable)?;
        for (idx, hash) in rows {
            read.push((to_index(idx)?, to_hash("leaf hash", &hash)?));
        }
        rest = later;
    }
    in_order(indexes, read)
}

fn log_row(row: &SqliteRow) -> Result<LogRow, sqlx::Error> {
    Ok(LogRow {
        log_id: row.try_get(0)?,
        name: row.try_get(1)?,
        kind: row.try_get(2)?,
        tree_id: row.try_get(3)?,
        origin: row.try_get(4)?,
        host: row.try_get(5)?,
        public_key_der: row.try_get(6)?,
        created_at: row.try_get(7)?,
        frozen: row.try_get::<i64, _>(8)? != 0,
    })
}

fn state_row(row: &SqliteRow) -> Result<StateRow, sqlx::Error> {
    Ok(StateRow {
        size: row.try_get(0)?,
        root: row.try_get(1)?,
        edge: row.try_get(2)?,
        last_time: row.try_get(3)?,
        frozen: row.try_get::<i64, _>(4)? != 0,
    })
}

fn entry_row(row: &SqliteRow) -> Result<EntryRow, sqlx::Error> {
    Ok(EntryRow {
        idx: row.try_get(0)?,
        leaf_hash: row.try_get(1)?,
        identity_hash: row.try_get(2)?,
        integrated_at: row.try_get(3)?,
        kind: row.try_get(4)?,
        body: row.try_get(5)?,
        extra: row.try_get(6)?,
        set_sig: row.try_get(7)?,
    })
}

fn found_row(row: &SqliteRow) -> Result<(DedupHash, Found), StoreError> {
    FoundRow {
        identity_hash: row.try_get(0).map_err(unavailable)?,
        idx: row.try_get(1).map_err(unavailable)?,
        leaf_hash: row.try_get(2).map_err(unavailable)?,
        integrated_at: row.try_get(3).map_err(unavailable)?,
    }
    .try_into()
}

/// Few widths, so that every statement is prepared once; the widest that fits is used until nothing is left. Each
/// statement is a way to the connection's thread and back, so a batch of up to 255 rows takes at most eight.
pub(crate) const WIDTHS: [usize; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

/// The next values to look up, as many as the narrowest statement that takes all that are left, or the widest one;
/// the last is repeated to fill it, which finds nothing more. Also what is left after them.
fn padded<T: Copy>(values: &[T]) -> Option<(usize, Vec<T>, &[T])> {
    let last = *values.last()?;
    let width = WIDTHS.iter().rev().find(|width| **width >= values.len()).or(WIDTHS.first())?;
    let (now, later) = values.split_at(values.len().min(*width));
    let at = WIDTHS.iter().position(|other| other == width)?;
    let mut now = now.to_vec();
    now.resize(*width, last);
    Some((at, now, later))
}

static FIND: LazyLock<[String; WIDTHS.len()]> = LazyLock::new(|| {
    WIDTHS.map(|width| {
        let marks = vec!["?"; width].join(", ");
        format!(
            "SELECT identity_hash, idx, leaf_hash, integrated_at FROM entry INDEXED BY entry_identity \
             WHERE log_id = ? AND identity_hash IN ({marks})"
        )
    })
});

static LEAF_HASHES: LazyLock<[String; WIDTHS.len()]> = LazyLock::new(|| {
    WIDTHS.map(|width| {
        let marks = vec!["?"; width].join(", ");
        format!("SELECT idx, leaf_hash FROM entry WHERE log_id = ? AND idx IN ({marks})")
    })
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_up_everything_in_the_fewest_statements() {
        for count in 0..700usize {
            let values: Vec<usize> = (0..count).collect();
            let (mut rest, mut seen, mut statements) = (values.as_slice(), Vec::new(), 0);
            while let Some((at, now, later)) = padded(rest) {
                assert_eq!(now.len(), WIDTHS[at]);
                seen.extend(now);
                statements += 1;
                rest = later;
            }
            seen.dedup();
            assert_eq!(seen, values);
            assert_eq!(statements, count.div_ceil(128));
        }
    }
}
