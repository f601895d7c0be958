//! Everything that writes, inside a transaction that the caller begins and commits.

use std::sync::LazyLock;

use moment::UnixSeconds;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};
use store::plan::{Draft, FullTile, IndexRow, Plan};
use store::row::from_u64;
use store::{
    Batch, DedupHash, LogId, LogRecord, LogSpec, NewEntry, StoreError, TimestampSignature,
};

use crate::error::unavailable;
use crate::read::{self, WIDTHS};

/// Writes all of the batch that is new; see [`store::plan`] for what is decided there.
pub(crate) async fn append<'b>(
    connection: &mut SqliteConnection,
    log: LogId,
    batch: &'b Batch,
) -> Result<Plan<'b>, StoreError> {
    let state = read::state(connection, log).await?;
    state.admit(batch)?;
    let head = read::tree_head(connection, log, from_u64("size of the log", state.size.0)?).await?;
    let dedup_hashes: Vec<DedupHash> = batch.entries.iter().map(|entry| entry.dedup_hash).collect();
    let known = read::find(connection, log, &dedup_hashes).await?;

    let draft = Draft::new(&state, head, batch, &known)?;
    let mut hashes = Vec::with_capacity(draft.missing().len());
    for range in draft.missing() {
        hashes.push(read::hashes(connection, log, *range).await?);
    }
    let plan = draft.complete(&hashes)?;
    if batch.entries.is_empty() {
        touch(connection).await?;
    } else if !plan.fresh().is_empty() {
        insert_rows(connection, log, &plan).await?;
        advance(connection, log, &plan).await?;
    }
    Ok(plan)
}

/// Writes something: who commits nothing wants to know whether this database can be written to, and a transaction
/// that only reads goes well on a full disk. So does one that writes what is there: SQLite compares, and then has no
/// page to write. The header's number of the user's own (`user_version`) means nothing here.
async fn touch(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let now: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *connection)
        .await
        .map_err(unavailable)?;
    let next = if now == 0 { "PRAGMA user_version = 1" } else { "PRAGMA user_version = 0" };
    sqlx::query(next).execute(connection).await.map_err(unavailable)?;
    Ok(())
}

async fn insert_rows(
    connection: &mut SqliteConnection,
    log: LogId,
    plan: &Plan<'_>,
) -> Result<(), StoreError> {
    let at = from_u64("integration time", plan.integrated_at().0)?;
    from_u64("size of the log", plan.new_head().size.0)?;
    let entries: Vec<(i64, &NewEntry)> = plan
        .indexed()
        .map(|(index, entry)| Ok((from_u64("index", index.0)?, entry)))
        .collect::<Result<_, _>>()?;

    ENTRY
        .insert(connection, &entries, |query, (idx, entry)| {
            let body_len = i64::try_from(entry.body.len()).unwrap_or(i64::MAX);
            let query = query.bind(log.0).bind(*idx).bind(entry.leaf_hash.as_ref());
            query.bind(entry.dedup_hash.0.as_slice()).bind(at).bind(entry.kind).bind(body_len)
        })
        .await?;
    ENTRY_BODY
        .insert(connection, &entries, |query, (idx, entry)| {
            query.bind(log.0).bind(*idx).bind(&entry.body[..]).bind(&entry.extra[..])
        })
        .await?;
    let signed: Vec<_> =
        entries.iter().filter(|(_, entry)| !entry.timestamp_signature.is_empty()).collect();
    ENTRY_SET
        .insert(connection, &signed, |query, (idx, entry)| {
            query.bind(log.0).bind(*idx).bind(&entry.timestamp_signature[..])
        })
        .await?;
    TILE.insert(connection, plan.tiles(), |query, tile| bind_tile(query, log, tile)).await?;
    INDEX_KEY
        .insert(connection, &plan.index_rows(), |query, row| bind_index_row(query, log, row))
        .await
}

