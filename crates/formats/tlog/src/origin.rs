/// Origin of a Rekor v1 log: `HOST - TREEID`, by which clients know the protocol, the log and its tree.
///
/// Checkpoints have all of it as their first line; the name on their signature lines is the host alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rekor1Origin<'a> {
    /// Host of the log's base URL.
    pub host: &'a str,
    /// Decimal digits.
    pub tree_id: &'a str,
}

const SEPARATOR: &str = " - ";

impl<'a> Rekor1Origin<'a> {
    /// Reads an origin; `None` for those of other logs.
    #[must_use]
    pub fn parse(origin: &'a str) -> Option<Self> {
        let (host, tree_id) = origin.rsplit_once(SEPARATOR)?;
        let is_number = !tree_id.is_empty() && tree_id.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(Self { host, tree_id })
    }

    /// The origin of the tree `tree_id` at `host`.
    #[must_use]
    pub fn write(host: &str, tree_id: i64) -> String {
        format!("{host}{SEPARATOR}{tree_id}")
    }

    /// Whether it names this tree. Ids are written without leading zeros.
    #[must_use]
    pub fn is_of_tree(&self, tree_id: i64) -> bool {
        self.tree_id == tree_id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for tree_id in [1, 1_193_050_959_916_656_506, i64::MAX] {
            let origin = Rekor1Origin::write("rekor.sigstore.dev", tree_id);
            let read = Rekor1Origin::parse(&origin).unwrap();
            assert_eq!(read.host, "rekor.sigstore.dev");
            assert!(read.is_of_tree(tree_id) && !read.is_of_tree(tree_id - 1));
        }
    }

    #[test]
    fn origins_of_other_logs_are_not_of_that_form() {
        for origin in ["", "log.example", "log.example/rekor1", "h -7", "h - ", "h - 7x", "h - -7"]
        {
            assert_eq!(Rekor1Origin::parse(origin), None, "{origin}");
        }
        assert!(!Rekor1Origin::parse("h - 007").unwrap().is_of_tree(7));
    }
}
