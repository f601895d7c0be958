-- A log is its origin and its key: under these it must have one history, whatever it is called here.
CREATE UNIQUE INDEX log_origin ON log.log (origin);

-- Not a unique index on log.log, since there are databases in which two logs have one key, from when keys were called
-- by the kind: they are served and warned of, and get no third.
CREATE TABLE log.log_key (
    public_key_der bytea  PRIMARY KEY,
    log_id         bigint NOT NULL REFERENCES log.log (log_id)
);
COMMENT ON TABLE log.log_key IS 'One row per key: the first log that was made with it.';
COMMENT ON COLUMN log.log_key.public_key_der IS 'SubjectPublicKeyInfo of the signing key.';
COMMENT ON COLUMN log.log_key.log_id IS 'The first log of that key.';

INSERT INTO log.log_key (public_key_der, log_id) SELECT public_key_der, min(log_id) FROM log.log GROUP BY public_key_der;

CREATE FUNCTION log.take_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO log.log_key (public_key_der, log_id) VALUES (NEW.public_key_der, NEW.log_id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION log.take_key() IS 'Trigger that gives a new log its key, or refuses it.';

CREATE TRIGGER takes_its_key AFTER INSERT ON log.log FOR EACH ROW EXECUTE FUNCTION log.take_key();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log.log_key FOR EACH STATEMENT EXECUTE FUNCTION log.refuse_change();
