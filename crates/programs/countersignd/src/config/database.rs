//! `[database]`: where the logs are kept.

use std::path::PathBuf;

use url::Url;
use wire::host::is_loopback;

use super::section::Section;
use crate::deployment::Database;

/// `sqlite_file` is where a log on SQLite is.
pub(super) fn read(mut section: Section<'_>, sqlite_file: PathBuf) -> Option<Database> {
    let kind = section.required_text("kind");
    let url: Option<Url> = section.parsed("url");
    let password_file = section.path("password_file");
    section.end();
    match kind?.as_str() {
        "sqlite" => {
            for (key, given) in [("url", url.is_some()), ("password_file", password_file.is_some())]
            {
                if given {
                    section.wrong(key, "kind `sqlite` has no use for it");
                }
            }
            Some(Database::Sqlite { file: sqlite_file })
        }
        "postgres" => postgres(&section, url, password_file),
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
) -> Option<Database> {
    let Some(url) = url else {
        section.wrong("url", "is missing, or not a URL");
        return None;
    };
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        section.wrong("url", "must be postgres://USER@HOST/DATABASE");
    }
    // Also in the query, where sqlx would take it from.
    if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
        section.wrong("url", "must not contain the password; use password_file");
    }
    if !stays_on_this_machine(&url) && !url.query_pairs().any(|(key, _)| is_tls_mode(&key)) {
        // Left alone, sqlx falls back to plain text without a word.
        section.wrong(
            "url",
            "must say `?sslmode=verify-full`, or `?sslmode=disable` on a network of its own",
        );
    }
    Some(Database::Postgres { url, password_file })
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
