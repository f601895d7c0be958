-- A log is its origin and its key: under these it must have one history, whatever it is called here.
CREATE UNIQUE INDEX log_origin ON log (origin);

-- One row per key: the first log that was made with it. Not a unique index on log, since there are databases in which
-- two logs have one key, from when keys were called by the kind: they are served and warned of, and get no third.
CREATE TABLE log_key (
    public_key_der BLOB    PRIMARY KEY,                                        -- SubjectPublicKeyInfo of the signing key
    log_id         INTEGER NOT NULL REFERENCES log (log_id)                    -- the first log of that key
) STRICT, WITHOUT ROWID;

INSERT INTO log_key (public_key_der, log_id) SELECT public_key_der, min(log_id) FROM log GROUP BY public_key_der;

CREATE TRIGGER log_takes_its_key AFTER INSERT ON log
BEGIN
    INSERT INTO log_key (public_key_der, log_id) VALUES (NEW.public_key_der, NEW.log_id);
END;

CREATE TRIGGER log_key_no_update BEFORE UPDATE ON log_key BEGIN SELECT raise(ABORT, 'table log_key is append-only'); END;
CREATE TRIGGER log_key_no_delete BEFORE DELETE ON log_key BEGIN SELECT raise(ABORT, 'table log_key is append-only'); END;
