-- The transparency log. Every table but log_state is append-only: triggers refuse UPDATE, DELETE and TRUNCATE.
-- The tables with a row per entry have no foreign keys: only an append writes them, in the transaction that also
-- advances log_state, and a trigger call per row would buy nothing.

CREATE TABLE log.log (
    log_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text   NOT NULL UNIQUE CHECK (name <> ''),
    kind           text   NOT NULL CHECK (kind IN ('ct', 'rekor1', 'rekor2')),
    tree_id        bigint NOT NULL CHECK (tree_id >= 0),
    origin         text   NOT NULL,
    host           text   NOT NULL,
    public_key_der bytea  NOT NULL,
    created_at     bigint NOT NULL CHECK (created_at >= 0)
);
COMMENT ON SCHEMA log IS 'Transparency logs. Times are Unix seconds, UTC; hashes are SHA-256, 32 bytes; indexes and sizes count entries from 0.';
COMMENT ON TABLE log.log IS 'One row per log.';
COMMENT ON COLUMN log.log.log_id IS 'Our number of the log.';
COMMENT ON COLUMN log.log.name IS 'Our name of the log.';
COMMENT ON COLUMN log.log.kind IS 'Protocol.';
COMMENT ON COLUMN log.log.tree_id IS 'Tree id of Rekor v1, 0 where there is none.';
COMMENT ON COLUMN log.log.origin IS 'First line of the checkpoints.';
COMMENT ON COLUMN log.log.host IS 'Host at the time of creation.';
COMMENT ON COLUMN log.log.public_key_der IS 'SubjectPublicKeyInfo of the signing key.';
COMMENT ON COLUMN log.log.created_at IS 'When the log was created.';

