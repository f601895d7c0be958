//! Everything that only reads, on a reader or inside an append.
//!
//! The planner must have no choice here: statistics of a table that was small when it was analysed make every index
//! look as good as any other, and the plan is kept while the log grows. So each search has one usable index.

use std::collections::HashMap;
use std::ops::Range;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use store::plan::LockedState;
use store::row::{self, EntryRow, FoundRow, LogRow, StateRow, bound, to_hash, to_index};
use store::search::{Question, Search, in_order};
use store::{
    DedupHash, EntryLen, Found, LogId, LogRecord, LogState, MAX_BATCH_ENTRIES,
    MAX_ENTRIES_PER_READ, StoreError, StoredEntry,
};
use tlog::{HashRange, LeafHash, LeafIndex, NodeHash, TILE_WIDTH};

use crate::error::unavailable;

pub(crate) async fn logs(connection: &mut PgConnection) -> Result<Vec<LogRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT log_id, name, kind, tree_id, origin, host, public_key_der, created_at, frozen \
         FROM log.log JOIN log.log_state USING (log_id) ORDER BY log_id",
    )
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    rows.iter().map(|row| log_row(row).map_err(unavailable)?.try_into()).collect()
}

pub(crate) async fn log_named(
    connection: &mut PgConnection,
    name: &str,
) -> Result<Option<LogRecord>, StoreError> {
    let row = sqlx::query(
        "SELECT log_id, name, kind, tree_id, origin, host, public_key_der, created_at, frozen \
         FROM log.log JOIN log.log_state USING (log_id) WHERE name = $1",
    )
    .bind(name)
    .fetch_optional(connection)
    .await
    .map_err(unavailable)?;
    row.map(|row| log_row(&row).map_err(unavailable)?.try_into()).transpose()
}

pub(crate) async fn state(
    connection: &mut PgConnection,
    log: LogId,
) -> Result<LockedState, StoreError> {
    let row = sqlx::query(
        "SELECT size, root, edge, last_time, frozen FROM log.log_state WHERE log_id = $1",
    )
    .bind(log.0)
    .fetch_optional(connection)
    .await
    .map_err(unavailable)?
    .ok_or(StoreError::UnknownLog { id: log.0 })?;
    state_row(&row).map_err(unavailable)?.try_into()
}

/// The state, and whether anybody's commit may still be lost of which it tells.
///
/// A commit is seen once it is on the server's disk and, where there is a synchronous standby, once the server no longer
/// waits for that. It may have given up waiting; where it waits for none, what is seen is durable.
pub(crate) async fn durable_state(
    connection: &mut PgConnection,
    log: LogId,
) -> Result<LogState, StoreError> {
    let row = sqlx::query(
        "SELECT size, root, edge, last_time, frozen, current_setting('synchronous_standby_names') = '' \
         FROM log.log_state WHERE log_id = $1",
    )
    .bind(log.0)
    .fetch_optional(connection)
    .await
    .map_err(unavailable)?
    .ok_or(StoreError::UnknownLog { id: log.0 })?;
    let is_durable = row.try_get(5).map_err(unavailable)?;
    let state: LockedState = state_row(&row).map_err(unavailable)?.try_into()?;
    Ok(LogState { is_durable, ..state.into_state()? })
}

/// The state under its row lock, which the transaction keeps until it ends.
pub(crate) async fn lock_state(
    connection: &mut PgConnection,
    log: LogId,
) -> Result<LockedState, StoreError> {
    let row = sqlx::query("SELECT size, root, edge, last_time, frozen FROM log.log_state WHERE log_id = $1 FOR UPDATE")
        .bind(log.0)
        .fetch_optional(connection)
        .await
        .map_err(unavailable)?
        .ok_or(StoreError::UnknownLog { id: log.0 })?;
    state_row(&row).map_err(unavailable)?.try_into()
}

pub(crate) async fn highest_row(
    connection: &mut PgConnection,
    log: LogId,
) -> Result<Option<LeafIndex>, StoreError> {
    let idx: Option<i64> = sqlx::query_scalar("SELECT max(idx) FROM log.entry WHERE log_id = $1")
        .bind(log.0)
        .fetch_one(connection)
        .await
        .map_err(unavailable)?;
    idx.map(to_index).transpose()
}

pub(crate) async fn tree_head(
    connection: &mut PgConnection,
    log: LogId,
    size: i64,
) -> Result<Option<NodeHash>, StoreError> {
    let root: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT root FROM log.tree_head WHERE log_id = $1 AND size = $2")
            .bind(log.0)
            .bind(size)
            .fetch_optional(connection)
            .await
            .map_err(unavailable)?;
    root.map(|root| to_hash("root of a tree head", &root)).transpose()
}

/// Those of the entries that the log has.
pub(crate) async fn find(
    connection: &mut PgConnection,
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
    // `+ 0` keeps the primary key out of it.
    let hashes: Vec<&[u8]> = dedup_hashes.iter().map(|hash| hash.0.as_slice()).collect();
    let rows = sqlx::query(
        "SELECT identity_hash, idx, leaf_hash, integrated_at FROM log.entry \
         WHERE log_id + 0 = $1 AND identity_hash = ANY($2)",
    )
    .bind(log.0)
    .bind(hashes)
    .fetch_all(connection)
    .await
    .map_err(unavailable)?;
    rows.iter().map(found_row).collect()
}

