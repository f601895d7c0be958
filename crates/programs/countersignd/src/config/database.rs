//! `[database]`: where the logs are kept.

use std::path::PathBuf;

use url::Url;
use wire::host::is_loopback;

use super::section::Section;
use crate::deployment::{Database, DatabaseOwner};

/// `sqlite_file` is where a log on SQLite is.
pub(super) fn read(mut section: Section<'_>, sqlite_file: PathBuf) -> Option<Database> {
    let kind = section.required_text("kind");
    let url: Option<Url> = section.parsed("url");
    let password_file = section.path("password_file");
    let owner_url: Option<Url> = section.parsed("owner_url");
    let owner_password_file = section.path("owner_password_file");
    let roles_file = section.path("roles_file");
    section.end();
    let of_owner = [("owner_password_file", &owner_password_file), ("roles_file", &roles_file)];
    match kind?.as_str() {
        "sqlite" => {
            let urls = [("url", url.is_some()), ("owner_url", owner_url.is_some())];
            let files = of_owner.into_iter().chain([("password_file", &password_file)]);
            let files = files.map(|(key, file)| (key, file.is_some()));
            for (key, _) in urls.into_iter().chain(files).filter(|(_, given)| *given) {
                section.wrong(key, "kind `sqlite` has no use for it");
            }
            Some(Database::Sqlite { file: sqlite_file })
        }
        "postgres" => {
            if owner_url.is_none() {
                for (key, _) in of_owner.into_iter().filter(|(_, file)| file.is_some()) {
                    section.wrong(key, "has no use without `owner_url`");
                }
            }
            let owner = owner_url.map(|url| DatabaseOwner {
                url,
                password_file: owner_password_file,
                roles_file,
            });
            postgres(&section, url, password_file, owner)
        }
        other => {
            section.wrong("kind", format!("`{other}` is neither `sqlite` nor `postgres`"));
            None
        }
    }
}

fn postgres(
    section: &Section<'_>,
    url: Option<Url>,
    password_file: Option<PathBuf>,
    owner: Option<DatabaseOwner>,
) -> Option<Database> {
    let Some(url) = url else {
        section.wrong("url", "is missing, or not a URL");
        return None;
    };
    check_url(section, "url", &url);
    if let Some(owner) = &owner {
        check_url(section, "owner_url", &owner.url);
        if owner.url.username() == url.username() {
            section.wrong(
                "owner_url",
                "must be of another role than `url`, which then cannot change tables",
            );
        }
        // They are written into statements.
        for (key, name) in [
            ("url", url.username()),
            ("owner_url", owner.url.username()),
            ("owner_url", owner.url.path().trim_start_matches('/')),
        ] {
            if owner.roles_file.is_some() && !is_plain_name(name) {
                section.wrong(key, format!("`{name}` is no name of small letters, digits and `_`"));
            }
        }
    }
    Some(Database::Postgres { url, password_file, owner: owner.map(Box::new) })
}

fn check_url(section: &Section<'_>, key: &'static str, url: &Url) {
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        section.wrong(key, "must be postgres://USER@HOST/DATABASE");
    }
    // Also in the query, where sqlx would take it from.
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        section.wrong(key, "must not contain the password; use password_file");
    }
    if !stays_on_this_machine(url) && !url.query_pairs().any(|(key, _)| is_tls_mode(&key)) {
        // Left alone, sqlx falls back to plain text without a word.
        section.wrong(
            key,
            "must say `?sslmode=verify-full`, or `?sslmode=disable` on a network of its own",
        );
    }
}

fn is_plain_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() < 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_tls_mode(parameter: &str) -> bool {
    matches!(parameter, "sslmode" | "ssl-mode")
}

/// Loopback, or a socket in the file system. The query may name another host than the URL does.
fn stays_on_this_machine(url: &Url) -> bool {
    let named_in_query = url
        .query_pairs()
        .any(|(key, host)| matches!(&*key, "host" | "hostaddr") && !host.starts_with('/'));
    let socket = |host: &str| host.is_empty() || host.to_ascii_lowercase().starts_with("%2f");
    !named_in_query
        && (url.host_str().is_none_or(socket) || url.host_str().is_some_and(is_loopback))
}