-- Half-full pages and no index on what changes: each append is one HOT update.
CREATE TABLE log.log_state (
    log_id    bigint  PRIMARY KEY REFERENCES log.log (log_id),
    size      bigint  NOT NULL CHECK (size >= 0),
    root      bytea   NOT NULL CHECK (octet_length(root) = 32),
    edge      bytea   NOT NULL CHECK (octet_length(edge) % 32 = 0 AND octet_length(edge) <= 2016),
    last_time bigint  NOT NULL CHECK (last_time >= 0),
    frozen    boolean NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE log.log_state IS 'One row per log: where it ends. The only rows that change; every append begins and ends here.';
COMMENT ON COLUMN log.log_state.log_id IS 'The log.';
COMMENT ON COLUMN log.log_state.size IS 'Number of entries.';
COMMENT ON COLUMN log.log_state.root IS 'Root of the tree of that size.';
COMMENT ON COLUMN log.log_state.edge IS 'Roots of its perfect subtrees, largest first, 32 bytes each.';
COMMENT ON COLUMN log.log_state.last_time IS 'integrated_at of the last entry.';
COMMENT ON COLUMN log.log_state.frozen IS 'Takes no more entries, for good.';

CREATE TABLE log.entry (
    log_id        bigint NOT NULL,
    idx           bigint NOT NULL CHECK (idx >= 0),
    leaf_hash     bytea  NOT NULL CHECK (octet_length(leaf_hash) = 32),
    identity_hash bytea  NOT NULL CHECK (octet_length(identity_hash) = 32),
    integrated_at bigint NOT NULL CHECK (integrated_at >= 0),
    kind          text   NOT NULL,
    body_len      integer NOT NULL CHECK (body_len BETWEEN 0 AND 65535),
    PRIMARY KEY (log_id, idx)
);
-- Strict deduplication, and the last safety net. The hash comes first, and statements hide log_id from the planner: with
-- statistics of a small table it takes the primary key for as good as this one, and then reads the whole log.
CREATE UNIQUE INDEX entry_identity ON log.entry (identity_hash, log_id);
-- CT's leaf hash is not the identity hash; everywhere else the unique key above serves.
CREATE INDEX entry_leaf ON log.entry (leaf_hash, log_id) WHERE leaf_hash <> identity_hash;
COMMENT ON TABLE log.entry IS 'One row per entry: what proofs and duplicate checks need.';
COMMENT ON COLUMN log.entry.log_id IS 'The log.';
COMMENT ON COLUMN log.entry.idx IS 'Leaf index.';
COMMENT ON COLUMN log.entry.leaf_hash IS 'SHA-256(0x00 || body).';
COMMENT ON COLUMN log.entry.identity_hash IS 'What makes a duplicate. Rekor: the leaf hash. CT: a hash over what was submitted.';
COMMENT ON COLUMN log.entry.integrated_at IS 'When it entered the log.';
COMMENT ON COLUMN log.entry.kind IS 'Kind of entry, like hashedrekord.';
COMMENT ON COLUMN log.entry.body_len IS 'Length of the body in bytes.';

-- A body with a certificate has 2 to 3 KB and does not compress: kept in its row up to a page, whole beyond.
CREATE TABLE log.entry_body (
    log_id bigint NOT NULL,
    idx    bigint NOT NULL CHECK (idx >= 0),
    body   bytea  NOT NULL CHECK (octet_length(body) <= 65535),
    extra  bytea  NOT NULL CHECK (octet_length(extra) <= 16777215),
    PRIMARY KEY (log_id, idx)
) WITH (toast_tuple_target = 8160);
ALTER TABLE log.entry_body ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN extra SET STORAGE EXTERNAL;
COMMENT ON TABLE log.entry_body IS 'One row per entry: its bytes. Apart from entry, so that ranges of hashes are read without them.';
COMMENT ON COLUMN log.entry_body.log_id IS 'The log.';
COMMENT ON COLUMN log.entry_body.idx IS 'Leaf index.';
COMMENT ON COLUMN log.entry_body.body IS 'The bytes under the leaf hash.';
COMMENT ON COLUMN log.entry_body.extra IS 'extra_data of CT; empty: none.';

CREATE TABLE log.entry_set (
    log_id  bigint NOT NULL,
    idx     bigint NOT NULL CHECK (idx >= 0),
    set_sig bytea  NOT NULL CHECK (octet_length(set_sig) BETWEEN 1 AND 1024),
    PRIMARY KEY (log_id, idx)
);
COMMENT ON TABLE log.entry_set IS 'One row per entry that was promised inclusion.';
COMMENT ON COLUMN log.entry_set.log_id IS 'The log.';
COMMENT ON COLUMN log.entry_set.idx IS 'Leaf index.';
COMMENT ON COLUMN log.entry_set.set_sig IS 'Signature of the SCT (CT) or of the SET (Rekor v1), made once.';

CREATE TABLE log.tree_head (
    log_id bigint NOT NULL REFERENCES log.log (log_id),
    size   bigint NOT NULL CHECK (size >= 0),
    root   bytea  NOT NULL CHECK (octet_length(root) = 32),
    at     bigint NOT NULL CHECK (at >= 0),
    PRIMARY KEY (log_id, size)
);
COMMENT ON TABLE log.tree_head IS 'One row per append: the key makes two roots of one size impossible.';
COMMENT ON COLUMN log.tree_head.log_id IS 'The log.';
COMMENT ON COLUMN log.tree_head.size IS 'Size after the append.';
COMMENT ON COLUMN log.tree_head.root IS 'Root of that size.';
COMMENT ON COLUMN log.tree_head.at IS 'integrated_at of its last entry.';

CREATE TABLE log.checkpoint (
    log_id bigint NOT NULL,
    size   bigint NOT NULL,
    note   text   NOT NULL CHECK (note <> ''),
    at     bigint NOT NULL CHECK (at >= 0),
    PRIMARY KEY (log_id, size),
    FOREIGN KEY (log_id, size) REFERENCES log.tree_head (log_id, size)
);
COMMENT ON TABLE log.checkpoint IS 'Signed checkpoints, only of committed tree heads.';
COMMENT ON COLUMN log.checkpoint.log_id IS 'The log.';
COMMENT ON COLUMN log.checkpoint.size IS 'Size that it signs.';
COMMENT ON COLUMN log.checkpoint.note IS 'The signed note.';
COMMENT ON COLUMN log.checkpoint.at IS 'When it was signed.';

CREATE TABLE log.tile (
    log_id   bigint   NOT NULL,
    level    smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    n        bigint   NOT NULL CHECK (n >= 0),
    sub_root bytea    NOT NULL CHECK (octet_length(sub_root) = 32),
    hashes   bytea    NOT NULL CHECK (octet_length(hashes) = 8192),
    PRIMARY KEY (log_id, level, n)
);
ALTER TABLE log.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
COMMENT ON TABLE log.tile IS 'Full tiles only, each written once; a partial tile is computed from the rows below it.';
COMMENT ON COLUMN log.tile.log_id IS 'The log.';
COMMENT ON COLUMN log.tile.level IS '0: over leaf hashes.';
COMMENT ON COLUMN log.tile.n IS 'Number of the tile in its level.';
COMMENT ON COLUMN log.tile.sub_root IS 'Root over the hashes: hash n of the next level.';
COMMENT ON COLUMN log.tile.hashes IS '256 hashes.';

CREATE TABLE log.index_key (
    log_id   bigint NOT NULL,
    key_type text COLLATE "C" NOT NULL CHECK (key_type <> ''),
    key      text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 2048),
    idx      bigint NOT NULL CHECK (idx >= 0),
    PRIMARY KEY (log_id, key_type, key, idx)
);
COMMENT ON TABLE log.index_key IS 'Words to search by.';
COMMENT ON COLUMN log.index_key.log_id IS 'The log.';
COMMENT ON COLUMN log.index_key.key_type IS 'What the word is.';
COMMENT ON COLUMN log.index_key.key IS 'The word in lower case.';
COMMENT ON COLUMN log.index_key.idx IS 'Leaf index.';

CREATE FUNCTION log.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table %.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION log.refuse_change() IS 'Trigger that makes a table append-only.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.log        FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.entry      FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.entry_body FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.entry_set  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.tree_head  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.checkpoint FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.tile       FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.index_key  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
CREATE TRIGGER never_gone  BEFORE DELETE OR TRUNCATE           ON log.log_state  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();

CREATE FUNCTION log.refuse_backward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a log never goes back' USING ERRCODE = 'integrity_constraint_violation';
END $$;
COMMENT ON FUNCTION log.refuse_backward() IS 'Trigger for a state that would undo what was promised.';

-- A log only grows, its clock only advances, and frozen is for good.
CREATE TRIGGER only_forward BEFORE UPDATE ON log.log_state FOR EACH ROW
WHEN (NEW.log_id <> OLD.log_id OR NEW.size < OLD.size OR NEW.last_time < OLD.last_time OR NEW.frozen < OLD.frozen
    OR (NEW.size = OLD.size AND (NEW.root <> OLD.root OR NEW.edge <> OLD.edge)))
EXECUTE FUNCTION log.refuse_backward();
