//! What becomes of each command of docs/compose.md, in its order. A command that is not here fails, and so does a row
//! that is not on the page.

use What::{InCase, Not, Refused, Typed};

/// What stands on the page for something of each reader's own, and in what it is typed.
pub(crate) const PLACEHOLDERS: [(&str, &str); 5] = [
    ("/backups/", "$BACKUPS/"),
    ("/srv/countersign", "$CHECKOUT"),
    // Only where something is put there: within a container it is what it is.
    ("sudo mv countersign /usr/local/bin/", "mv countersign $PROGRAMS/"),
    (r"\%F", "%F"),
    ("docker-compose logs NAME", "docker-compose logs log"),
];

/// A command and its fate.
pub(crate) struct Row {
    pub(crate) text: &'static str,
    pub(crate) what: What,
    /// Cases that follow it.
    pub(crate) then: &'static [&'static str],
}

/// What is done with a command.
pub(crate) enum What {
    /// Typed; it must end with 0 and say these words.
    Typed(&'static [&'static str]),
    /// Typed; it must end with an error, as the page says, and say these words.
    Refused(&'static [&'static str]),
    /// Typed by these cases, which need it where they are.
    InCase(&'static [&'static str]),
    /// Never typed, and why.
    Not(&'static str),
}

impl Row {
    const fn then(self, cases: &'static [&'static str]) -> Self {
        Self { text: self.text, what: self.what, then: cases }
    }
}

