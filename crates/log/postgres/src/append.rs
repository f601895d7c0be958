//! Everything that writes, inside a transaction that the caller begins and ends.

use moment::UnixSeconds;
use sqlx::PgConnection;
use store::plan::{Draft, Plan};
use store::row::{from_u64, refuse_twin};
use store::{Batch, DedupHash, LogId, LogRecord, LogSpec, StoreError, TimestampSignature};

use crate::error::{at_write, unavailable};
use crate::read;

/// Writes all of the batch that is new; see [`store::plan`] for what is decided there.
///
/// Each statement sees what was committed before it began (READ COMMITTED), so everything read after the lock is of
/// the state that the lock protects.
pub(crate) async fn append<'b>(
    connection: &mut PgConnection,
    log: LogId,
    batch: &'b Batch,
) -> Result<Plan<'b>, StoreError> {
    let state = read::lock_state(connection, log).await?;
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
    let advanced = if plan.fresh().is_empty() {
        touch(connection, log).await?
    } else {
        write(connection, log, &plan).await?
    };
    if advanced == 1 { Ok(plan) } else { Err(StoreError::Conflict) }
}

/// Writes the state as it is: a transaction that only reads would not wait for the synchronous standby, and so would
/// cover entries that may not be there yet.
async fn touch(connection: &mut PgConnection, log: LogId) -> Result<u64, StoreError> {
    let touched = sqlx::query("UPDATE log.log_state SET size = size WHERE log_id = $1")
        .bind(log.0)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    Ok(touched.rows_affected())
}

/// Inserts all rows, and moves the state on from exactly the head that was read: one statement, one round trip.
async fn write(
    connection: &mut PgConnection,
    log: LogId,
    plan: &Plan<'_>,
) -> Result<u64, StoreError> {
    let rows = Rows::new(plan)?;
    let (old, new) = (plan.old_head(), plan.new_head());
    let advanced = sqlx::query(WRITE)
        .bind(log.0)
        .bind(from_u64("size of the log", old.size.0)?)
        .bind(old.root.as_ref())
        .bind(from_u64("size of the log", new.size.0)?)
        .bind(new.root.as_ref())
        .bind(plan.new_edge().to_bytes())
        .bind(from_u64("integration time", plan.integrated_at().0)?)
        .bind(rows.leaf_hash)
        .bind(rows.identity_hash)
        .bind(rows.kind)
        .bind(rows.body_len)
        .bind(rows.body)
        .bind(rows.extra)
        .bind(rows.set_idx)
        .bind(rows.set_sig)
        .bind(rows.tile_level)
        .bind(rows.tile_n)
        .bind(rows.tile_sub_root)
        .bind(rows.tile_hashes)
        .bind(rows.key_type)
        .bind(&rows.key)
        .bind(rows.key_idx)
        .execute(connection)
        .await
        .map_err(at_write)?;
    Ok(advanced.rows_affected())
}

const WRITE: &str = "\
WITH new_entry AS (
    INSERT INTO log.entry (log_id, idx, leaf_hash, identity_hash, integrated_at, kind, body_len)
    SELECT $1, $2 + at - 1, leaf_hash, identity_hash, $7, kind, body_len
    FROM unnest($8::bytea[], $9::bytea[], $10::text[], $11::integer[])
        WITH ORDINALITY AS row (leaf_hash, identity_hash, kind, body_len, at)
), new_body AS (
    INSERT INTO log.entry_body (log_id, idx, body, extra)
    SELECT $1, $2 + at - 1, body, extra
    FROM unnest($12::bytea[], $13::bytea[]) WITH ORDINALITY AS row (body, extra, at)
), new_set AS (
    INSERT INTO log.entry_set (log_id, idx, set_sig)
    SELECT $1, idx, set_sig FROM unnest($14::bigint[], $15::bytea[]) AS row (idx, set_sig)
), new_tile AS (
    INSERT INTO log.tile (log_id, level, n, sub_root, hashes)
    SELECT $1, level, n, sub_root, hashes
    FROM unnest($16::smallint[], $17::bigint[], $18::bytea[], $19::bytea[]) AS row (level, n, sub_root, hashes)
), new_key AS (
    INSERT INTO log.index_key (log_id, key_type, key, idx)
    SELECT $1, key_type, key, idx FROM unnest($20::text[], $21::text[], $22::bigint[]) AS row (key_type, key, idx)
), new_head AS (
    INSERT INTO log.tree_head (log_id, size, root, at) VALUES ($1, $4, $5, $7)
)
UPDATE log.log_state SET size = $4, root = $5, edge = $6, last_time = $7
WHERE log_id = $1 AND size = $2 AND root = $3";