/// Writes the new head and moves the state on, from exactly the head that was read.
async fn advance(
    connection: &mut SqliteConnection,
    log: LogId,
    plan: &Plan<'_>,
) -> Result<(), StoreError> {
    let (old, new) = (plan.old_head(), plan.new_head());
    let new_size = from_u64("size of the log", new.size.0)?;
    let at = from_u64("integration time", plan.integrated_at().0)?;
    sqlx::query("INSERT INTO tree_head (log_id, size, root, at) VALUES ($1, $2, $3, $4)")
        .bind(log.0)
        .bind(new_size)
        .bind(new.root.as_ref())
        .bind(at)
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    let updated = sqlx::query(
        "UPDATE log_state SET size = $4, root = $5, edge = $6, last_time = $7 \
         WHERE log_id = $1 AND size = $2 AND root = $3",
    )
    .bind(log.0)
    .bind(from_u64("size of the log", old.size.0)?)
    .bind(old.root.as_ref())
    .bind(new_size)
    .bind(new.root.as_ref())
    .bind(plan.new_edge().to_bytes())
    .bind(at)
    .execute(connection)
    .await
    .map_err(unavailable)?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

/// Creates a log, empty and with the head of size 0.
pub(crate) async fn create_log(
    connection: &mut SqliteConnection,
    spec: &LogSpec,
    now: UnixSeconds,
) -> Result<LogRecord, StoreError> {
    let at = from_u64("creation time", now.0)?;
    let log_id: i64 = sqlx::query_scalar(
        "INSERT INTO log (name, kind, tree_id, origin, host, public_key_der, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING log_id",
    )
    .bind(&spec.name)
    .bind(spec.kind.as_str())
    .bind(spec.tree_id)
    .bind(&spec.origin)
    .bind(&spec.host)
    .bind(&spec.public_key_der)
    .bind(at)
    .fetch_one(&mut *connection)
    .await
    .map_err(unavailable)?;
    let empty = tlog::empty_root();
    sqlx::query("INSERT INTO tree_head (log_id, size, root, at) VALUES ($1, 0, $2, $3)")
        .bind(log_id)
        .bind(empty.as_ref())
        .bind(at)
        .execute(&mut *connection)
        .await
        .map_err(unavailable)?;
    sqlx::query(
        "INSERT INTO log_state (log_id, size, root, edge, last_time, frozen) VALUES ($1, 0, $2, x'', 0, 0)",
    )
    .bind(log_id)
    .bind(empty.as_ref())
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(LogRecord { id: LogId(log_id), spec: spec.clone(), frozen: false, created_at: now })
}

pub(crate) async fn freeze(
    connection: &mut SqliteConnection,
    log: LogId,
) -> Result<(), StoreError> {
    let frozen = sqlx::query("UPDATE log_state SET frozen = 1 WHERE log_id = $1")
        .bind(log.0)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    if frozen.rows_affected() == 1 { Ok(()) } else { Err(StoreError::UnknownLog { id: log.0 }) }
}

/// Keeps the first timestamp signature of each entry.
pub(crate) async fn put_timestamp_signatures(
    connection: &mut SqliteConnection,
    log: LogId,
    signatures: &[TimestampSignature],
) -> Result<(), StoreError> {
    let size = read::state(connection, log).await?.size;
    let rows = store::timestamp_signature::rows(size, signatures)?;
    LATER_SET
        .insert(connection, &rows, |query, (idx, signature)| {
            query.bind(log.0).bind(*idx).bind(*signature)
        })
        .await
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// INSERT statements for several rows at once, one for each of [`WIDTHS`].
///
/// Their parameters are nameless: SQLite looks names up one by one, which for hundreds takes longer than the insert.
struct Insert {
    texts: [(usize, String); WIDTHS.len()],
}

impl Insert {
    fn new(table: &str, columns: &[&str]) -> Self {
        Self::with(table, columns, "")
    }

    /// With what follows the rows: a clause on conflicts.
    fn with(table: &str, columns: &[&str], clause: &str) -> Self {
        let row = format!("({})", vec!["?"; columns.len()].join(", "));
        let texts = WIDTHS.map(|width| {
            let rows = vec![row.as_str(); width].join(", ");
            let columns = columns.join(", ");
            (width, format!("INSERT INTO {table} ({columns}) VALUES {rows}{clause}"))
        });
        Self { texts }
    }

    async fn insert<R>(
        &'static self,
        connection: &mut SqliteConnection,
        rows: &[R],
        bind: impl Fn(Query<'static>, &R) -> Query<'static>,
    ) -> Result<(), StoreError> {
        let mut rest = rows;
        while let Some((width, text)) = self.texts.iter().find(|(width, _)| *width <= rest.len()) {
            let (now, later) = rest.split_at(*width);
            let query = now.iter().fold(sqlx::query(text.as_str()), &bind);
            query.execute(&mut *connection).await.map_err(unavailable)?;
            rest = later;
        }
        Ok(())
    }
}

fn bind_tile(query: Query<'static>, log: LogId, tile: &FullTile) -> Query<'static> {
    // An index of a tile is far below that of its entries.
    let n = i64::try_from(tile.id.index).unwrap_or(i64::MAX);
    let query = query.bind(log.0).bind(i64::from(tile.id.level)).bind(n);
    query.bind(tile.sub_root.as_ref()).bind(tile.hashes.as_slice())
}

fn bind_index_row(query: Query<'static>, log: LogId, row: &IndexRow) -> Query<'static> {
    let idx = i64::try_from(row.index.0).unwrap_or(i64::MAX);
    query.bind(log.0).bind(row.kind).bind(row.key.as_str()).bind(idx)
}

static ENTRY: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "entry",
        &["log_id", "idx", "leaf_hash", "identity_hash", "integrated_at", "kind", "body_len"],
    )
});
static ENTRY_BODY: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("entry_body", &["log_id", "idx", "body", "extra"]));
static ENTRY_SET: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("entry_set", &["log_id", "idx", "set_sig"]));
static LATER_SET: LazyLock<Insert> = LazyLock::new(|| {
    Insert::with("entry_set", &["log_id", "idx", "set_sig"], " ON CONFLICT DO NOTHING")
});
static TILE: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("tile", &["log_id", "level", "n", "sub_root", "hashes"]));
static INDEX_KEY: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("index_key", &["log_id", "key_type", "key", "idx"]));
