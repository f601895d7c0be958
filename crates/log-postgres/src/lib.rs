//! The transparency log on PostgreSQL.