/// The rows of a plan, column by column.
#[derive(Default)]
struct Rows<'p> {
    leaf_hash: Vec<&'p [u8]>,
    identity_hash: Vec<&'p [u8]>,
    kind: Vec<&'p str>,
    body_len: Vec<i32>,
    body: Vec<&'p [u8]>,
    extra: Vec<&'p [u8]>,
    set_idx: Vec<i64>,
    set_sig: Vec<&'p [u8]>,
    tile_level: Vec<i16>,
    tile_n: Vec<i64>,
    tile_sub_root: Vec<&'p [u8]>,
    tile_hashes: Vec<&'p [u8]>,
    key_type: Vec<&'p str>,
    key: Vec<String>,
    key_idx: Vec<i64>,
}

impl<'p> Rows<'p> {
    fn new(plan: &'p Plan<'_>) -> Result<Self, StoreError> {
        let mut rows = Self::default();
        for (index, entry) in plan.indexed() {
            rows.leaf_hash.push(entry.leaf_hash.as_ref());
            rows.identity_hash.push(&entry.dedup_hash.0);
            rows.kind.push(entry.kind);
            // Checked against 65,535 when the batch was admitted; the column checks again.
            rows.body_len.push(i32::try_from(entry.body.len()).unwrap_or(i32::MAX));
            rows.body.push(&entry.body);
            rows.extra.push(&entry.extra);
            if !entry.timestamp_signature.is_empty() {
                rows.set_idx.push(from_u64("index of an entry", index.0)?);
                rows.set_sig.push(&entry.timestamp_signature);
            }
        }
        for tile in plan.tiles() {
            rows.tile_level.push(i16::from(tile.id.level));
            rows.tile_n.push(from_u64("number of a tile", tile.id.index)?);
            rows.tile_sub_root.push(tile.sub_root.as_ref());
            rows.tile_hashes.push(&tile.hashes);
        }
        for row in plan.index_rows() {
            rows.key_type.push(row.kind);
            rows.key.push(row.key);
            rows.key_idx.push(from_u64("index of an entry", row.index.0)?);
        }
        Ok(rows)
    }
}

/// Creates the log, empty and with the head of size 0, unless one of that name is there; gives the one of that name.
pub(crate) async fn ensure_log(
    connection: &mut PgConnection,
    spec: &LogSpec,
    now: UnixSeconds,
) -> Result<LogRecord, StoreError> {
    refuse_twin(spec, &read::logs(connection).await?)?;
    sqlx::query(
        "WITH created AS (
            INSERT INTO log.log (name, kind, tree_id, origin, host, public_key_der, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING log_id
        ), head AS (
            INSERT INTO log.tree_head (log_id, size, root, at) SELECT log_id, 0, $8, $7 FROM created
        )
        INSERT INTO log.log_state (log_id, size, root, edge, last_time, frozen)
        SELECT log_id, 0, $8, '', 0, false FROM created",
    )
    .bind(&spec.name)
    .bind(spec.kind.as_str())
    .bind(spec.tree_id)
    .bind(&spec.origin)
    .bind(&spec.host)
    .bind(&spec.public_key_der)
    .bind(from_u64("creation time", now.0)?)
    .bind(tlog::empty_root().as_ref())
    .execute(&mut *connection)
    .await
    .map_err(unavailable)?;
    // A new statement sees the log also when another process created it a moment ago.
    if let Some(record) = read::log_named(connection, &spec.name).await? {
        return Ok(record);
    }
    refuse_twin(spec, &read::logs(connection).await?)?;
    Err(StoreError::Corrupt { what: format!("log {:?} has no state", spec.name) })
}

pub(crate) async fn freeze(connection: &mut PgConnection, log: LogId) -> Result<(), StoreError> {
    let frozen = sqlx::query("UPDATE log.log_state SET frozen = true WHERE log_id = $1")
        .bind(log.0)
        .execute(connection)
        .await
        .map_err(unavailable)?;
    if frozen.rows_affected() == 1 { Ok(()) } else { Err(StoreError::UnknownLog { id: log.0 }) }
}

/// Keeps the first timestamp signature of each entry.
pub(crate) async fn put_timestamp_signatures(
    connection: &mut PgConnection,
    log: LogId,
    signatures: &[TimestampSignature],
) -> Result<(), StoreError> {
    let size = read::state(connection, log).await?.size;
    let (idx, set_sig): (Vec<i64>, Vec<&[u8]>) =
        store::timestamp_signature::rows(size, signatures)?.into_iter().unzip();
    sqlx::query(
        "INSERT INTO log.entry_set (log_id, idx, set_sig) \
         SELECT $1, idx, set_sig FROM unnest($2::bigint[], $3::bytea[]) AS row (idx, set_sig) \
         ON CONFLICT DO NOTHING",
    )
    .bind(log.0)
    .bind(idx)
    .bind(set_sig)
    .execute(connection)
    .await
    .map_err(unavailable)?;
    Ok(())
}
