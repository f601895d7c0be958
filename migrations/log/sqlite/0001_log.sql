-- The transparency log. Times are Unix seconds, UTC; hashes are SHA-256, 32 bytes; indexes and sizes are 0-based and
-- count entries. Every table but log_state is append-only: triggers refuse UPDATE and DELETE.
-- The tables with a row per entry have no foreign keys: only an append writes them, in the transaction that also
-- advances log_state, and a check per row would buy nothing.

-- One row per log.
CREATE TABLE log (
    log_id         INTEGER PRIMARY KEY,                                        -- our number of the log
    name           TEXT    NOT NULL UNIQUE CHECK (length(name) > 0),           -- our name of the log
    kind           TEXT    NOT NULL CHECK (kind IN ('ct', 'rekor1', 'rekor2')),-- protocol
    tree_id        INTEGER NOT NULL CHECK (tree_id >= 0),                      -- Rekor v1's tree id, 0 where there is none
    origin         TEXT    NOT NULL,                                           -- first line of the checkpoints
    host           TEXT    NOT NULL,                                           -- host at the time of creation
    public_key_der BLOB    NOT NULL,                                           -- SubjectPublicKeyInfo of the signing key
    created_at     INTEGER NOT NULL CHECK (created_at >= 0)                    -- when the log was created
) STRICT;

-- One row per log: where it ends. The only rows that change; every append begins and ends here.
CREATE TABLE log_state (
    log_id    INTEGER PRIMARY KEY REFERENCES log (log_id),                    -- the log
    size      INTEGER NOT NULL CHECK (size >= 0),                             -- number of entries
    root      BLOB    NOT NULL CHECK (length(root) = 32),                     -- root of the tree of that size
    edge      BLOB    NOT NULL CHECK (length(edge) % 32 = 0 AND length(edge) <= 2016), -- roots of its perfect subtrees, largest first
    last_time INTEGER NOT NULL CHECK (last_time >= 0),                        -- integrated_at of the last entry
    frozen    INTEGER NOT NULL CHECK (frozen IN (0, 1))                       -- 1: takes no more entries, for good
) STRICT;

-- One row per entry: what proofs and duplicate checks need.
CREATE TABLE entry (
    log_id        INTEGER NOT NULL,                                           -- the log
    idx           INTEGER NOT NULL CHECK (idx >= 0),                          -- leaf index
    leaf_hash     BLOB    NOT NULL CHECK (length(leaf_hash) = 32),            -- SHA-256(0x00 || body)
    identity_hash BLOB    NOT NULL CHECK (length(identity_hash) = 32),        -- what makes a duplicate; Rekor: the leaf hash
    integrated_at INTEGER NOT NULL CHECK (integrated_at >= 0),                -- when it entered the log
    kind          TEXT    NOT NULL,                                           -- kind of entry, like hashedrekord
    body_len      INTEGER NOT NULL CHECK (body_len BETWEEN 0 AND 65535),      -- length of the body
    PRIMARY KEY (log_id, idx)
) STRICT, WITHOUT ROWID;

-- Strict deduplication, and the last safety net.
CREATE UNIQUE INDEX entry_identity ON entry (log_id, identity_hash);

-- CT's leaf hash is not the identity hash; everywhere else the unique key above serves.
CREATE INDEX entry_leaf ON entry (log_id, leaf_hash) WHERE leaf_hash <> identity_hash;

-- One row per entry: its bytes. Apart from entry, so that ranges of hashes are read without them.
CREATE TABLE entry_body (
    log_id INTEGER NOT NULL,                                                  -- the log
    idx    INTEGER NOT NULL CHECK (idx >= 0),                                 -- leaf index
    body   BLOB    NOT NULL CHECK (length(body) <= 65535),                    -- the bytes under the leaf hash
    extra  BLOB    NOT NULL CHECK (length(extra) <= 16777215),                -- CT's extra_data; empty: none
    PRIMARY KEY (log_id, idx)
) STRICT;

-- One row per entry that was promised inclusion: the signature of CT's SCT or of Rekor v1's SET, made once.
CREATE TABLE entry_set (
    log_id  INTEGER NOT NULL,                                                 -- the log
    idx     INTEGER NOT NULL CHECK (idx >= 0),                                -- leaf index
    set_sig BLOB    NOT NULL CHECK (length(set_sig) BETWEEN 1 AND 1024),      -- the signature
    PRIMARY KEY (log_id, idx)
) STRICT, WITHOUT ROWID;

-- One row per append: the key makes two roots of one size impossible.
CREATE TABLE tree_head (
    log_id INTEGER NOT NULL REFERENCES log (log_id),                          -- the log
    size   INTEGER NOT NULL CHECK (size >= 0),                                -- size after the append
    root   BLOB    NOT NULL CHECK (length(root) = 32),                        -- root of that size
    at     INTEGER NOT NULL CHECK (at >= 0),                                  -- integrated_at of its last entry
    PRIMARY KEY (log_id, size)
) STRICT, WITHOUT ROWID;