pub(crate) async fn find_leaf(
    connection: &mut PgConnection,
    log: LogId,
    leaf_hash: &LeafHash,
) -> Result<Option<LeafIndex>, StoreError> {
    // Two branches, one for each index; `+ 0` keeps the primary key out of it.
    let idx: Option<i64> = sqlx::query_scalar(
        "SELECT min(idx) FROM ( \
             SELECT idx FROM log.entry WHERE log_id + 0 = $1 AND identity_hash = $2 AND leaf_hash = $2 \
             UNION ALL \
             SELECT idx FROM log.entry WHERE log_id + 0 = $1 AND leaf_hash = $2 AND leaf_hash <> identity_hash) AS found",
    )
    .bind(log.0)
    .bind(leaf_hash.as_ref())
    .fetch_one(connection)
    .await
    .map_err(unavailable)?;
    idx.map(to_index).transpose()
}

pub(crate) async fn entries(
    connection: &mut PgConnection,
    log: LogId,
    range: Range<LeafIndex>,
) -> Result<Vec<StoredEntry>, StoreError> {
    let start = range.start.0;
    // OFFSET 0 keeps the planner from joining in another way than by looking each row up.
    let rows = sqlx::query(
        "SELECT entry.idx, leaf_hash, identity_hash, integrated_at, kind, body, extra, set_sig \
         FROM log.entry \
         CROSS JOIN LATERAL ( \
             SELECT body, extra FROM log.entry_body AS b \
             WHERE b.log_id = entry.log_id AND b.idx = entry.idx OFFSET 0) AS body \
         LEFT JOIN LATERAL ( \
             SELECT set_sig FROM log.entry_set AS s \
             WHERE s.log_id = entry.log_id AND s.idx = entry.idx OFFSET 0) AS set ON true \
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
    connection: &mut PgConnection,
    log: LogId,
    range: Range<LeafIndex>,
) -> Result<Vec<EntryLen>, StoreError> {
    let start = range.start.0;
    // Of a long value the row has the length.
    let rows = sqlx::query_as(
        "SELECT idx, octet_length(body)::bigint, octet_length(extra)::bigint FROM log.entry_body \
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
    connection: &mut PgConnection,
    log: LogId,
    range: HashRange,
) -> Result<Vec<NodeHash>, StoreError> {
    let mut hashes = Vec::new();
    if row::width(range)? >= row::TILE_READ_FROM {
        let tiles = sqlx::query_as(
            "SELECT n, hashes FROM log.tile WHERE log_id = $1 AND level = $2 AND n BETWEEN $3 AND $4 ORDER BY n",
        )
        .bind(log.0)
        .bind(i16::from(range.level))
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
    connection: &mut PgConnection,
    log: LogId,
    range: HashRange,
) -> Result<Vec<NodeHash>, StoreError> {
    if range.start >= range.end {
        return Ok(Vec::new());
    }
    let query = match range.level.checked_sub(1) {
        None => sqlx::query_scalar(
            "SELECT leaf_hash FROM log.entry WHERE log_id = $1 AND idx >= $2 AND idx < $3 ORDER BY idx",
        )
        .bind(log.0),
        Some(below) => sqlx::query_scalar(
            "SELECT sub_root FROM log.tile WHERE log_id = $1 AND level = $2 AND n >= $3 AND n < $4 ORDER BY n",
        )
        .bind(log.0)
        .bind(i16::from(below)),
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
    connection: &mut PgConnection,
    log: LogId,
    mut search: Search,
) -> Result<Vec<LeafIndex>, StoreError> {
    while let Some(Question { kind, key, below, limit }) = search.question() {
        let page = sqlx::query_scalar(
            "SELECT idx FROM log.index_key WHERE log_id = $1 AND key_type = $2 AND key = $3 AND idx < $4 \
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
    connection: &mut PgConnection,
    log: LogId,
    range: Range<LeafIndex>,
) -> Result<Vec<(LeafIndex, String, String)>, StoreError> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT idx, key_type, key FROM log.index_key WHERE log_id = $1 AND idx >= $2 AND idx < $3",
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
    connection: &mut PgConnection,
    log: LogId,
    indexes: &[LeafIndex],
) -> Result<Vec<LeafHash>, StoreError> {
    let columns: Vec<i64> = indexes.iter().map(|index| bound(index.0)).collect();
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT idx, leaf_hash FROM log.entry WHERE log_id = $1 AND idx = ANY($2)")
            .bind(log.0)
            .bind(columns)
            .fetch_all(connection)
            .await
            .map_err(unavailable)?;
    let mut read = Vec::with_capacity(rows.len());
    for (idx, hash) in rows {
        read.push((to_index(idx)?, to_hash("leaf hash", &hash)?));
    }
    in_order(indexes, read)
}

fn log_row(row: &PgRow) -> Result<LogRow, sqlx::Error> {
    Ok(LogRow {
        log_id: row.try_get(0)?,
        name: row.try_get(1)?,
        kind: row.try_get(2)?,
        tree_id: row.try_get(3)?,
        origin: row.try_get(4)?,
        host: row.try_get(5)?,
        public_key_der: row.try_get(6)?,
        created_at: row.try_get(7)?,
        frozen: row.try_get(8)?,
    })
}

fn state_row(row: &PgRow) -> Result<StateRow, sqlx::Error> {
    Ok(StateRow {
        size: row.try_get(0)?,
        root: row.try_get(1)?,
        edge: row.try_get(2)?,
        last_time: row.try_get(3)?,
        frozen: row.try_get(4)?,
    })
}

fn entry_row(row: &PgRow) -> Result<EntryRow, sqlx::Error> {
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

fn found_row(row: &PgRow) -> Result<(DedupHash, Found), StoreError> {
    FoundRow {
        identity_hash: row.try_get(0).map_err(unavailable)?,
        idx: row.try_get(1).map_err(unavailable)?,
        leaf_hash: row.try_get(2).map_err(unavailable)?,
        integrated_at: row.try_get(3).map_err(unavailable)?,
    }
    .try_into()
}