const fn typed(text: &'static str, words: &'static [&'static str]) -> Row {
    Row { text, what: Typed(words), then: &[] }
}

const fn refused(text: &'static str, words: &'static [&'static str]) -> Row {
    Row { text, what: Refused(words), then: &[] }
}

const fn in_case(text: &'static str, cases: &'static [&'static str]) -> Row {
    Row { text, what: InCase(cases), then: &[] }
}

const fn not(text: &'static str, why: &'static str) -> Row {
    Row { text, what: Not(why), then: &[] }
}

/// A name that is said, not a command.
const MENTIONED: &str = "it names a command that stands elsewhere";

/// In the order of the page.
pub(crate) const ROWS: &[Row] = &[
    not("docker compose", MENTIONED),
    typed("docker-compose build", &[]).then(&[
        "interrupted-first-start",
        "two-first-starts",
        "umask-077",
        "taken-port",
    ]),
    typed("docker-compose up -d", &[]).then(&["healthy"]),
    typed("docker-compose ps", &["log", "ca", "tsa", "trust", "oidc-dev", "postgres"]),
    typed("docker volume ls", &["countersign_anchors", "countersign_audit"]),
    not("countersignd dev", MENTIONED),
    typed(
        "docker-compose exec -T oidc-dev countersignd token --email you@example.com > token",
        &[],
    ),
    typed("curl -sSO http://localhost:3005/root.json", &[]),
    in_case("sha256sum root.json", &["fingerprint"]),
    typed("docker-compose run --rm --no-deps init check --offline", &[]).then(&["fingerprint"]),
    in_case("countersignd token --ci github", &["tokens-of-jobs"]),
    in_case("docker-compose restart oidc-dev", &["login"]),
    not(
        "cargo install --locked --path crates/programs/countersign",
        "the other way to the client, which is taken out of the image",
    ),
    typed(
        "docker-compose run --rm --no-deps -T --entrypoint cat init /usr/local/bin/countersign > countersign",
        &[],
    ),
    typed("chmod +x countersign && sudo mv countersign /usr/local/bin/", &[]),
    typed("countersign trust init --url http://localhost:3005 --root root.json", &[]),
    typed(
        "countersign attest generate-and-sign --subjects app --keyless --identity-token @token",
        &[],
    ),
    typed(
        "countersign attest verify --subjects app --keyless --certificate-identity you@example.com --certificate-oidc-issuer http://localhost:3006",
        &[],
    )
    .then(&["tokens-of-jobs", "login", "page-of-trust"]),
    typed("cosign initialize --mirror http://localhost:3005 --root root.json", &[]),
    typed(
        "cosign sign-blob --yes --identity-token \"$(cat token)\" --bundle app.sigstore.json app",
        &[],
    ),
    typed(
        "cosign verify-blob --bundle app.sigstore.json app --certificate-identity you@example.com --certificate-oidc-issuer http://localhost:3006",
        &["Verified OK"],
    )
    .then(&[
        "containers-killed",
        "daemon-killed",
        "recreated",
        "logs-rotate",
        "database-cut",
        "full-volume",
        "lost-state",
        "lost-anchors",
        "wrong-password",
        "files-of-root",
        "lost-key",
    ]),
    in_case("docker-compose exec postgres psql --username=postgres countersign", &["superuser"]),
    typed(
        "docker-compose run --rm --no-deps -T --entrypoint sh init -c 'rm /var/lib/countersign/offline/*.pem'",
        &[],
    )
    .then(&["without-roots"]),
    not("docker-compose exec", MENTIONED),
    typed("docker-compose run --rm --no-deps init check --offline", &[]),
    typed("docker-compose run --rm --no-deps ca check --issuers --online", &[]).then(&["issuer-away"]),
    typed("docker-compose kill -s HUP ca", &[]),
    typed("docker-compose restart ca", &[]).then(&["healthy"]),
    typed("docker-compose up -d --remove-orphans", &[]),
    typed("docker-compose restart ca trust", &[]).then(&["healthy"]),
    not("git config gitsign.clientID ID", "a client's setting, tried by `cargo xtask interop`"),
    not("countersignd explain-token", "tried by its own tests"),
    in_case("caddy validate --config deploy/Caddyfile", &["caddyfile"]),
    typed("docker-compose up -d", &[]),
    typed("docker-compose restart", &[]).then(&["healthy"]),
    in_case("docker-compose down", &["down-and-up"]),
    not("git pull", MENTIONED),
    not("git pull", MENTIONED).then(&["down-and-up", "caddyfile", "superuser", "new-version"]),
    typed("deploy/upgrade /backups/before-upgrade", &["upgraded; the state of before"])
        .then(&["way-back"]),
    not("docker-compose build", MENTIONED),
    not("git checkout", MENTIONED),
    typed("docker-compose build", &[]),
    typed("docker-compose up -d", &[]).then(&["healthy"]),
    typed("docker-compose logs init", &["init"]),
    typed("docker-compose stop ca log tsa trust oidc-dev", &[]),
    typed("deploy/backup /backups/before-two-roles", &["saved into"]),
    typed("docker-compose down --volumes", &[]),
    refused(
        "deploy/restore /backups/before-two-roles",
        &["restored, but for the volume anchors", "anchor"],
    ),
    typed(
        "docker-compose run --rm --no-deps init log restore ct --checkpoint /var/lib/countersign/log/checkpoints/ct",
        &[],
    ),
    typed(
        "docker-compose run --rm --no-deps init log restore rekor1 --checkpoint /var/lib/countersign/log/checkpoints/rekor1",
        &[],
    ),
    typed(
        "docker-compose run --rm --no-deps init log restore rekor2 --checkpoint /var/lib/countersign/log/checkpoints/rekor2",
        &[],
    ),
    typed("docker-compose up -d", &[]).then(&["healthy"]),
    not("docker-compose down", MENTIONED),
    typed("deploy/backup /backups/2026-01-31", &["saved into"]).then(&[
        "backup-of-nothing",
        "restored-beside-its-anchors",
        "restored-without-anchors",
    ]),
    in_case(
        "deploy/restore /backups/2026-01-31",
        &["restored-beside-its-anchors", "restored-without-anchors"],
    ),
    in_case(
        "docker-compose up -d",
        &["restored-beside-its-anchors", "restored-without-anchors"],
    ),
    in_case("docker-compose down", &["restored-beside-its-anchors"]),
    in_case(
        "docker volume ls --quiet --filter label=com.docker.compose.project=countersign | grep -vE '_(anchors|audit)$' | xargs docker volume rm",
        &["restored-beside-its-anchors"],
    ),
    not(
        "docker-compose run --rm --no-deps init log begin-anew NAME --next NEXT",
        "it ends a log for ever: the drill of tests/e2e/tests/serve does it with processes",
    ),
    in_case(
        "docker-compose exec -T postgres createdb --username=postgres --owner=countersign copy",
        &["restored-beside-its-anchors"],
    ),
    in_case(
        "docker-compose exec -T postgres pg_restore --username=postgres --dbname=copy --no-owner --no-privileges --role=countersign --exit-on-error < /backups/newer/database.dump",
        &["restored-beside-its-anchors"],
    ),
    in_case(
        "export PGPASSWORD=$(docker-compose run --rm --no-deps -T --entrypoint cat init /run/countersign/database-owner/password)",
        &["restored-beside-its-anchors"],
    ),
    in_case(
        "docker-compose run --rm --no-deps -T -e PGPASSWORD init log restore NAME --from postgres://countersign@postgres/copy",
        &["restored-beside-its-anchors"],
    ),
    in_case(
        "docker-compose exec -T postgres dropdb --username=postgres copy",
        &["restored-beside-its-anchors"],
    ),
    in_case(
        "docker-compose up -d",
        &["restored-beside-its-anchors"],
    ),
    in_case(
        "docker-compose run --rm --no-deps init log restore NAME --checkpoint FILE",
        &["restored-without-anchors"],
    ),
    typed("docker-compose exec -T ca cat /var/log/countersign/ca.log", &["serial"]),
    not("PATH=/usr/local/bin:/usr/bin:/bin", "the next three are typed with it"),
    typed("17 2 * * * cd /srv/countersign && deploy/backup /backups/$(date +\\%F)", &["saved into"]),
    typed(
        "47 2 * * * cd /srv/countersign && docker-compose exec -T log countersignd fsck log --config /etc/countersign/countersign.toml",
        &[],
    ),
    typed("57 2 * * * cd /srv/countersign && docker-compose run --rm --no-deps -T init check --offline", &[]),
    not("docker compose", MENTIONED),
    typed("docker-compose ps", &[]),
    typed("docker-compose logs NAME", &[]),
    in_case("docker-compose up -d", &["daemon-killed"]),
    typed("docker-compose run --rm --no-deps init check --offline", &[]),
    in_case("countersignd probe http://127.0.0.1:3007/readyz", &["database-cut"]),
    not("docker-compose up -d", MENTIONED).then(&["lost-password"]),
    typed("docker-compose run --rm --no-deps secrets", &[]),
    typed(
        "docker-compose exec -T postgres psql --username=postgres --dbname=countersign --no-psqlrc --set=ON_ERROR_STOP=1 --file=/docker-entrypoint-initdb.d/roles.sql",
        &[],
    ),
    typed("docker-compose up -d", &[]),
    typed("docker-compose restart log", &[]).then(&["healthy", "signs"]),
    typed("docker-compose exec ca countersignd issuer refresh --forget", &["http://localhost:3006"]),
    in_case(
        "docker-compose run --rm --no-deps -T --entrypoint tar init -C /var/lib/countersign -xf - tsa < /backups/before-loss/volumes.tar",
        &["lost-key"],
    ),
    in_case("docker-compose up -d", &["lost-key"]),
    typed("docker-compose logs ca", &["serial"]),
    typed("docker-compose logs ca", &["serial"]),
    in_case("docker-compose down --volumes", &["interrupted-first-start"]),
    in_case("docker-compose up -d", &["interrupted-first-start"]),
    in_case(
        "docker ps --all --quiet --filter label=com.docker.compose.project=countersign | xargs docker rm --force",
        &["two-first-starts"],
    ),
    in_case(
        "docker network ls --quiet --filter label=com.docker.compose.project=countersign | xargs docker network rm",
        &["two-first-starts"],
    ),
    in_case("docker-compose up -d", &["two-first-starts"]),
    in_case("ss -ltnp", &["taken-port"]),
    in_case("chmod a+r deploy/countersign.toml && chmod a+x deploy", &["umask-077"]),
    in_case("chown -R 10001:10001", &["files-of-root"]),
];