-- Signed checkpoints, only of committed tree heads.
CREATE TABLE checkpoint (
    log_id INTEGER NOT NULL,                                                  -- the log
    size   INTEGER NOT NULL,                                                  -- size that it signs
    note   TEXT    NOT NULL CHECK (length(note) > 0),                         -- the signed note
    at     INTEGER NOT NULL CHECK (at >= 0),                                  -- when it was signed
    PRIMARY KEY (log_id, size),
    FOREIGN KEY (log_id, size) REFERENCES tree_head (log_id, size)
) STRICT;

-- Full tiles only, each written once; a partial tile is computed from the rows below it.
CREATE TABLE tile (
    log_id   INTEGER NOT NULL,                                                -- the log
    level    INTEGER NOT NULL CHECK (level BETWEEN 0 AND 7),                  -- 0: over leaf hashes
    n        INTEGER NOT NULL CHECK (n >= 0),                                 -- number of the tile in its level
    sub_root BLOB    NOT NULL CHECK (length(sub_root) = 32),                  -- root over the hashes: hash n of the next level
    hashes   BLOB    NOT NULL CHECK (length(hashes) = 8192),                  -- 256 hashes
    PRIMARY KEY (log_id, level, n)
) STRICT;

-- Words to search by.
CREATE TABLE index_key (
    log_id   INTEGER NOT NULL,                                                -- the log
    key_type TEXT    NOT NULL CHECK (length(key_type) > 0),                   -- what the word is
    key      TEXT    NOT NULL CHECK (length(key) BETWEEN 1 AND 1024),         -- the word in lower case
    idx      INTEGER NOT NULL CHECK (idx >= 0),                               -- leaf index
    PRIMARY KEY (log_id, key_type, key, idx)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER log_no_update        BEFORE UPDATE ON log        BEGIN SELECT raise(ABORT, 'table log is append-only'); END;
CREATE TRIGGER log_no_delete        BEFORE DELETE ON log        BEGIN SELECT raise(ABORT, 'table log is append-only'); END;
CREATE TRIGGER log_state_no_delete  BEFORE DELETE ON log_state  BEGIN SELECT raise(ABORT, 'a log keeps its state'); END;
CREATE TRIGGER entry_no_update      BEFORE UPDATE ON entry      BEGIN SELECT raise(ABORT, 'table entry is append-only'); END;
CREATE TRIGGER entry_no_delete      BEFORE DELETE ON entry      BEGIN SELECT raise(ABORT, 'table entry is append-only'); END;
CREATE TRIGGER entry_body_no_update BEFORE UPDATE ON entry_body BEGIN SELECT raise(ABORT, 'table entry_body is append-only'); END;
CREATE TRIGGER entry_body_no_delete BEFORE DELETE ON entry_body BEGIN SELECT raise(ABORT, 'table entry_body is append-only'); END;
CREATE TRIGGER entry_set_no_update  BEFORE UPDATE ON entry_set  BEGIN SELECT raise(ABORT, 'table entry_set is append-only'); END;
CREATE TRIGGER entry_set_no_delete  BEFORE DELETE ON entry_set  BEGIN SELECT raise(ABORT, 'table entry_set is append-only'); END;
CREATE TRIGGER tree_head_no_update  BEFORE UPDATE ON tree_head  BEGIN SELECT raise(ABORT, 'table tree_head is append-only'); END;
CREATE TRIGGER tree_head_no_delete  BEFORE DELETE ON tree_head  BEGIN SELECT raise(ABORT, 'table tree_head is append-only'); END;
CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint BEGIN SELECT raise(ABORT, 'table checkpoint is append-only'); END;
CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint BEGIN SELECT raise(ABORT, 'table checkpoint is append-only'); END;
CREATE TRIGGER tile_no_update       BEFORE UPDATE ON tile       BEGIN SELECT raise(ABORT, 'table tile is append-only'); END;
CREATE TRIGGER tile_no_delete       BEFORE DELETE ON tile       BEGIN SELECT raise(ABORT, 'table tile is append-only'); END;
CREATE TRIGGER index_key_no_update  BEFORE UPDATE ON index_key  BEGIN SELECT raise(ABORT, 'table index_key is append-only'); END;
CREATE TRIGGER index_key_no_delete  BEFORE DELETE ON index_key  BEGIN SELECT raise(ABORT, 'table index_key is append-only'); END;

-- A log only grows, its clock only advances, and frozen is for good.
CREATE TRIGGER log_state_only_forward BEFORE UPDATE ON log_state
WHEN NEW.log_id <> OLD.log_id OR NEW.size < OLD.size OR NEW.last_time < OLD.last_time OR NEW.frozen < OLD.frozen
    OR (NEW.size = OLD.size AND (NEW.root <> OLD.root OR NEW.edge <> OLD.edge))
BEGIN
    SELECT raise(ABORT, 'a log never goes back');
END;
